package selector

import "strings"

// Overlap reports whether some namespace, existing or not, could be selected by both a and b. If so, witness is the
// smallest label set that both match, never nil: only the labels that a or b asks for, each with its least allowed
// value, or with a made-up one (any, any-2, …) where nearly every value is allowed. NameLabel is among them only if a
// or b asks for it. The witness is valid as labels of a namespace, and the same for the same selectors in either order.
//
// The answer is exact. It costs one walk over the keys of a and b, with a binary search for each listed value.
func Overlap(a, b Selector) (witness map[string]string, overlaps bool) {
	if !a.meets(b) {
		return nil, false
	}
	return And(a, b).witness(), true
}

// Overlaps is Overlap without a witness. It does not allocate.
func Overlaps(a, b Selector) bool { return a.meets(b) }

// meets reports whether a namespace that can exist matches both s and other, without allocating.
func (s Selector) meets(other Selector) bool {
	a, b := s.constraints, other.constraints
	for len(a) > 0 && len(b) > 0 {
		var ok bool
		switch order := strings.Compare(a[0].key, b[0].key); {
		case order < 0:
			ok, a = a[0].possible(), a[1:]
		case order > 0:
			ok, b = b[0].possible(), b[1:]
		default:
			ok, a, b = meet(a[0], b[0]), a[1:], b[1:]
		}
		if !ok {
			return false
		}
	}
	return !Selector{s.set, a}.Nothing() && !Selector{other.set, b}.Nothing()
}

// witness returns the smallest label set that s matches. Some namespace must be able to match s.
func (s Selector) witness() map[string]string {
	labels := make(map[string]string, len(s.constraints))
	for _, c := range s.constraints {
		if !c.absent {
			labels[c.key] = c.pick()
		}
	}
	return labels
}
