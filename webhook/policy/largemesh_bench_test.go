package policy_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// giant is a mesh with so many selectors of so many values each, none of which a giant with another number has. The values
// of giants lie between each other's, so that no comparison of their ends tells them apart.
func giant(number, giants, selectors, values int) *sail.ControlPlane {
	name := fmt.Sprintf("giant-%d", number)
	cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: name}, Spec: sail.Spec{Namespace: "istio-system-" + name}}
	for i := range selectors {
		list := make([]string, values)
		for j := range list {
			list[j] = fmt.Sprintf("value-%07d", (j*selectors+i)*giants+number)
		}
		cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors, &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "istio-discovery", Operator: metav1.LabelSelectorOpIn, Values: list}},
		})
	}
	return cp
}

// BenchmarkLargeMeshes judges a mesh beside others, from the stored objects to the verdict.
func BenchmarkLargeMeshes(b *testing.B) {
	for _, size := range []struct{ meshes, selectors, values, namespaces int }{
		{100, 4, 1, 10000}, {1000, 4, 1, 100000}, {500, 50, 50, 0},
	} {
		objects := mesh.Objects{}
		for i := range size.meshes {
			objects.Istios = append(objects.Istios, giant(i, size.meshes+1, size.selectors, size.values))
		}
		namespaces := make([]mesh.Namespace, size.namespaces)
		for i := range namespaces {
			name := fmt.Sprintf("app-%06d", i)
			namespaces[i] = mesh.Namespace{Name: name, Labels: map[string]string{
				mesh.NameLabel: name, "istio-discovery": fmt.Sprintf("value-%07d", i), "team": "a",
			}}
		}
		judge := policy.New(settings())
		for name, number := range map[string]int{"apart": size.meshes, "the same": 0} {
			updated := giant(number, size.meshes+1, size.selectors, size.values)
			updated.Metadata.Name, updated.Spec.Namespace = "new", "istio-system-new"
			known := mesh.NewFleet(objects)
			b.Run(fmt.Sprintf("%d meshes with %d selectors of %d values, %d namespaces, %s", size.meshes, size.selectors, size.values, size.namespaces, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					before := known.Next(objects)
					after := before.Next(objects.With(updated))
					verdict := judge.Mesh(policy.MeshChange{New: after.Named("new"), Before: before, Fleet: after, Namespaces: namespaces, Now: now})
					if want := map[string]policy.Answer{"apart": policy.Allowed, "the same": policy.Denied}[name]; verdict.Answer != want {
						b.Fatal(verdict)
					}
				}
			})
		}
	}
}
