package cluster

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/match"
)

// A match condition has to stay below the API server's limits: 100,000 characters for the CEL parser, and a budget of
// 2,500,000 cost units for an evaluation, of which a thousand keys with the longest values take a part (the tests of
// webhook/match measure it). These bounds leave room on both sides.
const (
	maxKeys           = 1000
	maxExpressionSize = 64 << 10
)

// anyLabel stands for every label key.
const anyLabel = "*"

// keySet is a set of label keys, or of all of them if it has anyLabel.
type keySet map[string]bool

func newKeySet(lists ...[]string) keySet {
	s := keySet{}
	for _, list := range lists {
		for _, key := range list {
			s[key] = true
		}
	}
	return s
}

func (s keySet) union(other keySet) keySet {
	both := make(keySet, len(s)+len(other))
	maps.Copy(both, s)
	maps.Copy(both, other)
	return both
}

func (s keySet) minus(other keySet) keySet {
	rest := maps.Clone(s)
	maps.DeleteFunc(rest, func(key string, _ bool) bool { return other[key] })
	return rest
}

func (s keySet) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// generator makes the conditions of a configuration's webhooks, and the selectors of those for other labels.
type generator struct {
	// of makes it of a list of keys: match.ValidateExpression or match.FillExpression.
	of func(keys []string) string
	// any is the one for more keys than an expression can have.
	any string
	// labels have a webhook of their own: match.JudgeLabels or match.FillLabels.
	labels []string
}

// expression returns the condition for a set of keys. The same set gives the same text in every replica.
func (g generator) expression(keys keySet) string {
	if keys[anyLabel] || len(keys) > maxKeys {
		return g.any
	}
	if text := g.of(keys.sorted()); len(text) <= maxExpressionSize {
		return text
	}
	return g.any
}

// keys returns the keys of a stored expression. It is none of ours if making it anew of its keys gives another text; then a
// person has edited it, and its keys are unknown: none.
func (g generator) keys(expression string) keySet {
	if expression == g.any {
		return keySet{anyLabel: true}
	}
	found := newKeySet(match.Keys(expression))
	if g.of(found.sorted()) != expression {
		return keySet{}
	}
	return found
}

// others returns the selector of the webhook for the labels that have none of their own, beside this expression. Without one,
// which only a person can have taken away, it is to be asked about all of them.
func (g generator) others(expression string) *metav1.LabelSelector {
	keys := g.keys(expression)
	if keys[anyLabel] || expression == "" {
		return match.ForAnyOther(g.labels)
	}
	return match.ForOthers(g.labels, keys.sorted())
}

// change makes another set of the keys about which a webhook asks.
type change func(stored keySet) keySet

// widened adds keys.
func widened(keys keySet) change {
	return func(stored keySet) keySet { return stored.union(keys) }
}

// narrowed adds keys, and takes away the unused ones.
func narrowed(keys, unused keySet) change {
	return func(stored keySet) keySet { return stored.union(keys).minus(unused) }
}

// wanted returns the webhooks as they are to be written when what they ask about changes.
func (g generator) wanted(stored []hook, change change) []hook {
	expressions := map[string]string{} // all webhooks have the same, unless somebody has edited one
	wanted := slices.Clone(stored)
	for i := range wanted {
		h := &wanted[i]
		if h.condition != "" {
			if _, done := expressions[h.expression]; !done {
				expressions[h.expression] = g.expression(change(g.keys(h.expression)))
			}
			h.expression = expressions[h.expression]
		}
		if h.others {
			h.selector = *g.others(h.expression)
		}
	}
	return wanted
}

// covers says whether the stored webhooks ask about these keys.
func (g generator) covers(stored []hook, keys keySet) bool {
	return slices.EqualFunc(stored, g.wanted(stored, widened(keys)), hook.same)
}
