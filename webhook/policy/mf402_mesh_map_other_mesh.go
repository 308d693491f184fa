package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshMapOtherMesh finds the entries whose revision belongs to another mesh than the one that they are for: a namespace that joins
// the one would get the other's sidecars filled in.
func meshMapOtherMesh(m *mesh.Map, w *World) []Finding {
	entries, _ := mesh.ParseMap(m.Data)
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if ofAnotherMesh(name, entries[name], w) {
			found = append(found, otherMesh(m, name, entries, w))
		}
	}
	return found
}

func ofAnotherMesh(name, revision string, w *World) bool {
	having := owners(w.Fleet.Revision(revision))
	return len(having) > 0 && !intersect(having, meshesCalled(name, w))
}

func otherMesh(m *mesh.Map, name string, entries map[string]string, w *World) Finding {
	having := owners(w.Fleet.Revision(entries[name]))
	f := Finding{
		Field:    entryPath(name),
		Detail:   fmt.Sprintf("the entry %q gives mesh %q a revision of %s", entry(name, entries[name]), name, theMeshes(having)),
		Subjects: []string{entry(name, entries[name])},
	}
	called := meshesCalled(name, w)
	switch _, taken := entries[having[0].Name]; {
	case len(called) > 0:
		f.Ways = changeMap("give it the active revision of "+called[0].Name, m, w, mapEdits{name: &called[0].ActiveRevision})
	case taken:
		f.Detail += ", and there is no mesh of that name"
		f.Ways = leaveOut(m, w, name)
	default:
		f.Detail += ", and there is no mesh of that name"
		revision := entries[name]
		f.Ways = changeMap("name the mesh that has it", m, w, mapEdits{name: nil, having[0].Name: &revision})
	}
	return f
}
