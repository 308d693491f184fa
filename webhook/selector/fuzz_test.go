package selector_test

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/selector"
)

// FuzzOverlap reads each byte of its arguments as one requirement over bigUniverse, and compares Overlap, Uncovered and
// what each selector says about itself with brute force.
func FuzzOverlap(f *testing.F) {
	u := bigUniverse()
	for _, seed := range [][2]string{
		{"", ""}, {"\x00", "\x01"}, {"\x00\x05", "\x09\x02"}, {"\x30\x33", "\x31"}, {"\xff\x80\x40", "\x20\x10\x08"}, {"abc", "defgh"},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := u.subject(t, specOf(a)), u.subject(t, specOf(b))
		checkAlone(t, u, x)
		check := newWitnessCheck()
		witness, overlaps := selector.Overlap(x.selector, y.selector)
		if want := x.namespaces.meets(y.namespaces); overlaps != want {
			t.Fatalf("Overlap(%s, %s) = %v, %v", x.selector, y.selector, witness, overlaps)
		}
		if overlaps {
			check.matches(t, x, y, witness)
			u.checkSmallest(t, x, y, witness)
		}
		checkCovers(t, check, x, []subject{y})
	})
}

// specOf makes one requirement over bigUniverse of each byte, of at most sixteen.
func specOf(code []byte) *metav1.LabelSelector {
	spec := &metav1.LabelSelector{}
	values := []string{"", "a", "b", "c", "any", "A_b"}
	allowed := map[string][]int{"env": {0, 1, 2, 3, 4}, "team": {1, 4}, "example.com/tier": {1}, name: {0, 1, 2, 4, 5}}
	for _, c := range code[:min(len(code), 16)] {
		key := []string{"env", "team", "example.com/tier", name}[c&3]
		var chosen []string
		for bit, i := range allowed[key] {
			if c>>(3+bit)&1 != 0 {
				chosen = append(chosen, values[i])
			}
		}
		negative := c&4 != 0
		switch {
		case negative && len(chosen) == 0:
			spec.MatchExpressions = append(spec.MatchExpressions, absent(key))
		case negative:
			spec.MatchExpressions = append(spec.MatchExpressions, notIn(key, chosen...))
		case len(chosen) == 0:
			spec.MatchExpressions = append(spec.MatchExpressions, exists(key))
		default:
			spec.MatchExpressions = append(spec.MatchExpressions, in(key, chosen...))
		}
	}
	return spec
}

// FuzzParse compares Parse and Matches with apimachinery on selectors of arbitrary text.
func FuzzParse(f *testing.F) {
	f.Add("env", "dev", "env", "In", "dev,prod", "env", "dev")
	f.Add("", "", "team", "DoesNotExist", "", "team", "x")
	f.Add("a", "1", name, "NotIn", "A_b,,x", name, "x")
	f.Add("bad key", "-", "/", "in", "ä", "bad key", "-")
	f.Add("env", "", "env", "Exists", "no", "env", "")
	f.Fuzz(func(t *testing.T, labelKey, labelValue, key, operator, values, someKey, someValue string) {
		spec := &metav1.LabelSelector{}
		if labelKey != "" || labelValue != "" {
			spec.MatchLabels = map[string]string{labelKey: labelValue}
		}
		requirement := metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOperator(operator)}
		if values != "" {
			requirement.Values = strings.Split(values, ",")
		}
		spec.MatchExpressions = []metav1.LabelSelectorRequirement{requirement}
		checkParse(t, spec, []labels.Set{nil, {key: someValue}, {labelKey: labelValue}, {labelKey: labelValue, key: someValue}, {labelKey: labelValue, someKey: someValue}})
	})
}

// checkParse fails unless Parse agrees with apimachinery about errors, and the selector about the label maps.
func checkParse(t *testing.T, spec *metav1.LabelSelector, maps []labels.Set) {
	t.Helper()
	reference, err := metav1.LabelSelectorAsSelector(spec)
	parsed, errs := selector.Parse(spec, field.NewPath("selector"))
	if (len(errs) > 0) != (err != nil) {
		t.Fatalf("%v: Parse says %v, apimachinery %v", spec, errs, err)
	}
	if err != nil {
		if !parsed.Equal(selector.Selector{}) {
			t.Fatalf("%v: Parse has errors and returns %s", spec, parsed)
		}
		return
	}
	for _, m := range maps {
		if parsed.Matches(m) != reference.Matches(m) {
			t.Fatalf("%v: Matches(%v) = %v", spec, m, parsed.Matches(m))
		}
	}
	if witness, ok := selector.Overlap(parsed, selector.All()); ok == parsed.Nothing() || ok && !reference.Matches(labels.Set(witness)) {
		t.Fatalf("%v: selects nothing: %v, witness: %v", spec, parsed.Nothing(), witness)
	}
	edits, ok := parsed.Edits(maps[0])
	if ok && !reference.Matches(apply(maps[0], edits)) {
		t.Fatalf("%v: Edits(%v) = %v do not help", spec, maps[0], edits)
	}
}

func TestFuzzOverlapReachesEveryOperatorOnEveryKey(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	seen := map[string]bool{}
	for range 500 {
		for _, requirement := range specOf(binary.LittleEndian.AppendUint64(nil, r.Uint64())).MatchExpressions {
			seen[requirement.Key+" "+string(requirement.Operator)] = true
		}
	}
	if len(seen) != 16 {
		t.Errorf("the fuzzer can only write %v", slices.Sorted(maps.Keys(seen)))
	}
}
