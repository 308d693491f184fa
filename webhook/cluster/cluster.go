package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster/conditions"
	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/cluster/owner"
	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Defaults of Options.
const (
	DefaultMeshMap       = api.DefaultMeshMap
	DefaultConfiguration = "meshfence"
	DefaultNarrowEvery   = 10 * time.Minute
)

// freeMemoryAfter is when, after the first list of namespaces, the memory that the start took and that is free again goes back
// to the operating system. The reflector has let go of the list then. Otherwise it would stay until the heap has grown to
// twice what is alive, which in a cluster with few changes is hours.
const freeMemoryAfter = time.Second

// Options say what a Cluster looks at. Only Namespace has no default.
type Options struct {
	// Namespace is our own namespace, where the mesh map is.
	Namespace string
	// MeshMap is the name of the mesh map ConfigMap; default DefaultMeshMap. Reconfigure changes it.
	MeshMap string
	// DiscoveryLabels are the label keys that the API server asks about whether or not a selector uses them. Reconfigure
	// changes them.
	DiscoveryLabels []string
	// Configuration is the name of both webhook configurations; default DefaultConfiguration.
	Configuration string
	// NarrowEvery is the time between two looks for label keys that are no longer in use; default DefaultNarrowEvery. Such a
	// key leaves the match conditions after one to two of them.
	NarrowEvery time.Duration
	// Owned has both webhook configurations deleted with our own namespace (package owner); else that has no part in it.
	Owned bool
	// OnlySail leaves out the istiods that the Sail operator did not install: nothing of theirs is read.
	OnlySail bool
	// Changed, if not nil, is called whenever the fleet or a namespace has changed. It must not block.
	Changed func()
	// Registerer receives the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Cluster is what meshfence knows of the cluster. Its methods are safe for concurrent use.
type Cluster struct {
	options    Options
	resources  resources
	reflectors []*cache.Reflector
	metrics    *metrics
	conditions *conditions.Updater
	owner      *owner.Keeper
	claims     *claims
	ledger     *ledger.Ledger

	namespaces        *store.Store[mesh.Namespace]
	converter         *namespaceConverter
	istios, revisions *store.Store[*sail.ControlPlane]
	tags              *store.Store[*sail.Tag]
	istiods           *istiods // nil if they are not looked at
	meshMap           *store.Store[meshMap]
	// loggedMap is the mesh map that mapChanged was last called for. Only the mesh map's reflector touches it.
	loggedMap meshMap
	// mapName is the configured name of the mesh map; renamed has room for one signal, that it has changed.
	mapName atomic.Pointer[string]
	renamed chan struct{}

	fleet atomic.Pointer[mesh.Fleet]
	built atomic.Bool
	// dirty has room for one signal: the fleet is no longer what the stores hold.
	dirty chan struct{}
}

// New returns a Cluster that reads and writes with the configuration's credentials. It makes no request before Start,
// except where a method says so. It fails if the configuration is unusable, or a metric is already registered.
func New(cfg *rest.Config, opts Options) (*Cluster, error) {
	opts.MeshMap = cmp.Or(opts.MeshMap, DefaultMeshMap)
	opts.Configuration = cmp.Or(opts.Configuration, DefaultConfiguration)
	opts.NarrowEvery = cmp.Or(opts.NarrowEvery, DefaultNarrowEvery)
	resources, err := newResources(cfg, opts.Namespace)
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		options: opts, resources: *resources, metrics: metrics, converter: newNamespaceConverter(),
		dirty: make(chan struct{}, 1), renamed: make(chan struct{}, 1),
	}
	c.mapName.Store(&opts.MeshMap)
	c.fleet.Store(mesh.NewFleet(mesh.Objects{}))
	freeMemory := sync.OnceFunc(func() { time.AfterFunc(freeMemoryAfter, debug.FreeOSMemory) })
	c.namespaces = store.New(c.converter.convert, func() { freeMemory(); c.changed() })
	c.istios = store.New(c.tellLedger(cachedControlPlane(sail.KindIstio)), c.markDirty).KeepVersions()
	c.revisions = store.New(c.tellLedger(cachedControlPlane(sail.KindIstioRevision)), c.markDirty).KeepVersions()
	c.tags = store.New(cachedTag, c.markDirty)
	if !opts.OnlySail {
		c.istiods = newIstiods(resources.objects, resources.names, func(uid string) { c.ledger.Stored(uid) }, c.markDirty)
	}
	c.meshMap = store.New(readMeshMap, nil)
	c.conditions = conditions.New(conditions.Options{
		Name: opts.Configuration, Validating: resources.validating, Mutating: resources.mutating,
		DiscoveryLabels: opts.DiscoveryLabels, NarrowEvery: opts.NarrowEvery,
		Fleet: c.Fleet, Synced: c.Synced, Live: c.Live, Writes: metrics.writes,
	})
	c.owner = owner.New(owner.Options{
		Namespace: opts.Namespace, Name: opts.Configuration, Owned: opts.Owned,
		Namespaces: resources.namespaceObjects, Validating: resources.validating, Mutating: resources.mutating,
	})
	c.claims = newClaims(resources.configMaps, opts.Namespace, func(shown ledger.Page) { c.ledger.Saw(shown) })
	c.ledger = ledger.New(c.claims, lister{c}, metrics.ofLedger())
	c.reflectors = newReflectors(c)
	return c, nil
}

// NeedLeaderElection says that every replica runs its own.
func (c *Cluster) NeedLeaderElection() bool { return false }

// Start reads and watches until the context ends, and returns nil. It must be called once.
func (c *Cluster) Start(ctx context.Context) error {
	// Reflectors log through the context's logger too.
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("cluster"))
	c.meshMap.OnChange(func() { c.mapChanged(ctx) })
	var group sync.WaitGroup
	for _, reflector := range c.reflectors {
		group.Go(func() { reflector.RunWithContext(ctx) })
	}
	group.Go(func() { c.followMap(ctx) })
	group.Go(func() { c.buildFleets(ctx) })
	group.Go(func() { c.conditions.Run(ctx) })
	group.Go(func() { c.owner.Run(ctx) })
	group.Wait()
	return nil
}

// Synced reports whether the namespaces and all that a fleet is made of have been read once. It stays true when the API
// server can no longer be reached.
func (c *Cluster) Synced() bool { return c.built.Load() && c.namespaces.HasSynced() }

// Ready is a readiness check: it returns an error that names what has not been read yet.
func (c *Cluster) Ready(*http.Request) error {
	if c.Synced() {
		return nil
	}
	var missing []string
	for name, store := range c.required() {
		if !store.HasSynced() {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return errors.New("not synced yet: the fleet is being built")
	}
	slices.Sort(missing)
	return fmt.Errorf("not synced yet: %s", strings.Join(missing, ", "))
}

// required are the stores that must be synced, by the name that people know them by.
func (c *Cluster) required() map[string]interface{ HasSynced() bool } {
	all := map[string]interface{ HasSynced() bool }{
		"namespaces": c.namespaces, "istios": c.istios, "istiorevisions": c.revisions, "istiorevisiontags": c.tags,
		"the mesh map " + c.options.Namespace + "/" + *c.mapName.Load(): c.meshMap,
	}
	if c.istiods != nil {
		for _, k := range c.istiods.kinds() {
			all[k.name] = k.store
		}
	}
	return all
}

// Fleet returns the last snapshot, which is empty before Synced; never nil.
func (c *Cluster) Fleet() *mesh.Fleet { return c.fleet.Load() }

// Known returns the meshes, the tags and the mesh map as last seen: what Live returns, without asking the API server.
func (c *Cluster) Known() mesh.Objects {
	objects := mesh.Objects{Istios: c.istios.Values(), Revisions: c.revisions.Values(), Tags: c.tags.Values()}
	for _, m := range c.meshMap.Values() {
		objects.Map = m.entries
	}
	if c.istiods != nil {
		objects = objects.WithParts(c.istiods.known())
	}
	return objects
}

// EnsureKeys returns when the webhook configurations, as far as they exist, are stored with match conditions that ask about all
// that too (conditions.Updater.Ensure). It is to be called before a mesh is admitted whose selectors look at it, so that the API server
// sends the namespaces that they select from the mesh's first moment; but not in a dry run.
func (c *Cluster) EnsureKeys(ctx context.Context, scope match.Scope) error {
	if err := c.conditions.Ensure(ctx, scope); err != nil {
		return fmt.Errorf("make the API server ask about all namespaces that the meshes' selectors can match: %w", err)
	}
	return nil
}

// markDirty asks for a new fleet. It never blocks.
func (c *Cluster) markDirty() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// meshesSynced reports whether all has been read that a fleet is made of.
func (c *Cluster) meshesSynced() bool {
	for name, s := range c.required() {
		if name != "namespaces" && !s.HasSynced() {
			return false
		}
	}
	return true
}

// buildFleets builds a fleet when all that it is made of has been read, and after every change; many changes at once make
// one fleet.
func (c *Cluster) buildFleets(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.dirty:
		}
		if !c.meshesSynced() {
			continue
		}
		fleet := c.fleet.Load().Next(c.Known())
		fleet.Prepare()
		c.fleet.Store(fleet)
		c.built.Store(true)
		c.metrics.fleets.Inc()
		c.conditions.WakeUp()
		c.changed()
	}
}

// changed says that the fleet or a namespace has changed.
func (c *Cluster) changed() {
	if c.options.Changed != nil {
		c.options.Changed()
	}
}
