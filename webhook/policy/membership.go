package policy

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maxLeaves bounds the search for labels that take a namespace out of all meshes but one: it only feeds messages.
const maxLeaves = 16

// maxEffort bounds what the search for such labels looks at in one judgement: labels and selectors, of which a processor gets
// through ten millions a second. A search in which no namespace has hundreds of labels that selectors ask for, and no mesh
// thousands of selectors, takes a thousandth of it. What is not found then is missing from the message; the verdict is the same.
const maxEffort = 1 << 20

// exhausted reports whether the search for remedies has come to its end.
func (w *World) exhausted() bool { return w.effort > maxEffort }

// trying is apply for a change of labels that may be a remedy.
func (w *World) trying(labels map[string]string, edits []selector.Edit) map[string]string {
	w.effort += len(labels) + len(edits) + 1
	return apply(labels, edits)
}

// only returns the fewest label changes after which target discovers the namespace, and its labels put it into no two meshes
// that fight with each other, and no mesh has lost its control-plane namespace; ok is false if none were found.
func only(target *mesh.Mesh, labels map[string]string, w *World) (edits []selector.Edit, ok bool) {
	given := w.given(labels)
	for _, source := range target.Sources {
		for _, term := range source.Terms {
			found, possible := onlyThrough(term.Selector, target, labels, given, w)
			if possible && (!ok || len(found) < len(edits)) {
				edits, ok = found, true
			}
		}
	}
	return edits, ok
}

// given returns the meshes that take a namespace with these labels without asking for one of them.
func (w *World) given(labels map[string]string) []*mesh.Mesh {
	w.effort += w.Fleet.Effort(labels)
	return takers(w.Fleet.DiscoveredBy(labels), labels)
}

// onlyThrough joins target through one of its selectors and then leaves the other meshes one by one, except the given ones.
func onlyThrough(term selector.Selector, target *mesh.Mesh, labels map[string]string, given []*mesh.Mesh, w *World) ([]selector.Edit, bool) {
	edits, ok := term.Edits(labels)
	if !ok || edited(edits, mesh.NameLabel) {
		return nil, false
	}
	for range maxLeaves {
		if w.exhausted() {
			return nil, false
		}
		after := w.trying(labels, edits)
		other := opponent(target, after, given, w)
		if other == nil {
			return edits, !losesControlPlane(labels, after, w)
		}
		key, found := leave(other, target, after, w)
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
	discovering := w.Fleet.DiscoveredBy(labels)
	w.effort += w.Fleet.Effort(labels) + len(discovering)
	asked, unasked := fightsOver(discovering, labels, w.Now)
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
func leave(other, target *mesh.Mesh, labels map[string]string, w *World) (key string, ok bool) {
	term := askingTerm(other, labels)
	if term == nil {
		return "", false
	}
	for _, key := range term.Selector.Keys() {
		if _, present := labels[key]; !present || key == mesh.NameLabel {
			continue
		}
		if w.exhausted() {
			return "", false
		}
		without := w.trying(labels, []selector.Edit{remove(key)})
		w.effort += terms(target)
		if source, _ := target.Discovers(without); source != nil && !term.Selector.Matches(without) {
			return key, true
		}
	}
	return "", false
}

// terms is how many selectors the mesh has.
func terms(m *mesh.Mesh) (n int) {
	for _, source := range m.Sources {
		n += len(source.Terms)
	}
	return n
}

// sortedEdits are the edits by key. Of those of one key the last counts: a command cannot name a label twice.
func sortedEdits(edits []selector.Edit) []selector.Edit {
	slices.SortStableFunc(edits, func(a, b selector.Edit) int { return strings.Compare(a.Key, b.Key) })
	sorted := edits[:0]
	for i, e := range edits {
		if i+1 == len(edits) || edits[i+1].Key != e.Key {
			sorted = append(sorted, e)
		}
	}
	return sorted
}

// revisionOf is the value that istio.io/rev should have in a mesh: the mesh map's, else the tag's that follows a mesh whose
// revisions change, else the active revision.
func revisionOf(m *mesh.Mesh, fleet *mesh.Fleet) string {
	if revision, ok := fleet.Mapped(m.Name); ok && belongs(fleet.Revision(revision), m) {
		return revision
	}
	if tag := followingTag(m, fleet); tag != "" {
		return tag
	}
	return m.ActiveRevision
}

// discoversAfter reports whether the mesh discovers the labels after the edits. The keys of selectors can be istio.io/rev and
// istio-injection as well.
func discoversAfter(m *mesh.Mesh, labels map[string]string, edits []selector.Edit) bool {
	source, _ := m.Discovers(apply(labels, edits))
	return source != nil
}

// belongs reports whether the revision, nil for an unknown one, is the mesh's.
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
	injection := fleet.InjectionOf(labels)
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
