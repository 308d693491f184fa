package mesh

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// lists are the lists of selectors that a fleet has read, so that the next one need not read them again: to read a million
// values takes a second. A list is known by where it is in memory, which works because objects are not written.
type lists map[list][]Term

// list is one list of selectors: its first item and their number.
type list struct {
	first **metav1.LabelSelector
	size  int
}

func listOf(items []*metav1.LabelSelector) list { return list{first: &items[0], size: len(items)} }

// listsOf are the lists that meshes have read without an error.
func listsOf(meshes []*Mesh) lists {
	known := make(lists, len(meshes))
	for _, m := range meshes {
		for i := range m.Sources {
			if s := &m.Sources[i]; s.Listing == Selective {
				known[listOf(s.items)] = s.Terms
			}
		}
	}
	return known
}

// terms reads a list, or returns what was read of it before.
func (l lists) terms(items []*metav1.LabelSelector, at *field.Path) ([]Term, field.ErrorList) {
	if len(items) == 0 {
		return nil, nil
	}
	if terms, ok := l[listOf(items)]; ok {
		return terms, nil
	}
	return parseTerms(items, at)
}
