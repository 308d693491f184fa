package selector

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Exclude returns a requirement that, added to s, makes it disjoint from other and leaves it something to select: the
// first, by key, of other's requirements that can be turned round. s and other must overlap. ok is false if there is
// none, because other selects every namespace that s does.
func (s Selector) Exclude(other Selector) (requirement metav1.LabelSelectorRequirement, ok bool) {
	for _, c := range other.constraints {
		for _, opposite := range c.opposites() {
			if !And(s, only(opposite)).Nothing() {
				return opposite.requirement(), true
			}
		}
	}
	return metav1.LabelSelectorRequirement{}, false
}

// opposites returns constraints that one requirement can say each, and that together are the complement of c: only that
// of "present, with exceptions" takes two.
func (c constraint) opposites() []constraint {
	switch {
	case c.contradictory():
		return nil
	case !c.absent && c.except && len(c.values) > 0:
		return []constraint{{key: c.key, absent: true}, {key: c.key, values: c.values}}
	default:
		return []constraint{c.not()}
	}
}

// requirement says c as one requirement, which must be possible: c must not be the union of "absent" and some values,
// nor "present" with exceptions.
func (c constraint) requirement() metav1.LabelSelectorRequirement {
	r := metav1.LabelSelectorRequirement{Key: c.key, Values: slices.Clone(c.values)}
	switch {
	case c.absent && c.except:
		r.Operator = metav1.LabelSelectorOpNotIn
	case c.absent:
		r.Operator = metav1.LabelSelectorOpDoesNotExist
	case c.except:
		r.Operator = metav1.LabelSelectorOpExists
	default:
		r.Operator = metav1.LabelSelectorOpIn
	}
	return r
}
