package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// A namespace may have as many labels as etcd has room for, 1.5 MB of them, and as a map they take five times that. So all labels are
// kept only of a namespace that has a usual number of them; any other one is reduced to the labels that judgements depend on, those
// with the keys of selectors above all. Selectors change, however, and a new one has to be judged by the labels that were not kept.
// Therefore reduced namespaces know of which keys they have the labels, by the number of a set of keys that only grows; when a judgement
// depends on another key, they are read again from the API server, one by one, before it begins. If that fails, the request is
// refused, to be tried again. Nothing else is worth the trouble: a cluster has no such namespace, unless a user means ill.
const (
	// maxLabels bounds what labels may take and all be kept, labelOverhead for each label included: 100 labels and more, however long.
	maxLabels = 32 << 10
	// labelOverhead is what a label takes in a map besides its texts.
	labelOverhead = 64
	// reducedAtOnce is how many reduced namespaces are read at a time.
	reducedAtOnce = 4
	// reducedTimeout leaves time for a judgement in the ten seconds that a webhook of ours has. What was read in that time is kept, so
	// that the next try has less to do.
	reducedTimeout = 5 * time.Second
)

// What is kept of a reduced namespace is bounded by how many keys there are, and by what these take.
const (
	maxRequiredKeys = 1000
	maxRequiredSize = 64 << 10
)

// size is what labels take, for maxLabels.
func size(labels map[string]string) int {
	total := 0
	for key, value := range labels {
		total += len(key) + len(value) + labelOverhead
	}
	return total
}

// requiredKeys are the keys of the labels that a reduced namespace keeps. It is immutable.
type requiredKeys struct {
	// number counts up, from 1, whenever other keys are required.
	number int
	keys   sets.Set[string]
}

// of returns the labels with these keys.
func (r *requiredKeys) of(labels map[string]string) map[string]string {
	found := map[string]string{}
	for key := range r.keys {
		if value, present := labels[key]; present {
			found[key] = value
		}
	}
	return found
}

func (r *requiredKeys) tooMany() bool {
	size := 0
	for key := range r.keys {
		size += len(key)
	}
	return len(r.keys) > maxRequiredKeys || size > maxRequiredSize
}

// reducedLabels holds the keys of the labels that reduced namespaces keep now.
type reducedLabels struct {
	mu  sync.Mutex
	now *requiredKeys
}

func newReducedLabels() *reducedLabels {
	return &reducedLabels{now: &requiredKeys{number: 1, keys: sets.New[string]()}}
}

func (r *reducedLabels) current() *requiredKeys {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// include returns keys among which are these; kept reports whether they are required from now on. They are not if they are too many.
// When there is no room for more, those that were required before, by other meshes that came and went, are forgotten.
func (r *reducedLabels) include(keys []string) (required *requiredKeys, kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.keys.HasAll(keys...) {
		return r.now, true
	}
	next := &requiredKeys{number: r.now.number + 1, keys: r.now.keys.Clone().Insert(keys...)}
	if next.tooMany() {
		next.keys = sets.New(keys...)
	}
	if next.tooMany() {
		return next, false
	}
	r.now = next
	return next, true
}

// Namespaces returns all namespaces by name, as last seen, with the labels of these keys at least. The slice and the maps are shared
// and must not be written. It calls keys, and reads from the API server, only if there are namespaces that have very many labels. With
// an error, these are as they are known.
func (c *Cluster) Namespaces(ctx context.Context, keys func() []string) ([]mesh.Namespace, error) {
	all := c.namespaces.Values()
	if !slices.ContainsFunc(all, func(ns mesh.Namespace) bool { return ns.Reduced != 0 }) {
		return all, nil
	}
	required, kept := c.converter.reduced.include(keys())
	known := all
	all = slices.Clone(all)
	ctx, cancel := context.WithTimeoutCause(ctx, reducedTimeout, errSlow)
	defer cancel()
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(reducedAtOnce)
	for i := range all {
		if ns := &all[i]; ns.Reduced != 0 && (!kept || ns.Reduced != required.number) {
			group.Go(func() error { return c.readReduced(together, ns, required, kept) })
		}
	}
	if err := group.Wait(); err != nil {
		return known, fmt.Errorf("it cannot read the namespaces that have very many labels (%w)", err)
	}
	return slices.DeleteFunc(all, func(ns mesh.Namespace) bool { return ns.Name == "" }), nil
}

// errSlow is the cause when reducedTimeout is over.
var errSlow = errors.New("the API server did not send them in time")

// readReduced brings a namespace up to date, and leaves it without a name if it does not exist any more.
func (c *Cluster) readReduced(ctx context.Context, ns *mesh.Namespace, required *requiredKeys, kept bool) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	found, err := c.namespaceNamed(ctx, ns.Name, required)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	if kept && found.Name != "" {
		// What the watch has brought since, with these keys or later ones, is newer. What it brings next is too, or will be in a moment.
		c.namespaces.ReplaceIf(found.Name, found, func(stored mesh.Namespace) bool { return stored.Reduced != 0 && stored.Reduced < required.number })
	}
	*ns = found
	return nil
}

// namespaceNamed reads the namespace of that name; it has no name if there is none.
func (c *Cluster) namespaceNamed(ctx context.Context, name string, required *requiredKeys) (mesh.Namespace, error) {
	list, err := c.resources.namespaces.List(ctx, metav1.ListOptions{FieldSelector: metav1.ObjectNameField + "=" + name})
	if err != nil || len(list.Items) == 0 {
		return mesh.Namespace{}, err
	}
	return c.converter.with(&list.Items[0], required), nil
}
