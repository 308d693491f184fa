package policy

import (
	"fmt"
	"slices"
	"strings"

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
		found = append(found, Finding{
			Field: "metadata.labels",
			Detail: fmt.Sprintf("namespace %q is the control-plane namespace of %s, which would no longer discover it (%s): it would get no root "+
				"certificate, and mesh-wide policies in it, such as a STRICT PeerAuthentication, would silently stop to count",
				updated.Name, theMesh(m), term.Selector),
			Remedy: fmt.Sprintf("To keep it discovered: %s. To use other labels, give the mesh a selector for them first: %s",
				keepDiscovered(m, term, updated, w), editCommand(m)),
			Subjects: []string{m.String()},
		})
	}
	return found
}

// loses says whether a change of labels makes the mesh no longer discover a namespace.
func loses(m *mesh.Mesh, before, after map[string]string) bool {
	was, _ := m.Discovers(before)
	is, _ := m.Discovers(after)
	return was != nil && is == nil
}

// losesControlPlane says whether labels that a remedy proposes for the namespace would be refused, because a mesh no longer
// discovered its control-plane namespace: one that discovers it as it is stored, or as it is judged, which is stored next if
// it is admitted.
func losesControlPlane(judged, after map[string]string, w *World) bool {
	return slices.ContainsFunc(w.Fleet.Meshes(), func(m *mesh.Mesh) bool {
		return m.ControlPlane == judged[mesh.NameLabel] && (loses(m, judged, after) || w.Stored != nil && loses(m, w.Stored, after))
	})
}

// editCommand opens the mesh's object.
func editCommand(m *mesh.Mesh) string {
	return "kubectl edit " + strings.ToLower(m.Kind) + " " + m.Name
}

// keepDiscovered gives the labels that the term asks for their stored values again, and keeps what else was requested if
// that goes together; otherwise it keeps the stored labels.
func keepDiscovered(m *mesh.Mesh, term *mesh.Term, updated *mesh.Namespace, w *World) string {
	needed, _ := term.Selector.Edits(updated.Labels) // possible: the term matched labels with the same name
	var edits []selector.Edit
	for _, e := range needed {
		value, present := w.Stored[e.Key]
		edits = append(edits, selector.Edit{Key: e.Key, Value: value, Remove: !present})
	}
	after := apply(updated.Labels, edits)
	if more, ok := only(m, after, w); ok {
		edits = append(edits, more...)
		edits = append(edits, injectedToo(m, apply(after, more), w.Fleet)...)
		return relabel(updated, w, sortedEdits(edits)...)
	}
	return labelCommand(updated.Name, w.Stored, keysOf(edits))
}

func keysOf(edits []selector.Edit) []string {
	keys := make([]string, len(edits))
	for i, e := range edits {
		keys[i] = e.Key
	}
	return keys
}
