// Package match makes the CEL expressions with which the API server decides, on its own, whether it sends a
// namespace to meshfence. They stand in the webhook configurations as the match condition ConditionName, one in each: deploy/chart has them
// for the default configuration, generated from here, and the server regenerates them when a live selector brings a new label
// key, or a new name of a namespace, into use.
//
// The package is pure: what the selectors look at goes in, text comes out.
//
// # The expressions
//
// What they rest on (k8s.io/apiserver, pkg/admission/plugin/webhook/matchconditions, since Kubernetes 1.28):
// object is the namespace after the request, oldObject the one before it and null on CREATE; a namespace without labels
// has no metadata.labels at all. So nothing is selected plainly that may be absent: `.?name` and `[?key]`
// give an optional value, also of null (cel-go has an option EnableErrorOnBadPresenceTest, which API servers do not set), two
// absent ones are equal, and a label with an empty value is present and differs from an absent one. This matters because an
// expression that fails is, with failurePolicy Fail, a refused request.
//
// They are evaluated for every change of a namespace, whatever it is about. The API server evaluates all
// conditions of a webhook, even if the first is false, and counts the cost of every step. So all is one condition,
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

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/selector"
)

// ConditionName is the name of the match condition that the server rewrites. It is the same in both webhooks about namespaces.
// A person may add conditions of other names.
const ConditionName = "mesh-labels"

// maxWrittenOut is how many keys are written out. What the API server takes to compile an expression, in the first request
// after a change, grows with the square of its length: 500 keys written out would take it seconds, and take it 20 ms as a list.
const maxWrittenOut = 16

// The labels of Istio, and what meshfence's opt-out is called as a label and as an annotation, that the expressions name.
const (
	revisionLabel      = api.RevisionLabel
	injectionLabel     = api.InjectionLabel
	dataplaneModeLabel = api.DataplaneModeLabel
	memberOfLabel      = api.MaistraMemberLabel
	fillAnnotation     = api.FillAnnotation
	allowOverlap       = api.AllowOverlapAnnotation
	allowOverlapUntil  = api.AllowOverlapUntilAnnotation
	accept             = api.AcceptAnnotation
	acceptUntil        = api.AcceptUntilAnnotation
)

// acceptanceChanged is the condition that what the namespace accepts is not as it was before: of whom it comes is judged.
var acceptanceChanged = joined([]string{accept, acceptUntil}, or, func(name string) string {
	return fmt.Sprintf("object.metadata.?annotations[?%[1]s] != oldObject.?metadata.?annotations[?%[1]s]", quote(name))
})

// ValidateAnyLabel is for when there are more keys than an expression can have: any label of the namespace is not as it was
// before. It holds whenever ValidateExpression does, so nothing escapes, because every namespace is created with a label, its
// name. What is sent needlessly is allowed; the price is a call for each namespace that is created or relabelled.
func ValidateAnyLabel() string { return anyLabelChanged + or + acceptanceChanged }

const anyLabelChanged = "object.metadata.?labels != oldObject.?metadata.?labels"

// FillAnyLabel is to FillExpression what ValidateAnyLabel is to ValidateExpression.
func FillAnyLabel() string { return fill(anyLabelChanged) }

// ValidateExpression returns the condition under which a namespace is judged: one of the mesh labels, or what it accepts, is not as it was
// before, or the namespace is created and its name is one of the scope's. Mesh labels are istio.io/rev, istio-injection,
// istio.io/dataplane-mode, and the given keys; on CREATE, "not as it was before" means that the label is there.
//
// A name never changes, so it matters only on CREATE. One that the API server has yet to generate is known to it
// when it validates, but not when it mutates.
//
// The order and repetition of keys and names make no difference. Those that are not valid are left out: no namespace
// can have them, and so nothing in them can break out of the expression. selector.NameLabel among the keys is AnyName.
func ValidateExpression(scope Scope) string { return acceptanceChanged + or + meshLabelsChanged(scope) }

// meshLabelsChanged is ValidateExpression without what the namespace accepts.
func meshLabelsChanged(scope Scope) string {
	keys := append([]string{revisionLabel, injectionLabel, dataplaneModeLabel}, scope.Keys...)
	anyName := scope.AnyName || slices.Contains(keys, selector.NameLabel)
	keys = slices.DeleteFunc(valid(keys, validation.IsQualifiedName), func(key string) bool { return key == selector.NameLabel })
	names := valid(scope.Names, validation.IsDNS1123Label)
	switch {
	case anyName:
		return anyChanged(keys) + or + created
	case len(names) > 0:
		return anyChanged(keys) + or + namesBegin + joined(names, listSeparator, quote) + listEnd
	default:
		return anyChanged(keys)
	}
}

// FillExpression returns the condition under which istio.io/rev may have to be filled in, or changed after it was:
// ValidateExpression holds because of labels or of the name, and there is no reason to leave the namespace alone that can be seen at once.
//
//   - The request itself sets istio.io/rev: then its author has chosen.
//   - It creates the namespace with another label by which a person or another product has chosen.
//   - The namespace has opted out, by a label or an annotation, and has no istio.io/rev. One that was filled in before may have
//     to be removed.
func FillExpression(scope Scope) string { return fill(meshLabelsChanged(scope)) }

// fill returns the condition under which istio.io/rev may have to be filled in because something holds.
func fill(because string) string {
	return fmt.Sprintf(`(
%s
) && (
!%s ||
%s
) && (
oldObject != null ||
!(%s)
) && (
%[2]s ||
object.metadata.?labels[?%[5]s] != optional.of('false') &&
object.metadata.?annotations[?%[5]s] != optional.of('false')
)`, because, present(revisionLabel), unchanged(quote(revisionLabel)),
		joined([]string{injectionLabel, dataplaneModeLabel, memberOfLabel}, or, present), quote(fillAnnotation))
}

// anyChanged returns the condition that one of the labels is not as it was before.
func anyChanged(keys []string) string {
	if len(keys) > maxWrittenOut {
		return listBegin + joined(keys, listSeparator, quote) + listEnd + ".exists(key, " + changed("key") + ")"
	}
	return joined(keys, or, func(key string) string { return changed(quote(key)) })
}

// changed returns the condition that a label is not as it was before. The key is a CEL expression.
func changed(key string) string {
	return fmt.Sprintf("object.metadata.?labels[?%[1]s] != oldObject.?metadata.?labels[?%[1]s]", key)
}

// unchanged returns the opposite of changed.
func unchanged(key string) string {
	return fmt.Sprintf("object.metadata.?labels[?%[1]s] == oldObject.?metadata.?labels[?%[1]s]", key)
}

// present returns the condition that a label is there.
func present(key string) string {
	return fmt.Sprintf("object.metadata.?labels[?%s].hasValue()", quote(key))
}

func joined(items []string, separator string, of func(item string) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = of(item)
	}
	return strings.Join(texts, separator)
}

const (
	or = " ||\n"
	// created is the condition that the namespace is created.
	created = "oldObject == null"
	// namesBegin begins the condition that a namespace of one of some names is created; the API server turns the list into a set.
	namesBegin = created + " && object.metadata.?name.orValue('') in " + listBegin

	listBegin     = "[\n  "
	listSeparator = ",\n  "
	listEnd       = "\n]"
)

var (
	// quoted finds the string literals of a list, changedKey those that an expression asks about one by one.
	quoted     = regexp.MustCompile(`'([^']*)'`)
	changedKey = regexp.MustCompile(`labels\[\?'([^']*)'\] != oldObject\.`)
)

// Read returns what an expression of this package asks about, the labels that it always asks about included. What is read of any
// other text has no meaning: making the expression anew of it shows whether it is one.
func Read(expression string) Scope {
	var scope Scope
	before, names, named := strings.Cut(expression, namesBegin)
	if named {
		names, _, _ = strings.Cut(names, listEnd)
		scope.Names = literals(quoted, names)
	}
	scope.AnyName = !named && strings.Contains(expression, created)
	if _, list, isList := strings.Cut(before, listBegin); isList {
		list, _, _ = strings.Cut(list, listEnd)
		scope.Keys = literals(quoted, list)
	} else {
		scope.Keys = literals(changedKey, before)
	}
	return scope
}

func literals(pattern *regexp.Regexp, text string) []string {
	var all []string
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	return all
}

// quote returns a CEL string literal. Valid label keys and names have no characters that would need escaping.
func quote(text string) string { return "'" + text + "'" }

// valid returns the valid items, each once, sorted.
func valid(items []string, problems func(item string) []string) []string {
	found := map[string]bool{}
	for _, item := range items {
		if len(problems(item)) == 0 {
			found[item] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
