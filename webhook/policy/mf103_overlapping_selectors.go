package policy

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// overlappingSelectors finds, for each other mesh, the label sets that both would match. A selector of the mesh itself
// that selects everything is discoversEverything's to report.
func overlappingSelectors(m *mesh.Mesh, w *World) []Finding {
	var found []clash
	comparison := mesh.Compare(m, w.Now)
	for _, other := range w.Fleet.Meshes() {
		if other.Ref == m.Ref {
			continue
		}
		if first, pairs := countClashes(comparison, m, other); pairs > 0 {
			found = append(found, clash{other: other, first: first, pairs: pairs})
		}
	}
	namespacesOf(found, m, w)
	fought := sync.OnceValue(func() []*mesh.Mesh { return meshesFought(m, w) })
	findings := make([]Finding, len(found))
	for i := range found {
		findings[i] = overlapFinding(m, &found[i], w)
		if i < maxDenials { // a remedy is looked for among all selectors
			findings[i].Ways = w.remedied(func() remedy { return disjoinRemedy(m, &found[i], fought(), findings[i], w) })
		}
	}
	return findings
}

// clash is what a mesh has with another one.
type clash struct {
	other *mesh.Mesh
	first mesh.Overlap
	// pairs is how many pairs of selectors overlap, as far as they were counted.
	pairs int
	// namespaces are the first names of those that both match now, and hit is how many there are.
	namespaces []string
	hit        int
}

// maxPairs bounds the counting of pairs: two meshes with thousands of selectors each can have millions.
const maxPairs = 1000

func countClashes(comparison *mesh.Comparison, m, other *mesh.Mesh) (first mesh.Overlap, pairs int) {
	for pair := range clashes(comparison, m, other) {
		if pairs++; pairs == 1 {
			first = pair
		}
		if pairs > maxPairs {
			break
		}
	}
	return first, pairs
}

// clashes are the overlaps without an excuse.
func clashes(comparison *mesh.Comparison, m, other *mesh.Mesh) iter.Seq[mesh.Overlap] {
	return func(yield func(mesh.Overlap) bool) {
		for o := range comparison.Clashes(other) {
			if (o.Source != &m.Sources[0] || !o.Term.Selector.Everything()) && !yield(o) {
				return
			}
		}
	}
}

// overlappedBefore reports whether the change puts no namespace into both meshes that could not be in both already: then it
// makes nothing worse, even if it rewrites the selectors. Beside a mesh that takes namespaces without asking for a label hardly any
// selector can be right, so there the finding stays the old one, and the change may well repair something else.
func overlappedBefore(f Finding, old, updated *mesh.Mesh, w *World) bool {
	for _, other := range w.Fleet.Meshes() {
		if f.Subjects[0] == other.String() && !overlapsNoMore(old, updated, other, w) {
			return false
		}
	}
	return true
}

// overlapsNoMore reports whether each pair of selectors of updated and the other mesh that overlaps without an excuse lies in
// what old and the other mesh, as it is stored, shared.
func overlapsNoMore(old, updated, other *mesh.Mesh, w *World) bool {
	stored := w.Before.Mesh(other.Ref)
	if stored == nil {
		return false
	}
	before := make(map[mesh.Ref][]selector.Selector, len(stored.Sources))
	sources := make(map[mesh.Ref]*mesh.Source, len(stored.Sources))
	taken := make(map[mesh.Ref]bool, len(stored.Sources))
	for i := range stored.Sources {
		source := &stored.Sources[i]
		before[source.Ref], sources[source.Ref] = selectorsFought(old, source, stored, w.Now), source
		taken[source.Ref] = takesUnasked(source, before[source.Ref])
	}
	changed := withoutOld(updated, before, stored, other)
	for pair := range clashes(mesh.Compare(changed, w.Now), changed, other) {
		if !coveredBy(sources[pair.OtherSource.Ref], pair, w) {
			return false
		}
		shared := before[pair.OtherSource.Ref]
		if !pair.OtherTerm.Selector.AsksForLabel() && taken[pair.OtherSource.Ref] || slices.ContainsFunc(shared, pair.Term.Selector.Equal) {
			continue
		}
		if _, covered := w.searches.Uncovered(pair.Region(), shared); covered != selector.Covered {
			return false
		}
	}
	return true
}

// takesUnasked reports whether a source takes namespaces of some selectors without asking for a label.
func takesUnasked(s *mesh.Source, selectors []selector.Selector) bool {
	return slices.ContainsFunc(s.Terms, func(t mesh.Term) bool {
		return !t.Selector.AsksForLabel() && slices.ContainsFunc(selectors, func(of selector.Selector) bool { return selector.Overlaps(of, t.Selector) })
	})
}

// coveredBy reports whether a source of the other mesh, as it is stored, discovers the namespaces of an overlap already. It
// does, unless a change of that mesh is in flight.
func coveredBy(stored *mesh.Source, pair mesh.Overlap, w *World) bool {
	if stored == nil {
		return false
	}
	if stored.SameTerms(pair.OtherSource) || slices.ContainsFunc(stored.Terms, func(t mesh.Term) bool { return t.Selector.Equal(pair.OtherTerm.Selector) }) {
		return true
	}
	terms := make([]selector.Selector, len(stored.Terms))
	for i := range stored.Terms {
		terms[i] = stored.Terms[i].Selector
	}
	_, covered := w.searches.Uncovered(pair.Region(), terms)
	return covered == selector.Covered
}

// withoutOld leaves out of a mesh the selectors that fought with each source of another mesh before: nothing has to be asked
// about those, unless the other mesh is not as it is stored.
func withoutOld(m *mesh.Mesh, before map[mesh.Ref][]selector.Selector, stored, other *mesh.Mesh) *mesh.Mesh {
	if !stored.SameSelectors(other) {
		return m
	}
	times := map[string]int{} // how many sources a selector, by its text, fought with
	for _, selectors := range before {
		of := map[string]bool{}
		for _, s := range selectors {
			of[s.String()] = true
		}
		for text := range of {
			times[text]++
		}
	}
	changed := *m
	changed.Sources = slices.Clone(m.Sources)
	for i := range changed.Sources {
		changed.Sources[i].Terms = slices.DeleteFunc(slices.Clone(m.Sources[i].Terms), func(t mesh.Term) bool {
			return times[t.Selector.String()] == len(before)
		})
	}
	return &changed
}

// selectorsFought returns the selectors of m's sources that may not overlap with a source of another mesh. One that no namespace
// can match has never shared anything with another mesh, and would make what is new look old.
func selectorsFought(m *mesh.Mesh, source *mesh.Source, other *mesh.Mesh, now time.Time) []selector.Selector {
	var selectors []selector.Selector
	for i := range m.Sources {
		if mesh.ExcuseOf(m, &m.Sources[i], other, source, now) != mesh.NoExcuse {
			continue
		}
		for _, term := range m.Sources[i].Terms {
			if !term.Selector.Nothing() {
				selectors = append(selectors, term.Selector)
			}
		}
	}
	return selectors
}

func overlapFinding(m *mesh.Mesh, c *clash, w *World) Finding {
	other, first := c.other, c.first
	detail := fmt.Sprintf("%s and %s both match %s", place(m, m, first.Source, first.Term), place(m, other, first.OtherSource, first.OtherTerm),
		witness(first.Witness()))
	switch more := c.pairs - 1; more {
	case 0:
	case 1:
		detail += " (and one more pair of their selectors overlaps)"
	case maxPairs:
		detail += fmt.Sprintf(" (and %d or more other pairs of their selectors overlap)", maxPairs)
	default:
		detail += fmt.Sprintf(" (and %d more pairs of their selectors overlap)", more)
	}
	if c.hit > 0 {
		detail += "; namespaces that both match now: " + namesAndCount(c.namespaces, c.hit)
	}
	if by, inForce := mesh.Declaration(m, other, w.Now); by != nil && !inForce {
		detail += ", and " + ended(by)
	}
	f := Finding{
		Field:    first.Term.Path,
		In:       configMapOf(first.Source),
		Detail:   detail,
		Effect:   fmt.Sprintf("their istiods would overwrite each other's ConfigMap %s there", first.Source.TrustBundle),
		Subjects: []string{other.String()},
	}
	if first.OtherSource.Ref == other.Ref { // else it stands in an IstioRevision of the other mesh
		f.SubjectField = first.OtherTerm.Path
	}
	return f
}

// place names a selector of a mesh: of m itself, which is judged, or of another one.
func place(m, of *mesh.Mesh, s *mesh.Source, t *mesh.Term) string {
	selector, object := "its selector", ""
	if of != m || s.Ref != m.Ref && (m.Kind != mesh.KindIstiod || len(m.Sources) > 1) {
		selector, object = "a selector", " of "+s.String()
	}
	if s.Ref != of.Ref && of.Kind != mesh.KindIstiod { // whose ConfigMap says it
		object += " of " + of.String()
	}
	if s.Listing != mesh.Selective {
		return strings.TrimPrefix(object, " of ") + " (" + selects(s, t) + ")"
	}
	return selector + object + " (" + selects(s, t) + ")"
}

func witness(labels map[string]string) string {
	if len(labels) == 0 {
		return "a namespace without labels"
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return "a namespace with " + cut(strings.Join(pairs, ","), maxSelector)
}

// namespacesOf notes, for each clash, the existing namespaces that both meshes discover and fight over.
func namespacesOf(found []clash, m *mesh.Mesh, w *World) {
	if len(found) == 0 {
		return
	}
	byMesh, others := make(map[*mesh.Mesh]*clash, len(found)), make([]*mesh.Mesh, len(found))
	for i := range found {
		others[i] = found[i].other
		byMesh[found[i].other] = &found[i]
	}
	own, theirs := mesh.NewFinder(m), mesh.NewFinder(others...)
	var discovering []*mesh.Mesh
	for i := range w.Namespaces {
		ns := &w.Namespaces[i]
		if !own.Discover(ns.Labels) {
			continue
		}
		discovering = theirs.AppendDiscovering(discovering[:0], ns.Labels)
		for _, other := range discovering {
			if c := byMesh[other]; mesh.ExcuseFor(m, other, ns.Labels, w.Now) == mesh.NoExcuse {
				if c.hit++; c.hit <= maxNamed {
					c.namespaces = append(c.namespaces, ns.Name)
				}
			}
		}
	}
}

// disjoinRemedy are the ways to end an overlap: other selectors, its declaration, and another name of the ConfigMap. One declaration is
// about all meshes that it fights with: a second one would undo the first.
func disjoinRemedy(m *mesh.Mesh, c *clash, fought []*mesh.Mesh, f Finding, w *World) remedy {
	is := w.curedOf(m.Ref, f, overlappingSelectors)
	overlap := overlapWays(m, fought, w, is)
	if c.first.Source != &m.Sources[0] { // a revision has values of its own: only a declaration is about all of the mesh
		overlap = overlap[:min(1, len(overlap))]
	}
	return append(selectorsApart(m, c, fought, w, is), overlap...)
}

// selectorsApart are selectors that no longer overlap.
func selectorsApart(m *mesh.Mesh, c *clash, fought []*mesh.Mesh, w *World, is cured) remedy {
	other, pair := c.other, c.first
	older := pair.OtherSource != &other.Sources[0]
	switch takes := takesEverything(m, other, w); {
	case pair.Source != &m.Sources[0]:
		return remedy{say(revisionRemedy(m, pair.Source, "selector"))}
	case takes == &other.Sources[0]:
		return otherFirst(other, w, is)
	case takes != nil:
		return remedy{say(revisionRemedy(other, takes, "selector"))}
	}
	if keep := keepSelectors(m, w, is); len(keep) > 0 {
		return keep
	}
	others := slices.DeleteFunc(slices.Clone(fought), func(f *mesh.Mesh) bool { return takesEverything(m, f, w) != nil })
	if list, ok := narrowed(m, others); ok && w.Updating {
		p, ok := selecting(m, list, "")
		label := fmt.Sprintf("leave to %s what it takes", other.Ref)
		if len(others) > 1 {
			label = fmt.Sprintf("leave to %s what they take", joinAnd(refs(others)))
		}
		if ways := w.ways(label, p, ok, is); len(ways) > 0 {
			return ways
		}
	}
	return apartByHand(m, other, pair, older, w, is)
}

// takesEverything is the source of another mesh that selects every namespace and may not overlap with m, nil if there is none: beside that no
// selector of m can be right.
func takesEverything(m, other *mesh.Mesh, w *World) *mesh.Source {
	for i := range other.Sources {
		source := &other.Sources[i]
		everything := slices.ContainsFunc(source.Terms, func(t mesh.Term) bool { return t.Selector.Everything() })
		if everything && mesh.ExcuseOf(m, &m.Sources[0], other, source, w.Now) == mesh.NoExcuse {
			return source
		}
	}
	return nil
}

// otherFirst gives a mesh that discovers everything a selector of its own, or has its istiod read those that it has.
func otherFirst(other *mesh.Mesh, w *World, is cured) remedy {
	label := fmt.Sprintf("give %s a selector of its own first", other.Ref)
	if other.Sources[0].Listing == mesh.Unread && goodOnceRead(other, w) {
		if ways := w.ways(fmt.Sprintf("have the istiod of %s read its selectors first", other.Ref), reading(other, w), true, is); len(ways) > 0 {
			return ways
		}
	}
	return append(ownSelectors(label, other, w, is).or(byHand(other, w)), uninstalling(other)...)
}

// apartByHand says what the owners of the meshes can do. What changes a mesh that is stored is only told if it is admitted and helps.
func apartByHand(m, other *mesh.Mesh, pair mesh.Overlap, older bool, w *World, is cured) remedy {
	r, ok := pair.Term.Selector.Exclude(pair.OtherTerm.Selector)
	why := fmt.Sprintf("%s takes all that this selector matches", other.Ref)
	switch list, place := withRequirement(m, pair, r); {
	case ok && len(r.Values) > maxValues:
		why = fmt.Sprintf("%s takes very many values of %s", other.Ref, r.Key)
	case !ok || place < 0:
	case !w.Updating || w.mends(proposal{editing: editing{m.Ref, mesh.Edit{Selectors: list}}}, w.Namespaces, is):
		return remedy{run(fmt.Sprintf("keep them apart by one more item of matchExpressions in %s of %s", pair.Term.Path, m.Ref), requirement(r))}
	default:
		why = "one more requirement here is not enough"
	}
	if older {
		return remedy{say(revisionRemedy(other, pair.OtherSource, "selector"))}
	}
	if w.Updating {
		return ownSelectors(giveSelector, m, w, is).or(fmt.Sprintf("%s: choose another one for %s, or narrow that of %s first", why, pair.Term.Path, other.Ref))
	}
	if own, ok := ownSelector(m, w); ok {
		return remedy{run(fmt.Sprintf("%s: choose another one for %s, for example", why, pair.Term.Path), selectorYAML(own))}
	}
	return remedy{say(fmt.Sprintf("%s: choose another one for %s, or narrow that of %s first", why, pair.Term.Path, other.Ref))}
}

// withRequirement are the selectors of a mesh with one more requirement in the one of a pair, and the place of that; it is negative if nothing
// would be left there.
func withRequirement(m *mesh.Mesh, pair mesh.Overlap, r metav1.LabelSelectorRequirement) (list []*metav1.LabelSelector, place int) {
	i := slices.IndexFunc(m.Sources[0].Terms, func(t mesh.Term) bool { return t.Path == pair.Term.Path })
	list = slices.Clone(m.Sources[0].Items())
	if i < 0 || i >= len(list) || list[i] == nil {
		return list, -1
	}
	list[i] = list[i].DeepCopy()
	list[i].MatchExpressions = append(list[i].MatchExpressions, r)
	if parsed, errs := selector.Parse(list[i], nil); len(errs) > 0 || parsed.Nothing() {
		return list, -1
	}
	return list, i
}

// revisionRemedy tells how something goes away, such as a selector, that is not a mesh's own but that of one of its
// IstioRevisions.
func revisionRemedy(m *mesh.Mesh, s *mesh.Source, what string) string {
	if m.Kind == mesh.KindIstiod {
		return fmt.Sprintf("the %s is that of %s: change it there, or uninstall revision %q once it injects nothing", what, s.Ref, s.Revision)
	}
	if s.Name == m.ActiveRevision {
		return fmt.Sprintf("the %s is the old one of the active %s: wait until the operator has brought that up to date with %s",
			what, s.Ref, m.Ref)
	}
	return fmt.Sprintf("the %s is that of the older %s: move its namespaces to another revision of %s first, so that the operator removes it",
		what, s.Ref, m.Ref)
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
