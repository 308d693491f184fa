package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// conflictingInjectionLabels finds istio-injection together with istio.io/rev: the former wins without a word. With a
// value that switches injection off the pods at least get what the label says, and where both lead to the same revision they
// get what both say, so these are warnings.
func conflictingInjectionLabels(ns *mesh.Namespace, w *World) []Finding {
	revision, hasRevision := ns.Labels[mesh.RevisionLabel]
	injection, hasInjection := ns.Labels[mesh.InjectionLabel]
	if !hasRevision || !hasInjection {
		return nil
	}
	f := Finding{Field: labelPath(mesh.InjectionLabel)}
	f.Ways = w.remedied(func() remedy { return letOneDecide(ns, f, w) })
	switch {
	case injection == mesh.InjectionEnabled && revision == mesh.DefaultRevision:
		f.Action = Warn
		f.Detail = fmt.Sprintf("istio-injection=enabled and istio.io/rev=%s both choose the revision %[1]q", revision)
		f.Effect = "one of the labels is enough"
	case injection == mesh.InjectionEnabled && w.Fleet.SameRevision(mesh.DefaultRevision, revision):
		f.Action = Warn
		f.Detail = fmt.Sprintf("istio-injection=enabled, which chooses the revision %q, and istio.io/rev=%s lead to the same revision now", mesh.DefaultRevision, revision)
		f.Effect = "istio-injection wins once they do not"
	case injection == mesh.InjectionEnabled:
		f.Detail = fmt.Sprintf("istio-injection=enabled wins over istio.io/rev=%s", revision)
		f.Effect = fmt.Sprintf("its pods would get the revision %q, and istio.io/rev is ignored", mesh.DefaultRevision)
	default:
		f.Action = Warn
		f.Detail = fmt.Sprintf("istio-injection=%s wins over istio.io/rev=%s", injection, revision)
		f.Effect = "injection is turned off, and istio.io/rev is ignored"
	}
	return []Finding{f}
}

// letOneDecide offers to remove either label, if what the other one then chooses would not be refused in its turn; if
// both would, to remove both.
func letOneDecide(ns *mesh.Namespace, f Finding, w *World) remedy {
	ways := w.labels(ns, f, conflictingInjectionLabels,
		labelling{"let istio.io/rev decide", []selector.Edit{remove(mesh.InjectionLabel)}},
		labelling{"let istio-injection decide", []selector.Edit{remove(mesh.RevisionLabel)}})
	if len(ways) == 0 {
		ways = w.labels(ns, f, conflictingInjectionLabels,
			labelling{"turn injection off, because neither chooses a revision that fits", release(ns.Labels, w.Fleet)})
	}
	return ways.or(unlabelled)
}
