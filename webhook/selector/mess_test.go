package selector_test

import (
	"math/rand/v2"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func messyKeys() []string {
	return []string{
		"env", "env", "team", "example.com/team", name, name, "a", "", "bad key", "/x", "x/", "EXAMPLE/x", "-a", "ä",
		strings.Repeat("k", 63), strings.Repeat("k", 64),
	}
}

func messyValues() []string {
	return []string{
		"", "a", "a", "b", "b", "dev", "A_b", "1.2.3", "-a", "a-", "a b", "ä", "a,b",
		strings.Repeat("v", 63), strings.Repeat("v", 64),
	}
}

func messyOperators() []metav1.LabelSelectorOperator {
	return []metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist", "in", "", "=", "Gt"}
}

// mostly returns one of the first good choices, or rarely any other.
func mostly[T any](r *rand.Rand, good int, choices []T) T {
	if r.IntN(10) > 0 {
		return choices[r.IntN(good)]
	}
	return pick(r, choices)
}

// randomMess returns a selector that is often invalid in some place.
func randomMess(r *rand.Rand) *metav1.LabelSelector {
	if r.IntN(50) == 0 {
		return nil
	}
	spec := &metav1.LabelSelector{}
	for range r.IntN(3) {
		metav1.AddLabelToSelector(spec, mostly(r, 7, messyKeys()), mostly(r, 8, messyValues()))
	}
	for range r.IntN(4) {
		requirement := metav1.LabelSelectorRequirement{
			Key: mostly(r, 7, messyKeys()), Operator: mostly(r, 4, messyOperators()),
		}
		takesValues := requirement.Operator == metav1.LabelSelectorOpIn || requirement.Operator == metav1.LabelSelectorOpNotIn
		if takesValues != (r.IntN(20) == 0) {
			for range 1 + r.IntN(3) {
				requirement.Values = append(requirement.Values, mostly(r, 8, messyValues()))
			}
		}
		spec.MatchExpressions = append(spec.MatchExpressions, requirement)
	}
	return spec
}

// randomMap returns labels as selectors of randomMess ask for, also such as no object can have.
func randomMap(r *rand.Rand) labels.Set {
	m := labels.Set{}
	for range r.IntN(5) {
		m[mostly(r, 7, messyKeys())] = mostly(r, 8, messyValues())
	}
	return m
}
