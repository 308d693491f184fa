package selector_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/selector"
)

func TestNamesAreListedWhereNothingElseIsAskedFor(t *testing.T) {
	const name = selector.NameLabel
	for _, c := range []struct {
		of      requirements
		names   []string
		anyName bool
	}{
		{of: requirements{}},
		{of: requirements{in("a", "x")}},
		{of: requirements{notIn("a", "x")}},
		{of: requirements{in(name, "shop", "cart")}, names: []string{"cart", "shop"}},
		{of: requirements{in(name, "shop", "A.b")}, names: []string{"shop"}},
		{of: requirements{in(name, "A.b")}},
		{of: requirements{in(name, "shop"), notIn(name, "shop")}},
		{of: requirements{in(name, "shop", "cart"), notIn(name, "shop")}, names: []string{"cart"}},
		{of: requirements{notIn(name, "shop")}, anyName: true},
		{of: requirements{exists(name)}, anyName: true},
		{of: requirements{absent(name)}},
		{of: requirements{absent(name), notIn("a", "x")}},
		{of: requirements{in(name, "shop"), in("a", "x")}},
		{of: requirements{in(name, "shop"), exists("z")}},
		{of: requirements{notIn(name, "shop"), exists("z")}},
		{of: requirements{in(name, "shop"), absent("z")}, names: []string{"shop"}},
		{of: requirements{in(name, "shop"), notIn("a", "x")}, names: []string{"shop"}},
		{of: requirements{notIn(name, "shop"), notIn("a", "x")}, anyName: true},
	} {
		names, anyName := parse(t, c.of...).ByName()
		if !slices.Equal(names, c.names) || anyName != c.anyName {
			t.Errorf("%v: %q %v, want %q %v", c.of, names, anyName, c.names, c.anyName)
		}
	}
	if names, anyName := (selector.Selector{}).ByName(); names != nil || anyName {
		t.Errorf("the zero value, which selects nothing: %q %v", names, anyName)
	}
}
