package runner

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/scan"
	"github.com/meshfence/meshfence/webhook/policy"
)

// round is the state from run to run while this replica runs the audit.
type round struct {
	*Runner
	shown *shown
	known history.Known
	// stored is what Memory has, and problems what was logged last.
	stored   string
	problems string
	told     bool
}

// garbage is how much garbage there may be during a run, in per cent of what is in use; Go's own is 100.
const garbage = 25

// run looks, judges and tells.
func (r *round) run(ctx context.Context) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.Interval/2)
	defer cancel()
	// A run reads much and keeps little. It takes processor time for collecting that, rather than memory.
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	o, err := r.look(ctx, began)
	if err != nil {
		r.fail(ctx, err, "The audit did not finish a run")
		return
	}
	var change history.Change
	r.known, change = r.known.Next(history.Run{
		Time: began, Findings: o.found, Accepted: o.accepted, NotJudged: o.NotJudged,
		MeshOf: func(f policy.Offence) string { return audit.MeshOf(f, o.Existing) },
	})
	o.Change = change
	r.log(ctx, &o.Outcome)
	if r.Events != nil {
		told, again, err := r.Events.tell(ctx, &o.Outcome)
		if err != nil {
			r.fail(ctx, err, "The audit could not write all Events; it tries again after the next run")
		}
		r.known = r.known.Tell(told, again)
	}
	for _, p := range r.Publishers {
		if err := p.Publish(ctx, &o.Outcome); err != nil {
			r.fail(ctx, err, "The audit could not tell everything that it has found")
		}
	}
	// Kept last: a replica that ends before tells some findings twice, rather than never.
	r.keep(ctx)
	r.shown.show(&o.Outcome, time.Since(began), time.Now())
}

// fail counts and logs an error, unless the Lease was lost meanwhile.
func (r *round) fail(ctx context.Context, err error, what string) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	r.errors.Inc()
	logr.FromContextOrDiscard(ctx).Error(err, what)
}

// looked is an Outcome before it is compared with what was known.
type looked struct {
	Outcome
	found, accepted []policy.Offence
}

// look reads the cluster and judges it. What changed while it was read is judged as it was before and as it is after, and only what is wrong both times
// counts: what was read in between may belong to either.
func (r *round) look(ctx context.Context, began time.Time) (*looked, error) {
	checker := r.Checker(began)
	before, err := r.existing(ctx, checker)
	if err != nil {
		return nil, err
	}
	needs := append(observed.Needs(checker.Policy), observed.Istios, observed.IstioRevisions)
	seen, err := r.Scan(ctx, before, needs)
	if err != nil {
		return nil, fmt.Errorf("read the cluster: %w", err)
	}
	after, err := r.existing(ctx, checker)
	if err != nil {
		return nil, err
	}
	result := checker.Whole(after, seen.Cluster)
	if after.Fleet != before.Fleet || stampOf(checker.Policy, after) != stampOf(checker.Policy, before) {
		both := map[string]bool{}
		for _, o := range checker.Whole(before, seen.Cluster).Findings {
			both[audit.Fingerprint(o)] = true
		}
		result.Findings = slices.DeleteFunc(result.Findings, func(o policy.Offence) bool { return policy.IsAudited(o.Rule) && !both[audit.Fingerprint(o)] })
	}
	left, accepted, err := r.accept(ctx, result.Findings, began)
	if err != nil {
		return nil, err
	}
	return &looked{found: left, accepted: accepted, Outcome: Outcome{
		Existing: after, Namespaces: audit.CountNamespaces(after, result.Findings), NotJudged: result.NotJudged, Problems: problemsOf(seen), Absent: seen.Absent, Began: began,
	}}, nil
}

// accept takes out of findings what their objects accept now.
func (r *Runner) accept(ctx context.Context, findings []policy.Offence, now time.Time) (left, accepted []policy.Offence, err error) {
	type room struct{ kind, namespace string }
	names := map[room]map[string]bool{}
	for i := range findings {
		o := &findings[i]
		if in := (room{o.Kind, o.Namespace}); slices.Contains(audit.Accepting(), o.Kind) {
			if names[in] == nil {
				names[in] = map[string]bool{}
			}
			names[in][o.Name] = true
		}
	}
	annotations := map[audit.Key]map[string]string{}
	for in, of := range names {
		read, err := r.Annotations.Of(ctx, Kinds()[in.kind], in.namespace, slices.Sorted(maps.Keys(of)))
		if err != nil {
			return nil, nil, fmt.Errorf("read what objects accept: %w", err)
		}
		for name, a := range read {
			annotations[audit.Key{Kind: in.kind, Namespace: in.namespace, Name: name}] = a
		}
	}
	left, silent := audit.Accept(findings, func(key audit.Key) map[string]string { return annotations[key] }, now)
	for i := range silent {
		accepted = append(accepted, silent[i].Offence)
	}
	return left, accepted, nil
}

// existing is what informers know, and the mesh map.
func (r *Runner) existing(ctx context.Context, checker *audit.Checker) (policy.Existing, error) {
	fleet := r.Cluster.Fleet()
	namespaces, err := r.Cluster.Namespaces(ctx, func() []string { return checker.Policy.JudgedKeys(fleet) })
	if err != nil {
		return policy.Existing{}, err
	}
	meshMap, err := r.Cluster.MeshMap(ctx)
	if err != nil {
		return policy.Existing{}, fmt.Errorf("read the mesh map: %w", err)
	}
	return policy.Existing{Fleet: fleet, Namespaces: namespaces, Exempt: checker.Exempt, Map: meshMap, Now: checker.Now}, nil
}

// problemsOf says what was not looked at, and why, a line each.
func problemsOf(seen scan.Seen) []string {
	var all []string
	for _, gap := range seen.Gaps {
		all = append(all, fmt.Sprintf("%s: %v", gap.Resource, gap.Why))
	}
	all = append(all, seen.Unreadable...)
	return append(all, seen.Notices...)
}

// keep stores what is known, if that has changed. The next run tries again what has failed.
func (r *round) keep(ctx context.Context) {
	text := r.known.String()
	if r.Memory == nil || text == r.stored {
		return
	}
	if err := r.Memory.Store(ctx, text); err != nil {
		r.fail(ctx, err, "The audit could not keep what it has found")
		return
	}
	r.stored = text
}

// log says what has changed.
func (r *round) log(ctx context.Context, o *Outcome) {
	logger := logr.FromContextOrDiscard(ctx)
	if problems := strings.Join(append(o.Absent, o.Problems...), "; "); problems != r.problems {
		r.problems = problems
		logger.Info("What the audit looks at has changed", "notServed", o.Absent, "notLookedAt", o.Problems)
	}
	if len(o.New)+len(o.Gone) > 0 || !r.told {
		r.told = true
		logger.Info("Audit", "findings", len(o.Findings), "new", len(o.New), "gone", len(o.Gone))
		return
	}
	logger.V(1).Info("Audit: nothing has changed", "findings", len(o.Findings))
}

// seed makes stamps comparable within the process.
var seed = maphash.MakeSeed()

// stamp tells states of the cluster apart, as far as informers know it, that are judged differently.
func (r *Runner) stamp(ctx context.Context) uint64 {
	checker := r.Checker(time.Now())
	fleet := r.Cluster.Fleet()
	namespaces, err := r.Cluster.Namespaces(ctx, func() []string { return checker.Policy.JudgedKeys(fleet) })
	if err != nil {
		return 0
	}
	return stampOf(checker.Policy, policy.Existing{Fleet: fleet, Namespaces: namespaces})
}

// stampOf is a hash of the namespaces' names and mesh labels, and of which fleet it is.
func stampOf(p *policy.Policy, e policy.Existing) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	fmt.Fprintf(&h, "%p", e.Fleet)
	keys := p.JudgedKeys(e.Fleet)
	for i := range e.Namespaces {
		ns := &e.Namespaces[i]
		write(&h, ns.Name)
		if ns.Deleting {
			write(&h, "deleting")
		}
		for _, key := range keys {
			if value, there := ns.Labels[key]; there {
				write(&h, key, value)
			}
		}
	}
	return h.Sum64()
}

// write adds texts to a hash, each with its end.
func write(h *maphash.Hash, texts ...string) {
	for _, text := range texts {
		_, _ = h.WriteString(text) // a hash takes everything
		_ = h.WriteByte(0)
	}
}
