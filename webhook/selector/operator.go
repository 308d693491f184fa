package selector

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/spelling"
)

// operators returns the operators of a requirement, in the order in which the API's documentation lists them.
func operators() []string {
	return []string{
		string(metav1.LabelSelectorOpIn),
		string(metav1.LabelSelectorOpNotIn),
		string(metav1.LabelSelectorOpExists),
		string(metav1.LabelSelectorOpDoesNotExist),
	}
}

// checkOperator validates an operator. Case matters: istiod rejects `in`, although the CRD accepts any string.
func checkOperator(operator metav1.LabelSelectorOperator, path *field.Path) field.ErrorList {
	detail := "must be one of " + strings.Join(operators(), ", ")
	switch operator {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn,
		metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		return nil
	case "":
		return field.ErrorList{field.Required(path, detail)}
	}
	if guess := nearestOperator(string(operator)); guess != "" {
		detail += "; did you mean " + guess + "?"
	}
	return field.ErrorList{{Type: field.ErrorTypeNotSupported, Field: path.String(), BadValue: operator, Detail: detail}}
}

// nearestOperator returns the operator that a misspelt one was probably meant to be, or "". It never suggests the
// opposite of what was written.
func nearestOperator(written string) string {
	if len(written) > 2*len(metav1.LabelSelectorOpDoesNotExist) {
		return "" // no misspelling, and not worth the distance
	}
	folded := strings.ToLower(written)
	best, distance := "", len(written)
	for _, operator := range operators() {
		candidate := strings.ToLower(operator)
		d := spelling.Distance(folded, candidate)
		if d < distance && d <= len(candidate)/2 && negated(folded) == negated(candidate) {
			best, distance = operator, d
		}
	}
	return best
}

// negated reports whether a lower-case operator reads like a negation: "notin", "not in", "doesnotexist", "doesntexist".
func negated(operator string) bool {
	return strings.Contains(operator, "no") || strings.Contains(operator, "nt") || strings.Contains(operator, "n't") ||
		strings.HasPrefix(operator, "!")
}
