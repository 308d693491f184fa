package selector_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/selector"
)

func TestUncoveredFindsWhatNoCoverSelects(t *testing.T) {
	for _, test := range []struct {
		name       string
		s          requirements
		covers     []requirements
		want       selector.Coverage
		wantLabels witness
	}{
		{"if there are no covers, then the selector's own witness is left", requirements{in("env", "a")}, nil, selector.NotCovered, witness{"env": "a"}},
		{"if the selector selects nothing, then it is covered by nothing", requirements{in("env", "a"), absent("env")}, nil, selector.Covered, nil},
		{"if a cover selects everything, then it covers", nil, []requirements{{exists("x")}, {}}, selector.Covered, nil},
		{"if a cover is the selector, then it covers", requirements{in("env", "a")}, []requirements{{in("env", "a")}}, selector.Covered, nil},
		{"if covers are disjoint from the selector, then they are skipped", requirements{in("env", "a")}, []requirements{{in("env", "b")}, {absent("env")}}, selector.NotCovered, witness{"env": "a"}},
		{"if covers share the selector's values out, then they cover", requirements{in("env", "a", "b")}, []requirements{{in("env", "a")}, {in("env", "b")}}, selector.Covered, nil},
		{"if one value is left over, then it is shown", requirements{in("env", "a", "b", "c")}, []requirements{{in("env", "a")}, {in("env", "c")}}, selector.NotCovered, witness{"env": "b"}},
		{"if covers need a label that the selector does not, then its absence is left", nil, []requirements{{in("env", "a")}, {in("env", "b")}}, selector.NotCovered, witness{}},
		{"if covers list values, then a value that none lists is left", requirements{exists("env")}, []requirements{{in("env", "any")}, {in("env", "b")}}, selector.NotCovered, witness{"env": "any-2"}},
		{"if Exists and DoesNotExist are covers, then together they cover", nil, []requirements{{exists("env")}, {absent("env")}}, selector.Covered, nil},
		{"if In and NotIn complete each other, then together they cover", nil, []requirements{{in("env", "a")}, {notIn("env", "a")}}, selector.Covered, nil},
		{"if covers complete each other over two keys, then together they cover", requirements{in("env", "a", "b")}, []requirements{{in("env", "a"), exists("team")}, {in("env", "a"), absent("team")}, {in("env", "b")}}, selector.Covered, nil},
		{"if covers over two keys leave a corner, then it is shown", nil, []requirements{{exists("env"), exists("team")}, {absent("env"), absent("team")}, {exists("env"), absent("team")}}, selector.NotCovered, witness{"team": "any"}},
		{"if a cover only wants a name, then it covers", nil, []requirements{{exists(name)}}, selector.Covered, nil},
		{"if a cover excludes a name, then that namespace is left", nil, []requirements{{notIn(name, "a")}}, selector.NotCovered, witness{name: "a"}},
		{"if a cover excludes only a name that cannot be, then it covers", nil, []requirements{{notIn(name, "A")}}, selector.Covered, nil},
		{"if covers list names, then another name is left", nil, []requirements{{in(name, "a")}, {in(name, "any")}}, selector.NotCovered, witness{name: "any-2"}},
		{"if a cover selects no namespace, then the witness does not match it either", nil, []requirements{{absent(name)}}, selector.NotCovered, witness{name: "any"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			covers := make([]selector.Selector, 0, len(test.covers)+1)
			for _, cover := range test.covers {
				covers = append(covers, parse(t, cover...))
			}
			labels, got := selector.Uncovered(parse(t, test.s...), append(covers, selector.Selector{}))
			if diff := cmp.Diff(test.wantLabels, labels); diff != "" || got != test.want {
				t.Errorf("%v, want %v, witness (-want +got):\n%s", got, test.want, diff)
			}
		})
	}
}

func TestUncoveredAnswersForHundredsOfMeshes(t *testing.T) {
	covers := manyMeshes(t, 1000)
	labels, got := selector.Uncovered(parse(t, exists("mesh"), absent("env")), covers)
	if diff := cmp.Diff(witness{"mesh": "any"}, labels); diff != "" || got != selector.NotCovered {
		t.Errorf("%v, witness (-want +got):\n%s", got, diff)
	}
	covers = append(covers, parse(t, notIn("mesh", "mesh-1", "mesh-2")))
	if labels, got := selector.Uncovered(parse(t, exists("mesh")), covers); got != selector.Covered {
		t.Errorf("%v, %v", labels, got)
	}
}

// manyMeshes are n selectors like the guide's; every third also asks for another label.
func manyMeshes(t testing.TB, n int) []selector.Selector {
	t.Helper()
	meshes := make([]selector.Selector, n)
	for i := range meshes {
		of := requirements{in("mesh", fmt.Sprintf("mesh-%d", i))}
		if i%3 == 0 {
			of = append(of, exists("env"))
		}
		meshes[i] = parse(t, of...)
	}
	return meshes
}

func TestUncoveredGivesUpVisibly(t *testing.T) {
	labels, got := selector.Uncovered(selector.All(), pigeonholes(t, 9))
	if got != selector.Unknown || labels != nil {
		t.Errorf("%v, %v", got, labels)
	}
	if labels, got := selector.Uncovered(selector.All(), pigeonholes(t, 4)); got != selector.Covered {
		t.Errorf("a small one is answered %v, %v", got, labels)
	}
}

// pigeonholes cover everything, because n+1 pigeons do not fit into n holes: each label set leaves some pigeon without a
// hole or puts two into one. It takes every search of this kind exponentially long to see that.
func pigeonholes(t testing.TB, holes int) []selector.Selector {
	t.Helper()
	key := func(pigeon, hole int) string { return fmt.Sprintf("pigeon-%d-hole-%d", pigeon, hole) }
	var covers []selector.Selector
	for pigeon := range holes + 1 {
		var nowhere requirements
		for hole := range holes {
			nowhere = append(nowhere, absent(key(pigeon, hole)))
			for other := range pigeon {
				covers = append(covers, parse(t, exists(key(pigeon, hole)), exists(key(other, hole))))
			}
		}
		covers = append(covers, parse(t, nowhere...))
	}
	return covers
}

func TestCoverageHasNames(t *testing.T) {
	got := fmt.Sprint(selector.Covered, selector.NotCovered, selector.Unknown, selector.Coverage(0))
	if diff := cmp.Diff("Covered NotCovered Unknown Coverage(0)", got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
