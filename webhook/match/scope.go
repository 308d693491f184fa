package match

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// Scope is which namespaces the API server sends, beside those whose labels count whatever the selectors say.
type Scope struct {
	// Keys are label keys: a namespace is sent when one of these labels appears, changes or goes away.
	Keys []string
	// Names are names of namespaces, each of which is sent when it is created.
	Names []string
	// AnyName is true if every namespace is sent when it is created.
	AnyName bool
}

// Of returns what a fleet's selectors look at. Every namespace carries its name as a label, so that label is not among the keys:
// selectors that go by the name alone have their names listed, and only those that exclude names, or want any, need AnyName. The
// control-plane namespaces of meshes that go by labels are listed too: one that is created without a label is told so.
func Of(fleet *mesh.Fleet) Scope {
	scope := Scope{Keys: slices.DeleteFunc(slices.Clone(fleet.SelectorKeys()), func(key string) bool { return key == selector.NameLabel })}
	for _, m := range fleet.Meshes() {
		if m.Sources[0].Listing == mesh.Selective && len(validation.IsDNS1123Label(m.ControlPlane)) == 0 {
			scope.Names = append(scope.Names, m.ControlPlane)
		}
		for _, source := range m.Sources {
			for _, term := range source.Terms {
				names, anyName := term.Selector.ByName()
				scope.Names = append(scope.Names, names...)
				scope.AnyName = scope.AnyName || anyName
			}
		}
	}
	slices.Sort(scope.Names)
	scope.Names = slices.Compact(scope.Names)
	return scope
}
