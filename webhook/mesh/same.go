package mesh

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// SameLists reports whether two states of one mesh have the same lists of selectors as they are written, not only what comes of
// them. The operator's copies of the Istio's list bring nothing of their own.
func (m *Mesh) SameLists(other *Mesh) bool { return m.sameBut(other, (*Source).sameList) }

// SameOverlap is SameLists for all that decides with whom the mesh may overlap.
func (m *Mesh) SameOverlap(other *Mesh) bool {
	return reflect.DeepEqual(m.Allowed, other.Allowed) && m.sameBut(other, func(s, before *Source) bool {
		return s.TrustBundle == before.TrustBundle && s.sameList(before)
	})
}

func (m *Mesh) sameBut(other *Mesh, same func(s, before *Source) bool) bool {
	if fmt.Sprint(m.Malformed) != fmt.Sprint(other.Malformed) || !same(&m.Sources[0], &other.Sources[0]) {
		return false
	}
	return !slices.ContainsFunc(m.Sources[1:], func(s Source) bool {
		return !slices.ContainsFunc(other.Sources, func(before Source) bool { return same(&s, &before) })
	})
}

func (s *Source) sameList(other *Source) bool {
	return s.Listing == other.Listing && reflect.DeepEqual(s.items, other.items)
}

// SameSelectors reports whether two sources discover through the same selectors, in whichever order.
func (s *Source) SameSelectors(other *Source) bool {
	return s.Listing == other.Listing && maps.Equal(texts(s.Terms), texts(other.Terms))
}

// texts are selectors as text, each once: that is the same for equal selectors.
func texts(terms []Term) map[string]bool {
	all := make(map[string]bool, len(terms))
	for i := range terms {
		all[terms[i].Selector.String()] = true
	}
	return all
}
