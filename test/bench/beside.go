package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshfence/meshfence/test/harness"
)

// measureBeside compares this meshfence with another binary of it, an earlier one, in turns on one API server.
func measureBeside(binary string) func(context.Context, plan) (*report, error) {
	return func(ctx context.Context, p plan) (r *report, err error) {
		begin := time.Now()
		r = &report{Machine: machine(), Rounds: p.rounds, Requests: p.requests}
		b, err := start(ctx, p)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.stop()) }()
		if err := b.clients.setMeshes(ctx, 0, fullMeshes); err != nil {
			return nil, err
		}
		namespaces := p.namespaces[0]
		progress("%d namespaces and %d meshes", namespaces, fullMeshes)
		if err := b.clients.addNamespaces(ctx, 0, namespaces, fullMeshes); err != nil {
			return nil, err
		}
		if r.Rows, err = b.beside(ctx, binary); err != nil {
			return nil, err
		}
		r.Took = time.Since(begin).Round(time.Second).String()
		return r, nil
	}
}

// beside are the rows. Neither runs the audit, which the earlier one may not have.
func (b *bench) beside(ctx context.Context, binary string) (rows []row, err error) {
	if _, err := b.main.StartMeshfence(ctx, withoutAudit()); err != nil {
		return nil, err
	}
	earlier, err := b.main.StartReplica(ctx, harness.ProcessOptions{Binary: binary})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", binary, err)
	}
	defer func() { err = errors.Join(err, earlier.Stop()) }()
	now, err := meshfenceOf(b.main, "d", "meshfence")
	if err != nil {
		return nil, err
	}
	manifests, err := b.main.Manifests()
	if err != nil {
		return nil, err
	}
	before, err := meshfenceTarget("p", "an earlier meshfence", manifests, endpoint{address: earlier.Address, authority: b.main.ServingAuthority()}, earlier.PID())
	if err != nil {
		return nil, err
	}
	yes := yesTarget(b.yesAt, b.yes.pid)
	c := &comparison{cluster: b.main, clients: b.clients, requests: b.plan.requests, targets: []*target{yes, now, before}}
	if err := c.run(ctx, b.plan.rounds); err != nil {
		return nil, err
	}
	rows = c.absolutes()
	rows = append(rows, row{Name: "(d)/(p) processor time for one call", Unit: "ratio", Figure: ratio(c.perCall(now), c.perCall(before))})
	for _, op := range []operation{join, create, inject, both, leave} {
		for _, n := range c.concurrencies() {
			rows = append(rows, row{
				Name: fmt.Sprintf("(d)/(p) %s, %d at once, p50", op, n), Unit: "ratio", Figure: ratio(c.at(key{"d", op, n}).p50, c.at(key{"p", op, n}).p50),
			})
		}
	}
	return rows, nil
}
