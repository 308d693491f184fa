package mesh_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// scan is DiscoveredBy without an index: every selector of every mesh is tried.
func scan(f *mesh.Fleet, labels map[string]string) []*mesh.Mesh {
	var found []*mesh.Mesh
	for _, m := range f.Meshes() {
		if source, _ := m.Discovers(labels); source != nil {
			found = append(found, m)
		}
	}
	return found
}

// randomRequirement is one over three keys and three values, in YAML's one-line form.
func randomRequirement(r *rand.Rand) string {
	key := []string{"a", "b", mesh.NameLabel}[r.IntN(3)]
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("{key: %s, operator: Exists}", key)
	case 1:
		return fmt.Sprintf("{key: %s, operator: DoesNotExist}", key)
	default:
		values := []string{"x", "y", "z"}[r.IntN(3):]
		return fmt.Sprintf("{key: %s, operator: %s, values: [%s]}", key, []string{"In", "NotIn"}[r.IntN(2)], strings.Join(values, ", "))
	}
}

func randomMeshes(r *rand.Rand, n int) []string {
	documents := make([]string, n)
	for i := range documents {
		selectors := make([]string, r.IntN(3))
		for j := range selectors {
			requirements := make([]string, r.IntN(3))
			for k := range requirements {
				requirements[k] = randomRequirement(r)
			}
			selectors[j] = "{matchExpressions: [" + strings.Join(requirements, ", ") + "]}"
		}
		documents[i] = istio(fmt.Sprintf("mesh-%02d", i), discovering(selectors...))
	}
	return documents
}

func TestTheIndexFindsWhatTryingEverySelectorFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence each time
	found := 0
	for range 200 {
		f := fleet(t, randomMeshes(r, 1+r.IntN(12))...)
		for range 50 {
			labels := map[string]string{}
			for _, key := range []string{"a", "b", "c", mesh.NameLabel} {
				if value := r.IntN(5); value < 3 {
					labels[key] = []string{"x", "y", "z"}[value]
				}
			}
			got := f.DiscoveredBy(labels)
			found += len(got)
			if diff := cmp.Diff(names(scan(f, labels)), names(got)); diff != "" {
				t.Fatalf("%v (-scan +index):\n%s", labels, diff)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d meshes were found in all: the test says little", found)
	}
}

func TestFindingAMeshDoesNotAllocate(t *testing.T) {
	f := fleet(t, manyMeshes(100)...)
	labels := map[string]string{mesh.NameLabel: "app", "istio-discovery": "mesh-042", "team": "x", "istio.io/rev": "mesh-042"}
	room := make([]*mesh.Mesh, 0, 2)
	if n := testing.AllocsPerRun(100, func() { room = f.AppendDiscoveredBy(room[:0], labels) }); n != 0 || len(room) != 1 {
		t.Errorf("%v allocations for %d meshes", n, len(room))
	}
}

// manyMeshes are told apart by one label, as in the guides.
func manyMeshes(n int) []string {
	documents := make([]string, n)
	for i := range documents {
		name := fmt.Sprintf("mesh-%03d", i)
		documents[i] = istio(name, "{namespace: istio-system-"+name+", values: {meshConfig: {discoverySelectors: ["+
			label("istio-discovery", name)+", "+label("mesh", name)+", "+label("team", name)+", "+label("tenant", name)+"]}}}")
	}
	return documents
}

func BenchmarkNewFleet(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		stored := objects(b, strings.Join(manyMeshes(n), "\n---\n"))
		b.Run(fmt.Sprintf("meshes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mesh.NewFleet(stored)
			}
		})
	}
}

func BenchmarkDiscoveredBy(b *testing.B) {
	labels := map[string]string{mesh.NameLabel: "app", "istio-discovery": "mesh-000", "team": "x", "istio.io/rev": "mesh-000", "env": "prod"}
	for _, n := range []int{1, 10, 100, 1000} {
		f := fleet(b, manyMeshes(n)...)
		b.Run(fmt.Sprintf("meshes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var room []*mesh.Mesh
			for b.Loop() {
				room = f.AppendDiscoveredBy(room[:0], labels)
			}
		})
	}
}
