package selector_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/selector"
)

func BenchmarkOverlap(b *testing.B) {
	for _, bench := range []struct {
		name string
		a, b requirements
	}{
		{"disjoint", requirements{in("istio-discovery", "mesh-1")}, requirements{in("istio-discovery", "mesh-2")}},
		{"overlapping", requirements{in("istio-discovery", "mesh-1")}, requirements{in("mesh", "mesh-2")}},
		{"several_keys", requirements{in("env", "a", "b", "c"), exists("team"), notIn(name, "x")}, requirements{in("env", "b", "c"), notIn("team", "y"), absent("app")}},
		{"by_name", requirements{in(name, "a", "b", "c")}, requirements{in(name, "c", "d", "e")}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			x, y := parse(b, bench.a...), parse(b, bench.b...)
			b.ReportAllocs()
			for b.Loop() {
				selector.Overlap(x, y)
			}
		})
	}
}

func BenchmarkMatches(b *testing.B) {
	labels := map[string]string{name: "shop", "istio-discovery": "mesh-1", "istio.io/rev": "mesh-1", "env": "prod", "team": "x"}
	for _, bench := range []struct {
		name string
		of   requirements
	}{
		{"one_label", requirements{in("istio-discovery", "mesh-1")}},
		{"each_operator", requirements{in("env", "dev", "prod", "test"), notIn("istio-discovery", "mesh-2"), exists("team"), absent("app")}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := parse(b, bench.of...)
			b.ReportAllocs()
			for b.Loop() {
				s.Matches(labels)
			}
		})
	}
}

func BenchmarkUncovered(b *testing.B) {
	for _, bench := range []struct {
		name   string
		s      selector.Selector
		covers []selector.Selector
	}{
		{"one_hundred_meshes", parse(b, exists("mesh")), manyMeshes(b, 100)},
		{"given_up", selector.All(), pigeonholes(b, 9)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				selector.Uncovered(bench.s, bench.covers)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	spec := &metav1.LabelSelector{
		MatchLabels:      map[string]string{"istio-discovery": "mesh-1"},
		MatchExpressions: []metav1.LabelSelectorRequirement{notIn("env", "dev", "test"), exists("team")},
	}
	b.ReportAllocs()
	for b.Loop() {
		selector.Parse(spec, nil)
	}
}
