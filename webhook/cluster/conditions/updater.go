package conditions

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
)

const (
	// retryEvery is the pause after which a failed write is tried again.
	retryEvery = 5 * time.Second
	// writeTimeout limits one round of background writes.
	writeTimeout = 20 * time.Second
	// writesAtOnce and writeEvery bound the background writes: should another client write the configurations back again and
	// again, such as a delivery tool that reverts every difference, the two take turns slowly instead of quickly.
	writesAtOnce = 5
	writeEvery   = 4 * time.Second
)

// Options say what an Updater keeps up to date, and what it goes by.
type Options struct {
	// Name is the name of both webhook configurations.
	Name string
	// Validating and Mutating are their resources.
	Validating, Mutating dynamic.ResourceInterface
	// DiscoveryLabels are label keys to ask about whether or not a selector uses them. Configure changes them.
	DiscoveryLabels []string
	// NarrowEvery is the time between two passes that remove what is no longer in use.
	NarrowEvery time.Duration
	// Fleet returns the last snapshot, and Synced reports whether there is one.
	Fleet  func() *mesh.Fleet
	Synced func() bool
	// Live reads the meshes from the API server.
	Live func(context.Context) (mesh.Objects, error)
	// Writes counts the writes.
	Writes prometheus.Counter
}

// Updater keeps the conditions of the two webhook configurations up to date. Below, a key is any of what they can ask about (see
// keySet). Its methods are safe for concurrent use.
//
// Every replica has one, without an election. They agree because keys are only ever added, to what is stored, at once,
// and removed slowly: in a pass that comes every NarrowEvery, if the key was stored and unused at the pass before as
// well, by this replica's cache and by a live read. So a key that another replica has just ensured, for an Istio which no
// cache shows yet, lives for at least one pass. If a key is removed in the very instant in which it is ensured
// again, it is missing until the Istio is stored and seen, milliseconds later, and then added.
//
// What is stored is known from a watch. So nothing is read while all is well, and a configuration that is applied
// again with the manifest's keys is widened within milliseconds, or within writeEvery if that happens all the time. Until
// the watch has told of a write, an Ensure of the same keys reads once, and writes nothing.
type Updater struct {
	configurations []*configuration
	fleet          func() *mesh.Fleet
	live           func(context.Context) (mesh.Objects, error)
	synced         func() bool
	narrowEvery    time.Duration
	limiter        *rate.Limiter
	// wake has room for one signal; more would say the same.
	wake chan struct{}
	// writing is full while a goroutine writes the configurations.
	writing chan struct{}

	mu sync.Mutex
	// configured are the discovery labels.
	configured []string
	// pending counts, by key, the calls of Ensure that have not returned.
	pending map[string]int
}

// New returns an Updater. Its reflectors and Run are to be started.
func New(o Options) *Updater {
	u := &Updater{
		configured:  o.DiscoveryLabels,
		fleet:       o.Fleet,
		live:        o.Live,
		synced:      o.Synced,
		narrowEvery: o.NarrowEvery,
		pending:     map[string]int{},
		limiter:     rate.NewLimiter(rate.Every(writeEvery), writesAtOnce),
		wake:        make(chan struct{}, 1),
		writing:     make(chan struct{}, 1),
	}
	add := func(resource dynamic.ResourceInterface, language language) {
		u.configurations = append(u.configurations, &configuration{
			name: o.Name, seen: store.New(conditionsOf, u.WakeUp),
			writer: writer{client: resource, language: language, writes: o.Writes},
		})
	}
	add(o.Validating, language{match.ValidateExpression, match.ValidateAnyLabel()})
	add(o.Mutating, language{match.FillExpression, match.FillAnyLabel()})
	return u
}

// Reflectors returns what watches the configurations.
func (u *Updater) Reflectors() []*cache.Reflector {
	var all []*cache.Reflector
	for _, c := range u.configurations {
		all = append(all, store.NewReflector("webhook configuration", store.Objects(c.writer.client, c.name), c.seen))
	}
	return all
}

// configuration is one of the webhook configurations: what writes it, and what was last seen of it.
type configuration struct {
	name   string
	writer writer
	// seen has the conditions; no value while there is no such configuration.
	seen *store.Store[[]condition]
	// unused are the keys that were stored but not in use at the last narrowing pass. Only that pass touches it.
	unused keySet
}

// conditionsOf is how a configuration is kept in memory.
func conditionsOf(object metav1.Object) []condition {
	if stored, ok := object.(*unstructured.Unstructured); ok {
		return ownConditions(stored)
	}
	return nil
}

// WakeUp makes Run look at the configurations soon. It never blocks.
func (u *Updater) WakeUp() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run keeps the configurations up to date until the context ends.
func (u *Updater) Run(ctx context.Context) {
	retry, narrow := time.NewTicker(retryEvery), time.NewTicker(u.narrowEvery)
	defer retry.Stop()
	defer narrow.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-u.wake:
			err = u.widen(ctx)
		case <-retry.C:
			err = u.widen(ctx)
		case <-narrow.C:
			err = u.narrow(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "cannot keep the webhook configurations up to date with the label keys in use")
		}
	}
}

// Configure replaces the discovery labels, and has what is missing of them added soon.
func (u *Updater) Configure(discoveryLabels []string) {
	u.mu.Lock()
	u.configured = discoveryLabels
	u.mu.Unlock()
	u.WakeUp()
}

// Ensure returns when the configurations, as far as they exist, are stored with conditions that ask about all that too. It neither
// reads nor writes if they are known to be. An API server acts on a stored configuration as soon as it has watched the change, usually
// within a tenth of a second, so a namespace request in that time can still pass unevaluated.
//
// With more names than an expression can have (see maxNames) the creation of every namespace is sent instead, and with
// more keys (maxKeys) every change of a namespace's labels.
func (u *Updater) Ensure(ctx context.Context, scope match.Scope) error {
	wanted := keysOf(scope)
	if u.covers(wanted) {
		return nil
	}
	u.count(wanted, +1)
	defer u.count(wanted, -1)
	return u.add(ctx, wanted)
}

// count notes that a call waits, or no longer waits, for these keys.
func (u *Updater) count(keys keySet, change int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range keys {
		u.pending[key] += change
		if u.pending[key] == 0 {
			delete(u.pending, key)
		}
	}
}

// widen adds the keys in use, as fast as the limiter lets it.
func (u *Updater) widen(ctx context.Context) error {
	if !u.synced() || u.covers(u.inUse()) {
		return nil
	}
	if err := u.limiter.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return u.add(ctx, u.inUse())
}

// add writes what is missing of these keys. All that is known to be in use goes along, so that of many calls that wait for their
// turn the first writes for all.
func (u *Updater) add(ctx context.Context, keys keySet) error {
	return u.write(ctx, func(c *configuration) error {
		if c.covers(keys) {
			return nil
		}
		return c.writer.rewrite(ctx, c.name, adding(keys.Union(u.inUse())))
	})
}

// narrow removes the keys that have not been in use for one whole pass.
func (u *Updater) narrow(ctx context.Context) error {
	if !u.synced() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	objects, err := u.live(ctx)
	if err != nil {
		return err
	}
	keep := u.inUse().Union(keysOf(match.Of(u.fleet().Next(objects))))
	return u.write(ctx, func(c *configuration) error {
		unused := c.keys().Difference(keep)
		unusedForLong := unused.Intersection(c.unused)
		c.unused = unused
		if len(unusedForLong) == 0 {
			return nil
		}
		return c.writer.rewrite(ctx, c.name, replacing(keep, unusedForLong))
	})
}

// inUse returns all keys that the conditions must have.
func (u *Updater) inUse() keySet {
	u.mu.Lock()
	defer u.mu.Unlock()
	keys := sets.New(mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel).Insert(u.configured...)
	return keys.Union(keysOf(match.Of(u.fleet()))).Union(sets.KeySet(u.pending))
}

// covers reports whether the configurations, as far as there are any, ask about these keys by what was last seen.
func (u *Updater) covers(keys keySet) bool {
	for _, c := range u.configurations {
		if !c.covers(keys) {
			return false
		}
	}
	return true
}

// write calls rewrite for each configuration, when no other goroutine writes.
func (u *Updater) write(ctx context.Context, rewrite func(*configuration) error) error {
	select {
	case u.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-u.writing }()
	var errs []error
	for _, c := range u.configurations {
		errs = append(errs, rewrite(c))
	}
	return errors.Join(errs...)
}

func (c *configuration) covers(keys keySet) bool {
	if !c.seen.HasSynced() {
		return false
	}
	for _, stored := range c.seen.Values() {
		for _, condition := range stored {
			if !c.writer.language.covers(condition.expression, keys) {
				return false
			}
		}
	}
	return true
}

// keys returns the keys about which the conditions that were last seen ask.
func (c *configuration) keys() keySet {
	keys := keySet{}
	for _, stored := range c.seen.Values() {
		for _, condition := range stored {
			keys = keys.Union(c.writer.language.keys(condition.expression))
		}
	}
	return keys
}
