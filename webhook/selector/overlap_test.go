package selector_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/selector"
)

// witness is what Overlap and Uncovered show; nil is none.
type witness = map[string]string

func TestOverlapOfEachPairOfOperatorsOnOneKey(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b requirements
		want witness
	}{
		{"if In and In share values, then the least shared one is shown", requirements{in("env", "c", "b", "a")}, requirements{in("env", "d", "c", "b")}, witness{"env": "b"}},
		{"if In and In share no value, then they are disjoint", requirements{in("env", "a")}, requirements{in("env", "b")}, nil},
		{"if In has the empty value, then it can be the witness", requirements{in("env", "", "a")}, requirements{in("env", "")}, witness{"env": ""}},
		{"if NotIn leaves a value of In, then that is shown", requirements{in("env", "a", "b")}, requirements{notIn("env", "a")}, witness{"env": "b"}},
		{"if NotIn leaves no value of In, then they are disjoint", requirements{in("env", "a")}, requirements{notIn("env", "a", "b")}, nil},
		{"if Exists meets In, then the value is shown", requirements{in("env", "a")}, requirements{exists("env")}, witness{"env": "a"}},
		{"if DoesNotExist meets In, then they are disjoint", requirements{in("env", "a")}, requirements{absent("env")}, nil},
		{"if NotIn meets NotIn, then no label is enough", requirements{notIn("env", "a")}, requirements{notIn("env", "b")}, witness{}},
		{"if Exists meets NotIn, then a value is made up", requirements{exists("env")}, requirements{notIn("env", "a")}, witness{"env": "any"}},
		{"if the made-up value is excluded, then the next one is shown", requirements{exists("env"), notIn("env", "any-2")}, requirements{notIn("env", "any")}, witness{"env": "any-3"}},
		{"if DoesNotExist meets NotIn, then no label is enough", requirements{absent("env")}, requirements{notIn("env", "a")}, witness{}},
		{"if Exists meets Exists, then a value is made up", requirements{exists("env")}, requirements{exists("env")}, witness{"env": "any"}},
		{"if DoesNotExist meets Exists, then they are disjoint", requirements{absent("env")}, requirements{exists("env")}, nil},
		{"if DoesNotExist meets DoesNotExist, then no label is enough", requirements{absent("env")}, requirements{absent("env")}, witness{}},
	} {
		t.Run(test.name, func(t *testing.T) { checkOverlap(t, test.a, test.b, test.want) })
	}
}

func TestOverlapOfSelectorsOnSeveralKeys(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b requirements
		want witness
	}{
		{"if both select everything, then the empty label set is the witness", nil, nil, witness{}},
		{"if one selects everything, then the other's labels are the witness", nil, requirements{in("mesh", "a"), absent("x")}, witness{"mesh": "a"}},
		{"if the meshes have different keys, then a namespace can have both labels", requirements{in("istio-discovery", "mesh-1")}, requirements{in("mesh", "mesh-2")}, witness{"istio-discovery": "mesh-1", "mesh": "mesh-2"}},
		{"if they differ in one key of several, then they are disjoint", requirements{in("env", "a"), in("mesh", "1")}, requirements{in("env", "a"), in("mesh", "2")}, nil},
		{"if the guide's selectors are used, then they are disjoint", requirements{in("istio-discovery", "mesh-1")}, requirements{in("istio-discovery", "mesh-2")}, nil},
		{"if one contradicts itself on a key of its own, then they are disjoint", requirements{in("z", "a"), notIn("z", "a")}, requirements{exists("b")}, nil},
		{"if the other contradicts itself on a key of its own, then they are disjoint", requirements{exists("z")}, requirements{exists("b"), absent("b")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { checkOverlap(t, test.a, test.b, test.want) })
	}
}

func TestOverlapKnowsThatEveryNamespaceHasItsName(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b requirements
		want witness
	}{
		{"if the name label must not exist, then nothing can overlap", requirements{absent(name)}, nil, nil},
		{"if neither wants the name label, then not even the same selector overlaps", requirements{absent(name)}, requirements{absent(name)}, nil},
		{"if the name label must exist, then the witness has a name", requirements{exists(name)}, nil, witness{name: "any"}},
		{"if the made-up name is excluded, then the witness has another", requirements{exists(name)}, requirements{notIn(name, "any")}, witness{name: "any-2"}},
		{"if names are only excluded, then the witness needs none", requirements{notIn(name, "a")}, requirements{notIn(name, "b")}, witness{}},
		{"if a name is asked for, then it is shown", requirements{in(name, "b", "a")}, requirements{notIn(name, "a")}, witness{name: "b"}},
		{"if names that cannot be come first, then they are skipped", requirements{in(name, "A", "", "a_b", "b")}, requirements{exists(name)}, witness{name: "b"}},
		{"if only a name that cannot be is shared, then they are disjoint", requirements{in(name, "A", "b")}, requirements{in(name, "A", "c")}, nil},
		{"if NotIn leaves only a name that cannot be, then they are disjoint", requirements{in(name, "A", "b")}, requirements{notIn(name, "b")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { checkOverlap(t, test.a, test.b, test.want) })
	}
}

// checkOverlap compares the witness, in either order of the selectors.
func checkOverlap(t *testing.T, a, b requirements, want witness) {
	t.Helper()
	for _, pair := range [][2]requirements{{a, b}, {b, a}} {
		got, overlaps := selector.Overlap(parse(t, pair[0]...), parse(t, pair[1]...))
		if diff := cmp.Diff(want, got); diff != "" || overlaps != (want != nil) {
			t.Errorf("overlaps: %v, witness (-want +got):\n%s", overlaps, diff)
		}
	}
}

func TestAndIsTheConjunction(t *testing.T) {
	a, b := parse(t, in("env", "a", "b"), exists("app")), parse(t, notIn("env", "a"), absent("team"))
	if diff := cmp.Diff("app,env=b,!team", selector.And(a, b).String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if !selector.And(a, selector.All()).Equal(a) {
		t.Error("everything and a selector do not give the selector")
	}
	if diff := cmp.Diff("app,env in (a,b)", a.String()); diff != "" {
		t.Errorf("And changed its argument (-want +got):\n%s", diff)
	}
}
