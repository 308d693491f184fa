package policy

import (
	"fmt"
	"iter"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// discoversEverything finds a mesh whose own selectors leave out no namespace. Alone in the cluster it gets a warning,
// because it is the second mesh that makes it wrong.
func discoversEverything(m *mesh.Mesh, w *World) []Finding {
	why, path := everythingBecause(m)
	if why == "" {
		return nil
	}
	others := meshesFought(m, w)
	f := Finding{Field: path, In: configMapOf(&m.Sources[0]), Subjects: meshSubjects(others)}
	switch {
	case len(others) > 0:
		f.Detail = fmt.Sprintf("%s, including those of %s", why, theOthers(m, others))
		f.Effect = fmt.Sprintf("their istiods would overwrite each other's ConfigMap %s", m.Sources[0].TrustBundle)
	case othersHere(m, w):
		return nil // every overlap is declared or harmless, which is another rule's to tell
	default:
		f.Action = Warn
		f.Detail, f.Effect = why, "that does no harm only while it is the only mesh in the cluster"
	}
	f.Ways = w.remedied(func() remedy { return selectorRemedy(m, f, others, w) })
	return []Finding{f}
}

// discoversEverythingAtOnce reports whether a selector that did not parse gives way to none at all, or to {}: a running istiod has kept
// its old selectors until now, and discovers everything as soon as the new ones are stored. An object that was malformed
// elsewhere is another matter: it must be possible to repair that.
func discoversEverythingAtOnce(_ Finding, old, updated *mesh.Mesh, _ *World) bool {
	return len(old.Sources[0].Errors) > 0 && updated.Sources[0].Listing != mesh.Invalid
}

// everythingBecause says why the mesh's own selectors leave out nothing, and where; "" if they do.
func everythingBecause(m *mesh.Mesh) (why, path string) {
	own := m.Sources[0]
	for _, term := range own.Terms {
		if !term.Selector.Everything() {
			continue
		}
		switch own.Listing {
		case mesh.Unset:
			if own.Shared {
				return "it has no discoverySelectors of its own, and those of the ConfigMap that SHARED_MESH_CONFIG names are not read here, so that it counts as " +
					"discovering every namespace", term.Path
			}
			return "without discoverySelectors it discovers every namespace", term.Path
		case mesh.Invalid:
			return "with a selector that does not parse it counts as discovering every namespace", term.Path
		case mesh.Unread:
			if own.By == "" {
				return own.String() + " is missing or has no mesh configuration, and so its istiod discovers every namespace once it starts", term.Path
			}
			return "its istiod does not read its discoverySelectors, because " + unreadBecause(own.By) + ", and so discovers every namespace", term.Path
		default:
			return "through this selector it discovers every namespace", term.Path
		}
	}
	return "", ""
}

// unreadBecause says why an istiod does not read its selectors, given the field that decides that.
func unreadBecause(field string) string {
	switch {
	case isRevisionVariable(field):
		return "the variable REVISION names another revision"
	case field == "spec.values.pilot.configMap":
		return "pilot.configMap is false"
	default:
		return "the profile remote leaves pilot.configMap out"
	}
}

// meshesFought returns the other meshes, by name, that m overlaps with without an excuse.
func meshesFought(m *mesh.Mesh, w *World) []*mesh.Mesh {
	var others []*mesh.Mesh
	comparison := mesh.Compare(m, w.Now)
	for _, other := range w.Fleet.Meshes() {
		if other.Ref != m.Ref && anyOf(comparison.Clashes(other)) {
			others = append(others, other)
		}
	}
	return others
}

// anyOf reports whether there is any overlap.
func anyOf(pairs iter.Seq[mesh.Overlap]) bool {
	for range pairs {
		return true
	}
	return false
}

// othersHere reports whether another mesh runs an istiod in this cluster.
func othersHere(m *mesh.Mesh, w *World) bool {
	return slices.ContainsFunc(w.Fleet.Meshes(), func(other *mesh.Mesh) bool { return other.Ref != m.Ref && !other.Remote() })
}
