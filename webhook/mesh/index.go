package mesh

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/selector"
)

// index finds the meshes that discover a label set without trying every selector of the cluster: a selector is tried only
// if the label set carries its anchor (see selector.Selector.Anchor). With one label key for all meshes, as in the guides,
// that is one selector, however many meshes there are.
type index struct {
	entries []entry
	anchors map[string]*anchors // by label key
	// keys are the same in a list: to go through a map of one key takes longer than the rest of a look at a namespace.
	keys []*anchors
	// free are the selectors without an anchor: those for everything, and those that only exclude. Selectors are named by
	// their places among the entries, here and below.
	free []int32
}

// anchors are the selectors that have one label key as their anchor.
type anchors struct {
	key string
	// byValue has the selector of each value, or, where several have one, the complement of a place in several. There may be
	// a million values, of which nearly all have one selector.
	byValue map[string]int32
	several [][]int32
	any     []int32
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
			for j, t := range s.Terms {
				// The operator copies an Istio's selectors into its IstioRevision.
				if own := &m.Sources[0]; s.Ref != own.Ref && j < len(own.Terms) && t.Selector.Equal(own.Terms[j].Selector) {
					continue
				}
				x.add(entry{mesh: int32(i), selector: t.Selector}) //nolint:gosec // there are not that many meshes
			}
		}
	}
	return x
}

func (x *index) add(e entry) {
	place := int32(len(x.entries)) //nolint:gosec // there are not that many selectors
	x.entries = append(x.entries, e)
	key, values, ok := e.selector.Anchor()
	if !ok {
		x.free = append(x.free, place)
		return
	}
	at := x.anchors[key]
	if at == nil {
		at = &anchors{key: key, byValue: map[string]int32{}}
		x.anchors[key] = at
		x.keys = append(x.keys, at)
	}
	if len(values) == 0 {
		at.any = append(at.any, place)
	}
	for _, value := range values {
		at.add(value, place)
	}
}

func (a *anchors) add(value string, place int32) {
	switch first, taken := a.byValue[value]; {
	case !taken:
		a.byValue[value] = place
	case first < 0:
		a.several[^first] = append(a.several[^first], place)
	default:
		a.byValue[value] = ^int32(len(a.several)) //nolint:gosec // there are not that many selectors
		a.several = append(a.several, []int32{first, place})
	}
}

// matching appends the places of the meshes with a selector that matches, each once, in order.
func (x *index) matching(found []int32, labels map[string]string) []int32 {
	found = x.appendMatching(found, x.free, labels)
	// Whichever is shorter: a cluster uses few label keys, but nothing prevents a key for each mesh.
	if len(x.anchors) < len(labels) {
		for _, at := range x.keys {
			if value, present := labels[at.key]; present {
				found = x.matchingAt(found, at, value, labels)
			}
		}
	} else {
		for key, value := range labels {
			if at := x.anchors[key]; at != nil {
				found = x.matchingAt(found, at, value, labels)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// effort is how many labels and selectors matching looks at.
func (x *index) effort(labels map[string]string) int {
	all := len(x.free) + min(len(x.anchors), len(labels))
	for key, value := range labels {
		at := x.anchors[key]
		if at == nil {
			continue
		}
		all += len(at.any)
		if place, ok := at.byValue[value]; ok && place < 0 {
			all += len(at.several[^place])
		}
	}
	return all
}

func (x *index) matchingAt(found []int32, at *anchors, value string, labels map[string]string) []int32 {
	found = x.appendMatching(found, at.any, labels)
	switch place, ok := at.byValue[value]; {
	case !ok:
		return found
	case place < 0:
		return x.appendMatching(found, at.several[^place], labels)
	default:
		return x.appendMatching(found, []int32{place}, labels)
	}
}

func (x *index) appendMatching(found, places []int32, labels map[string]string) []int32 {
	for _, place := range places {
		if e := &x.entries[place]; e.selector.Matches(labels) {
			found = append(found, e.mesh)
		}
	}
	return found
}

// any reports whether a selector matches.
func (x *index) any(labels map[string]string) bool {
	if x.anyOf(x.free, labels) {
		return true
	}
	for _, at := range x.keys {
		value, present := labels[at.key]
		if !present {
			continue
		}
		if x.anyOf(at.any, labels) {
			return true
		}
		if place, ok := at.byValue[value]; ok && (place >= 0 && x.entries[place].selector.Matches(labels) || place < 0 && x.anyOf(at.several[^place], labels)) {
			return true
		}
	}
	return false
}

func (x *index) anyOf(places []int32, labels map[string]string) bool {
	return slices.ContainsFunc(places, func(place int32) bool { return x.entries[place].selector.Matches(labels) })
}
