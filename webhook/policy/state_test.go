package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// ofChanges are the rules about a change, which a state cannot break. MF104 about a namespace is one of them too: as a state it is the mesh's.
var ofChanges = []policy.Code{"MF111", "MF112", "MF113", "MF114", "MF116", "MF118", "MF121", "MF207", "MF209", "MF210", "MF302", "MF303", "MF501"}

// takesOver reports whether a finding is that the operator takes an IstioRevision over, which is told of the change that brings it
// about.
func takesOver(f policy.Finding) bool { return f.Rule.Code == "MF106" && len(f.Subjects) == 1 }

// shortOf is what two findings must have in common to be the same: remedies differ, because what exists is changed and what
// is created is written anew.
func shortOf(f policy.Finding, object string) string {
	return fmt.Sprintf("%s: %s %v", object, f.Rule.Code, f.Subjects)
}

// stateOf is what is found in a cluster, each finding once and sorted.
func stateOf(e policy.Existing) []string {
	var all []string
	for _, o := range policy.New(settings()).State(e) {
		all = append(all, shortOf(o.Finding, o.Kind+" "+o.Name))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// creating collects what is found when each object of a cluster is created beside all others.
type creating struct {
	policy *policy.Policy
	found  []string
}

func (c *creating) add(v policy.Verdict, object string) {
	for _, f := range slices.Concat(v.Denials, v.Warnings, v.Untold) {
		aboutNamespace := f.Rule.Code == "MF104" && strings.HasPrefix(object, "Namespace ")
		if !slices.Contains(ofChanges, f.Rule.Code) && !aboutNamespace && !takesOver(f) {
			c.found = append(c.found, shortOf(f, object))
		}
	}
}

// everyObject creates them.
func (c *creating) everyObject(o mesh.Objects, e policy.Existing) {
	for _, m := range e.Fleet.Meshes() {
		before := mesh.NewFleet(o.Without(m.Ref))
		c.add(c.policy.Mesh(policy.MeshChange{New: m, Before: before, Fleet: e.Fleet, Namespaces: e.Namespaces, Now: e.Now, Creating: true}), m.Kind+" "+m.Name)
	}
	for _, tag := range o.Tags {
		before := mesh.NewFleet(o.WithoutTag(tag.Metadata.Name))
		c.add(c.policy.Tag(policy.TagChange{New: mesh.TagOf(tag), Before: before, Fleet: e.Fleet, Namespaces: e.Namespaces, Now: e.Now}),
			sail.KindIstioRevisionTag+" "+tag.Metadata.Name)
	}
	c.add(c.policy.Map(policy.MapChange{New: e.Map, Fleet: e.Fleet, Namespaces: e.Namespaces}), "ConfigMap "+e.Map.Name)
	for i := range e.Namespaces {
		ns := &e.Namespaces[i]
		c.add(c.policy.Namespace(policy.NamespaceChange{New: ns, Fleet: e.Fleet, Now: e.Now}), "Namespace "+ns.Name)
	}
}

// oddities are meshes and tags that break the rules that no selector breaks.
func oddities() []string {
	const trustBundles = "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}"
	return []string{
		"Istio default; in istio-system-3; selects istio-discovery=default; injects-by-default",
		"Istio old; in istio-system-4; selects istio-discovery=old; version v1.24.1" + trustBundles,
		"Istio new; in istio-system-5; selects istio-discovery=new; version v1.30.0" + trustBundles,
		"Istio hangs; in istio-system-6; selects istio-discovery=hangs; env-bundle own",
		"Istio mesh-8-with-a-name-that-is-longer-than-a-label-value; in istio-system-7; selects team=c; RevisionBased; version v1.30.0-alpha.0",
		"Istio mesh-1-v1-30-0; in istio-system-8; selects team=d",
		"IstioRevisionTag mesh-1-v1-30-0; targets Istio mesh-1",
		"Istio blue; in istio-system-9; selects istio-discovery=blue",
		"IstioRevisionTag calm; targets Istio blue",
	}
}

// randomCluster has meshes, tags, namespaces and a mesh map, many of them wrong.
func randomCluster(t *testing.T, random *rand.Rand) (mesh.Objects, policy.Existing) {
	t.Helper()
	lines := randomFleet(random)
	for _, odd := range oddities() {
		if random.IntN(5) == 0 {
			lines = append(lines, odd)
		}
	}
	o := objects(t, lines...)
	var namespaces []mesh.Namespace
	for i := range random.IntN(12) {
		ns := mesh.Namespace{Name: fmt.Sprintf("app-%02d", i), Labels: randomNamespace(random, everyLabel())}
		ns.Labels[mesh.NameLabel] = ns.Name
		namespaces = append(namespaces, ns)
	}
	for i := range 2 {
		ns := mesh.Namespace{Name: fmt.Sprintf("istio-system-%d", i+1), Labels: randomNamespace(random, everyLabel())}
		ns.Labels[mesh.NameLabel] = ns.Name
		namespaces = append(namespaces, ns)
	}
	namespaces = append(namespaces, *namespace(t, "sky", "istio-discovery=blue istio.io/rev=blue"))
	data := map[string]string{"blue": "calm"}
	for range random.IntN(5) {
		data[fmt.Sprintf("mesh-%d", random.IntN(3))] = []string{"stable", "mesh-1", "mesh-2", "no label!", "gone"}[random.IntN(5)]
	}
	o.Map, _ = mesh.ParseMap(data)
	return o, policy.Existing{
		Fleet: mesh.NewFleet(o), Namespaces: namespaces, Now: now, Map: &mesh.Map{Namespace: "meshfence-system", Name: "mesh-map", Data: data},
	}
}

// Admission and the look at what exists are one judgement: what is wrong with an object as it stands is what creating it
// there would be refused for or warned of, and nothing else.
func TestForRandomClustersTheStateIsWhatCreatingEachObjectWouldBeTold(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	seen := map[policy.Code]int{}
	for range 150 {
		o, existing := randomCluster(t, random)
		c := creating{policy: policy.New(settings())}
		c.everyObject(o, existing)
		slices.Sort(c.found)
		if diff := cmp.Diff(slices.Compact(c.found), stateOf(existing)); diff != "" {
			t.Fatalf("created (-), as it stands (+):\n%s\nin %+v", diff, existing.Fleet.Meshes())
		}
		for _, f := range policy.New(settings()).State(existing) {
			seen[f.Rule.Code]++
		}
	}
	t.Log(seen)
	for _, r := range policy.Catalogue() {
		if !slices.Contains(ofChanges, r.Code) && seen[r.Code] == 0 {
			t.Errorf("no cluster broke %s", r.Code)
		}
	}
}
