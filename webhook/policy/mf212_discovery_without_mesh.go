package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// discoveryWithoutMesh finds a discovery label whose value is no mesh's, neither by its name nor by a selector that asks for
// it, while there are meshes. A namespace that the configuration sets aside for a control plane may have the label before
// its mesh exists: both guides label it first.
func discoveryWithoutMesh(ns *mesh.Namespace, w *World) []Finding {
	var found []Finding
	for _, key := range w.DiscoveryLabels {
		value, present := ns.Labels[key]
		if !present || len(w.Fleet.Meshes()) == 0 || w.Fleet.Named(value) != nil || awaitsMesh(ns, w) || askedFor(key, ns, w) {
			continue
		}
		f := Finding{
			Field:    labelPath(key),
			Detail:   fmt.Sprintf("%s=%s is the name of no mesh, and no selector asks for that value", key, value),
			Effect:   "until one does, the label puts the namespace into no mesh",
			Subjects: []string{key + "=" + value},
		}
		f.Ways = w.remedied(func() remedy { return nameMesh(ns, f, key, w) })
		found = append(found, f)
	}
	return found
}

// awaitsMesh reports whether the namespace is set aside for a control plane that is not there yet.
func awaitsMesh(ns *mesh.Namespace, w *World) bool {
	return w.ControlPlane(ns.Name) && w.Fleet.ControlPlaneOf(ns.Name) == nil
}

// askedFor reports whether a selector asks for the label with this value, whatever else it asks for: then the value is its
// mesh's, although the mesh may have another name.
func askedFor(key string, ns *mesh.Namespace, w *World) bool {
	asks := func(m *mesh.Mesh) bool {
		return slices.ContainsFunc(m.Sources, func(s mesh.Source) bool {
			return slices.ContainsFunc(s.Terms, func(t mesh.Term) bool {
				return t.Selector.AsksFor(key, ns.Labels[key]) && canMatch(t.Selector, ns.Labels)
			})
		})
	}
	// The meshes that discover the namespace are the likely ones, and few.
	return slices.ContainsFunc(w.discovering(ns), asks) || slices.ContainsFunc(w.Fleet.Meshes(), asks)
}

// canMatch reports whether some change of labels makes the selector match.
func canMatch(s selector.Selector, labels map[string]string) bool {
	_, ok := s.Edits(labels)
	return ok
}

// nameMesh proposes the mesh that was probably meant, with what else makes it discover the namespace and goes together.
func nameMesh(ns *mesh.Namespace, f Finding, key string, w *World) remedy {
	show := run("see the meshes", showAll(mesh.KindIstio, mesh.KindIstioRevision))
	meant := w.Fleet.Named(nearest(ns.Labels[key], meshNames(w.Fleet.Meshes())))
	if meant == nil {
		return remedy{show}
	}
	edits := []selector.Edit{set(key, meant.Name)}
	more, ok := only(meant, apply(ns.Labels, edits), w)
	edits = append(edits, more...)
	edits = append(edits, injectedToo(meant, apply(ns.Labels, edits), w.Fleet)...)
	if ok && discoversAfter(meant, ns.Labels, edits) {
		if ways := w.labels(ns, f, discoveryWithoutMesh, labelling{didYouMean(meant.Name), sortedEdits(edits)}); len(ways) > 0 {
			return ways
		}
	}
	return remedy{say(fmt.Sprintf("did you mean %q? Labels alone cannot put the namespace into that mesh", meant.Name)), show}
}
