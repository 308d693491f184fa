package selector

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Parse returns the normal form of s, with the semantics of metav1.LabelSelectorAsSelector: nil selects nothing, `{}`
// everything. It fails exactly when that function does, but reports every error, each with the path of the offending
// field below path and, in its Detail, what is allowed there: first those in matchLabels by key, then those in
// matchExpressions by index. With errors the Selector is the zero value.
func Parse(s *metav1.LabelSelector, path *field.Path) (Selector, field.ErrorList) {
	if s == nil {
		return Selector{}, nil
	}
	var errs field.ErrorList
	constraints := make([]constraint, 0, len(s.MatchLabels)+len(s.MatchExpressions))
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		errs = append(errs, checkLabel(key, s.MatchLabels[key], path.Child("matchLabels").Key(key))...)
		constraints = append(constraints, constraint{key: key, values: []string{s.MatchLabels[key]}})
	}
	for i, r := range s.MatchExpressions {
		errs = append(errs, checkRequirement(r, path.Child("matchExpressions").Index(i))...)
		constraints = append(constraints, requirementConstraint(r))
	}
	if len(errs) > 0 {
		return Selector{}, errs
	}
	return Selector{set: true, constraints: normalize(constraints)}, nil
}

// requirementConstraint translates one valid requirement.
func requirementConstraint(r metav1.LabelSelectorRequirement) constraint {
	values := slices.Clone(r.Values)
	slices.Sort(values)
	return constraint{
		key:    r.Key,
		absent: r.Operator == metav1.LabelSelectorOpNotIn || r.Operator == metav1.LabelSelectorOpDoesNotExist,
		except: r.Operator == metav1.LabelSelectorOpNotIn || r.Operator == metav1.LabelSelectorOpExists,
		values: slices.Compact(values),
	}
}

// normalize sorts constraints by key and joins those about the same key.
func normalize(constraints []constraint) []constraint {
	slices.SortStableFunc(constraints, func(a, b constraint) int { return strings.Compare(a.key, b.key) })
	var normal []constraint
	for len(constraints) > 0 {
		n := 1
		for n < len(constraints) && constraints[n].key == constraints[0].key {
			n++
		}
		normal, constraints = append(normal, conjunction(constraints[:n])), constraints[n:]
	}
	return normal
}

// conjunction joins constraints about one key. Halving keeps thousands of requirements on one key from costing the
// square of their number.
func conjunction(constraints []constraint) constraint {
	if len(constraints) == 1 {
		return constraints[0]
	}
	half := len(constraints) / 2
	return conjunction(constraints[:half]).and(conjunction(constraints[half:]))
}

// checkLabel validates an entry of matchLabels; path is the entry's.
func checkLabel(key, value string, path *field.Path) field.ErrorList {
	return append(checkKey(key, path), checkValue(value, path)...)
}

// checkRequirement validates an entry of matchExpressions; path is the entry's.
func checkRequirement(r metav1.LabelSelectorRequirement, path *field.Path) field.ErrorList {
	errs := append(checkKey(r.Key, path.Child("key")), checkOperator(r.Operator, path.Child("operator"))...)
	return append(errs, checkValues(r, path.Child("values"))...)
}

func checkKey(key string, path *field.Path) field.ErrorList {
	if problems := content.IsLabelKey(key); len(problems) > 0 {
		return field.ErrorList{field.Invalid(path, key, strings.Join(problems, "; "))}
	}
	return nil
}

func checkValue(value string, path *field.Path) field.ErrorList {
	if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
		return field.ErrorList{field.Invalid(path, value, strings.Join(problems, "; "))}
	}
	return nil
}

// checkValues validates how many values there are and what is in them. Values that must not be there at all are one
// error, whatever is in them.
func checkValues(r metav1.LabelSelectorRequirement, path *field.Path) field.ErrorList {
	switch r.Operator {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if len(r.Values) == 0 {
			return field.ErrorList{field.Required(path, "operator "+string(r.Operator)+" needs at least one value")}
		}
	case metav1.LabelSelectorOpExists:
		if len(r.Values) > 0 {
			return field.ErrorList{field.Forbidden(path, "operator Exists takes no values; In does")}
		}
	case metav1.LabelSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			return field.ErrorList{field.Forbidden(path, "operator DoesNotExist takes no values; NotIn does")}
		}
	}
	var errs field.ErrorList
	for i, value := range r.Values {
		if !usual(value) {
			errs = append(errs, checkValue(value, path.Index(i))...)
		}
	}
	return errs
}

// usual reports whether a value is valid for sure. IsValidLabelValue of apimachinery uses a regular expression, which would take
// most of the time that reading a long list takes; it decides about the others.
func usual(value string) bool {
	if len(value) == 0 || len(value) > content.LabelValueMaxLength || !alphanumeric(value[0]) || !alphanumeric(value[len(value)-1]) {
		return false
	}
	for i := range len(value) {
		if c := value[i]; !alphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
