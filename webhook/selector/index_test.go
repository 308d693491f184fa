package selector_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/selector"
)

// plainOverlaps are the places of the selectors that overlap with s, found by trying each.
func plainOverlaps(list []selector.Selector, s selector.Selector) []int {
	var found []int
	for i, other := range list {
		if selector.Overlaps(other, s) {
			found = append(found, i)
		}
	}
	return found
}

// checkCandidates fails unless the candidates are in order, each once, and hold all that overlap. It returns how many there
// are, and how many of them overlap.
func checkCandidates(t *testing.T, list []selector.Selector, s selector.Selector) (candidates, overlapping int) {
	t.Helper()
	found := selector.NewIndex(list).Candidates([]int{-1}, s)
	if !slices.IsSorted(found) || len(slices.Compact(slices.Clone(found))) != len(found) || found[0] != -1 {
		t.Fatalf("%s: %v", s, found)
	}
	want := plainOverlaps(list, s)
	for _, i := range want {
		if !slices.Contains(found, i) {
			t.Fatalf("%s overlaps with %s, which is not found", s, list[i])
		}
	}
	return len(found) - 1, len(want)
}

func TestForEveryEnumeratedPairTheIndexFindsWhatOverlaps(t *testing.T) {
	u := smallUniverse()
	list := []selector.Selector{{}}
	for _, s := range u.enumerate(t) {
		list = append(list, s.selector)
	}
	index := selector.NewIndex(list)
	room := make([]int, 0, len(list))
	found, overlapping := 0, 0
	for _, s := range list {
		room = index.Candidates(room[:0], s)
		want := plainOverlaps(list, s)
		for _, i := range want {
			if _, ok := slices.BinarySearch(room, i); !ok {
				t.Fatalf("%s overlaps with %s, which is not found", s, list[i])
			}
		}
		found, overlapping = found+len(room), overlapping+len(want)
	}
	// Contradictions and impossible names, of which these lists are full, are candidates too; without an index all are.
	t.Logf("%d candidates, %d overlap, of %d pairs", found, overlapping, len(list)*len(list))
	if found > len(list)*len(list)*2/3 {
		t.Errorf("%d candidates of %d pairs leave hardly any out", found, len(list)*len(list))
	}
}

func TestForRandomListsTheIndexFindsWhatOverlaps(t *testing.T) {
	r := random(t, 21)
	next := func() selector.Selector {
		parsed, errs := selector.Parse(randomSpec(r), nil)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		return parsed
	}
	for range 1000 {
		checkCandidates(t, several(r.IntN(200), next), next())
	}
}

// FuzzIndex reads lists of selectors over bigUniverse, one of each byte string, as FuzzOverlap does.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("\x00"), []byte("\x05"), []byte("\x09\x02"), []byte{})
	f.Add([]byte("\x0a\x05"), []byte("\x04"), []byte("\x0c"), []byte("\x01\x06"))
	f.Fuzz(func(t *testing.T, a, b, c, s []byte) {
		read := func(code []byte) selector.Selector {
			parsed, errs := selector.Parse(specOf(code), nil)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			return parsed
		}
		list := slices.Repeat([]selector.Selector{read(a), read(b), read(c)}, 30) // more than one word of a set
		checkCandidates(t, list, read(s))
	})
}

// With lists of values, an index is exact: it need not try what does not overlap.
func TestAmongListsOfValuesTheIndexFindsOnlyWhatOverlaps(t *testing.T) {
	var list []selector.Selector
	values := [][]string{{"a", "b"}, {"c", "d"}, {"b", "e"}, {"f"}}
	for _, env := range values {
		for _, team := range values {
			list = append(list, parse(t, in("env", env...), in("team", team...)))
		}
		list = append(list, parse(t, in("env", env...), absent("team")), parse(t, in("env", env...), exists("team")))
	}
	for _, s := range list {
		if found, overlapping := checkCandidates(t, list, s); found != overlapping {
			t.Errorf("%s: %d candidates for %d", s, found, overlapping)
		}
	}
}

// Values that are taken for valid without asking apimachinery must be so.
func FuzzLabelValue(f *testing.F) {
	for _, value := range []string{"", "a", "A.b_c-9", "-a", "a-", "ä", "a b", "a\n", "\xff"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		spec := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{in("env", value)}}
		_, errs := selector.Parse(spec, nil)
		if valid := len(validation.IsValidLabelValue(value)) == 0; valid != (len(errs) == 0) {
			t.Fatalf("%q: %v", value, errs)
		}
	})
}
