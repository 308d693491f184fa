package mesh

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/selector"
)

// index finds the meshes that discover a label set without trying every selector of the cluster: a selector is tried only
// if the label set carries its anchor (see selector.Selector.Anchor). With one label key for all meshes, as in the guides,
// that is one selector, however many meshes there are.
type index struct {
	anchors map[string]*anchors // by label key
	// free are the selectors without an anchor: those for everything, and those that only exclude.
	free []entry
}

// anchors are the selectors that have one label key as their anchor.
type anchors struct {
	byValue map[string][]entry
	any     []entry
}

// entry is one selector and the place of its mesh in the fleet's list.
type entry struct {
	mesh     int32
	selector selector.Selector
}

func newIndex(meshes []*Mesh) index {
	x := index{anchors: map[string]*anchors{}}
	for i, m := range meshes {
		for _, s := range m.Sources {
			for _, t := range s.Terms {
				x.add(entry{mesh: int32(i), selector: t.Selector}) //nolint:gosec // there are not that many meshes
			}
		}
	}
	return x
}

func (x *index) add(e entry) {
	key, values, ok := e.selector.Anchor()
	if !ok {
		x.free = append(x.free, e)
		return
	}
	at := x.anchors[key]
	if at == nil {
		at = &anchors{byValue: map[string][]entry{}}
		x.anchors[key] = at
	}
	if len(values) == 0 {
		at.any = append(at.any, e)
	}
	for _, value := range values {
		at.byValue[value] = append(at.byValue[value], e)
	}
}

// matching appends the places of the meshes with a selector that matches, each once, in order.
func (x *index) matching(found []int32, labels map[string]string) []int32 {
	found = appendMatching(found, x.free, labels)
	// Whichever is shorter: a cluster uses few label keys, but nothing keeps anybody from a key for each mesh.
	if len(x.anchors) < len(labels) {
		for key, at := range x.anchors {
			if value, present := labels[key]; present {
				found = at.matching(found, value, labels)
			}
		}
	} else {
		for key, value := range labels {
			if at := x.anchors[key]; at != nil {
				found = at.matching(found, value, labels)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (a *anchors) matching(found []int32, value string, labels map[string]string) []int32 {
	return appendMatching(appendMatching(found, a.any, labels), a.byValue[value], labels)
}

func appendMatching(found []int32, entries []entry, labels map[string]string) []int32 {
	for i := range entries {
		if e := &entries[i]; e.selector.Matches(labels) {
			found = append(found, e.mesh)
		}
	}
	return found
}
