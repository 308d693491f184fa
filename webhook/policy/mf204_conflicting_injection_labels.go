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
	f.Remedy = w.remedied(func() remedy { return letOneDecide(ns, f, w) })
	switch {
	case injection == mesh.InjectionEnabled && revision == mesh.DefaultRevision:
		f.Action = Warn
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=enabled and istio.io/rev=%s: both choose the revision %[2]q, and one of the "+
			"labels is enough", ns.Name, revision)
	case injection == mesh.InjectionEnabled && w.Fleet.SameRevision(mesh.DefaultRevision, revision):
		f.Action = Warn
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=enabled, which chooses the revision %q, and istio.io/rev=%s: both lead "+
			"to the same revision now, and istio-injection wins once they do not", ns.Name, mesh.DefaultRevision, revision)
	case injection == mesh.InjectionEnabled:
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=enabled and istio.io/rev=%s: istio-injection wins, so its pods get "+
			"the revision %q, and istio.io/rev is ignored", ns.Name, revision, mesh.DefaultRevision)
	default:
		f.Action = Warn
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=%s and istio.io/rev=%s: istio-injection wins and switches injection off, "+
			"and istio.io/rev is ignored", ns.Name, injection, revision)
	}
	return []Finding{f}
}

// letOneDecide offers to remove either label, if what the other one then chooses would not be refused in its turn; if
// both would, to remove both.
func letOneDecide(ns *mesh.Namespace, f Finding, w *World) remedy {
	ways := w.labels(ns, f, conflictingInjectionLabels,
		labelling{"To let istio.io/rev decide", []selector.Edit{remove(mesh.InjectionLabel)}},
		labelling{"To let istio-injection decide", []selector.Edit{remove(mesh.RevisionLabel)}})
	if len(ways) == 0 {
		ways = w.labels(ns, f, conflictingInjectionLabels,
			labelling{"Neither chooses a revision that fits. To have none", release(ns.Labels, w.Fleet)})
	}
	return ways.or(unlabelled)
}
