package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// injectedNotDiscovered finds a namespace that a mesh injects and none discovers. A revision of a remote mesh is left
// alone: the istiod that discovers for it runs in another cluster, and its selectors are not known here.
func injectedNotDiscovered(ns *mesh.Namespace, w *World) []Finding {
	injection := w.Fleet.InjectionOf(ns.Labels)
	if !injection.By {
		return nil
	}
	injecting := owners(w.Fleet.Revision(injection.Revision))
	if !hanging(w.discovering(ns), injecting) {
		return nil
	}
	f := Finding{
		Action: injectionAction(injection),
		Field:  injectionPath(injection),
		Detail: chosen(injection, ns.Labels, injecting) + ", but no mesh discovers the namespace",
		Effect: fmt.Sprintf("its pods would hang in Init:0/1, because the ConfigMap %s is written to discovered namespaces only",
			injecting[0].Sources[0].TrustBundle),
		Subjects: injectedBy(injecting),
	}
	f.Ways = w.remedied(func() remedy { return discoverOrRelease(ns, f, injection, injecting, w) })
	return []Finding{f}
}

// hanging reports whether a namespace that meshes inject, of which none runs in another cluster, is discovered by none.
func hanging(discovering, injecting []*mesh.Mesh) bool {
	return len(discovering) == 0 && runHere(injecting)
}

// discoverOrRelease offers to set both labels in one command, or to take the namespace out of the mesh.
func discoverOrRelease(ns *mesh.Namespace, f Finding, injection mesh.Injection, injecting []*mesh.Mesh, w *World) remedy {
	var offers []labelling
	for _, m := range injecting {
		if edits, ok := only(m, ns.Labels, w); ok {
			if injection.ByDefault() {
				offers = append(offers, labelling{"put it into " + m.Name, edits})
				continue
			}
			edits = alone(append(edits, set(injection.Label, ns.Labels[injection.Label])), ns.Labels)
			offers = append(offers, labelling{fmt.Sprintf("put it into %s with both labels in one command", m.Name), edits})
		}
	}
	offers = append(offers, labelling{"keep it out of every mesh", release(ns.Labels, w.Fleet)})
	return w.labels(ns, f, injectedNotDiscovered, offers...).or(unlabelled)
}
