package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// overlappingSelectors finds, for each other mesh, the label sets that both would match. A selector of the mesh itself
// that selects everything is discoversEverything's to report.
func overlappingSelectors(m *mesh.Mesh, w *World) []Finding {
	var found []Finding
	for _, other := range w.Fleet.Meshes() {
		if other.Ref == m.Ref {
			continue
		}
		if pairs := clashes(m, other, w.Now); len(pairs) > 0 {
			found = append(found, overlapFinding(m, other, pairs, w))
		}
	}
	return found
}

// clashes returns the overlaps without an excuse.
func clashes(m, other *mesh.Mesh, now int64) []mesh.Overlap {
	return slices.DeleteFunc(mesh.Overlaps(m, other, now), func(o mesh.Overlap) bool {
		return !unexcused(o) || o.Source == &m.Sources[0] && o.Term.Selector.Everything()
	})
}

// maxSearches bounds how often one judgement asks whether a region was covered before; only a mesh with very many selectors
// that all change and all overlap gets there. What was not looked at counts as new.
const maxSearches = 10000

// overlappedBefore says whether the change puts no namespace into both meshes that could not be in both already: then it
// makes nothing worse, even if it rewrites the selectors. Beside a mesh that discovers everything no selector can be
// right, so there the finding stays the old one, and the change may well repair something else.
func overlappedBefore(f Finding, old, updated *mesh.Mesh, w *World) bool {
	for _, other := range w.Fleet.Meshes() {
		if f.Subjects[0] == other.String() && !overlapsNoMore(old, clashes(updated, other, w.Now), w.Now, other) {
			return false
		}
	}
	return true
}

// overlapsNoMore says whether each of the pairs lies in what old and the other mesh shared.
func overlapsNoMore(old *mesh.Mesh, pairs []mesh.Overlap, now int64, other *mesh.Mesh) bool {
	searches := 0
	for _, pair := range pairs {
		before := fighting(old, pair.OtherSource, other, now)
		if pair.OtherTerm.Selector.Everything() && len(before) > 0 || slices.ContainsFunc(before, pair.Term.Selector.Equal) {
			continue
		}
		if searches++; searches > maxSearches {
			return false
		}
		if _, covered := selector.Uncovered(pair.Region(), before); covered != selector.Covered {
			return false
		}
	}
	return true
}

// fighting returns the selectors of m's sources that may not overlap with a source of another mesh.
func fighting(m *mesh.Mesh, source *mesh.Source, other *mesh.Mesh, now int64) []selector.Selector {
	var selectors []selector.Selector
	for i := range m.Sources {
		if mesh.ExcuseOf(m, &m.Sources[i], other, source, now) != mesh.NoExcuse {
			continue
		}
		for _, term := range m.Sources[i].Terms {
			selectors = append(selectors, term.Selector)
		}
	}
	return selectors
}

func overlapFinding(m, other *mesh.Mesh, pairs []mesh.Overlap, w *World) Finding {
	first := pairs[0]
	detail := fmt.Sprintf("%s and %s both match %s", place(m, first.Source, first.Term), place(other, first.OtherSource, first.OtherTerm),
		witness(first.Witness()))
	switch more := len(pairs) - 1; more {
	case 0:
	case 1:
		detail += " (and one more pair of their selectors overlaps)"
	default:
		detail += fmt.Sprintf(" (and %d more pairs of their selectors overlap)", more)
	}
	if hit := namespacesInBoth(m, other, w); len(hit) > 0 {
		detail += "; namespaces that both match now: " + namespaceNames(hit)
	}
	if by, inForce := mesh.Declaration(m, other, w.Now); by != nil && !inForce {
		detail += ", and " + ended(by)
	}
	return Finding{
		Field:    first.Term.Path,
		Detail:   detail + "; their istiods would overwrite each other's ConfigMap " + first.Source.TrustBundle + " there",
		Remedy:   disjoinRemedy(m, other, first, w),
		Subjects: []string{other.String()},
	}
}

// place names a selector: its object, and the mesh too if the object is one of its revisions.
func place(m *mesh.Mesh, s *mesh.Source, t *mesh.Term) string {
	object := s.String()
	if s.Ref != m.Ref {
		object += " of " + m.String()
	}
	switch s.Listing {
	case mesh.Unset:
		return object + " (no discoverySelectors: every namespace)"
	case mesh.Invalid:
		return object + " (a selector that does not parse: every namespace)"
	default:
		return fmt.Sprintf("%s %s (%s)", object, t.Path, t.Selector)
	}
}

func witness(labels map[string]string) string {
	if len(labels) == 0 {
		return "a namespace without labels"
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return "a namespace with " + strings.Join(pairs, ",")
}

// namespacesInBoth returns the existing namespaces that both meshes discover and fight over.
func namespacesInBoth(m, other *mesh.Mesh, w *World) []string {
	var names []string
	for i := range w.Namespaces {
		ns := &w.Namespaces[i]
		if discovers(m, ns) && discovers(other, ns) && mesh.ExcuseFor(m, other, ns.Labels, w.Now) == mesh.NoExcuse {
			names = append(names, ns.Name)
		}
	}
	return names
}

func discovers(m *mesh.Mesh, ns *mesh.Namespace) bool {
	source, _ := m.Discovers(ns.Labels)
	return source != nil
}

// disjoinRemedy is an edit after which this pair of selectors no longer overlaps.
func disjoinRemedy(m, other *mesh.Mesh, pair mesh.Overlap, w *World) string {
	if leftBehind(other, m) {
		return deleteLeftBehind(other)
	}
	if pair.Source != &m.Sources[0] {
		return revisionRemedy(m, pair.Source)
	}
	older := pair.OtherSource != &other.Sources[0]
	if pair.OtherTerm.Selector.Everything() && !older {
		return fmt.Sprintf("Give %s a selector of its own first: %s", other.Ref, selectorCommand(other, w))
	}
	if r, ok := pair.Term.Selector.Exclude(pair.OtherTerm.Selector); ok {
		return fmt.Sprintf("To keep them apart, add to the matchExpressions of %s of %s: %s", pair.Term.Path, m.Ref, requirement(r))
	}
	if older {
		return revisionRemedy(other, pair.OtherSource)
	}
	if own, ok := ownSelector(m, w); ok {
		return fmt.Sprintf("%s takes all that this selector matches: choose another one for %s, for example %s", other.Ref, pair.Term.Path,
			selectorYAML(own))
	}
	return fmt.Sprintf("%s takes all that this selector matches: choose another one for %s, or narrow that of %s first", other.Ref,
		pair.Term.Path, other.Ref)
}

// revisionRemedy tells how a selector goes away that is not a mesh's own but that of one of its IstioRevisions.
func revisionRemedy(m *mesh.Mesh, s *mesh.Source) string {
	if s.Name == m.ActiveRevision {
		return fmt.Sprintf("The selector is the old one of the active %s: wait until the operator has brought that up to date with %s",
			s.Ref, m.Ref)
	}
	return fmt.Sprintf("The selector is that of the older %s: move its namespaces to another revision of %s first, so that the operator removes it",
		s.Ref, m.Ref)
}

// requirement shows a requirement as YAML in one line.
func requirement(r metav1.LabelSelectorRequirement) string {
	if len(r.Values) == 0 {
		return fmt.Sprintf("{key: %s, operator: %s}", r.Key, r.Operator)
	}
	values := make([]string, len(r.Values))
	for i, v := range r.Values {
		values[i] = yamlValue(v)
	}
	return fmt.Sprintf("{key: %s, operator: %s, values: [%s]}", r.Key, r.Operator, strings.Join(values, ", "))
}
