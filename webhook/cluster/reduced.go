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

	"github.com/meshfence/meshfence/webhook/mesh"
)

// A namespace may have as many labels as etcd has room for, 1.5 MB of them, and as a map they take five times that. So all labels are
// kept only of a namespace that has a usual number of them; any other one is reduced to the labels that judgements depend on, those
// with the keys of selectors above all. Selectors change, however, and a new one has to be judged by the labels that were not kept.
// Therefore reduced namespaces know of which keys they have the labels, by the number of a set of keys that only grows; when a judgement
// depends on another key, they are read again from the API server, one by one, before it begins. If that fails, the request is not
// judged but told to try again. Nothing else is worth the trouble: a cluster has no such namespace, unless somebody means ill.
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

// labelSize is what a label takes, for maxLabels.
func labelSize(key, value int) int { return key + value + labelOverhead }

// wantedKeys are the keys of the labels that a reduced namespace keeps. It is immutable.
type wantedKeys struct {
	number int
	keys   keySet
}

// wanting are the keys that are wanted now.
type wanting struct {
	mu  sync.Mutex
	now *wantedKeys
}

func newWanting() *wanting { return &wanting{now: &wantedKeys{number: 1, keys: keySet{}}} }

func (w *wanting) current() *wantedKeys {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// add returns keys among which are these; kept says that they are wanted from now on. They are not if they are more than match
// conditions have room for (see keys.go), which are the bounds of what is kept of a reduced namespace too. What is wanted no longer,
// because other meshes came and went, is forgotten when there is no room for more.
func (w *wanting) add(keys []string) (wanted *wantedKeys, kept bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	added := newKeySet(keys)
	if len(added.minus(w.now.keys)) == 0 {
		return w.now, true
	}
	next := &wantedKeys{number: w.now.number + 1, keys: added.union(w.now.keys)}
	if next.tooMany() {
		next.keys = added
	}
	if next.tooMany() {
		return next, false
	}
	w.now = next
	return next, true
}

func (w *wantedKeys) tooMany() bool {
	size := 0
	for key := range w.keys {
		size += len(key)
	}
	return len(w.keys) > maxKeys || size > maxExpressionSize
}

// Namespaces returns all namespaces by name, as last seen, with the labels of these keys at least. The slice and the maps are shared
// and must not be written. It asks for the keys, and reads from the API server, only if there are namespaces that have very many labels. With an error,
// these are as they are known.
func (c *Cluster) Namespaces(ctx context.Context, keys func() []string) ([]mesh.Namespace, error) {
	all := c.namespaces.values()
	if !slices.ContainsFunc(all, func(ns mesh.Namespace) bool { return ns.Reduced != 0 }) {
		return all, nil
	}
	wanted, kept := c.wanting.add(keys())
	known := all
	all = slices.Clone(all)
	ctx, cancel := context.WithTimeoutCause(ctx, reducedTimeout, errSlow)
	defer cancel()
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(reducedAtOnce)
	for i := range all {
		if ns := &all[i]; ns.Reduced != 0 && (!kept || ns.Reduced != wanted.number) {
			group.Go(func() error { return c.readReduced(together, ns, wanted, kept) })
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
func (c *Cluster) readReduced(ctx context.Context, ns *mesh.Namespace, wanted *wantedKeys, kept bool) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	found, err := c.resources.namespaces.named(ctx, ns.Name, wanted)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	if kept && found.Name != "" {
		// What the watch has brought since, with these keys or later ones, is newer. What it brings next is too, or will be in a moment.
		c.namespaces.replaceIf(found.Name, found, func(stored mesh.Namespace) bool { return stored.Reduced != 0 && stored.Reduced < wanted.number })
	}
	*ns = found
	return nil
}

// named reads the namespace of that name; it has no name if there is none.
func (s *namespaceSource) named(ctx context.Context, name string, wanted *wantedKeys) (found mesh.Namespace, err error) {
	got := <-s.ask(ctx, metav1.ListOptions{FieldSelector: metav1.ObjectNameField + "=" + name})
	if got.err != nil {
		return found, got.err
	}
	defer func() { _ = got.body.Close() }() // it was read, or there is another error
	reader := newNamespaceReader(s.texts, s.wanting)
	reader.wanted = wanted
	err = reader.read(got.body, func(metav1.ListMeta) {}, func(ns mesh.Namespace) { found = ns })
	return found, err
}
