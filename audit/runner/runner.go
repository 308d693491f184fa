package runner

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/scan"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// Cluster is what informers know; package cluster has it. Its methods are safe for concurrent use.
type Cluster interface {
	// Synced reports whether what informers know is complete.
	Synced() bool
	// Fleet is the fleet as informers know it.
	Fleet() *mesh.Fleet
	// Namespaces returns the cluster's namespaces, by name, with the labels of these keys at least.
	Namespaces(ctx context.Context, keys func() []string) ([]mesh.Namespace, error)
	// MeshMap returns the mesh map's ConfigMap as it is stored now, nil if there is none.
	MeshMap(ctx context.Context) (*mesh.Map, error)
}

// Scan reads what only a look at the cluster shows: scan.Scan with the cluster's address. An error means that the API server could not be reached.
type Scan func(ctx context.Context, existing policy.Existing, needs []observed.Resource) (scan.Seen, error)

// Annotations reads the annotations of objects of a resource in a namespace, "" for a resource without namespaces, by name; package listing has it.
type Annotations interface {
	Of(ctx context.Context, resource schema.GroupVersionResource, namespace string, names []string) (map[string]map[string]string, error)
}

// Memory keeps what is known of findings for the next run, perhaps of another replica.
type Memory interface {
	// Load returns what was stored last, "" if nothing was.
	Load(ctx context.Context) (string, error)
	// Store replaces it.
	Store(ctx context.Context, text string) error
}

// Lease says which replica runs the audit; package lease has it.
type Lease interface {
	// Hold calls lead while this replica is the one, with a context that ends when it no longer is. It returns when ctx has ended.
	Hold(ctx context.Context, lead func(context.Context)) error
}

// Publisher tells people or programs of a run. Its error is logged and counted; the next run tells again what is not told yet.
type Publisher interface {
	Publish(ctx context.Context, o *Outcome) error
}

// Outcome is what is wrong after a run, and what the run has changed.
type Outcome struct {
	history.Change
	// Existing is what was judged.
	Existing policy.Existing
	// Namespaces count how namespaces stand.
	Namespaces map[audit.Standing]int
	// NotJudged is what could not be looked at, and Problems says why, a line each.
	NotJudged []audit.Gap
	Problems  []string
	// Absent are the resources that the API server does not serve.
	Absent []string
	Began  time.Time
}

// Runner runs the audit. Make it with all fields set but those that say otherwise; it must not be changed then.
type Runner struct {
	Cluster Cluster
	Scan    Scan
	// Annotations tell what objects accept.
	Annotations Annotations
	// Checker returns what judges, by the configuration of the moment.
	Checker func(now time.Time) *audit.Checker
	// Changed has a signal whenever the fleet or a namespace may have changed.
	Changed <-chan struct{}
	// Interval is the time from the end of a run to the next one, of which a run may take half. Delay is the time from a change of the fleet or of a
	// namespace's mesh labels to the run that it causes.
	Interval, Delay time.Duration
	// Lease is which replica runs the audit.
	Lease Lease
	// Memory may be nil: then all findings are new to a replica.
	Memory Memory
	// Events may be nil: then there are none.
	Events *Events
	// Publishers are told of every run, in this order.
	Publishers []Publisher
	// Registerer gets the metrics while this replica runs the audit.
	Registerer prometheus.Registerer

	errors prometheus.Counter
}

// NeedLeaderElection says that every replica starts it: the Lease is its own, and a replica that loses it serves on.
func (r *Runner) NeedLeaderElection() bool { return false }

// Start waits until this replica is the one to run the audit, runs it until another one is, and so on until ctx ends. It returns nil.
func (r *Runner) Start(ctx context.Context) error {
	ctx = logr.NewContext(ctx, logr.FromContextOrDiscard(ctx).WithName("audit"))
	r.errors = newErrors()
	return r.Lease.Hold(ctx, r.lead)
}

// lead runs the audit until ctx ends.
func (r *Runner) lead(ctx context.Context) {
	logger := logr.FromContextOrDiscard(ctx)
	shown := newShown(r.errors)
	if err := r.Registerer.Register(shown); err != nil {
		logger.Error(err, "Cannot register the metrics of the audit")
		return
	}
	defer r.Registerer.Unregister(shown)
	if !r.synced(ctx) {
		return
	}
	logger.Info("This replica runs the audit", "interval", r.Interval.String())
	rounds := round{Runner: r, shown: shown, known: r.remember(ctx)}
	for wait := (trigger{changed: r.Changed, interval: r.Interval, delay: r.Delay, stamp: r.stamp}); wait.next(ctx); {
		rounds.run(ctx)
	}
}

// pollSynced is how often Synced is asked.
const pollSynced = 100 * time.Millisecond

// synced waits until informers know everything; false if ctx has ended before.
func (r *Runner) synced(ctx context.Context) bool {
	ticker := time.NewTicker(pollSynced)
	defer ticker.Stop()
	for !r.Cluster.Synced() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return ctx.Err() == nil
}

// remember returns what earlier runs have left. Without it all findings are new.
func (r *Runner) remember(ctx context.Context) history.Known {
	if r.Memory == nil {
		return history.Known{}
	}
	logger := logr.FromContextOrDiscard(ctx)
	text, err := r.Memory.Load(ctx)
	if err != nil {
		logger.Info("cannot read what earlier runs have found: all findings are new", "problem", err.Error())
		return history.Known{}
	}
	known, err := history.Parse(text, policy.AllRules())
	if err != nil {
		logger.Info("left out a part of what earlier runs have found", "problem", err.Error())
	}
	return known
}
