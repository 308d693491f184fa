package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// discoveredByMany finds a namespace that several meshes discover, unless each two of them may both do so, or no istiod
// writes to it. It denies where the labels of the namespace put it into two meshes. Where one of them takes the namespace
// without asking for a label, that mesh is to blame, and whoever owns the namespace can do nothing about it: a warning.
func discoveredByMany(ns *mesh.Namespace, w *World) []Finding {
	if !mesh.GetsRootCertificate(ns.Name) {
		return nil
	}
	var found []Finding
	asked, unasked := fightsOver(w.discovering(ns), ns.Labels, w.Now)
	if len(asked) > 0 {
		fighting := meshesOf(asked)
		f := manyFinding(ns, asked, becauseAll(fighting, ns.Labels))
		f.Remedy = keepOne(ns, fighting, len(unasked) == 0, w)
		found = append(found, f)
	}
	if len(unasked) > 0 {
		fighting := meshesOf(unasked)
		f := manyFinding(ns, unasked, becauseTaken(fighting, ns.Labels))
		f.Action, f.Remedy = Warn, changeMeshes(takers(fighting, ns.Labels), ns.Labels, w)
		found = append(found, f)
	}
	return found
}

func manyFinding(ns *mesh.Namespace, fights []fight, because string) Finding {
	bundle, _ := fights[0].a.Discovers(ns.Labels)
	f := Finding{
		Field: "metadata.labels",
		Detail: fmt.Sprintf("namespace %q is discovered by %s: their istiods would overwrite each other's ConfigMap %s in it, "+
			"and its pods would see x509 errors that come and go", ns.Name, because, bundle.TrustBundle),
	}
	for _, pair := range fights {
		f.Subjects = append(f.Subjects, pair.a.String()+" and "+pair.b.String())
	}
	return f
}

// fight is two meshes, by name, that discover a namespace and overwrite each other's ConfigMap in it.
type fight struct{ a, b *mesh.Mesh }

// fightsOver returns the fights of the meshes that discover a namespace: asked are those in which both ask for a label of it,
// so that other labels end them.
func fightsOver(discovering []*mesh.Mesh, labels map[string]string, now time.Time) (asked, unasked []fight) {
	for i, a := range discovering {
		for _, b := range discovering[i+1:] {
			switch {
			case mesh.ExcuseFor(a, b, labels, now) != mesh.NoExcuse:
			case bothAsk(a, b, labels):
				asked = append(asked, fight{a, b})
			default:
				unasked = append(unasked, fight{a, b})
			}
		}
	}
	return asked, unasked
}

// bothAsk says whether two meshes that fight over a namespace do so only through selectors that ask for a label of it. Its name
// is such a label where a selector lists names: a person chooses it. A mesh that takes the namespace anyway does not get it by
// its labels, even if another selector of that mesh asks for one.
func bothAsk(a, b *mesh.Mesh, labels map[string]string) bool {
	for i := range a.Sources {
		for j := range b.Sources {
			left, right := &a.Sources[i], &b.Sources[j]
			fights := left.TrustBundle == right.TrustBundle && discoversThrough(left, labels) && discoversThrough(right, labels)
			if fights && (takenBy(left, labels) != nil || takenBy(right, labels) != nil) {
				return false
			}
		}
	}
	return true
}

// takenBy returns the first selector that matches a namespace without asking for a label of it, or nil.
func takenBy(s *mesh.Source, labels map[string]string) *mesh.Term {
	for i := range s.Terms {
		if t := &s.Terms[i]; !t.Selector.AsksForLabel() && t.Selector.Matches(labels) {
			return t
		}
	}
	return nil
}

// taken is how a mesh discovers a namespace: through the first selector that does so without asking, else the first that does.
func taken(m *mesh.Mesh, labels map[string]string) (source *mesh.Source, term *mesh.Term, unasked bool) {
	for i := range m.Sources {
		if term := takenBy(&m.Sources[i], labels); term != nil {
			return &m.Sources[i], term, true
		}
	}
	source, term = m.Discovers(labels)
	return source, term, false
}

// meshesOf returns the meshes of fights, each once, by name.
func meshesOf(fights []fight) []*mesh.Mesh {
	var meshes []*mesh.Mesh
	for _, pair := range fights {
		for _, m := range []*mesh.Mesh{pair.a, pair.b} {
			if !slices.Contains(meshes, m) {
				meshes = append(meshes, m)
			}
		}
	}
	slices.SortFunc(meshes, func(a, b *mesh.Mesh) int { return strings.Compare(a.Name, b.Name) })
	return meshes
}

// becauseTaken is becauseAll for meshes of which some take the namespace without asking.
func becauseTaken(meshes []*mesh.Mesh, labels map[string]string) string {
	texts := make([]string, len(meshes))
	for i, m := range meshes {
		source, term, _ := taken(m, labels)
		texts[i] = becauseOf(m, source, term)
	}
	return joinAnd(texts)
}

// keepOne offers, for each mesh, the labels with which it is the only one that asks for them: the only one at all, if no mesh
// takes the namespace without asking.
func keepOne(ns *mesh.Namespace, meshes []*mesh.Mesh, atAll bool, w *World) string {
	way := "To keep it in %s: %s"
	if atAll {
		way = "To keep it in %s only: %s"
	}

	var ways []string
	var without []*mesh.Mesh // those for which no labels do it
	for _, m := range meshes {
		edits, ok := only(m, ns.Labels, w)
		if !ok {
			without = append(without, m)
			continue
		}
		edits = sortedEdits(append(edits, injectedToo(m, ns.Labels, w.Fleet)...))
		ways = append(ways, fmt.Sprintf(way, theMesh(m), relabel(ns, w, edits...)))
	}
	switch {
	case len(ways) == 0:
		return "Change the selectors of " + theMeshes(meshes) + " so that only one of them matches"
	case len(without) > 0 && !w.exhausted(): // or nobody knows
		ways = append(ways, fmt.Sprintf("To keep it in %s, the selectors of the others have to change first", theMeshes(without)))
	}
	return strings.Join(slices.Compact(ways), ". ")
}

// takers returns the meshes that discover the namespace without asking for a label of it.
func takers(meshes []*mesh.Mesh, labels map[string]string) []*mesh.Mesh {
	return slices.DeleteFunc(slices.Clone(meshes), func(m *mesh.Mesh) bool {
		_, _, unasked := taken(m, labels)
		return !unasked
	})
}

// changeMeshes says which mesh has to change, not the namespace, with the commands of the first ones: one of them is enough for
// each fight.
func changeMeshes(meshes []*mesh.Mesh, labels map[string]string, w *World) string {
	ways := make([]string, min(len(meshes), named))
	for i, m := range meshes[:len(ways)] {
		if source, _, _ := taken(m, labels); source != &m.Sources[0] {
			ways[i] = revisionRemedy(m, source, "selector")
			continue
		}
		way := "It is not the namespace that has to change, but %s: %s"
		if i > 0 {
			way = "Or %s: %s"
		}
		ways[i] = fmt.Sprintf(way, theMesh(m), selectorCommand(m, w))
	}
	return strings.Join(ways, ". ")
}
