package conditions

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

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

// keySet is a set of what the API server sends: changes of label keys and the creation of namespaces by name.
type keySet = sets.Set[string]

// keysOf returns the set of all that is in a scope.
func keysOf(scope match.Scope) keySet {
	keys := sets.New(scope.Keys...)
	for _, name := range scope.Names {
		keys.Insert(oneName + name)
	}
	if scope.AnyName {
		keys.Insert(anyName)
	}
	return keys
}

// scopeOf is the reverse of keysOf.
func scopeOf(keys keySet) match.Scope {
	var scope match.Scope
	for _, key := range sets.List(keys) {
		switch name, isName := strings.CutPrefix(key, oneName); {
		case isName:
			scope.Names = append(scope.Names, name)
		case key == anyName:
			scope.AnyName = true
		default:
			scope.Keys = append(scope.Keys, key)
		}
	}
	return scope
}

// language is how the condition of one of the configurations is written.
type language struct {
	// write returns the condition: match.ValidateExpression or match.FillExpression.
	write func(match.Scope) string
	// everything is the condition for more keys than an expression can have.
	everything string
}

// expression returns the condition for a set of keys. The same set gives the same text in every replica.
func (l language) expression(keys keySet) string {
	scope := scopeOf(keys)
	if keys.Has(anyLabel) || len(scope.Keys) > maxKeys {
		return l.everything
	}
	scope.AnyName = scope.AnyName || len(scope.Names) > maxNames
	if text := l.write(scope); len(text) <= maxExpressionSize {
		return text
	}
	scope.AnyName = true
	if text := l.write(scope); len(text) <= maxExpressionSize {
		return text
	}
	return l.everything
}

// keys returns what a stored expression asks about. An expression that is not what expression returns for these keys was edited
// by a person; what it asks about is unknown: nothing.
func (l language) keys(expression string) keySet {
	if expression == l.everything {
		return sets.New(anyLabel)
	}
	found := match.Read(expression)
	if l.write(found) != expression {
		return keySet{}
	}
	return keysOf(found)
}

// edit returns the set of keys that is to be stored in the place of another one.
type edit func(stored keySet) keySet

// adding returns an edit that adds keys.
func adding(keys keySet) edit {
	return func(stored keySet) keySet { return stored.Union(keys) }
}

// replacing returns an edit that adds keys and removes the unused ones.
func replacing(keys, unused keySet) edit {
	return func(stored keySet) keySet { return stored.Union(keys).Difference(unused) }
}

// edited returns the expression that is to be stored in the place of another one.
func (l language) edited(stored string, edit edit) string {
	return l.expression(edit(l.keys(stored)))
}

// covers reports whether a stored expression asks about these keys.
func (l language) covers(stored string, keys keySet) bool {
	return l.edited(stored, adding(keys)) == stored
}
