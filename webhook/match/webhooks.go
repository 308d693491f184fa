package match

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FirstLabelName is the name of the match condition that leaves out what another webhook is asked about: NoneOf.
const FirstLabelName = "first-label"

// OthersPrefix begins the names of the webhooks for the labels that have none of their own, whose objectSelector the server
// rewrites.
const OthersPrefix = "other."

// JudgeLabels returns the labels that have a validating webhook of their own, in the webhooks' order.
func JudgeLabels() []string {
	return append(FillLabels(), revisionLabel, injectionLabel)
}

// FillLabels returns the labels that have a mutating webhook of their own, in the webhooks' order: the default discovery labels.
func FillLabels() []string { return []string{"istio-discovery", "mesh"} }

// nobody is a label that no namespace needs to have. One that does is merely looked at more closely.
const nobody = "meshfence.io/no-other-label"

// ForLabel returns the selector of the webhook for a label, behind those for earlier ones.
func ForLabel(key string, earlier []string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: append(without(earlier), exists(key))}
}

// ForOthers returns the selector of the webhook for all but some labels, when an expression asks about keys: it is closed if
// there are no others, and wants the label if there is one. Keys that are not valid label keys are left out.
func ForOthers(labels, keys []string) *metav1.LabelSelector {
	others := slices.DeleteFunc(labelKeys(keys), func(key string) bool { return slices.Contains(labels, key) })
	selector := ForAnyOther(labels)
	switch len(others) {
	case 0:
		selector.MatchExpressions = append(selector.MatchExpressions, exists(nobody))
	case 1:
		selector.MatchExpressions = append(selector.MatchExpressions, exists(others[0]))
	}
	return selector
}

// ForAnyOther returns the selector that ForOthers would for more keys than one.
func ForAnyOther(labels []string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: without(labels)}
}

func exists(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpExists}
}

func without(keys []string) []metav1.LabelSelectorRequirement {
	var all []metav1.LabelSelectorRequirement
	for _, key := range keys {
		all = append(all, metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist})
	}
	return all
}

// NoneOf returns the condition that none of the labels is there, neither before nor after. The keys must be valid label keys.
func NoneOf(keys []string) string {
	return fmt.Sprintf("![%s].exists(key, object.metadata.?labels[?key].hasValue() || oldObject.?metadata.?labels[?key].hasValue())", joined(keys, ", ", quote))
}
