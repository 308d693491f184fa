package mesh

import (
	"iter"
	"slices"
	"time"

	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// The annotations that declare an overlap, see sail.AllowedOverlap.
const (
	AllowOverlapAnnotation      = sail.AllowOverlapAnnotation
	AllowOverlapUntilAnnotation = sail.AllowOverlapUntilAnnotation
)

// OverrideAnnotation names the rules whose denials are to be warnings.
const OverrideAnnotation = sail.OverrideAnnotation

// Excuse says why two sources may overlap. The zero value is invalid.
type Excuse int

// Why an overlap is or is not accepted.
const (
	// NoExcuse: the overlap puts namespaces into two meshes.
	NoExcuse Excuse = iota + 1
	// Declared: the annotation meshfence.io/allow-overlap of either mesh names the other, and has not expired.
	Declared
	// OtherTrustBundle: the two istiods write ConfigMaps of different names and do not fight. That of the list of revoked
	// certificates may be the same: both write an empty one unless a mesh's Secret cacerts has a list
	// (watchCACRL and reconcileCACertAndCRL in istio/pilot/pkg).
	OtherTrustBundle
)

// Overlap is a pair of selectors of two meshes that some namespace could both match.
type Overlap struct {
	// Source and Term are one mesh's; OtherSource and OtherTerm the other's.
	Source, OtherSource *Source
	Term, OtherTerm     *Term
	Excuse              Excuse
}

// Witness is the smallest label set that both match.
func (o Overlap) Witness() map[string]string {
	witness, _ := selector.Overlap(o.Term.Selector, o.OtherTerm.Selector)
	return witness
}

// Region is the selector of all namespaces that the overlap concerns.
func (o Overlap) Region() selector.Selector {
	return selector.And(o.Term.Selector, o.OtherTerm.Selector)
}

// Comparison finds where one mesh overlaps with others. It is immutable.
type Comparison struct {
	mesh  *Mesh
	now   time.Time
	index *selector.Index
	terms []selector.Selector
}

// Compare prepares the comparison of a mesh with others. now decides whether a declaration has expired.
func Compare(m *Mesh, now time.Time) *Comparison {
	terms := m.selectors()
	return &Comparison{mesh: m, now: now, index: selector.NewIndex(terms), terms: terms}
}

// selectors are those of all sources, in order.
func (m *Mesh) selectors() []selector.Selector {
	var all []selector.Selector
	for i := range m.Sources {
		for j := range m.Sources[i].Terms {
			all = append(all, m.Sources[i].Terms[j].Selector)
		}
	}
	return all
}

// Overlaps reports whether any selectors of the two meshes overlap.
func (c *Comparison) Overlaps(other *Mesh) bool {
	var candidates []int
	for i := range other.Sources {
		for j := range other.Sources[i].Terms {
			term := other.Sources[i].Terms[j].Selector
			candidates = c.index.Candidates(candidates[:0], term)
			if slices.ContainsFunc(candidates, func(k int) bool { return selector.Overlaps(c.terms[k], term) }) {
				return true
			}
		}
	}
	return false
}

// With yields every overlapping pair of selectors of the mesh and another one, in the order of the mesh's and then the
// other's sources and terms. It does no more work than the pairs need that are taken, besides one look at each selector.
func (c *Comparison) With(other *Mesh) iter.Seq[Overlap] {
	return c.Among(other, func(*Source, *Source) bool { return true })
}

// Among is With for the pairs of the mesh's and the other's sources that are wanted. To look for pairs that are not there
// costs little then: two meshes that may overlap can have millions of the others.
func (c *Comparison) Among(other *Mesh, wanted func(source, other *Source) bool) iter.Seq[Overlap] {
	return func(yield func(Overlap) bool) {
		sources := c.mesh.wanting(other, wanted)
		if len(sources) == 0 || !c.Overlaps(other) {
			return
		}
		index, declared := selector.NewIndex(other.selectors()), declares(c.mesh, other, c.now) || declares(other, c.mesh, c.now)
		var candidates []int
		for _, source := range sources {
			for j := range source.Terms {
				candidates = index.Candidates(candidates[:0], source.Terms[j].Selector)
				if !termOverlaps(source, &source.Terms[j], other, candidates, declared, wanted, yield) {
					return
				}
			}
		}
	}
}

// wanting returns the sources that are wanted with any of the other mesh's.
func (m *Mesh) wanting(other *Mesh, wanted func(source, other *Source) bool) []*Source {
	var sources []*Source
	for i := range m.Sources {
		if slices.ContainsFunc(other.Sources, func(s Source) bool { return wanted(&m.Sources[i], &s) }) {
			sources = append(sources, &m.Sources[i])
		}
	}
	return sources
}

// termOverlaps yields the overlaps of one selector with those of another mesh at these places, which are in order.
func termOverlaps(source *Source, term *Term, other *Mesh, places []int, declared bool, wanted func(source, other *Source) bool, yield func(Overlap) bool) bool {
	begin := 0 // the place of the source's first term
	for i := range other.Sources {
		theirs := &other.Sources[i]
		end, _ := slices.BinarySearch(places, begin+len(theirs.Terms))
		if !wanted(source, theirs) {
			places, begin = places[end:], begin+len(theirs.Terms)
			continue
		}
		for _, place := range places[:end] {
			their := &theirs.Terms[place-begin]
			if selector.Overlaps(term.Selector, their.Selector) && !yield(Overlap{
				Source: source, Term: term, OtherSource: theirs, OtherTerm: their, Excuse: excuse(source, theirs, declared),
			}) {
				return false
			}
		}
		places, begin = places[end:], begin+len(theirs.Terms)
	}
	return true
}

// Clashes is With for the pairs without an excuse.
func (c *Comparison) Clashes(other *Mesh) iter.Seq[Overlap] {
	declared := declares(c.mesh, other, c.now) || declares(other, c.mesh, c.now)
	return c.Among(other, func(a, b *Source) bool { return excuse(a, b, declared) == NoExcuse })
}

func excuse(a, b *Source, declared bool) Excuse {
	switch {
	case declared:
		return Declared
	case a.TrustBundle != b.TrustBundle:
		return OtherTrustBundle
	default:
		return NoExcuse
	}
}

// ExcuseOf reports whether a source of one mesh and a source of another may overlap.
func ExcuseOf(a *Mesh, source *Source, b *Mesh, other *Source, now time.Time) Excuse {
	return excuse(source, other, declares(a, b, now) || declares(b, a, now))
}

// ExcuseFor reports whether two meshes may both discover a namespace with these labels: NoExcuse if some pair of their
// sources that both match it would fight.
func ExcuseFor(a, b *Mesh, labels map[string]string, now time.Time) Excuse {
	if declares(a, b, now) || declares(b, a, now) {
		return Declared
	}
	for i := range a.Sources {
		for j := range b.Sources {
			if a.Sources[i].matches(labels) && b.Sources[j].matches(labels) && a.Sources[i].TrustBundle == b.Sources[j].TrustBundle {
				return NoExcuse
			}
		}
	}
	return OtherTrustBundle
}

func (s *Source) matches(labels map[string]string) bool {
	return slices.ContainsFunc(s.Terms, func(t Term) bool { return t.Selector.Matches(labels) })
}

// Declaration returns the mesh of the two whose annotation declares their overlap, and whether that is in force: of two
// declarations the one that ends last. It returns nil if neither names the other.
func Declaration(a, b *Mesh, now time.Time) (by *Mesh, inForce bool) {
	switch named, names := a.names(b), b.names(a); {
	case named && (!names || !a.Allowed.EndsBefore(b.Allowed)):
		return a, a.Allowed.InForce(now)
	case names:
		return b, b.Allowed.InForce(now)
	default:
		return nil, false
	}
}

func declares(a, b *Mesh, now time.Time) bool { return a.Allowed.InForce(now) && a.names(b) }

// names reports whether the mesh's declaration, in force or not, names the other. An Istio's name stands for what it leaves
// behind too: when two meshes are consolidated and one of them is deleted, its IstioRevision is there for a while longer.
func (m *Mesh) names(other *Mesh) bool {
	return slices.Contains(m.Allowed.Meshes, other.Name) || other.Owner != "" && slices.Contains(m.Allowed.Meshes, other.Owner)
}

// End reads such a time; one that cannot be read is the zero time.
func End(rfc3339 string) time.Time { return sail.End(rfc3339) }

// Moment returns a time as AllowOverlapUntilAnnotation takes it.
func Moment(t time.Time) string { return sail.Moment(t) }
