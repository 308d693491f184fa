package mesh_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// plainPairs are the overlapping pairs of selectors of two meshes, found by trying each pair, as text.
func plainPairs(a, b *mesh.Mesh) []string {
	var found []string
	for _, s := range a.Sources {
		for _, t := range s.Terms {
			for _, o := range b.Sources {
				for _, u := range o.Terms {
					if selector.Overlaps(t.Selector, u.Selector) {
						found = append(found, fmt.Sprint(s.Ref, t.Path, o.Ref, u.Path, mesh.ExcuseOf(a, &s, b, &o, noon)))
					}
				}
			}
		}
	}
	return found
}

func quickPairs(a, b *mesh.Mesh) []string {
	var found []string
	for _, o := range pairsOf(a, b) {
		found = append(found, fmt.Sprint(o.Source.Ref, o.Term.Path, o.OtherSource.Ref, o.OtherTerm.Path, o.Excuse))
	}
	return found
}

// randomSelector is one item of a list of selectors in YAML's one-line form.
func randomSelector(r *rand.Rand) string {
	if r.IntN(12) == 0 {
		return []string{"null", "{}"}[r.IntN(2)]
	}
	var requirements []string
	for range 1 + r.IntN(3) {
		key := []string{"env", "team", "kubernetes.io/metadata.name"}[r.IntN(3)]
		values := []string{"a", "b", "c", "d", "e"}
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		list := strings.Join(values[:1+r.IntN(3)], ", ")
		requirements = append(requirements, []string{
			fmt.Sprintf("{key: %s, operator: In, values: [%s]}", key, list), fmt.Sprintf("{key: %s, operator: In, values: [%s]}", key, list),
			fmt.Sprintf("{key: %s, operator: NotIn, values: [%s]}", key, list),
			fmt.Sprintf("{key: %s, operator: Exists}", key), fmt.Sprintf("{key: %s, operator: DoesNotExist}", key),
		}[r.IntN(5)])
	}
	return "{matchExpressions: [" + strings.Join(requirements, ", ") + "]}"
}

func randomSpec(r *rand.Rand) string {
	items := make([]string, r.IntN(30))
	for i := range items {
		items[i] = randomSelector(r)
	}
	spec := strings.TrimSuffix(discovering(items...), "}}}") + "}"
	return spec + []string{"", ", global: {trustBundleName: other}"}[r.IntN(2)] + "}}"
}

func TestForRandomMeshesAComparisonFindsThePairsThatTryingEachFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	pairs := 0
	for range 25 {
		a, b := pair(t, istio("mesh-1", randomSpec(r)), revision("one", "mesh-1", randomSpec(r)),
			istio("mesh-2", randomSpec(r)), revision("two", "mesh-2", randomSpec(r)), revision("three", "mesh-2", randomSpec(r)))
		want := plainPairs(a, b)
		if diff := cmp.Diff(want, quickPairs(a, b)); diff != "" {
			t.Fatalf("(-each +comparison):\n%s", diff)
		}
		pairs += len(want)
	}
	if pairs == 0 {
		t.Error("nothing overlaps")
	}
}

func TestClashesAreThePairsWithoutAnExcuse(t *testing.T) {
	r := rand.New(rand.NewPCG(37, 38))
	clashes, excused := 0, 0
	for range 25 {
		a, b := pair(t, istio("mesh-1", randomSpec(r)), revision("one", "mesh-1", randomSpec(r)),
			istio("mesh-2", randomSpec(r)), revision("two", "mesh-2", randomSpec(r)), revision("three", "mesh-2", randomSpec(r)))
		comparison := mesh.Compare(a, time.Time{})
		all := slices.Collect(comparison.With(b))
		want := slices.DeleteFunc(slices.Clone(all), func(o mesh.Overlap) bool { return o.Excuse != mesh.NoExcuse })
		if got := slices.Collect(comparison.Clashes(b)); !slices.Equal(got, want) {
			t.Fatalf("%d clashes, want %d of %d pairs", len(got), len(want), len(all))
		}
		clashes, excused = clashes+len(want), excused+len(all)-len(want)
	}
	if clashes == 0 || excused == 0 {
		t.Errorf("%d clashes and %d pairs with an excuse prove nothing", clashes, excused)
	}
}

func TestAFinderAgreesWithTheMeshes(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for range 20 {
		meshes := fleet(t, istio("mesh-1", randomSpec(r)), istio("mesh-2", randomSpec(r)), istio("mesh-3", randomSpec(r))).Meshes()
		finder := mesh.NewFinder(meshes...)
		for range 60 {
			found := map[string]string{}
			for _, key := range []string{"env", "team", "kubernetes.io/metadata.name", "other"} {
				if r.IntN(3) > 0 {
					found[key] = []string{"a", "b", "c", "d", "e", "f"}[r.IntN(6)]
				}
			}
			var want []*mesh.Mesh
			for _, m := range meshes {
				if source, _ := m.Discovers(found); source != nil {
					want = append(want, m)
				}
			}
			if got := finder.AppendDiscovering(nil, found); !slices.Equal(got, want) || finder.Discover(found) != (len(want) > 0) {
				t.Fatalf("%v: %v, want %v", found, names(got), names(want))
			}
		}
	}
}

// What Next takes over from the fleet before must be what it would have read.
func TestTheNextFleetIsTheSameAsANewOne(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	known := mesh.NewFleet(mesh.Objects{})
	var stored mesh.Objects
	for i := range 60 {
		name := fmt.Sprintf("mesh-%d", r.IntN(6))
		switch r.IntN(5) {
		case 0:
			stored = stored.Without(mesh.Ref{Kind: sail.KindIstio, Name: name})
		case 1:
			stored = stored.With(objects(t, revision(name+"-old", name, randomSpec(r))).Revisions[0])
		case 2:
			stored = stored.With(objects(t, istio(name, discovering("{matchExpressions: [{key: a, operator: In}]}"))).Istios[0])
		default:
			stored = stored.With(objects(t, istio(name, randomSpec(r))).Istios[0])
		}
		fresh := mesh.NewFleet(stored)
		next := known.Next(stored)
		if diff := cmp.Diff(described(fresh), described(next)); diff != "" {
			t.Fatalf("step %d (-new +next):\n%s", i, diff)
		}
		if i%3 > 0 {
			known = next
		}
	}
}

// described is all that a fleet tells of its meshes.
func described(f *mesh.Fleet) []string {
	all := []string{fmt.Sprint(f.SelectorKeys(), f.RevisionNames())}
	for _, m := range f.Meshes() {
		for _, s := range m.Sources {
			all = append(all, fmt.Sprint(m.Ref, s.Ref, s.Listing, s.Errors, s.TrustBundle))
			for _, term := range s.Terms {
				all = append(all, term.Path+" "+term.Selector.String())
			}
		}
	}
	for _, l := range anyLabels() {
		all = append(all, fmt.Sprint(l, names(f.DiscoveredBy(l))))
	}
	return all
}
