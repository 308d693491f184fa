package match_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// fleetOf is a fleet of meshes that have one selector each, and their control planes where no namespace can be.
func fleetOf(selectors ...*metav1.LabelSelector) *mesh.Fleet {
	var objects mesh.Objects
	for i, s := range selectors {
		cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: fmt.Sprintf("mesh-%d", i)}}
		cp.Spec.Namespace = "not.a.namespace"
		cp.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{s}
		objects.Istios = append(objects.Istios, cp)
	}
	return mesh.NewFleet(objects)
}

// selecting makes a selector of requirements: a key, an operator and values each.
func selecting(requirements ...[]string) *metav1.LabelSelector {
	s := &metav1.LabelSelector{}
	for _, r := range requirements {
		s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: r[0], Operator: metav1.LabelSelectorOperator(r[1]), Values: r[2:]})
	}
	return s
}

func TestWhatAFleetsSelectorsLookAt(t *testing.T) {
	const name = "kubernetes.io/metadata.name"
	for _, test := range []struct {
		name      string
		selectors []*metav1.LabelSelector
		want      match.Scope
	}{
		{"no meshes", nil, match.Scope{}},
		{"labels", []*metav1.LabelSelector{selecting([]string{"mesh", "In", "a"}), selecting([]string{"team", "NotIn", "b"})}, of("mesh", "team")},
		{"everything", []*metav1.LabelSelector{{}}, match.Scope{}},
		{"matchLabels on the name", []*metav1.LabelSelector{{MatchLabels: map[string]string{name: "shop"}}}, match.Scope{Names: []string{"shop"}}},
		{"In on the name", []*metav1.LabelSelector{selecting([]string{name, "In", "shop", "cart"}), selecting([]string{name, "In", "shop"})}, match.Scope{Names: []string{"cart", "shop"}}},
		{"NotIn on the name", []*metav1.LabelSelector{selecting([]string{name, "NotIn", "shop"})}, match.Scope{AnyName: true}},
		{"Exists on the name", []*metav1.LabelSelector{selecting([]string{name, "Exists"})}, match.Scope{AnyName: true}},
		{"DoesNotExist on the name, which no namespace is without", []*metav1.LabelSelector{selecting([]string{name, "DoesNotExist"})}, match.Scope{}},
		{"NotIn on the name, of a mesh beside one that lists", []*metav1.LabelSelector{
			selecting([]string{name, "NotIn", "shop"}), selecting([]string{name, "In", "shop"}),
		}, match.Scope{Names: []string{"shop"}, AnyName: true}},
		{"In on the name and a label", []*metav1.LabelSelector{selecting([]string{name, "In", "shop"}, []string{"team", "In", "a"})}, of("team")},
		{"NotIn on the name and a label", []*metav1.LabelSelector{selecting([]string{name, "NotIn", "shop"}, []string{"team", "Exists"})}, of("team")},
		{"In on the name, without a label", []*metav1.LabelSelector{selecting([]string{name, "In", "shop"}, []string{"team", "DoesNotExist"})}, match.Scope{Keys: []string{"team"}, Names: []string{"shop"}}},
		{"NotIn on the name and on a label", []*metav1.LabelSelector{selecting([]string{name, "NotIn", "shop"}, []string{"team", "NotIn", "a"})}, match.Scope{Keys: []string{"team"}, AnyName: true}},
		{"some names excluded from others", []*metav1.LabelSelector{selecting([]string{name, "In", "shop", "cart"}, []string{name, "NotIn", "cart"})}, match.Scope{Names: []string{"shop"}}},
		{"names that no namespace can have", []*metav1.LabelSelector{selecting([]string{name, "In", "shop", "A.b"})}, match.Scope{Names: []string{"shop"}}},
		{"a contradiction", []*metav1.LabelSelector{selecting([]string{name, "In", "shop"}, []string{name, "NotIn", "shop"})}, match.Scope{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, match.Of(fleetOf(test.selectors...)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A control-plane namespace that is created without the labels by which its mesh would discover it has none that is asked about.
func TestAControlPlaneNamespaceIsAskedAboutWhenItIsCreated(t *testing.T) {
	in := func(name, namespace string, selectors ...*metav1.LabelSelector) *sail.ControlPlane {
		cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: name}, Spec: sail.Spec{Namespace: namespace}}
		cp.Spec.Values.MeshConfig.DiscoverySelectors = selectors
		return cp
	}
	byMesh := selecting([]string{"mesh", "In", "a"})
	remote := in("remote", "far", byMesh)
	remote.Spec.Profile = sail.ProfileRemote
	fleet := mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{
		in("a", "istio-system-a", byMesh), in("b", "", byMesh), in("everything", "openshift-ingress"), remote,
	}})
	asked := match.Of(fleet)
	if diff := cmp.Diff(match.Scope{Keys: []string{"mesh"}, Names: []string{"istio-system", "istio-system-a"}}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	validate := newCondition(match.ValidateExpression(asked))
	for name, want := range map[string]bool{"istio-system-a": true, "istio-system": true, "openshift-ingress": false, "istio-system-b": false} {
		created := with(fields{"kubernetes.io/metadata.name": name})
		created.name = name
		if got := validate.holds(t, nil, created); got != want {
			t.Errorf("%s is created and asked about: %v", name, got)
		}
		if validate.holds(t, created, created) {
			t.Errorf("%s changes in nothing and is asked about", name)
		}
	}
}

// Whatever the selectors, and whatever the namespace: one that some mesh comes to discover, or no longer does, by a label or by
// being created with its name, is asked about.
func TestNoNamespaceChangesMeshesUnasked(t *testing.T) {
	const name = "kubernetes.io/metadata.name"
	requirements := [][]string{
		{name, "In", "shop"}, {name, "In", "shop", "cart"}, {name, "NotIn", "shop"}, {name, "Exists"}, {name, "DoesNotExist"},
		{"team", "In", "a"}, {"team", "NotIn", "a"}, {"team", "Exists"}, {"team", "DoesNotExist"},
	}
	namespaces := []*namespace{}
	for _, called := range []string{"shop", "cart", "blog"} {
		for _, labels := range []fields{nil, {"team": "a"}, {"team": "b"}} {
			n := with(fields{name: called})
			n.name = called
			for key, value := range labels {
				n.labels[key] = value
			}
			namespaces = append(namespaces, n)
		}
	}
	for i, first := range requirements {
		for _, second := range requirements[i:] {
			fleet := fleetOf(selecting(first, second))
			validate := newCondition(match.ValidateExpression(match.Of(fleet)))
			for _, current := range namespaces {
				discovered := len(fleet.DiscoveredBy(current.labels)) > 0
				asks := discovered && (mentions(name, first, second) || current.label("team") != absent && mentions("team", first, second))
				if asks && !validate.holds(t, nil, current) {
					t.Errorf("%q and %q: %v is created and not asked about", first, second, current.labels)
				}
				for _, old := range namespaces {
					moves := discovered != (len(fleet.DiscoveredBy(old.labels)) > 0)
					if old.name == current.name && moves && !validate.holds(t, old, current) {
						t.Errorf("%q and %q: from %v to %v and not asked about", first, second, old.labels, current.labels)
					}
				}
			}
		}
	}
}

func mentions(key string, requirements ...[]string) bool {
	for _, r := range requirements {
		if r[0] == key {
			return true
		}
	}
	return false
}
