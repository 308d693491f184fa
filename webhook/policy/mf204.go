package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// conflictingInjectionLabels finds istio-injection together with istio.io/rev: the former wins without a word. With a
// value that switches injection off the pods at least get what the label says, so that is a warning.
func conflictingInjectionLabels(ns *mesh.Namespace, w *World) []Finding {
	revision, hasRevision := ns.Labels[mesh.RevisionLabel]
	injection, hasInjection := ns.Labels[mesh.InjectionLabel]
	if !hasRevision || !hasInjection {
		return nil
	}
	f := Finding{
		Field:  labelPath(mesh.InjectionLabel),
		Remedy: "To let istio.io/rev decide: " + relabel(ns, w, remove(mesh.InjectionLabel)),
	}
	if injection == mesh.InjectionEnabled {
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=enabled and istio.io/rev=%s: istio-injection wins, so its pods get "+
			"the revision %q, and istio.io/rev is ignored", ns.Name, revision, mesh.DefaultRevision)
	} else {
		f.Action = Warn
		f.Detail = fmt.Sprintf("namespace %q has both istio-injection=%s and istio.io/rev=%s: istio-injection wins and switches injection off, "+
			"and istio.io/rev is ignored", ns.Name, injection, revision)
	}
	return []Finding{f}
}
