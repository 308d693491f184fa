package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
)

const (
	// retryEvery is the pause after which a failed write is tried again.
	retryEvery = 5 * time.Second
	// writeTimeout limits one round of background writes.
	writeTimeout = 20 * time.Second
	// writesAtOnce and writeEvery bound the background writes: should somebody else write the configurations back again and
	// again, such as a delivery tool that reverts every difference, the two take turns slowly instead of quickly.
	writesAtOnce = 5
	writeEvery   = 4 * time.Second
)

// keeper keeps the two webhook configurations asking about all that is in use: the configured discovery labels, the keys of the
// live selectors, and the names of namespaces in them. Below, a key is any of these (see keySet).
//
// Every replica has one, without an election. They agree because keys are only ever added, to what is stored, at once,
// and taken away slowly: in a pass that comes every narrowEvery, if the key was stored and unused at the pass before as
// well, by this replica's cache and by a live read. So a key that another replica has just ensured, for an Istio which no
// cache shows yet, lives for at least one pass. If a key is taken away in the very instant in which somebody ensures it
// again, it is missing until the Istio is stored and seen, milliseconds later, and then added.
//
// What is stored is known from a watch. So nothing is read while all is well, and a configuration that somebody applies
// again with the manifest's keys is widened within milliseconds, or within writeEvery if that happens all the time. Until
// the watch has told of a write, somebody who needs the same keys reads once, and writes nothing.
type keeper struct {
	configurations []*configuration
	fleet          func() *mesh.Fleet
	live           func(context.Context) (mesh.Objects, error)
	synced         func() bool
	narrowEvery    time.Duration
	limiter        *rate.Limiter
	// wake has room for one signal; more would say the same.
	wake chan struct{}
	// writing is held, by whoever has put something in, while the configurations are written.
	writing chan struct{}

	mu sync.Mutex
	// configured are the discovery labels.
	configured []string
	// pending counts, by key, those who wait in ensure.
	pending map[string]int
}

func newKeeper(c *Cluster) *keeper {
	k := &keeper{
		configured:  c.options.DiscoveryLabels,
		fleet:       c.Fleet,
		live:        c.Live,
		synced:      c.Synced,
		narrowEvery: c.options.NarrowEvery,
		pending:     map[string]int{},
		limiter:     rate.NewLimiter(rate.Every(writeEvery), writesAtOnce),
		wake:        make(chan struct{}, 1),
		writing:     make(chan struct{}, 1),
	}
	add := func(resource dynamic.ResourceInterface, generate generator) {
		k.configurations = append(k.configurations, &configuration{
			name: c.options.Configuration, seen: newStore(conditionsOf, k.wakeUp),
			writer: writer{client: resource, generate: generate, writes: c.metrics.writes},
		})
	}
	add(c.resources.validating, generator{match.ValidateExpression, match.ValidateAnyLabel})
	add(c.resources.mutating, generator{match.FillExpression, match.FillAnyLabel()})
	return k
}

// configuration is one of the webhook configurations: what writes it, and what was last seen of it.
type configuration struct {
	name   string
	writer writer
	// seen has the conditions; no value while there is no such configuration.
	seen *store[[]condition]
	// unused are the keys that were stored but not in use at the last narrowing pass. Only that pass touches it.
	unused keySet
}

// conditionsOf is how a configuration is kept in memory.
func conditionsOf(object metav1.Object) []condition {
	if u, ok := object.(*unstructured.Unstructured); ok {
		return conditions(u)
	}
	return nil
}

// wakeUp makes run look at the configurations soon. It never blocks.
func (k *keeper) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run keeps the configurations until the context ends.
func (k *keeper) run(ctx context.Context) {
	retry, narrow := time.NewTicker(retryEvery), time.NewTicker(k.narrowEvery)
	defer retry.Stop()
	defer narrow.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			err = k.widen(ctx)
		case <-retry.C:
			err = k.widen(ctx)
		case <-narrow.C:
			err = k.narrow(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "cannot keep the webhook configurations up to date with the label keys in use")
		}
	}
}

// configure replaces the discovery labels, and has what is missing of them added soon. See Cluster.Reconfigure.
func (k *keeper) configure(discoveryLabels []string) {
	k.mu.Lock()
	k.configured = discoveryLabels
	k.mu.Unlock()
	k.wakeUp()
}

// ensure returns when the configurations that are stored ask about all that. See Cluster.EnsureKeys.
func (k *keeper) ensure(ctx context.Context, asked match.Asked) error {
	wanted := keysOf(asked)
	if k.covers(wanted) {
		return nil
	}
	k.count(wanted, +1)
	defer k.count(wanted, -1)
	return k.add(ctx, wanted)
}

// count notes that somebody waits, or no longer waits, for these keys.
func (k *keeper) count(keys keySet, change int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range keys {
		k.pending[key] += change
		if k.pending[key] == 0 {
			delete(k.pending, key)
		}
	}
}

// widen adds the keys in use, as fast as the limiter lets it.
func (k *keeper) widen(ctx context.Context) error {
	if !k.synced() || k.covers(k.inUse()) {
		return nil
	}
	if err := k.limiter.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return k.add(ctx, k.inUse())
}

// add writes what is missing of these keys. All that is known to be in use goes along, so that of many who wait for their
// turn the first writes for all.
func (k *keeper) add(ctx context.Context, keys keySet) error {
	return k.write(ctx, func(c *configuration) error {
		if c.covers(keys) {
			return nil
		}
		all := keys.union(k.inUse())
		return c.writer.rewrite(ctx, c.name, widened(all))
	})
}

// narrow takes away the keys that have not been in use for one whole pass.
func (k *keeper) narrow(ctx context.Context) error {
	if !k.synced() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	objects, err := k.live(ctx)
	if err != nil {
		return err
	}
	keep := k.inUse().union(keysOf(match.Of(k.fleet().Next(objects))))
	return k.write(ctx, func(c *configuration) error {
		unused := c.keys().minus(keep)
		before := c.unused
		c.unused = unused
		gone := unused.minus(unused.minus(before))
		if len(gone) == 0 {
			return nil
		}
		return c.writer.rewrite(ctx, c.name, narrowed(keep, gone))
	})
}

// inUse returns all keys that are to be asked about.
func (k *keeper) inUse() keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	always := []string{mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel}
	keys := newKeySet(always, k.configured).union(keysOf(match.Of(k.fleet())))
	for key := range k.pending {
		keys[key] = true
	}
	return keys
}

// covers reports whether the configurations, as far as there are any, ask about these keys by what was last seen.
func (k *keeper) covers(keys keySet) bool {
	for _, c := range k.configurations {
		if !c.covers(keys) {
			return false
		}
	}
	return true
}

// write calls what for each configuration, when no other goroutine writes.
func (k *keeper) write(ctx context.Context, what func(*configuration) error) error {
	select {
	case k.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.writing }()
	var errs []error
	for _, c := range k.configurations {
		errs = append(errs, what(c))
	}
	return errors.Join(errs...)
}

func (c *configuration) covers(keys keySet) bool {
	if !c.seen.hasSynced() {
		return false
	}
	for _, stored := range c.seen.values() {
		for _, condition := range stored {
			if !c.writer.generate.covers(condition.expression, keys) {
				return false
			}
		}
	}
	return true
}

// keys returns the keys about which the conditions that were last seen ask.
func (c *configuration) keys() keySet {
	keys := keySet{}
	for _, stored := range c.seen.values() {
		for _, condition := range stored {
			keys = keys.union(c.writer.generate.keys(condition.expression))
		}
	}
	return keys
}
