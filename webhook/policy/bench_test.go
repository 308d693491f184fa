package policy_test

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// healthy is a cluster with n meshes of four selectors each that do not overlap.
func healthy(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		name := fmt.Sprintf("mesh-%d", i+1)
		lines[i] = fmt.Sprintf("Istio %[1]s; in istio-system-%[1]s; version v1.30.3; selects istio-discovery=%[1]s | istio-discovery=%[1]s-dev | istio-discovery=%[1]s-test | istio-discovery=%[1]s-prod", name)
	}
	return lines
}

// usual are changes of a namespace that are allowed, in a cluster with at least one mesh.
func usual(t testing.TB, n int) map[string]policy.NamespaceChange {
	t.Helper()
	f := fleet(t, healthy(n)...)
	change := func(from, to string) policy.NamespaceChange {
		return policy.NamespaceChange{Old: namespace(t, "app", from), New: namespace(t, "app", to), Fleet: f, Now: now}
	}
	last := fmt.Sprintf("istio.io/rev=mesh-%d istio-discovery=mesh-%d", n, n)
	created := change("", "team=a "+last)
	created.Old = nil
	return map[string]policy.NamespaceChange{
		"created": created,
		"joins":   change("team=a", "team=a "+last),
		"stage":   change("team=a", "team=a "+last+"-prod"),
		"leaves":  change("team=a "+last, "team=a"),
	}
}

func TestAllowingANamespaceDoesNotAllocate(t *testing.T) {
	p := policy.New(settings())
	for name, change := range usual(t, 100) {
		var verdict policy.Verdict
		if n := testing.AllocsPerRun(100, func() { verdict = p.Namespace(change) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if verdict.Answer != policy.Allowed || len(verdict.Warnings) > 0 {
			t.Errorf("%s: %+v", name, verdict)
		}
		if n := testing.AllocsPerRun(100, func() { p.WantsPods(change); p.Joins(change) }); n != 0 {
			t.Errorf("%s: %v allocations for what is to be asked", name, n)
		}
	}
}

func BenchmarkNamespace(b *testing.B) {
	p := policy.New(settings())
	for _, meshes := range []int{1, 10, 100, 1000} {
		for _, name := range []string{"created", "joins", "stage"} {
			b.Run(fmt.Sprintf("%s/meshes=%d", name, meshes), func(b *testing.B) {
				change := usual(b, meshes)[name]
				b.ReportAllocs()
				for b.Loop() {
					p.Namespace(change)
				}
			})
		}
	}
}

func BenchmarkFill(b *testing.B) {
	p := policy.New(settings())
	for _, meshes := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("meshes=%d", meshes), func(b *testing.B) {
			change := policy.FillChange{Old: namespace(b, "app", ""), New: namespace(b, "app", "istio-discovery=mesh-1"), Fleet: fleet(b, healthy(meshes)...)}
			b.ReportAllocs()
			for b.Loop() {
				p.Fill(change)
			}
		})
	}
}

// One of 1,000 meshes changes, in a cluster with 100,000 namespaces: its version, which moves nobody, or its selectors, for which
// every namespace is looked at. Making the two fleets that are compared is a part of the judgement, and is BenchmarkNewFleet's
// business.
func BenchmarkMesh(b *testing.B) {
	benchmarkMesh(b, func(spec *sail.Spec) { spec.Version = "v1.30.4" })
}

func BenchmarkMeshSelectors(b *testing.B) {
	benchmarkMesh(b, func(spec *sail.Spec) {
		selectors := &spec.Values.MeshConfig.DiscoverySelectors
		*selectors = append(slices.Clone(*selectors), &metav1.LabelSelector{MatchLabels: map[string]string{"istio-discovery": "mesh-1-more"}})
	})
}

func benchmarkMesh(b *testing.B, change func(*sail.Spec)) {
	b.Helper()
	p := policy.New(settings())
	for _, size := range []struct{ meshes, namespaces int }{{2, 10}, {100, 10000}, {1000, 100000}} {
		b.Run(fmt.Sprintf("meshes=%d/namespaces=%d", size.meshes, size.namespaces), func(b *testing.B) {
			stored := objects(b, healthy(size.meshes)...)
			updated := *stored.Istios[0]
			change(&updated.Spec)
			ref := mesh.Ref{Kind: "Istio", Name: "mesh-1"}
			judged := policy.MeshChange{Before: mesh.NewFleet(stored), Fleet: mesh.NewFleet(stored.With(&updated)), Namespaces: tenants(b, size), Now: now}
			judged.Old, judged.New = judged.Before.Mesh(ref), judged.Fleet.Mesh(ref)
			b.ReportAllocs()
			for b.Loop() {
				if v := p.Mesh(judged); v.Answer != policy.Allowed {
					b.Fatalf("%+v", v)
				}
			}
		})
	}
}

// tenants are namespaces that are spread over meshes.
func tenants(t testing.TB, size struct{ meshes, namespaces int }) []mesh.Namespace {
	t.Helper()
	all := make([]mesh.Namespace, size.namespaces)
	for i := range all {
		name := fmt.Sprintf("mesh-%d", i%size.meshes+1)
		all[i] = *namespace(t, fmt.Sprintf("tenant-%06d", i), "team=a istio-discovery="+name+" istio.io/rev="+name)
	}
	return all
}

// The memory that a judgement leaves to the next one holds nothing that the next one could take for its own.
func TestAJudgementRemembersNothingOfTheOneBefore(t *testing.T) {
	p := policy.New(settings())
	change := policy.NamespaceChange{Old: namespace(t, "app", ""), New: namespace(t, "app", "istio-discovery=mesh-1 istio.io/rev=mesh-2"), Now: now}
	for range 3 {
		for _, test := range []struct {
			fleet  []string
			answer policy.Answer
		}{
			{guide(), policy.Denied},
			{[]string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-1"}, policy.Allowed},
		} {
			change.Fleet = fleet(t, test.fleet...)
			if got := p.Namespace(change); got.Answer != test.answer {
				t.Errorf("%q: %+v", test.fleet, got)
			}
		}
	}
}

// A mesh comes into the cluster under a name that a hundredth of the namespaces, or all, have chosen, and discovers none of them.
func BenchmarkMeshMisplacing(b *testing.B) {
	p := policy.New(settings())
	for _, every := range []int{100, 1} {
		b.Run(fmt.Sprintf("one in %d", every), func(b *testing.B) {
			namespaces := tenants(b, struct{ meshes, namespaces int }{100, 10000})
			for i := range namespaces {
				if i%every == 0 {
					namespaces[i] = *namespace(b, namespaces[i].Name, "team=a istio.io/rev=far")
				}
			}
			before, after := fleet(b, append(healthy(100), far)...), fleet(b, append(healthy(100), near)...)
			ref := mesh.Ref{Kind: "Istio", Name: "far"}
			change := policy.MeshChange{Old: before.Mesh(ref), New: after.Mesh(ref), Before: before, Fleet: after, Namespaces: namespaces, Now: now}
			b.ReportAllocs()
			for b.Loop() {
				if v := p.Mesh(change); v.Answer != policy.Denied || len(v.Denials[0].Subjects) != len(namespaces)/every {
					b.Fatalf("%+v", v)
				}
			}
		})
	}
}
