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
		f := Finding{
			Field:    labelPath(mesh.RevisionLabel),
			Detail:   fmt.Sprintf("the mesh map gives %s the revision %q, but the namespace has istio.io/rev=%s", theMesh(m), mapped, injection.Revision),
			Effect:   "it would stay behind when the mesh moves on",
			Subjects: []string{m.String(), "revision " + injection.Revision},
		}
		f.Ways = w.remedied(func() remedy { return followMap(ns, f, m, mapped, w) })
		found = append(found, f)
	}
	return found
}

// followMap gives the command that sets the mesh map's revision, unless the mesh's selectors ask for the other one.
func followMap(ns *mesh.Namespace, f Finding, m *mesh.Mesh, mapped string, w *World) remedy {
	follow := []selector.Edit{set(mesh.RevisionLabel, mapped)}
	after := &mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, follow)}
	if ways := w.labels(ns, f, revisionNotInMeshMap, labelling{"follow the mesh map", follow}); isIn(after, m, w) && len(ways) > 0 {
		return ways
	}
	return remedy{say(fmt.Sprintf("to follow the mesh map, the owner of %s has to give it a selector that matches istio.io/rev=%s first", m.Name, mapped))}
}

// isIn reports whether the namespace is in the mesh that injects it: the mesh discovers it, or its istiod runs elsewhere and no
// other mesh does. Otherwise the revision is wrong altogether, which other rules say.
func isIn(ns *mesh.Namespace, m *mesh.Mesh, w *World) bool {
	if source, _ := m.Discovers(ns.Labels); source != nil {
		return true
	}
	return m.Remote() && len(w.discovering(ns)) == 0
}
