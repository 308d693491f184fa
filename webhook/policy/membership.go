package policy

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// maxLeaves bounds the search for labels that take a namespace out of all meshes but one: it only feeds messages.
const maxLeaves = 16

// only returns the fewest label changes after which target is the only mesh that discovers the namespace; ok is false
// if none were found.
func only(target *mesh.Mesh, labels map[string]string, fleet *mesh.Fleet) (edits []selector.Edit, ok bool) {
	for _, source := range target.Sources {
		for _, term := range source.Terms {
			found, possible := onlyThrough(term.Selector, target, labels, fleet)
			if possible && (!ok || len(found) < len(edits)) {
				edits, ok = found, true
			}
		}
	}
	return edits, ok
}

// onlyThrough joins target through one of its selectors and then leaves the other meshes one by one.
func onlyThrough(term selector.Selector, target *mesh.Mesh, labels map[string]string, fleet *mesh.Fleet) ([]selector.Edit, bool) {
	edits, ok := term.Edits(labels)
	if !ok || edited(edits, mesh.NameLabel) {
		return nil, false
	}
	for range maxLeaves {
		after := apply(labels, edits)
		other := firstOther(target, fleet.DiscoveredBy(after))
		if other == nil {
			return edits, true
		}
		key, found := leave(other, target, after)
		if !found {
			return nil, false
		}
		edits = sortedEdits(append(edits, remove(key)))
	}
	return nil, false
}

func firstOther(target *mesh.Mesh, meshes []*mesh.Mesh) *mesh.Mesh {
	for _, m := range meshes {
		if m != target {
			return m
		}
	}
	return nil
}

// leave finds a label without which other no longer discovers the namespace through the selector that matches now,
// while target still does.
func leave(other, target *mesh.Mesh, labels map[string]string) (key string, ok bool) {
	_, term := other.Discovers(labels)
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
