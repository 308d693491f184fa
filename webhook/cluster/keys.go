package cluster

import (
	"maps"
	"slices"

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

// generator makes the condition of a webhook.
type generator struct {
	// of makes it of a list of keys: match.ValidateExpression or match.FillExpression.
	of func(keys []string) string
	// any is the one for more keys than an expression can have.
	any string
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

// widened returns the expression that asks about these keys too. It is the stored text itself if that does already.
func (g generator) widened(stored string, keys keySet) string {
	return g.expression(g.keys(stored).union(keys))
}

// narrowed returns the expression that asks about keys, and no longer about the unused ones.
func (g generator) narrowed(stored string, keys, unused keySet) string {
	return g.expression(g.keys(stored).union(keys).minus(unused))
}

// covers says whether the stored expression asks about these keys.
func (g generator) covers(stored string, keys keySet) bool {
	return g.widened(stored, keys) == stored
}
