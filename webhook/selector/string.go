package selector

import "strings"

// String returns s as kubectl's --selector takes it, sorted by key: `istio-discovery=mesh-1`, `env in (dev,prod)`,
// `env notin (a)`, `team`, `!team`, joined by commas. No requirement at all is `{}`. A selector that no label map
// matches is `<nothing>`; one that only no namespace can match (see Nothing) is shown as it is. Two selectors have the
// same text if and only if they match the same label maps.
func (s Selector) String() string {
	if !s.set {
		return "<nothing>"
	}
	if len(s.constraints) == 0 {
		return "{}"
	}
	parts := make([]string, 0, len(s.constraints))
	for _, c := range s.constraints {
		if c.contradictory() {
			return "<nothing>"
		}
		parts = append(parts, c.String())
	}
	return strings.Join(parts, ",")
}

// contradictory reports whether no state at all is left for the key.
func (c constraint) contradictory() bool {
	return !c.absent && !c.except && len(c.values) == 0
}

// String returns c as part of a kubectl selector. c must come from requirements: complements can be sets that kubectl
// has no words for.
func (c constraint) String() string {
	list := "(" + strings.Join(c.values, ",") + ")"
	switch {
	case c.absent && !c.except:
		return "!" + c.key
	case c.absent:
		return c.key + " notin " + list
	case c.except && len(c.values) == 0:
		return c.key
	case c.except:
		return c.key + "," + c.key + " notin " + list
	case len(c.values) == 1:
		return c.key + "=" + c.values[0]
	default:
		return c.key + " in " + list
	}
}
