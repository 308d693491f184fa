package cluster

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// A match condition has to stay below the API server's limits: 100,000 characters for the CEL parser, and a budget of
// 2,500,000 cost units for an evaluation, of which a thousand keys with the longest values and a thousand names take a part
// (the tests of webhook/match measure it, and how long it takes to compile them). These bounds leave room on both sides.
const (
	maxKeys           = 1000
	maxNames          = 1000
	maxExpressionSize = 64 << 10
)

// What a keySet has besides label keys; none of it is a valid label key.
const (
	// anyLabel stands for every label key.
	anyLabel = "*"
	// anyName stands for the creation of every namespace. As a key in the configuration it means the same.
	anyName = mesh.NameLabel
	// oneName begins what stands for the creation of a namespace of one name, which follows.
	oneName = mesh.NameLabel + "="
)

// keySet is a set of what is asked about: label keys and names of namespaces.
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

// keysOf returns a set of all that is asked about.
func keysOf(asked match.Asked) keySet {
	s := newKeySet(asked.Keys)
	for _, name := range asked.Names {
		s[oneName+name] = true
	}
	if asked.AnyName {
		s[anyName] = true
	}
	return s
}

// asked is the reverse of keysOf.
func (s keySet) asked() match.Asked {
	var asked match.Asked
	for _, key := range slices.Sorted(maps.Keys(s)) {
		switch name, isName := strings.CutPrefix(key, oneName); {
		case isName:
			asked.Names = append(asked.Names, name)
		case key == anyName:
			asked.AnyName = true
		default:
			asked.Keys = append(asked.Keys, key)
		}
	}
	return asked
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

// generator makes the conditions of a configuration's webhooks.
type generator struct {
	// of makes one: match.ValidateExpression or match.FillExpression.
	of func(match.Asked) string
	// any is the one for more keys than an expression can have.
	any string
}

// expression returns the condition for a set of keys. The same set gives the same text in every replica.
func (g generator) expression(keys keySet) string {
	asked := keys.asked()
	if keys[anyLabel] || len(asked.Keys) > maxKeys {
		return g.any
	}
	asked.AnyName = asked.AnyName || len(asked.Names) > maxNames
	if text := g.of(asked); len(text) <= maxExpressionSize {
		return text
	}
	asked.AnyName = true
	if text := g.of(asked); len(text) <= maxExpressionSize {
		return text
	}
	return g.any
}

// keys returns what a stored expression asks about. It is none of ours if making it anew of that gives another text; then a
// person has edited it, and what it asks about is unknown: nothing.
func (g generator) keys(expression string) keySet {
	if expression == g.any {
		return keySet{anyLabel: true}
	}
	found := match.Read(expression)
	if g.of(found) != expression {
		return keySet{}
	}
	return keysOf(found)
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

// changed returns the expression that is to be stored in the place of another one when what is asked about changes.
func (g generator) changed(stored string, change change) string {
	return g.expression(change(g.keys(stored)))
}

// covers reports whether a stored expression asks about these keys.
func (g generator) covers(stored string, keys keySet) bool {
	return g.changed(stored, widened(keys)) == stored
}
