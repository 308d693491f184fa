package policy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// randomMesh is an Istio with a few selectors over two keys, some of which select nothing.
func randomMesh(r *rand.Rand, name string) string {
	var selectors []string
	for range 1 + r.IntN(4) {
		if r.IntN(8) == 0 {
			selectors = append(selectors, []string{"none=x,!none", "env in (a),env in (b)"}[r.IntN(2)])
			continue
		}
		var parts []string
		for _, key := range []string{"env", "team"} {
			switch values := []string{"a", "b", "c"}; r.IntN(6) {
			case 0:
				parts = append(parts, key+"="+values[r.IntN(3)])
			case 1:
				parts = append(parts, fmt.Sprintf("%s in (%s,%s)", key, values[r.IntN(3)], values[r.IntN(3)]))
			case 2:
				parts = append(parts, fmt.Sprintf("%s notin (%s)", key, values[r.IntN(3)]))
			case 3:
				parts = append(parts, []string{key, "!" + key}[r.IntN(2)])
			}
		}
		if len(parts) == 0 {
			parts = []string{"env=a"} // one that selects everything is another rule's
		}
		selectors = append(selectors, strings.Join(parts, ","))
	}
	return fmt.Sprintf("Istio %s; in istio-system-%s; selects %s", name, name, strings.Join(selectors, " | "))
}

// tellingNamespaces is one namespace for each way in which selectors over the two keys can tell namespaces apart.
func tellingNamespaces() []map[string]string {
	var all []map[string]string
	for _, env := range []string{"", "a", "b", "c", "other"} {
		for _, team := range []string{"", "a", "b", "c", "other"} {
			labels := map[string]string{mesh.NameLabel: "app"}
			for key, value := range map[string]string{"env": env, "team": team} {
				if value != "" {
					labels[key] = value
				}
			}
			all = append(all, labels)
		}
	}
	return all
}

// shared says for each namespace whether mesh-1 and mesh-2 of the fleet both discover it.
func shared(f *mesh.Fleet) []bool {
	var all []bool
	for _, labels := range tellingNamespaces() {
		one, _ := f.Named("mesh-1").Discovers(labels)
		two, _ := f.Named("mesh-2").Discovers(labels)
		all = append(all, one != nil && two != nil)
	}
	return all
}

// selectorsOf are those of mesh-1.
func selectorsOf(o mesh.Objects) []*metav1.LabelSelector {
	return o.Istios[len(o.Istios)-1].Spec.Values.MeshConfig.DiscoverySelectors
}

// asks says for each namespace whether mesh-2 discovers it through a selector that asks for a label, and unasked through one that does not.
func asks(f *mesh.Fleet) (asking, unasked []bool) {
	for _, labels := range tellingNamespaces() {
		var by [2]bool
		for _, term := range f.Named("mesh-2").Sources[0].Terms {
			if term.Selector.Matches(labels) {
				by[map[bool]int{true: 0, false: 1}[term.Selector.AsksForLabel()]] = true
			}
		}
		asking, unasked = append(asking, by[0]), append(unasked, by[1])
	}
	return asking, unasked
}

// A mesh is refused if it shares a namespace with another one, and an update if it shares one that it did not share before;
// where the other takes it without asking for a label, only if it did so with none that was shared before. An update that shares
// no more is told of it, unless it leaves the selectors alone.
func TestForRandomMeshesOverlapsAreRefusedIfAndOnlyIfANamespaceSaysSo(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	actions := policy.Actions{Rules: map[policy.Code]policy.Action{}}
	for _, rule := range policy.Catalogue() {
		if rule.Code != "MF103" {
			actions.Rules[rule.Code] = policy.Off
		}
	}
	judge := policy.New(policy.Settings{Actions: actions, DiscoveryLabels: []string{"env"}})
	seen := map[string]int{}
	for range 3000 {
		line := randomMesh(r, "mesh-2")
		if r.IntN(8) == 0 {
			line = "Istio mesh-2; in istio-system-mesh-2; selects {}"
		}
		other := objects(t, line)
		old := other.With(objects(t, randomMesh(r, "mesh-1")).Istios[0])
		updated := other.With(objects(t, randomMesh(r, "mesh-1")).Istios[0])
		ref := mesh.Ref{Kind: sail.KindIstio, Name: "mesh-1"}
		after, before := shared(mesh.NewFleet(updated)), shared(mesh.NewFleet(old))
		create, update := policy.Allowed, policy.Allowed
		asking, unasked := asks(mesh.NewFleet(old))
		taken := false
		for i := range before {
			taken = taken || before[i] && unasked[i]
		}
		for i := range after {
			if after[i] {
				create = policy.Denied
			}
			if after[i] && !before[i] && (asking[i] || !taken) {
				update = policy.Denied
			}
		}
		if got := judge.Mesh(meshChange(other, updated, ref)); got.Answer != create {
			t.Fatalf("%v beside %v: %v", updated.Istios, other.Istios, got)
		}
		told := slices.Contains(after, true) && !reflect.DeepEqual(selectorsOf(old), selectorsOf(updated))
		if got := judge.Mesh(meshChange(old, updated, ref)); got.Answer != update || got.Answer == policy.Allowed && len(got.Warnings) > 0 != told {
			t.Fatalf("%v, before %v: %v", updated.Istios, old.Istios, got)
		}
		seen[fmt.Sprint(create, update)]++
	}
	if len(seen) < 3 {
		t.Errorf("%v: not every case was seen", seen)
	}
}
