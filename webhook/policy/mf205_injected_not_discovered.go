package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// injectedNotDiscovered finds a namespace that a mesh injects and none discovers. A revision of a remote mesh is left
// alone: the istiod that discovers for it runs in another cluster, and its selectors are not known here.
func injectedNotDiscovered(ns *mesh.Namespace, w *World) []Finding {
	injection := mesh.InjectionOf(ns.Labels)
	if !injection.By {
		return nil
	}
	injecting := owners(w.Fleet.Revision(injection.Revision))
	if !hanging(w.discovering(ns), injecting) {
		return nil
	}
	return []Finding{{
		Field: labelPath(injection.Label),
		Detail: fmt.Sprintf("namespace %q has %s, but no mesh discovers it: its pods would hang in Init:0/1, because the ConfigMap %s "+
			"is written to discovered namespaces only", ns.Name, chosen(injection, ns.Labels, injecting), injecting[0].Sources[0].TrustBundle),
		Remedy:   discoverOrRelease(ns, injection, injecting, w),
		Subjects: injectedBy(injecting),
	}}
}

// hanging says whether a namespace that meshes inject, of which none runs in another cluster, is discovered by none.
func hanging(discovering, injecting []*mesh.Mesh) bool {
	return len(discovering) == 0 && runHere(injecting)
}

// discoverOrRelease offers to set both labels in one command, or to take the namespace out of the mesh.
func discoverOrRelease(ns *mesh.Namespace, injection mesh.Injection, injecting []*mesh.Mesh, w *World) string {
	var ways []string
	for _, m := range injecting {
		if edits, ok := only(m, ns.Labels, w); ok {
			edits = alone(append(edits, set(injection.Label, ns.Labels[injection.Label])), ns.Labels)
			ways = append(ways, fmt.Sprintf("To put it into %s, set both labels in one command: %s", theMesh(m), relabel(ns, w, edits...)))
		}
	}
	release := alone([]selector.Edit{remove(injection.Label)}, ns.Labels)
	ways = append(ways, "To keep it out of every mesh: "+relabel(ns, w, release...))
	return strings.Join(ways, ". ")
}
