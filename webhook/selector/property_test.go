package selector_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/selector"
)

func TestForEveryEnumeratedSelectorBruteForceAgrees(t *testing.T) {
	u := smallUniverse()
	subjects := u.enumerate(t)
	for _, s := range subjects {
		checkAlone(t, u, s)
	}
	t.Logf("%d selectors against %d label maps", len(subjects), len(u.maps))
}

// checkAlone compares every question about one selector with the answer of the universe.
func checkAlone(t *testing.T, u universe, s subject) {
	t.Helper()
	for i, m := range u.maps {
		if got := s.selector.Matches(m); got != s.maps.has(i) {
			t.Fatalf("%s: Matches(%v) = %v", s.selector, m, got)
		}
	}
	if got, want := s.selector.Nothing(), s.namespaces.empty(); got != want {
		t.Fatalf("%s: Nothing() = %v", s.selector, got)
	}
	if got, want := s.selector.Everything(), u.namespaces.minus(s.namespaces).empty(); got != want {
		t.Fatalf("%s: Everything() = %v", s.selector, got)
	}
	bare := labels.Set{name: fresh} // what a namespace carries that nobody labelled and nobody has heard of
	if got, want := s.selector.AsksForLabel(), !s.reference.Matches(bare); got != want && !s.selector.Nothing() {
		t.Fatalf("%s: AsksForLabel() = %v", s.selector, got)
	}
	checkString(t, u, s)
}

// checkString reads the text of a selector with apimachinery's own parser and expects the same matches.
func checkString(t *testing.T, u universe, s subject) {
	t.Helper()
	text := s.selector.String()
	if text == "<nothing>" {
		if !s.maps.empty() {
			t.Fatalf("%v is shown as <nothing>", s.spec)
		}
		return
	}
	reread, err := labels.Parse(strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}"))
	if err != nil {
		t.Fatalf("String() = %q: %v", text, err)
	}
	for i, m := range u.maps {
		if reread.Matches(m) != s.maps.has(i) {
			t.Fatalf("%v is shown as %q, which differs on %v", s.spec, text, m)
		}
	}
}

func TestForEveryEnumeratedPairBruteForceAgreesAndNoWitnessIsSmaller(t *testing.T) {
	u := smallUniverse()
	subjects := u.enumerate(t)
	check := newWitnessCheck()
	pairs := 0
	for i, a := range subjects {
		for _, b := range subjects[i:] {
			pairs++
			witness, overlaps := selector.Overlap(a.selector, b.selector)
			if want := a.namespaces.meets(b.namespaces); overlaps != want {
				t.Fatalf("Overlap(%s, %s) = %v, %v", a.selector, b.selector, witness, overlaps)
			}
			if overlaps {
				check.matches(t, a, b, witness)
				u.checkSmallest(t, a, b, witness)
			} else if witness != nil {
				t.Fatalf("Overlap(%s, %s) has a witness %v without overlap", a.selector, b.selector, witness)
			}
		}
	}
	t.Logf("%d pairs", pairs)
}

// checkSmallest fails if some label map of the universe is a witness with fewer labels than the one given, or with as
// many and a smaller value in a place where the value was not made up.
func (u universe) checkSmallest(t *testing.T, a, b subject, witness map[string]string) {
	t.Helper()
	both := u.possible(a.maps.and(b.maps), a.namespaces.and(b.namespaces))
	for i, m := range u.maps {
		if !both.has(i) {
			continue
		}
		if len(m) < len(witness) {
			t.Fatalf("Overlap(%s, %s): %v is smaller than %v", a.selector, b.selector, m, witness)
		}
		for key, value := range witness {
			if other, ok := m[key]; len(m) == len(witness) && (!ok || other < value && !strings.HasPrefix(value, "any")) {
				t.Fatalf("Overlap(%s, %s): %v comes before %v", a.selector, b.selector, m, witness)
			}
		}
	}
}

// witnessCheck remembers which labels it has found valid: there are few, and validation is the slow part.
type witnessCheck struct {
	valid map[[2]string]bool
}

func newWitnessCheck() witnessCheck {
	return witnessCheck{valid: map[[2]string]bool{}}
}

// matches fails unless the witness is valid as labels of a namespace and apimachinery says that a and b match it.
func (c witnessCheck) matches(t testing.TB, a, b subject, witness map[string]string) {
	t.Helper()
	if !a.reference.Matches(labels.Set(witness)) || !b.reference.Matches(labels.Set(witness)) {
		t.Fatalf("the witness of %s and %s is %v, which one of them does not match", a.selector, b.selector, witness)
	}
	c.isValid(t, witness)
}

func (c witnessCheck) isValid(t testing.TB, witness map[string]string) {
	t.Helper()
	if witness == nil {
		t.Fatal("a witness is nil")
	}
	for key, value := range witness {
		label := [2]string{key, value}
		if c.valid[label] {
			continue
		}
		if errs := metav1validation.ValidateLabels(map[string]string{key: value}, nil); len(errs) > 0 {
			t.Fatalf("the witness %v is not valid: %v", witness, errs)
		}
		if key == name && len(validation.IsDNS1123Label(value)) > 0 {
			t.Fatalf("no namespace can have the name in %v", witness)
		}
		c.valid[label] = true
	}
}

func TestForAMillionRandomPairsBruteForceAgrees(t *testing.T) {
	const pool, pairs = 4096, 1_000_000
	r := random(t, 20260801)
	u := bigUniverse()
	subjects := make([]subject, pool)
	for i := range subjects {
		subjects[i] = u.subject(t, randomSpec(r))
	}
	check := newWitnessCheck()
	overlapping := 0
	for range pairs {
		a, b := subjects[r.IntN(pool)], subjects[r.IntN(pool)]
		witness, overlaps := selector.Overlap(a.selector, b.selector)
		if want := a.namespaces.meets(b.namespaces); overlaps != want {
			t.Fatalf("Overlap(%s, %s) = %v, %v", a.selector, b.selector, witness, overlaps)
		}
		if overlaps {
			overlapping++
			check.matches(t, a, b, witness)
		}
	}
	if overlapping < pairs/10 || overlapping > pairs*9/10 {
		t.Errorf("%d of %d pairs overlap: the test asks too easy questions", overlapping, pairs)
	}
	t.Logf("%d pairs, %d of them overlap", pairs, overlapping)
}

func TestForRandomPairsTheOrderDoesNotMatterAndAndIsIntersection(t *testing.T) {
	r := random(t, 2)
	u := bigUniverse()
	for range 400 {
		a, b := u.subject(t, randomSpec(r)), u.subject(t, randomSpec(r))
		both := selector.And(a.selector, b.selector)
		if !both.Equal(selector.And(b.selector, a.selector)) {
			t.Fatalf("And(%s, %s) depends on the order", a.selector, b.selector)
		}
		one, ok := selector.Overlap(a.selector, b.selector)
		other, okOther := selector.Overlap(b.selector, a.selector)
		if ok != okOther || !maps.Equal(one, other) || ok == both.Nothing() {
			t.Fatalf("Overlap(%s, %s): %v %v, the other way round %v %v", a.selector, b.selector, one, ok, other, okOther)
		}
		spec := &metav1.LabelSelector{}
		for _, s := range []subject{a, b} {
			spec.MatchExpressions = append(spec.MatchExpressions, s.spec.MatchExpressions...)
			for key, value := range s.spec.MatchLabels {
				spec.MatchExpressions = append(spec.MatchExpressions, in(key, value))
			}
		}
		joined := u.subject(t, spec)
		if !joined.selector.Equal(both) || joined.selector.String() != both.String() {
			t.Fatalf("And(%s, %s) = %s, but all requirements together are %s", a.selector, b.selector, both, joined.selector)
		}
		checkAlone(t, u, joined)
	}
}

func TestForRandomSelectorsTheNormalFormIsUniqueAndSoIsTheText(t *testing.T) {
	r := random(t, 3)
	u := bigUniverse()
	subjects, texts := make([]subject, 1000), make([]string, 1000)
	for i := range subjects {
		subjects[i] = u.subject(t, randomSpec(r))
		texts[i] = subjects[i].selector.String()
	}
	for i, a := range subjects {
		for j, b := range subjects {
			same := slices.Equal(a.maps, b.maps)
			if text := texts[i] == texts[j]; text != same {
				t.Fatalf("%v and %v match the same: %v, have the same text: %v", a.spec, b.spec, same, text)
			}
			if equal := a.selector.Equal(b.selector); equal && !same || same && !a.maps.empty() && !equal {
				t.Fatalf("%v and %v match the same: %v, are equal: %v", a.spec, b.spec, same, equal)
			}
		}
	}
}

func TestForRandomCoversBruteForceAgrees(t *testing.T) {
	r := random(t, 4)
	small, big := smallUniverse(), bigUniverse()
	enumerated := small.enumerate(t)
	random := make([]subject, 2000)
	for i := range random {
		random[i] = big.subject(t, randomSpec(r))
	}
	answers := map[selector.Coverage]int{}
	check := newWitnessCheck()
	for range 10_000 {
		answers[checkCovers(t, check, pick(r, enumerated), several(r.IntN(7), func() subject { return pick(r, enumerated) }))]++
		answers[checkCovers(t, check, pick(r, random), several(r.IntN(12), func() subject { return pick(r, random) }))]++
	}
	if answers[selector.Covered] < 2_000 || answers[selector.NotCovered] < 2_000 {
		t.Errorf("the test asks too easy questions: %v", answers)
	}
	t.Logf("%v", answers)
}

func several[T any](n int, next func() T) []T {
	made := make([]T, n)
	for i := range made {
		made[i] = next()
	}
	return made
}

// checkCovers compares Uncovered with the answer of the universe, and its witness with apimachinery.
func checkCovers(t *testing.T, check witnessCheck, s subject, covers []subject) selector.Coverage {
	t.Helper()
	var selectors []selector.Selector
	restMaps, rest := s.maps, s.namespaces
	for _, cover := range covers {
		selectors = append(selectors, cover.selector)
		restMaps, rest = restMaps.minus(cover.maps), rest.minus(cover.namespaces)
	}
	want := selector.NotCovered
	if rest.empty() {
		want = selector.Covered
	}
	witness, got := selector.Uncovered(s.selector, selectors)
	if got != want || (witness != nil) != (want == selector.NotCovered) {
		t.Fatalf("Uncovered(%s, %s) = %v, %v", s.selector, selectors, witness, got)
	}
	if witness == nil {
		return got
	}
	check.isValid(t, witness)
	if !s.reference.Matches(labels.Set(witness)) {
		t.Fatalf("Uncovered(%s, %s) = %v, which it does not match", s.selector, selectors, witness)
	}
	for _, cover := range covers {
		if cover.reference.Matches(labels.Set(witness)) {
			t.Fatalf("Uncovered(%s, %s) = %v, which %s matches", s.selector, selectors, witness, cover.selector)
		}
	}
	return got
}

func TestForEveryEnumeratedSelectorAndLabelMapNoSmallerEditHelps(t *testing.T) {
	u := smallUniverse()
	distance := u.distances()
	for _, s := range u.enumerate(t) {
		possible := u.possible(s.maps, s.namespaces)
		for i, from := range u.maps {
			if from.Has(name) && !u.namespaces.has(i) {
				continue
			}
			fewest := -1
			for j := range u.maps {
				if d := distance[i][j]; possible.has(j) && d >= 0 && (fewest < 0 || d < fewest) {
					fewest = d
				}
			}
			edits, ok := s.selector.Edits(from)
			if ok != (fewest >= 0) || ok && len(edits) != fewest || !ok && edits != nil {
				t.Fatalf("%s: Edits(%v) = %v, %v, but the fewest are %d", s.selector, from, edits, ok, fewest)
			}
			if to := apply(from, edits); ok && !s.reference.Matches(to) {
				t.Fatalf("%s: Edits(%v) = %v, which leads to %v", s.selector, from, edits, to)
			}
		}
	}
}

// distances counts the labels to change from one map of the universe to another; -1 if that would rename a namespace.
func (u universe) distances() [][]int {
	all := make([][]int, len(u.maps))
	for i, from := range u.maps {
		for _, to := range u.maps {
			all[i] = append(all[i], distance(from, to))
		}
	}
	return all
}

func distance(from, to labels.Set) int {
	if from.Has(name) && from[name] != to[name] {
		return -1
	}
	n := 0
	for _, key := range []string{"env", "team", name} {
		if from.Has(key) != to.Has(key) || from[key] != to[key] {
			n++
		}
	}
	return n
}

// apply returns a copy of the labels with the edits made.
func apply(from labels.Set, edits []selector.Edit) labels.Set {
	to := labels.Merge(from, nil)
	for _, edit := range edits {
		if edit.Remove {
			delete(to, edit.Key)
		} else {
			to[edit.Key] = edit.Value
		}
	}
	return to
}

func TestForRandomSpecsParseFailsExactlyWhenApimachineryDoesAndMembershipIsTheSame(t *testing.T) {
	const specs = 4_000
	r := random(t, 5)
	valid := 0
	for range specs {
		spec := randomMess(r)
		reference, err := metav1.LabelSelectorAsSelector(spec)
		parsed, errs := selector.Parse(spec, field.NewPath("selector"))
		if (len(errs) > 0) != (err != nil) {
			t.Fatalf("%v: Parse says %v, apimachinery %v", spec, errs, err)
		}
		if others := metav1validation.ValidateLabelSelector(spec, metav1validation.LabelSelectorValidationOptions{}, nil); len(others) == 0 && len(errs) > 0 {
			t.Fatalf("%v: Parse says %v, apimachinery's validation nothing", spec, errs)
		}
		if err != nil {
			continue
		}
		valid++
		for range 20 {
			if m := randomMap(r); parsed.Matches(m) != reference.Matches(m) {
				t.Fatalf("%v: Matches(%v) = %v", spec, m, parsed.Matches(m))
			}
		}
	}
	if valid < specs/4 || valid > specs*3/4 {
		t.Errorf("%d of %d specs are valid: the test asks too easy questions", valid, specs)
	}
}

func TestForRandomLabelValuesANamespaceCanHaveThoseNamesThatAreDNSLabels(t *testing.T) {
	r := random(t, 8)
	labelsSeen, namesSeen := 0, 0
	for range 10_000 {
		value := string(several(r.IntN(5), func() byte { return pick(r, []byte("az09-_.AZ")) }))
		if len(validation.IsValidLabelValue(value)) > 0 {
			continue
		}
		labelsSeen++
		want := len(validation.IsDNS1123Label(value)) == 0
		if want {
			namesSeen++
		}
		if got := !parse(t, in(name, value)).Nothing(); got != want {
			t.Fatalf("a namespace can be called %q: %v, want %v", value, got, want)
		}
	}
	if namesSeen < 1_000 || namesSeen > labelsSeen-1_000 {
		t.Errorf("%d of %d label values are names: the test asks too easy questions", namesSeen, labelsSeen)
	}
}

func TestForRandomPairsExcludeMakesThemDisjointUnlessOneCoversTheOther(t *testing.T) {
	r := random(t, 7)
	u := bigUniverse()
	subjects := several(1000, func() subject { return u.subject(t, randomSpec(r)) })
	excluded := 0
	for range 20_000 {
		s, other := pick(r, subjects), pick(r, subjects)
		if !s.namespaces.meets(other.namespaces) {
			continue
		}
		requirement, ok := s.selector.Exclude(other.selector)
		if want := !s.namespaces.minus(other.namespaces).empty(); ok != want {
			t.Fatalf("%s: Exclude(%s) = %v, %v", s.selector, other.selector, requirement, ok)
		}
		if !ok {
			continue
		}
		excluded++
		added := u.subject(t, &metav1.LabelSelector{MatchExpressions: requirements{requirement}})
		if left := s.namespaces.and(added.namespaces); left.empty() || left.meets(other.namespaces) {
			t.Fatalf("%s: Exclude(%s) = %v", s.selector, other.selector, requirement)
		}
	}
	if excluded < 2_000 {
		t.Errorf("only %d pairs could be told apart: the test asks too easy questions", excluded)
	}
}
