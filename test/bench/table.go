package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/meshfence/meshfence/test/harness"
)

// compare measures meshfence, in the large cluster and in the small one, beside webhooks that say yes and beside none.
func (b *bench) compare(ctx context.Context, r *report) error {
	progress("comparing, %d rounds", b.plan.rounds)
	for _, cluster := range []*harness.Cluster{b.small, b.main} {
		if _, err := cluster.StartMeshfence(ctx, withoutAudit()); err != nil {
			return err
		}
	}
	small, err := meshfenceOf(b.small, "c", "meshfence, 10 namespaces and 2 meshes")
	if err != nil {
		return err
	}
	large, err := meshfenceOf(b.main, "d", "meshfence, 10,000 namespaces and 100 meshes")
	if err != nil {
		return err
	}
	floor, err := floorTarget(b.main, b.yesAt, b.yes.pid)
	if err != nil {
		return err
	}
	byHand, err := b.handwrittenTarget(b.byHand.pid)
	if err != nil {
		return err
	}
	yes := yesTarget(b.yesAt, b.yes.pid)
	idle, err := atRest(ctx, small.pid)
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, row{Name: "(c) resident, 10 namespaces", Unit: "MiB", Figure: single(idle)})
	c := &comparison{cluster: b.main, clients: b.clients, requests: b.plan.requests,
		targets: []*target{noWebhooks(), yes, small, large, floor, byHand, oneYesTarget(yes), neverTarget(yes)}}
	if err := c.run(ctx, b.plan.rounds); err != nil {
		return err
	}
	r.Rows = append(r.Rows, c.absolutes()...)
	r.Rows = append(r.Rows, c.ratios()...)
	more, err := b.compareMore(ctx, c, large)
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, more...)
	reviews, err := b.compareReviews(ctx, b.main.Meshfence().PID())
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, reviews...)
	return b.main.StopMeshfence()
}

func operations() []operation { return []operation{join, inject, leave, both, plain, create} }

// absolutes are the latencies and rates themselves.
func (c *comparison) absolutes() []row {
	var rows []row
	for _, op := range operations() {
		for _, concurrency := range c.concurrencies() {
			for _, t := range c.measured(op) {
				s := c.at(key{t.letter, op, concurrency})
				name := fmt.Sprintf("%s %s, %d at once, ", label(t, op), op, concurrency)
				rows = append(rows, row{Name: name + "p50", Unit: "ms", Figure: newFigure(s.p50)}, row{Name: name + "p90", Unit: "ms", Figure: newFigure(s.p90)})
				if p99, ok := s.p99(); ok {
					rows = append(rows, row{Name: name + "p99 of all rounds", Unit: "ms", Figure: single(p99)})
				}
				rows = append(rows, row{Name: name + "rate", Unit: "1/s", Figure: newFigure(s.rate)})
			}
		}
	}
	for _, t := range c.targets {
		if spent := c.cpu[t.letter]; spent != nil {
			rows = append(rows, row{Name: fmt.Sprintf("(%s) processor time for 1,000 label patches", t.letter), Unit: "s", Figure: newFigure(spent)},
				row{Name: fmt.Sprintf("(%s) processor time for one call", t.letter), Unit: "µs", Figure: newFigure(c.perCall(t))})
		}
	}
	return append(rows, c.callRows()...)
}

// label is the letter of the comparison: (e) are the requests without mesh labels while the large meshfence is there.
func label(t *target, op operation) string {
	if t.letter == "d" && op == plain {
		return "(e)"
	}
	return "(" + t.letter + ")"
}

// callRows are how many webhooks the API server asked for one request, and what it took it to find out which.
func (c *comparison) callRows() []row {
	var rows []row
	for _, op := range operations() {
		for _, t := range c.measured(op) {
			rows = append(rows, row{Name: fmt.Sprintf("%s %s, webhooks asked", label(t, op), op), Unit: "calls", Figure: newFigure(c.calls[key{t.letter, op, 1}]),
				Never: t.letter == "d" && op == plain})
		}
	}
	for _, op := range []operation{inject, plain} {
		for _, t := range c.measured(op) {
			if evaluated := newFigure(c.conditions[key{t.letter, op, 1}]); evaluated.Max > 0 {
				rows = append(rows, row{Name: fmt.Sprintf("%s %s, the API server's evaluation of match conditions", label(t, op), op), Unit: "µs", Figure: evaluated})
			}
		}
	}
	return rows
}

// ratios are what the targets are about.
func (c *comparison) ratios() []row {
	byLetter := map[string][]float64{}
	for _, t := range c.targets {
		byLetter[t.letter] = c.perCall(t)
	}
	rows := []row{
		{Name: "(d)/(b) processor time for label patches, for which (d) gets five calls and (b) eight", Unit: "ratio", Figure: ratio(c.cpu["d"], c.cpu["b"])},
		{Name: "(d)/(b) processor time for one call", Unit: "ratio", Figure: ratio(byLetter["d"], byLetter["b"]), Target: 1.2},
		{Name: "(d)/(i) processor time for one call, beside a webhook written by hand", Unit: "ratio", Figure: ratio(byLetter["d"], byLetter["i"]), Target: 1},
	}
	compare := func(name string, of, to key, target float64) {
		a, b := c.at(of), c.at(to)
		rows = append(rows, row{Name: name + ", p50", Unit: "ratio", Figure: ratio(a.p50, b.p50), Target: target})
		if left, ok := a.p99(); ok {
			if right, ok := b.p99(); ok {
				rows = append(rows, row{Name: name + ", p99 of all rounds", Unit: "ratio", Figure: single(left / right)})
			}
		}
	}
	for _, n := range c.concurrencies() {
		at := fmt.Sprintf(", %d at once", n)
		compare("(d)/(b) join, both calls"+at, key{"d", join, n}, key{"b", join, n}, 1.15)
		compare("(d)/(b) create, both calls"+at, key{"d", create, n}, key{"b", create, n}, 1.1)
		compare("(d)/(b) inject, one call"+at, key{"d", inject, n}, key{"b", inject, n}, 0.85)
		compare("(d)/(b) both, one call"+at, key{"d", both, n}, key{"b", both, n}, 0.85)
		compare("(d)/(b) leave, both calls and a look at the pods"+at, key{"d", leave, n}, key{"b", leave, n}, 1.1)
		compare("(d)/(c) join"+at, key{"d", join, n}, key{"c", join, n}, 1.05)
		for _, op := range []operation{join, create, inject, both, leave} {
			compare(fmt.Sprintf("(d)/(f) %s%s", op, at), key{"d", op, n}, key{"f", op, n}, 0)
		}
		compare("(g)/(b) inject, one call that is answered with yes"+at, key{"g", inject, n}, key{"b", inject, n}, 0)
		compare("(e)/(a) no mesh label"+at, key{"d", plain, n}, key{"a", plain, n}, 1.1)
		compare("(h)/(a) no mesh label, conditions that are false"+at, key{"h", plain, n}, key{"a", plain, n}, 0)
	}
	return rows
}

// compareReviews asks the webhooks themselves, without an API server.
func (b *bench) compareReviews(ctx context.Context, pid int) ([]row, error) {
	bodies := map[question][]byte{}
	for _, q := range []question{injects, moves, errs} {
		body, err := review(q)
		if err != nil {
			return nil, err
		}
		bodies[q] = body
	}
	if err := newReviewer(serving(b.main), "/validate/namespace", bodies[errs], false).ask(ctx); err != nil {
		return nil, fmt.Errorf("what is wrong was not refused: %w", err)
	}
	reviewers := map[string]*reviewer{
		"b":       newReviewer(b.yesAt, yesValidatePath, bodies[injects], true),
		"d":       newReviewer(serving(b.main), "/validate/namespace", bodies[injects], true),
		"d moves": newReviewer(serving(b.main), "/validate/namespace", bodies[moves], true),
	}
	pids := map[string]int{"b": b.yes.pid, "d": pid, "d moves": pid}
	rate, p99, spent := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	for round := -1; round < b.plan.rounds; round++ {
		for _, letter := range []string{"b", "d", "d moves"} {
			before, err := cpu(pids[letter])
			if err != nil {
				return nil, err
			}
			requests := reviewRequests
			if letter == "d moves" { // each of which asks the API server
				requests /= 5
			}
			s, err := reviewers[letter].run(ctx, requests, 8)
			if err != nil {
				return nil, err
			}
			after, err := cpu(pids[letter])
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				rate[letter] = append(rate[letter], s.rate())
				p99[letter] = append(p99[letter], float64(s.quantile(0.99))/float64(time.Millisecond))
				spent[letter] = append(spent[letter], (after-before).Seconds()*1e6/float64(requests))
			}
		}
	}
	return []row{
		{Name: "(b) AdmissionReviews over HTTPS/2", Unit: "1/s", Figure: newFigure(rate["b"])},
		{Name: "(d) AdmissionReviews over HTTPS/2", Unit: "1/s", Figure: newFigure(rate["d"])},
		{Name: "(b) AdmissionReviews over HTTPS/2, p99", Unit: "ms", Figure: newFigure(p99["b"])},
		{Name: "(d) AdmissionReviews over HTTPS/2, p99", Unit: "ms", Figure: newFigure(p99["d"])},
		{Name: "(b) processor time for one AdmissionReview", Unit: "µs", Figure: newFigure(spent["b"])},
		{Name: "(d) processor time for one AdmissionReview", Unit: "µs", Figure: newFigure(spent["d"])},
		{Name: "(d) AdmissionReviews that move a namespace, whose pods are looked at", Unit: "1/s", Figure: newFigure(rate["d moves"])},
		{Name: "(d) processor time for one of these", Unit: "µs", Figure: newFigure(spent["d moves"])},
		{Name: "(d)/(b) AdmissionReviews over HTTPS/2", Unit: "ratio", Figure: ratio(rate["d"], rate["b"]), Target: 1, AtLeast: true},
	}, nil
}

func portOf(address string) int {
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	return number
}
