package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// controlPlaneUndiscovered finds a label change after which a mesh no longer discovers its own control-plane namespace, even
// if the change would end a fight over it: that is to be repaired in favour of the mesh whose istiod runs there.
func controlPlaneUndiscovered(old, updated *mesh.Namespace, w *World) []Finding {
	if old == nil || w.Fleet.ControlPlaneOf(updated.Name) == nil {
		return nil
	}
	var found []Finding
	for _, m := range w.Fleet.Meshes() {
		if m.ControlPlane != updated.Name || !loses(m, old.Labels, updated.Labels) {
			continue
		}
		_, term := m.Discovers(old.Labels)
		f := Finding{
			Field:    "metadata.labels",
			Detail:   fmt.Sprintf("%s would no longer discover it (%s), its control-plane namespace", theMesh(m), term.Selector),
			Effect:   "it would get no root certificate, and mesh-wide policies in it, such as a STRICT PeerAuthentication, would stop taking effect",
			Subjects: []string{m.String()},
		}
		f.Ways = w.remedied(func() remedy {
			return append(keepDiscovered(m, f, term, updated, w), say(fmt.Sprintf("to use other labels, the owner of %s has to give it a selector for them first", m.Name)))
		})
		found = append(found, f)
	}
	return found
}

// loses reports whether a change of labels makes the mesh no longer discover a namespace.
func loses(m *mesh.Mesh, before, after map[string]string) bool {
	was, _ := m.Discovers(before)
	is, _ := m.Discovers(after)
	return was != nil && is == nil
}

// losesControlPlane reports whether labels that a remedy proposes for the namespace would be refused, because a mesh no longer
// discovered its control-plane namespace: one that discovers it as it is stored, or as it is judged, which is stored next if
// it is admitted.
func losesControlPlane(judged, after map[string]string, w *World) bool {
	return slices.ContainsFunc(w.Fleet.Meshes(), func(m *mesh.Mesh) bool {
		return m.ControlPlane == judged[mesh.NameLabel] && (loses(m, judged, after) || w.Stored != nil && loses(m, w.Stored, after))
	})
}

// keepDiscovered gives the labels that the term asks for their stored values again, and keeps what else was requested if
// that goes together; otherwise it keeps the stored labels.
func keepDiscovered(m *mesh.Mesh, f Finding, term *mesh.Term, updated *mesh.Namespace, w *World) remedy {
	needed, _ := term.Selector.Edits(updated.Labels) // possible: the term matched labels with the same name
	back := editsFrom(w.Stored, keysOf(needed))
	after := apply(updated.Labels, back)
	offers := [][]selector.Edit{back, editsFrom(w.Stored, w.changedKeys(updated.Labels, nil))}
	if more, ok := only(m, after, w); ok {
		edits := append(slices.Clone(back), more...)
		edits = append(edits, injectedToo(m, apply(after, more), w.Fleet)...)
		offers = append([][]selector.Edit{sortedEdits(edits)}, offers...)
	}
	again := func(ns *mesh.Namespace, w *World) []Finding {
		return controlPlaneUndiscovered(&mesh.Namespace{Name: ns.Name, Labels: w.Stored}, ns, w)
	}
	for _, edits := range offers {
		if ways := w.labels(updated, f, again, labelling{"keep it discovered", edits}); len(ways) > 0 {
			return ways
		}
	}
	return nil
}

func keysOf(edits []selector.Edit) []string {
	keys := make([]string, len(edits))
	for i, e := range edits {
		keys[i] = e.Key
	}
	return keys
}
