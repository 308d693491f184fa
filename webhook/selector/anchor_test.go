package selector_test

import (
	"slices"
	"testing"
)

func TestAnAnchorIsTheKeyWithTheFewestValues(t *testing.T) {
	for _, c := range []struct {
		of     requirements
		key    string
		values []string
		ok     bool
	}{
		{of: requirements{}},
		{of: requirements{absent("a"), notIn("b", "x")}},
		{of: requirements{in("a", "x", "y")}, key: "a", values: []string{"x", "y"}, ok: true},
		{of: requirements{in("a", "x", "y"), in("b", "z")}, key: "b", values: []string{"z"}, ok: true},
		{of: requirements{in("b", "z"), in("c", "x", "y")}, key: "b", values: []string{"z"}, ok: true},
		{of: requirements{exists("a"), in("b", "z")}, key: "b", values: []string{"z"}, ok: true},
		{of: requirements{exists("a")}, key: "a", ok: true},
		{of: requirements{exists("a"), notIn("a", "x")}, key: "a", ok: true},
	} {
		key, values, ok := parse(t, c.of...).Anchor()
		if key != c.key || !slices.Equal(values, c.values) || ok != c.ok {
			t.Errorf("%v: %q %v %v, want %q %v %v", c.of, key, values, ok, c.key, c.values, c.ok)
		}
	}
}

// An index by anchors must never miss a selector that matches.
func TestWhateverASelectorMatchesCarriesItsAnchor(t *testing.T) {
	u := smallUniverse()
	for _, s := range u.enumerate(t) {
		key, values, ok := s.selector.Anchor()
		for i, m := range u.maps {
			value, present := m[key]
			carries := !ok || present && (len(values) == 0 || slices.Contains(values, value))
			if s.maps.has(i) && !carries {
				t.Fatalf("%s matches %v without its anchor %s %v", s.selector, m, key, values)
			}
		}
	}
}
