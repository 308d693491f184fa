package selector

// ByName returns the names of the namespaces that s selects by a requirement on NameLabel while asking for no other label:
// all that can be known of a namespace without further labels. anyName is true if they cannot be listed, because the
// requirement excludes names, or wants any.
//
// A selector that asks for another label too selects no namespace without it, and one that does not mention NameLabel
// looks at no name; neither has names here, nor has one that selects nothing.
func (s Selector) ByName() (names []string, anyName bool) {
	for _, c := range s.constraints {
		switch {
		case c.key != NameLabel && !c.absent:
			return nil, false
		case c.key == NameLabel && c.except:
			anyName = true
		case c.key == NameLabel:
			names = filter(c.values, isDNSLabel)
		}
	}
	return names, anyName
}
