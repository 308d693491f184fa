// Package selector decides questions about Kubernetes label selectors on namespaces exactly, without looking at any
// namespace: do two of them overlap, does one leave something that others do not cover, what would a namespace need to
// match. Answers come with a witness, a label set that shows why.
//
// A selector is a conjunction, and the keys of a label set are independent of each other. So a selector is kept as one
// constraint for each key, and most questions are answered key by key. Selectors in a list (Istio's discoverySelectors)
// are ORed; that is the caller's business, except in Uncovered.
//
// Matches has the semantics of metav1.LabelSelectorAsSelector on any label map. The other questions are about
// namespaces that can exist, and know two things more:
//
//   - Every stored namespace carries the label NameLabel, and its value is the namespace's name, an RFC 1123 DNS label
//     (validated by ValidateNamespaceName of k8s.io/kubernetes/pkg/apis/core/validation, kept in place by the API
//     server's defaulting).
//   - There are more label values and more namespace names than any selector excludes. Strictly, label values of at
//     most 63 characters are finitely many, but no object has room to list them.
//
// The package is pure: it reads no clock, no network and no global state, and it never writes to its arguments.
package selector

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
)

// NameLabel is the label that the API server puts on every namespace; its value is the namespace's name. No user can
// change or remove it.
const NameLabel = api.NameLabel

// Selector is one label selector in normal form: a conjunction of one constraint for each label key, sorted by key.
// It is immutable and safe to share. The zero value selects nothing, so that a selector that was never parsed cannot
// pass for one that selects everything.
type Selector struct {
	set         bool         // false only in the zero value
	constraints []constraint // sorted by key, each key once
}

// All returns the selector that selects everything, as `{}` does.
func All() Selector {
	return Selector{set: true}
}

// Matches reports whether s selects an object with these labels. It agrees with apimachinery on every label map, also on
// one that no stored namespace could have. It does not allocate.
func (s Selector) Matches(labels map[string]string) bool {
	for i := range s.constraints {
		value, present := labels[s.constraints[i].key]
		if !s.constraints[i].allows(value, present) {
			return false
		}
	}
	return s.set
}

// Everything reports whether s selects every namespace that can exist. `Exists kubernetes.io/metadata.name` does, and so
// does excluding a name that no namespace can have.
func (s Selector) Everything() bool {
	for _, c := range s.constraints {
		if c.not().possible() {
			return false
		}
	}
	return s.set
}

// Nothing reports whether s selects no namespace that can exist: it contradicts itself, or asks for a name that no
// namespace can have.
func (s Selector) Nothing() bool {
	for _, c := range s.constraints {
		if !c.possible() {
			return true
		}
	}
	return !s.set
}

// AsksForLabel reports whether s selects only namespaces that carry some label which not all namespaces carry: it has a
// requirement In or Exists. `Exists kubernetes.io/metadata.name` does not count, `In` on that key does.
func (s Selector) AsksForLabel() bool {
	return slices.ContainsFunc(s.constraints, func(c constraint) bool {
		return !c.absent && (c.key != NameLabel || !c.except)
	})
}

// AsksFor reports whether s selects only namespaces that carry the label key, and takes this value of it.
func (s Selector) AsksFor(key, value string) bool {
	return slices.ContainsFunc(s.constraints, func(c constraint) bool {
		return c.key == key && !c.absent && c.takes(value)
	}) && !s.Nothing()
}

// Keys returns the distinct label keys that s mentions, sorted.
func (s Selector) Keys() []string {
	keys := make([]string, 0, len(s.constraints))
	for _, c := range s.constraints {
		keys = append(keys, c.key)
	}
	return keys
}

// Equal reports whether a and b have the same normal form. Then they match the same label maps; the converse holds except
// for selectors that match no label map at all, which still differ by the keys that they mention.
func (s Selector) Equal(other Selector) bool {
	return s.set == other.set && slices.EqualFunc(s.constraints, other.constraints, constraint.equal)
}

// And returns the selector that selects what both a and b select.
func And(a, b Selector) Selector {
	if !a.set || !b.set {
		return Selector{}
	}
	return Selector{set: true, constraints: merge(a.constraints, b.constraints)}
}

// merge joins two lists of constraints that are sorted by key, each key once, into one.
func merge(a, b []constraint) []constraint {
	merged := make([]constraint, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch order := strings.Compare(a[0].key, b[0].key); {
		case order < 0:
			merged, a = append(merged, a[0]), a[1:]
		case order > 0:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged, a, b = append(merged, a[0].and(b[0])), a[1:], b[1:]
		}
	}
	return append(append(merged, a...), b...)
}
