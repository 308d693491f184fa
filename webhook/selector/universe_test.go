package selector_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/selector"
)

// fresh stands for all the values that no selector in these tests mentions: selectors cannot tell those apart.
const fresh = "zzz"

// dimension is a label key with the values of it that selectors mention. The brute force tries each of them, fresh, and
// the key's absence.
type dimension struct {
	key    string
	values []string
}

// universe is every label map over some dimensions: an oracle small enough to ask about each pair of selectors.
type universe struct {
	maps       []labels.Set
	namespaces set     // those maps that a stored namespace can have
	named      [][]int // for each map, those namespaces that differ from it at most by having NameLabel
}

// impossibleNames are label values that no namespace can have as its name.
func impossibleNames() []string {
	return []string{"", "A_b"}
}

// newUniverse enumerates the label maps. names are the values of NameLabel that a namespace can have; those that it
// cannot have are added.
func newUniverse(dimensions []dimension, names []string) universe {
	maps := []labels.Set{{}}
	for _, d := range append(slices.Clone(dimensions), dimension{name, append(impossibleNames(), names...)}) {
		var next []labels.Set
		for _, m := range maps {
			next = append(next, m)
			for _, value := range append(slices.Clone(d.values), fresh) {
				next = append(next, labels.Merge(m, labels.Set{d.key: value}))
			}
		}
		maps = next
	}
	u := universe{maps: maps, namespaces: make(set, len(maps)/64+1), named: make([][]int, len(maps))}
	completions := map[string][]int{}
	for i, m := range maps {
		if m.Has(name) && !slices.Contains(impossibleNames(), m[name]) {
			u.namespaces.add(i)
			bare := without(m, name).String()
			completions[bare] = append(completions[bare], i)
			u.named[i] = []int{i}
		}
	}
	for i, m := range maps {
		if !m.Has(name) {
			u.named[i] = completions[m.String()]
		}
	}
	return u
}

// smallUniverse has three keys; enumerate lists selectors over it.
func smallUniverse() universe {
	return newUniverse([]dimension{{"env", []string{"", "dev", "prod"}}, {"team", []string{"any", "x"}}}, []string{"a", "b"})
}

// set is a set of small numbers: positions in universe.maps.
type set []uint64

func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) empty() bool {
	return !slices.ContainsFunc(s, func(word uint64) bool { return word != 0 })
}

func (s set) meets(other set) bool {
	for i := range s {
		if s[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

func (s set) and(other set) set {
	both := slices.Clone(s)
	for i := range both {
		both[i] &= other[i]
	}
	return both
}

func (s set) minus(other set) set {
	rest := slices.Clone(s)
	for i := range rest {
		rest[i] &^= other[i]
	}
	return rest
}

// subject is one selector as written, as apimachinery understands it, as this package does, and what apimachinery says
// that it matches.
type subject struct {
	spec       *metav1.LabelSelector
	reference  labels.Selector
	selector   selector.Selector
	maps       set // of the universe's label maps
	namespaces set // of those that a namespace can have
}

func (u universe) subject(t testing.TB, spec *metav1.LabelSelector) subject {
	t.Helper()
	reference, err := metav1.LabelSelectorAsSelector(spec)
	if err != nil {
		t.Fatalf("the test made an invalid selector: %v", err)
	}
	parsed, errs := selector.Parse(spec, field.NewPath("selector"))
	if len(errs) > 0 {
		t.Fatalf("Parse(%v): %v", spec, errs)
	}
	matches := make(set, len(u.namespaces))
	for i, m := range u.maps {
		if reference.Matches(m) {
			matches.add(i)
		}
	}
	return subject{spec, reference, parsed, matches, matches.and(u.namespaces)}
}

// possible returns those of the maps that are namespaces in s, or become one by adding NameLabel.
func (u universe) possible(maps, namespaces set) set {
	possible := make(set, len(maps))
	for i := range u.maps {
		if maps.has(i) && slices.ContainsFunc(u.named[i], namespaces.has) {
			possible.add(i)
		}
	}
	return possible
}

// enumerate returns every selector that has one of some lists of requirements for each of the three keys: 720 of them,
// with all operators, and with several requirements on one key, contradictory ones too.
func (u universe) enumerate(t testing.TB) []subject {
	t.Helper()
	choices := [][][]metav1.LabelSelectorRequirement{
		{
			{}, {in("env", "dev")}, {in("env", "prod")}, {in("env", "prod", "dev")}, {in("env", "")}, {notIn("env", "dev")},
			{notIn("env", "dev", "prod")}, {notIn("env", "")}, {exists("env")}, {absent("env")},
			{exists("env"), notIn("env", "dev")}, {in("env", "dev", "prod"), notIn("env", "dev")},
		},
		{
			{}, {in("team", "x")}, {in("team", "x"), notIn("team", "x")}, {exists("team")},
			{absent("team"), notIn("team", "x")}, {exists("team"), notIn("team", "any")},
		},
		{
			{}, {in(name, "a")}, {in(name, "b", "a")}, {in(name, "A_b")}, {in(name, "A_b", "b")}, {notIn(name, "a")},
			{notIn(name, "A_b", "")}, {exists(name)}, {absent(name)}, {exists(name), notIn(name, "a", "b")},
		},
	}
	var all []subject
	for _, env := range choices[0] {
		for _, team := range choices[1] {
			for _, name := range choices[2] {
				spec := metav1.LabelSelector{MatchExpressions: slices.Concat(env, team, name)}
				all = append(all, u.subject(t, &spec))
			}
		}
	}
	return all
}

const name = selector.NameLabel

func in(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: values}
}

func notIn(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: values}
}

func exists(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpExists}
}

func absent(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}
}

// parse makes a selector from requirements, all of which must match.
func parse(t testing.TB, requirements ...metav1.LabelSelectorRequirement) selector.Selector {
	t.Helper()
	parsed, errs := selector.Parse(&metav1.LabelSelector{MatchExpressions: requirements}, nil)
	if len(errs) > 0 {
		t.Fatalf("Parse: %v", errs)
	}
	return parsed
}

// without returns a copy of m without the key.
func without(m labels.Set, key string) labels.Set {
	rest := labels.Merge(m, nil)
	delete(rest, key)
	return rest
}

// random returns a source of random numbers and prints its seed.
func random(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// bigUniverse has four keys; randomSpec makes selectors over it.
func bigUniverse() universe {
	return newUniverse([]dimension{
		{"env", []string{"", "a", "b", "c", "any"}},
		{"team", []string{"a", "any"}},
		{"example.com/tier", []string{"a"}},
	}, []string{"a", "b", "any"})
}

// randomSpec returns a valid selector with up to seven requirements, often several for one key.
func randomSpec(r *rand.Rand) *metav1.LabelSelector {
	values := map[string][]string{
		"env": {"", "a", "b", "c", "any"}, "team": {"a", "any"}, "example.com/tier": {"a"}, name: {"a", "b", "any", "A_b", ""},
	}
	keys := []string{"env", "team", "example.com/tier", name}
	spec := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for range r.IntN(6) {
		key := pick(r, keys)
		requirement := pick(r, []metav1.LabelSelectorRequirement{in(key), notIn(key), notIn(key), exists(key), absent(key)})
		if requirement.Operator == metav1.LabelSelectorOpIn || requirement.Operator == metav1.LabelSelectorOpNotIn {
			for range 1 + r.IntN(4) {
				requirement.Values = append(requirement.Values, pick(r, values[key]))
			}
		}
		spec.MatchExpressions = append(spec.MatchExpressions, requirement)
	}
	for range r.IntN(8) / 6 {
		key := pick(r, keys)
		spec.MatchLabels[key] = pick(r, values[key])
	}
	return spec
}

func pick[T any](r *rand.Rand, choices []T) T {
	return choices[r.IntN(len(choices))]
}
