package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// revisionNotInMeshMap finds an istio.io/rev that is not the one that the mesh map has for the namespace's mesh, while both
// are that mesh's: it works today, and stays behind when the mesh map, or the tag that it names, moves on.
func revisionNotInMeshMap(ns *mesh.Namespace, w *World) []Finding {
	injection := mesh.InjectionOf(ns.Labels)
	if injection.Label != mesh.RevisionLabel {
		return nil
	}
	var found []Finding
	for _, m := range owners(w.Fleet.Revision(injection.Revision)) {
		mapped, ok := w.Fleet.Mapped(m.Name)
		if !ok || mapped == injection.Revision || !belongs(w.Fleet.Revision(mapped), m) || !isIn(ns, m, w) {
			continue
		}
		found = append(found, Finding{
			Field: labelPath(mesh.RevisionLabel),
			Detail: fmt.Sprintf("namespace %q has istio.io/rev=%s, but the mesh map gives the revision %q to %s: it would stay behind when the mesh moves on",
				ns.Name, injection.Revision, mapped, theMesh(m)),
			Remedy:   followMap(ns, m, mapped, w),
			Subjects: []string{m.String(), "revision " + injection.Revision},
		})
	}
	return found
}

// followMap gives the command that sets the mesh map's revision, unless the mesh's selectors ask for the other one.
func followMap(ns *mesh.Namespace, m *mesh.Mesh, mapped string, w *World) string {
	follow := set(mesh.RevisionLabel, mapped)
	if after := (&mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, []selector.Edit{follow})}); !isIn(after, m, w) {
		return fmt.Sprintf("To follow the mesh map, first give the mesh a selector for istio.io/rev=%s: %s", mapped, editCommand(m))
	}
	return "To follow the mesh map: " + relabel(ns, w, follow)
}

// isIn says whether the namespace is in the mesh that injects it: the mesh discovers it, or its istiod runs elsewhere and no
// other mesh does. Otherwise the revision is wrong altogether, which other rules say.
func isIn(ns *mesh.Namespace, m *mesh.Mesh, w *World) bool {
	if source, _ := m.Discovers(ns.Labels); source != nil {
		return true
	}
	return m.Remote() && len(w.discovering(ns)) == 0
}
