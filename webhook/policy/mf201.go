package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// discoveredByMany finds a namespace that several meshes discover, unless each two of them may both do so, or no istiod
// writes to it.
func discoveredByMany(ns *mesh.Namespace, w *World) []Finding {
	if !mesh.GetsRootCertificate(ns.Name) {
		return nil
	}
	fighting, pairs := fightOver(ns, w)
	if len(pairs) == 0 {
		return nil
	}
	bundle, _ := fighting[0].Discovers(ns.Labels)
	return []Finding{{
		Field: "metadata.labels",
		Detail: fmt.Sprintf("namespace %q is discovered by %s: their istiods would overwrite each other's ConfigMap %s in it, "+
			"and its pods would see x509 errors that come and go", ns.Name, becauseAll(fighting, ns.Labels), bundle.TrustBundle),
		Remedy:   keepOne(ns, fighting, w),
		Subjects: pairs,
	}}
}

// fightOver returns the meshes, by name, that discover the namespace and fight with another one that does, and their
// pairs as subjects.
func fightOver(ns *mesh.Namespace, w *World) (fighting []*mesh.Mesh, pairs []string) {
	discovering := w.discovering(ns)
	if len(discovering) < 2 {
		return nil, nil
	}
	fights := make([]bool, len(discovering))
	for i, a := range discovering {
		for j, b := range discovering[i+1:] {
			if mesh.ExcuseFor(a, b, ns.Labels, w.Now) == mesh.NoExcuse {
				fights[i], fights[i+1+j] = true, true
				pairs = append(pairs, a.String()+" and "+b.String())
			}
		}
	}
	for i, m := range discovering {
		if fights[i] {
			fighting = append(fighting, m)
		}
	}
	return fighting, pairs
}

// keepOne offers, for each mesh, the labels with which it is the only one.
func keepOne(ns *mesh.Namespace, meshes []*mesh.Mesh, w *World) string {
	var ways []string
	var without []*mesh.Mesh // those for which no labels do it
	for _, m := range meshes {
		edits, ok := only(m, ns.Labels, w)
		if !ok {
			without = append(without, m)
			continue
		}
		edits = sortedEdits(append(edits, injectedToo(m, ns.Labels, w.Fleet)...))
		ways = append(ways, fmt.Sprintf("To keep it in %s only: %s", theMesh(m), relabel(ns, w, edits...)))
	}
	switch {
	case len(ways) == 0:
		return "Change the selectors of " + theMeshes(meshes) + " so that only one of them matches"
	case len(without) > 0:
		ways = append(ways, fmt.Sprintf("To keep it in %s, the selectors of the others have to change first", theMeshes(without)))
	}
	return strings.Join(slices.Compact(ways), ". ")
}
