// Package match makes the selectors and the CEL expressions with which the API server decides, on its own, whether meshfence
// is asked about a namespace. They stand in the webhook configurations, as objectSelector and matchConditions: deploy/chart has
// them for the default configuration, and the server regenerates some of them when a live selector brings a new label key into use.
//
// The package is pure: keys in, selectors and text out.
//
// # A webhook for each label
//
// A condition is evaluated for every namespace that is created or changed, whatever it is about, unless a selector has left it
// out before, which costs next to nothing. So each of a few labels that are in use nearly everywhere has a webhook of its own,
// whose selector (ForLabel) wants the label; and all others that are in use have one together (ForOthers). That one is closed
// while there are none, and wants the label while there is one: so far no namespace without any of the labels pays for a
// condition. With two and more it is open, since a selector cannot say "one of these", and all pay for its condition.
//
// Nothing escapes by that: an objectSelector lets a request pass if it matches the object before or after
// (k8s.io/apiserver, pkg/admission/plugin/webhook/predicates/object), and a label that appears, changes or goes away is there
// before or after. And nothing is sent twice: a request is the business of the first webhook whose label is there, before or
// after. Those behind it leave it out by their selector, which suffices as long as the labels stay, and by a condition of
// its own, called FirstLabelName (NoneOf), which holds also when they come and go.
//
// Which labels have a webhook is fixed, whatever is configured and stored. A webhook that came with another configuration
// would have no authority at first (clientConfig.caBundle), and refuse requests; and what a person does to one webhook must not close another.
//
// # The expressions
//
// What they rest on (k8s.io/apiserver, pkg/admission/plugin/webhook/matchconditions, since Kubernetes 1.28):
// object is the namespace after the request, oldObject the one before it and null on CREATE; a namespace without labels
// has no metadata.labels at all. So nothing is selected plainly that may be absent, except behind has(): `.?name` and `[?key]`
// give an optional value, also of null (cel-go has an option EnableErrorOnBadPresenceTest, which API servers do not set), two
// absent ones are equal, and a label with an empty value is present and differs from an absent one. This matters because an
// expression that fails is, with failurePolicy Fail, a refused request.
//
// They are evaluated for every change of a namespace with mesh labels, whatever it is about. The API server evaluates all
// conditions of a webhook, even if the first is false, and counts the cost of every step. So what can be is one condition,
// that ends as soon as it can; and keys are written out, up to maxWrittenOut, which takes half as long as a loop over a
// list of them (BenchmarkNotSent).
package match

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// ConditionName is the name of the match condition, which depends on the label keys in use: the one that the server
// rewrites. It is the same in all webhooks about namespaces. A person may add conditions of other names.
const ConditionName = "mesh-labels"

// maxWrittenOut is how many keys are written out. What the API server takes to compile an expression, in the first request
// after a change, grows with the square of its length: 500 keys written out would take it seconds, and take it 20 ms as a list.
const maxWrittenOut = 16

// The labels and the annotation of Istio and meshfence that the expressions name.
const (
	revisionLabel      = "istio.io/rev"
	injectionLabel     = "istio-injection"
	dataplaneModeLabel = "istio.io/dataplane-mode"
	memberOfLabel      = "maistra.io/member-of"
	filledAnnotation   = "meshfence.io/filled-revision"
	fillAnnotation     = "meshfence.io/fill"
)

// ValidateAnyLabel is for when there are more keys than an expression can have: any label of the namespace is not as it was
// before. It holds whenever ValidateExpression does, so nothing escapes, and what is asked about needlessly is allowed; the
// price is a call for each namespace that is created or relabelled.
const ValidateAnyLabel = "object.metadata.?labels != oldObject.?metadata.?labels"

// FillAnyLabel is to FillExpression what ValidateAnyLabel is to ValidateExpression.
func FillAnyLabel() string { return fill(ValidateAnyLabel) }

// ValidateExpression returns the condition under which a namespace is judged: one of the mesh labels is not as it was
// before. Mesh labels are istio.io/rev, istio-injection, and the given keys. On CREATE that means: is there.
//
// The order and repetition of the keys make no difference. Keys that are not valid label keys are left out: no namespace
// can carry them, and so nothing in a key can break out of the expression.
func ValidateExpression(keys []string) string {
	return anyOf(labelKeys(append([]string{revisionLabel, injectionLabel}, keys...)), " ||\n", changed)
}

// FillExpression returns the condition under which istio.io/rev may be filled in:
//
//   - One of the given keys, which decide to which mesh a namespace belongs, appears or changes its value. A label that goes
//     away does not count, nor do istio.io/rev and istio-injection, even if a selector asks for them: where one of them
//     appears there is nothing to fill.
//   - The namespace carries none of the labels by which a person or another product has already chosen, or its istio.io/rev
//     is, unchanged, the one that meshfence filled in earlier, so that it may follow the namespace to another mesh.
//   - Nobody has opted out, by a label or an annotation.
//
// Keys are treated as in ValidateExpression; without any key the expression is false.
func FillExpression(keys []string) string {
	deciding := slices.DeleteFunc(labelKeys(keys), func(key string) bool { return key == revisionLabel || key == injectionLabel })
	if len(deciding) == 0 {
		return "false"
	}
	return fill(anyOf(deciding, " ||\n", func(key string) string { return present(key) + " && " + changed(key) }))
}

// fill returns the condition under which istio.io/rev may be filled in because something holds.
func fill(because string) string {
	chosen := labelKeys([]string{revisionLabel, injectionLabel, dataplaneModeLabel, memberOfLabel})
	return fmt.Sprintf(`has(object.metadata.labels) && (
%[1]s
) && (
!(%[2]s) ||
%[3]s &&
object.metadata.?labels[?%[4]s] == oldObject.?metadata.?labels[?%[4]s] &&
object.metadata.?labels[?%[4]s] == object.metadata.?annotations[?%[5]s]
) &&
object.metadata.?labels[?%[6]s] != optional.of('false') &&
object.metadata.?annotations[?%[6]s] != optional.of('false')`,
		because, anyOf(chosen, " || ", present), present(quote(revisionLabel)), quote(revisionLabel), quote(filledAnnotation), quote(fillAnnotation))
}

// changed returns the condition that a label is not as it was before. The key is a CEL expression, like that of present.
func changed(key string) string {
	return fmt.Sprintf("object.metadata.?labels[?%[1]s] != oldObject.?metadata.?labels[?%[1]s]", key)
}

// present returns the condition that a label is there, if there are labels.
func present(key string) string { return key + " in object.metadata.labels" }

// anyOf returns the condition that one of the keys has the condition.
func anyOf(keys []string, or string, condition func(key string) string) string {
	if len(keys) > maxWrittenOut {
		return listBegin + joined(keys, ",\n  ", quote) + listEnd + condition("key") + ")"
	}
	return joined(keys, or, func(key string) string { return condition(quote(key)) })
}

func joined(keys []string, separator string, of func(key string) string) string {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = of(key)
	}
	return strings.Join(texts, separator)
}

// listBegin and listEnd are around a list of keys.
const (
	listBegin = "[\n  "
	listEnd   = "\n].exists(key, "
)

var (
	// quoted finds the string literals of a list of keys, changedKey those that an expression asks about one by one.
	quoted     = regexp.MustCompile(`'([^']*)'`)
	changedKey = regexp.MustCompile(`\[\?'([^']*)'\] != oldObject\.`)
)

// Keys returns the keys about which an expression of this package asks, in its order. Those of any other text mean nothing.
func Keys(expression string) []string {
	literals := changedKey
	if before, _, isList := strings.Cut(expression, listEnd); isList {
		_, expression, _ = strings.Cut(before, listBegin)
		literals = quoted
	}
	var keys []string
	for _, found := range literals.FindAllStringSubmatch(expression, -1) {
		keys = append(keys, found[1])
	}
	return keys
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
