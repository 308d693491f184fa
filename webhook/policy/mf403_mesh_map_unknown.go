package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshMapUnknown finds the entries whose mesh or revision does not exist, or not yet: the mesh map may come before the
// meshes. What belongs to another mesh is MF402's.
func meshMapUnknown(m *mesh.Map, w *World) []Finding {
	entries, _ := mesh.ParseMap(m.Data)
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		revision := entries[name]
		if ofAnotherMesh(name, revision, w) {
			continue
		}
		var missing, subjects []string
		called := meshesCalled(name, w)
		if len(called) == 0 {
			missing, subjects = append(missing, fmt.Sprintf("no mesh %q", name)), append(subjects, "mesh "+name)
		}
		if w.Fleet.Revision(revision) == nil {
			missing, subjects = append(missing, fmt.Sprintf("no revision or tag %q", revision)), append(subjects, "revision "+revision+" for "+name)
		}
		if len(missing) > 0 {
			found = append(found, Finding{
				Field:    entryPath(name),
				Detail:   fmt.Sprintf("for the entry %q there is %s yet", entry(name, revision), strings.Join(missing, " and ")),
				Ways:     meantEntry(m, name, entries, called, w),
				Subjects: subjects,
			})
		}
	}
	return found
}

// meantEntry proposes the names that were probably meant, of a mesh that exists and has no other entry. The map is admitted
// with what is unknown in it, so it can be patched.
func meantEntry(m *mesh.Map, name string, entries map[string]string, called []*mesh.Mesh, w *World) remedy {
	show := remedy{run("see the names that exist", showAll(mesh.KindIstio, mesh.KindIstioRevision, kindTag))}
	meantMesh, meant, edits := name, entries[name], mapEdits{}
	if len(called) == 0 {
		meantMesh = nearest(name, meshNames(w.Fleet.Meshes()))
		if _, taken := entries[meantMesh]; meantMesh == "" || taken {
			return show
		}
		edits[name], called = nil, []*mesh.Mesh{w.Fleet.Named(meantMesh)}
	}
	if r := w.Fleet.Revision(meant); r == nil {
		meant = nearest(meant, candidates(called, w.Fleet))
	}
	if meant == "" {
		return show
	}
	edits[meantMesh] = &meant
	return remedy{run(didYouMean(entry(meantMesh, meant)), patchMap(m, edits))}
}
