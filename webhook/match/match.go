// Package match makes the CEL expressions with which the API server decides, on its own, whether meshfence is asked about
// a namespace. They stand in the matchConditions of the webhook configurations: deploy/chart has them for the
// default configuration, and the server regenerates them when a live selector brings a new label key into use.
//
// The package is pure: keys in, text out.
//
// What the expressions rest on (k8s.io/apiserver, pkg/admission/plugin/webhook/matchconditions, since Kubernetes 1.28):
// object is the namespace after the request, oldObject the one before it and null on CREATE; a namespace without labels
// has no metadata.labels at all. So nothing is selected plainly that may be absent: `.?name` and `[?key]` give an optional
// value, two absent ones are equal, and a label with an empty value is present and differs from an absent one. This
// matters because an expression that fails is, with failurePolicy Fail, a refused request.
package match

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// ConditionName is the name of the match condition that depends on the label keys in use: the one that the server
// rewrites. It is the same in the validating and in the mutating webhook. A person may add conditions of other names.
const ConditionName = "mesh-labels"

// FillableConditionName and WantedConditionName are the names of the mutating webhook's second and third match condition,
// FillableExpression and WantedExpression, which never change.
const (
	FillableConditionName = "fillable"
	WantedConditionName   = "wanted"
)

// The labels and the annotation of Istio and meshfence that the expressions name.
const (
	revisionLabel      = "istio.io/rev"
	injectionLabel     = "istio-injection"
	dataplaneModeLabel = "istio.io/dataplane-mode"
	memberOfLabel      = "maistra.io/member-of"
	filledAnnotation   = "meshfence.io/filled-revision"
	fillAnnotation     = "meshfence.io/fill"
)

// ValidateExpression returns the condition under which a namespace is judged: one of the mesh labels is not as it was
// before. Mesh labels are istio.io/rev, istio-injection, and the given keys. On CREATE that means: is there.
//
// The order and repetition of the keys make no difference. Keys that are not valid label keys are left out: no namespace
// can carry them, and so nothing in a key can break out of the expression.
func ValidateExpression(keys []string) string {
	return anyLabel(labelKeys(append([]string{revisionLabel, injectionLabel}, keys...)),
		"object.metadata.?labels[?key] != (oldObject == null ? optional.none() : oldObject.metadata.?labels[?key])")
}

// FillExpression returns the first condition under which istio.io/rev may be filled in: one of the given keys, which
// decide to which mesh a namespace belongs, appears or changes its value. A label that goes away does not count, nor do
// istio.io/rev and istio-injection, even if a selector asks for them: where one of them appears there is nothing to fill.
// Keys are treated as in ValidateExpression; without any key the expression is false.
func FillExpression(keys []string) string {
	deciding := slices.DeleteFunc(labelKeys(keys), func(key string) bool { return key == revisionLabel || key == injectionLabel })
	return anyLabel(deciding,
		"object.metadata.?labels[?key].hasValue() && (oldObject == null || object.metadata.?labels[?key] != oldObject.metadata.?labels[?key])")
}

// FillableExpression returns the second condition under which istio.io/rev may be filled in: the namespace carries none of
// the labels by which a person or another product has already chosen, or its istio.io/rev is, unchanged, the one that
// meshfence filled in earlier, so that it may follow the namespace to another mesh.
func FillableExpression() string {
	chosen := labelKeys([]string{revisionLabel, injectionLabel, dataplaneModeLabel, memberOfLabel})
	const expression = `!(%[3]s) ||
(oldObject != null && object.metadata.?labels[?%[1]s].hasValue() &&
 object.metadata.?labels[?%[1]s] == oldObject.metadata.?labels[?%[1]s] &&
 object.metadata.?labels[?%[1]s] == object.metadata.?annotations[?%[2]s])`
	return fmt.Sprintf(expression, quote(revisionLabel), quote(filledAnnotation), anyLabel(chosen, "object.metadata.?labels[?key].hasValue()"))
}

// WantedExpression returns the third condition under which istio.io/rev may be filled in: nobody has opted out, by a label or
// an annotation.
func WantedExpression() string {
	return fmt.Sprintf("object.metadata.?labels[?%[1]s] != optional.of('false') &&\nobject.metadata.?annotations[?%[1]s] != optional.of('false')", quote(fillAnnotation))
}

// anyLabel returns the expression that holds if condition holds for one of the keys, which it calls key. It has one line
// for each key, so that a diff of two configurations can be read.
func anyLabel(keys []string, condition string) string {
	var list strings.Builder
	for i, key := range keys {
		if i > 0 {
			list.WriteString(",")
		}
		list.WriteString("\n  " + quote(key))
	}
	if len(keys) > 0 {
		list.WriteString("\n")
	}
	return "[" + list.String() + "].exists(key,\n  " + condition + ")"
}

// quote returns a CEL string literal. Valid label keys have no characters that would need escaping.
func quote(key string) string { return "'" + key + "'" }

// labelKeys returns the valid label keys among keys, each once, sorted.
func labelKeys(keys []string) []string {
	valid := map[string]bool{}
	for _, key := range keys {
		if len(validation.IsQualifiedName(key)) == 0 {
			valid[key] = true
		}
	}
	return slices.Sorted(maps.Keys(valid))
}
