package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// discoveredByMany finds a namespace that several meshes discover, unless each two of them may both do so, or no istiod
// writes to it. It denies where the labels of the namespace put it into two meshes. Where one of them takes the namespace
// without asking for a label, that mesh is to blame, and the owner of the namespace can do nothing about it: a warning.
func discoveredByMany(ns *mesh.Namespace, w *World) []Finding {
	if !mesh.GetsRootCertificate(ns.Name) {
		return nil
	}
	var found []Finding
	asked, unasked := fightsOver(w.discovering(ns), ns.Labels, w.Now)
	if len(asked) > 0 {
		fighting := meshesOf(asked)
		f := manyFinding(ns, asked, becauseAll(fighting, ns.Labels))
		f.Ways = w.remedied(func() remedy { return keepOne(ns, f, fighting, len(unasked) == 0, w) })
		found = append(found, f)
	}
	for _, fights := range byTaker(unasked, ns.Labels) {
		fighting := meshesOf(fights)
		f := manyFinding(ns, fights, becauseTaken(fighting, ns.Labels))
		f.Action = Warn
		f.Ways = w.remedied(func() remedy { return changeMeshes(ns, f, inAll(takers(fighting, ns.Labels), fights), w) })
		found = append(found, f)
	}
	return found
}

func manyFinding(ns *mesh.Namespace, fights []fight, because string) Finding {
	bundle, _ := fights[0].a.Discovers(ns.Labels)
	f := Finding{
		Field:  "metadata.labels",
		Detail: because + " discover it",
		Effect: fmt.Sprintf("their istiods would overwrite each other's ConfigMap %s in it, and its pods would see x509 errors that come and go", bundle.TrustBundle),
	}
	for _, pair := range fights {
		f.Subjects = append(f.Subjects, pair.String())
	}
	return f
}

// fight is two meshes, by name, that discover a namespace and overwrite each other's ConfigMap in it.
type fight struct{ a, b *mesh.Mesh }

func (f fight) of(m *mesh.Mesh) bool { return f.a == m || f.b == m }

// String is what a finding about the fight has as a subject.
func (f fight) String() string { return f.a.String() + " and " + f.b.String() }

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

// bothAsk reports whether two meshes that fight over a namespace do so only through selectors that ask for a label of it. Its name
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
func keepOne(ns *mesh.Namespace, f Finding, meshes []*mesh.Mesh, atAll bool, w *World) remedy {
	label := "keep it in %s"
	if atAll {
		label += " only"
	}
	var ways remedy
	var without []*mesh.Mesh // those for which no labels do it
	for _, m := range meshes {
		edits, ok := only(m, ns.Labels, w)
		edits = sortedEdits(append(edits, injectedToo(m, ns.Labels, w.Fleet)...))
		if keep := w.labels(ns, f, discoveredByMany, labelling{fmt.Sprintf(label, m.Name), edits}); ok && len(keep) > 0 {
			ways = append(ways, keep...)
		} else {
			without = append(without, m)
		}
	}
	switch {
	case len(ways) == 0:
		return remedy{say("the owners of " + theMeshes(meshes) + " have to change their selectors so that only one of them matches")}
	case len(without) > 0 && !w.exhausted(): // or it is not known
		ways = append(ways, say(fmt.Sprintf("to keep it in %s, the selectors of the others have to change first", plainly(without))))
	}
	return ways
}

// takers returns the meshes that discover the namespace without asking for a label of it.
func takers(meshes []*mesh.Mesh, labels map[string]string) []*mesh.Mesh {
	return slices.DeleteFunc(slices.Clone(meshes), func(m *mesh.Mesh) bool {
		_, _, unasked := taken(m, labels)
		return !unasked
	})
}

// byTaker puts fights together that the change of one mesh ends, which takes the namespace without asking for a label: all, if one is in all.
func byTaker(fights []fight, labels map[string]string) (parts [][]fight) {
	takers := takers(meshesOf(fights), labels)
	if len(inAll(takers, fights)) > 0 {
		return [][]fight{fights}
	}
	for _, m := range takers {
		var own, others []fight
		for _, pair := range fights {
			if pair.of(m) {
				own = append(own, pair)
			} else {
				others = append(others, pair)
			}
		}
		if fights = others; len(own) > 0 {
			parts = append(parts, own)
		}
	}
	return parts
}

// inAll returns the meshes that are in all fights.
func inAll(meshes []*mesh.Mesh, fights []fight) []*mesh.Mesh {
	return slices.DeleteFunc(slices.Clone(meshes), func(m *mesh.Mesh) bool {
		return slices.ContainsFunc(fights, func(pair fight) bool { return !pair.of(m) })
	})
}

// changeMeshes says which mesh has to change, not the namespace, with the commands of the first ones: one of them is enough.
func changeMeshes(ns *mesh.Namespace, f Finding, meshes []*mesh.Mesh, w *World) remedy {
	is := func(after *mesh.Fleet, namespaces []mesh.Namespace) bool {
		i := slices.IndexFunc(namespaces, func(other mesh.Namespace) bool { return other.Name == ns.Name })
		return !among(f, discoveredByMany(&namespaces[i], w.in(after)))
	}
	var ways remedy
	for i, m := range meshes[:min(len(meshes), maxNamed)] {
		label := fmt.Sprintf("change %s and not the namespace", m.Ref)
		if i > 0 {
			label = fmt.Sprintf("or change %s", m.Ref)
		}
		ways = append(ways, w.changeTaker(label, ns, m, is)...)
	}
	return ways
}

// changeTaker is what has to become of one mesh.
func (w *World) changeTaker(label string, ns *mesh.Namespace, m *mesh.Mesh, is cured) remedy {
	if source, _, _ := taken(m, ns.Labels); source != &m.Sources[0] {
		return remedy{say(revisionRemedy(m, source, "selector"))}
	}
	if all := w.everyNamespace(); all != nil {
		ways := ownSelectors(label, m, w.withNamespaces(all, ns.Name, ns.Labels), is)
		if len(ways) > 0 && (!w.Updating || reflect.DeepEqual(ways, ownSelectors(label, m, w.withNamespaces(all, ns.Name, w.Stored), is))) {
			return ways
		}
	}
	return remedy{say(label + ": " + byHand(m, w))}
}

// everyNamespace returns the cluster's namespaces, nil if they cannot be had.
func (w *World) everyNamespace() []mesh.Namespace {
	if w.all == nil {
		return nil
	}
	return w.all()
}

// withNamespaces is the world of a namespace with all namespaces in it, of which this one has these labels: whether a mesh can change
// depends on them.
func (w *World) withNamespaces(all []mesh.Namespace, name string, labels map[string]string) *World {
	known, this := *w, mesh.Namespace{Name: name, Labels: labels}
	known.Namespaces = slices.Clone(all)
	if i := slices.IndexFunc(known.Namespaces, func(other mesh.Namespace) bool { return other.Name == name }); i >= 0 {
		known.Namespaces[i] = this
	} else {
		known.Namespaces = append(known.Namespaces, this)
	}
	return &known
}
