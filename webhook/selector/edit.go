package selector

// Edit is one change of a label: set Key to Value, or remove Key. Value is empty when Remove is true; a set Value can be
// empty too.
type Edit struct {
	Key    string
	Value  string
	Remove bool
}

// Edits returns the smallest set of label changes after which the labels match s, sorted by key; none if they match
// already. A label is removed if s allows its absence, else it gets the value that a witness would show (see Overlap).
//
// ok is false if no change of labels can help: s selects nothing, or it does not allow the value of NameLabel that is
// among the labels, and a namespace's name cannot be changed. Labels without NameLabel are taken for those of a
// namespace that is still to be created, and get one if s asks for it.
func (s Selector) Edits(labels map[string]string) (edits []Edit, ok bool) {
	if s.Nothing() {
		return nil, false
	}
	for _, c := range s.constraints {
		value, present := labels[c.key]
		if c.allows(value, present) {
			continue
		}
		if c.key == NameLabel && present {
			return nil, false
		}
		edits = append(edits, c.edit())
	}
	return edits, true
}

// edit returns a change that makes a label satisfy c, which must be possible.
func (c constraint) edit() Edit {
	if c.absent {
		return Edit{Key: c.key, Remove: true}
	}
	return Edit{Key: c.key, Value: c.pick()}
}
