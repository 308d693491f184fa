package selector

// Anchor returns a label that an object must carry for s to select it: the key and the only values that it may have, the
// fewest that s lists for a key; no values mean that any may do. ok is false if s selects objects without labels too. An
// index of many selectors by their anchors finds the few that can select an object without trying all of them.
//
// Values are sorted and must not be written. A selector that contradicts itself may have a key with ok true and no value
// that would help; it is then found under any value, and selects nothing.
func (s Selector) Anchor() (key string, values []string, ok bool) {
	for i := range s.constraints {
		c := &s.constraints[i]
		switch {
		case c.absent:
		case !c.except && (values == nil || len(c.values) < len(values)):
			key, values, ok = c.key, c.values, true
		case !ok:
			key, ok = c.key, true
		}
	}
	return key, values, ok
}
