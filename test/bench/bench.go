package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/meshfence/meshfence/test/harness"
)

// bench is what runs during a measurement.
type bench struct {
	plan plan
	// main is the cluster whose API server is asked. It grows.
	main    *harness.Cluster
	clients *clients
	// small is a cluster with few namespaces and meshes. Its meshfence answers the main cluster's API server too, so that
	// nothing but the size of what meshfence knows differs.
	small *harness.Cluster
	yes   *pair
	yesAt endpoint
	// byHand is the webhook that a person would write.
	byHand        *pair
	handwrittenAt endpoint
}

func start(ctx context.Context, p plan) (b *bench, err error) {
	progress("starting two API servers")
	b = &bench{plan: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	if b.small, err = startCluster(ctx); err != nil {
		return b, err
	}
	smallClients, err := newClients(b.small.Config)
	if err != nil {
		return b, err
	}
	if err := smallClients.setMeshes(ctx, 0, fewMeshes); err != nil {
		return b, err
	}
	if err := smallClients.addNamespaces(ctx, 0, fewNamespaces, fewMeshes); err != nil {
		return b, err
	}
	if b.main, err = startCluster(ctx); err != nil {
		return b, err
	}
	if b.clients, err = newClients(b.main.Config); err != nil {
		return b, err
	}
	third, err := b.small.SparePort()
	if err != nil {
		return b, err
	}
	b.yesAt = endpoint{address: third, authority: b.small.ServingAuthority()}
	if b.yes, err = startYes(portOf(third), b.small.ServingDir()); err != nil {
		return b, err
	}
	fourth, err := b.main.SparePort()
	if err != nil {
		return b, err
	}
	b.handwrittenAt = endpoint{address: fourth, authority: b.main.ServingAuthority()}
	b.byHand, err = startPair(handwrittenCommand, strconv.Itoa(portOf(fourth)), b.main.ServingDir(), b.main.Kubeconfig)
	return b, err
}

// startCluster starts an API server as clusters have it: with priority and fairness, and with the operator's own definitions where they are.
func startCluster(ctx context.Context) (*harness.Cluster, error) {
	sets, err := harness.ChooseCRDSets("", harness.Real)
	if err != nil {
		return nil, err
	}
	cluster, err := harness.Start(ctx, harness.Options{CRDs: sets[0], APIServerFlags: map[string]string{"enable-priority-and-fairness": "true"}})
	if err != nil {
		return nil, err
	}
	return cluster, cluster.InstallWorkload(ctx)
}

// stop ends everything that was started.
func (b *bench) stop() error {
	var errs []error
	for _, other := range []*pair{b.yes, b.byHand} {
		if other != nil {
			errs = append(errs, other.stop())
		}
	}
	for _, cluster := range []*harness.Cluster{b.small, b.main} {
		if cluster != nil {
			errs = append(errs, cluster.Stop())
		}
	}
	return errors.Join(errs...)
}

// growMeshes measures with few namespaces and more and more meshes, and leaves the cluster with as many as the comparison
// needs.
func (b *bench) growMeshes(ctx context.Context, r *report) error {
	have := size{}
	for _, meshes := range b.plan.meshes {
		next := size{Namespaces: fewNamespaces, Meshes: meshes}
		if err := b.growTo(ctx, have, next, r); err != nil {
			return err
		}
		have = next
	}
	return b.clients.setMeshes(ctx, have.Meshes, fullMeshes)
}

// growNamespaces measures with more and more namespaces, and in between the comparison.
func (b *bench) growNamespaces(ctx context.Context, r *report) error {
	have := size{Namespaces: fewNamespaces, Meshes: fullMeshes}
	for i, namespaces := range b.plan.namespaces {
		next := size{Namespaces: namespaces, Meshes: fullMeshes}
		if err := b.growTo(ctx, have, next, r); err != nil {
			return err
		}
		have = next
		if i == len(b.plan.namespaces)-2 {
			if err := b.compare(ctx, r); err != nil {
				return err
			}
		}
	}
	if err := b.flatness(ctx, r); err != nil {
		return err
	}
	if err := b.compareChecks(ctx, r); err != nil {
		return err
	}
	if err := b.compareAudit(ctx, r); err != nil {
		return err
	}
	return b.compareIstiods(ctx, r)
}

// flatness compares an AdmissionReview in the cluster at its largest with one in the small cluster, which is made as large as
// the other was one step before.
func (b *bench) flatness(ctx context.Context, r *report) error {
	sizes := b.plan.namespaces
	most, less := sizes[len(sizes)-1], sizes[len(sizes)-2]
	progress("comparing %d namespaces with %d", most, less)
	c, err := newClients(b.small.Config)
	if err != nil {
		return err
	}
	if err := c.setMeshes(ctx, fewMeshes, fullMeshes); err != nil {
		return err
	}
	if err := c.addNamespaces(ctx, fewNamespaces, less, fullMeshes); err != nil {
		return err
	}
	if err := b.small.StopMeshfence(); err != nil {
		return err
	}
	figure, err := reviewsInTurns(ctx, b.main, b.small)
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, row{
		Name: fmt.Sprintf("one AdmissionReview, %d namespaces against %d, p50", most, less), Unit: "ratio", Figure: figure, Target: 1.05,
	})
	return b.main.StopMeshfence()
}

// growTo makes the cluster larger and measures meshfence in it.
func (b *bench) growTo(ctx context.Context, from, to size, r *report) error {
	progress("%d namespaces and %d meshes", to.Namespaces, to.Meshes)
	if err := b.clients.setMeshes(ctx, from.Meshes, to.Meshes); err != nil {
		return err
	}
	if err := b.clients.addNamespaces(ctx, from.Namespaces, to.Namespaces, to.Meshes); err != nil {
		return err
	}
	p, err := grown(ctx, b.main, b.clients, to)
	if err != nil {
		return err
	}
	r.Growth = append(r.Growth, p)
	return b.main.StopMeshfence()
}

// serving is where a cluster's meshfence answers.
func serving(cluster *harness.Cluster) endpoint {
	return endpoint{address: cluster.ServingAddress(), authority: cluster.ServingAuthority()}
}

func meshfenceOf(cluster *harness.Cluster, letter, name string) (*target, error) {
	manifests, err := cluster.Manifests()
	if err != nil {
		return nil, err
	}
	return meshfenceTarget(letter, name, manifests, serving(cluster), cluster.Meshfence().PID())
}
