package policy

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maxLeaves bounds the search for labels that take a namespace out of all meshes but one: it only feeds messages.
const maxLeaves = 16

// only returns the fewest label changes after which target discovers the namespace, and its labels put it into no two meshes
// that fight with each other, and no mesh has lost its control-plane namespace; ok is false if none were found.
func only(target *mesh.Mesh, labels map[string]string, w *World) (edits []selector.Edit, ok bool) {
	for _, source := range target.Sources {
		for _, term := range source.Terms {
			found, possible := onlyThrough(term.Selector, target, labels, w)
			if possible && (!ok || len(found) < len(edits)) {
				edits, ok = found, true
			}
		}
	}
	return edits, ok
}

// onlyThrough joins target through one of its selectors and then leaves the other meshes one by one.
func onlyThrough(term selector.Selector, target *mesh.Mesh, labels map[string]string, w *World) ([]selector.Edit, bool) {
	edits, ok := term.Edits(labels)
	if !ok || edited(edits, mesh.NameLabel) {
		return nil, false
	}
	given := takers(w.Fleet.DiscoveredBy(labels), labels)
	for range maxLeaves {
		after := apply(labels, edits)
		other := opponent(target, after, given, w)
		if other == nil {
			return edits, !losesControlPlane(labels, after, w)
		}
		key, found := leave(other, target, after)
		if !found {
			return nil, false
		}
		edits = sortedEdits(append(edits, remove(key)))
	}
	return nil, false
}

// opponent returns the first mesh besides target that the labels put into a fight with another one, or nil. What meshes do
// that take the namespace anyway, the given ones, is not for labels to end.
func opponent(target *mesh.Mesh, labels map[string]string, given []*mesh.Mesh, w *World) *mesh.Mesh {
	asked, unasked := fightsOver(w.Fleet.DiscoveredBy(labels), labels, w.Now)
	unasked = slices.DeleteFunc(unasked, func(pair fight) bool {
		return slices.ContainsFunc(takers([]*mesh.Mesh{pair.a, pair.b}, labels), func(m *mesh.Mesh) bool { return slices.Contains(given, m) })
	})
	for _, m := range meshesOf(append(asked, unasked...)) {
		if m != target {
			return m
		}
	}
	return nil
}

// leave finds a label without which other no longer discovers the namespace through the selector that asks for it now, while
// target still does.
func leave(other, target *mesh.Mesh, labels map[string]string) (key string, ok bool) {
	term := askingTerm(other, labels)
	if term == nil {
		return "", false
	}
	for _, key := range term.Selector.Keys() {
		if _, present := labels[key]; !present || key == mesh.NameLabel {
			continue
		}
		without := apply(labels, []selector.Edit{remove(key)})
		if source, _ := target.Discovers(without); source != nil && !term.Selector.Matches(without) {
			return key, true
		}
	}
	return "", false
}

func sortedEdits(edits []selector.Edit) []selector.Edit {
	slices.SortFunc(edits, func(a, b selector.Edit) int { return strings.Compare(a.Key, b.Key) })
	return edits
}

// revisionOf is the value that istio.io/rev should have in a mesh: the mesh map's, else the active revision.
func revisionOf(m *mesh.Mesh, fleet *mesh.Fleet) string {
	if revision, ok := fleet.Mapped(m.Name); ok && belongs(fleet.Revision(revision), m) {
		return revision
	}
	return m.ActiveRevision
}

// discoversAfter says whether the mesh discovers the labels after the edits. The keys of selectors can be istio.io/rev and
// istio-injection as well.
func discoversAfter(m *mesh.Mesh, labels map[string]string, edits []selector.Edit) bool {
	source, _ := m.Discovers(apply(labels, edits))
	return source != nil
}

// belongs says whether the revision, nil for an unknown one, is the mesh's.
func belongs(r *mesh.Revision, m *mesh.Mesh) bool { return r != nil && slices.Contains(r.Meshes, m) }

// injectBy returns the edits after which a namespace is injected by the revision.
func injectBy(revision string, labels map[string]string) []selector.Edit {
	edits := []selector.Edit{set(mesh.RevisionLabel, revision)}
	if _, ok := labels[mesh.InjectionLabel]; ok {
		edits = append(edits, remove(mesh.InjectionLabel))
	}
	return sortedEdits(edits)
}

// alone adds the removal of an istio.io/rev that istio-injection overrides: together with edits that leave the choice to
// istio-injection, or remove it, the forgotten label would be refused.
func alone(edits []selector.Edit, labels map[string]string) []selector.Edit {
	_, overrides := labels[mesh.InjectionLabel]
	if _, overridden := labels[mesh.RevisionLabel]; overrides && overridden {
		edits = append(edits, remove(mesh.RevisionLabel))
	}
	return sortedEdits(edits)
}

// injectedToo returns the edits after which a namespace that m alone discovers is not refused for its injection: none if
// nothing injects it, or m does.
func injectedToo(m *mesh.Mesh, labels map[string]string, fleet *mesh.Fleet) []selector.Edit {
	injection := mesh.InjectionOf(labels)
	r := fleet.Revision(injection.Revision)
	switch {
	case !injection.By:
		return nil
	case r == nil && injection.Label == mesh.RevisionLabel, len(owners(r)) > 0 && !belongs(r, m):
		return injectBy(revisionOf(m, fleet), labels)
	default:
		return alone(nil, labels)
	}
}
