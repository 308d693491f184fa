package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

const (
	far     = "Istio far; in istio-system-far; profile remote"
	near    = "Istio far; in istio-system-far; selects istio-discovery=far"
	waiting = "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-30-3"
	older   = "; RevisionBased; version v1.29.6"
	newer   = "; RevisionBased; version v1.30.3"
)

func TestMF118WhenAMeshIsCreated(t *testing.T) {
	mesh2 := guide()[1]
	runMeshCases(t, []meshCase{
		{
			name:   "if a namespace is labelled for it before it comes, but with a typo, then it is named",
			create: mesh1ByDiscovery, namespaces: apps(t, "right: istio-discovery=mesh-1 istio.io/rev=mesh-1", "wrong: istio-discovery=mesh1 istio.io/rev=mesh-1"),
			want: "warn MF114 warn MF118",
		},
		{
			name:   "if a namespace that another mesh discovers names it, then both ways out are offered",
			others: []string{mesh2}, create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-2 istio.io/rev=mesh-1"),
			want: "warn MF118",
		},
		{
			name:   "if it is called default, then it injects the namespaces with istio-injection=enabled",
			others: []string{mesh2}, create: "Istio default; in istio-system; selects istio-discovery=default", namespaces: apps(t, "app: istio-discovery=mesh-2 istio-injection=enabled"),
			want: "warn MF118",
		},
		{
			name:   "if a tag has been waiting for it, then it injects the namespaces that use the tag",
			others: []string{stable}, create: mesh1ByDiscovery, namespaces: apps(t, "app: istio.io/rev=stable"),
			want: "warn MF118",
		},
		{
			name:   "if its istiod runs in another cluster, then only what another mesh discovers here is wrong",
			others: []string{mesh2}, create: far, namespaces: apps(t, "app: istio-discovery=mesh-2 istio.io/rev=far", "web: istio.io/rev=far"),
			want: "warn MF118",
		},
		{
			name:   "if it comes again with other selectors, then its namespaces of before are named",
			create: mesh1ByTeam, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "warn MF118",
		},
		{
			name:   "if it is a revision of an Istio that exists, then it is told too",
			others: []string{mesh1ByDiscovery}, create: "IstioRevision mesh-1-canary; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			namespaces: apps(t, "app: istio.io/rev=mesh-1-canary"),
			want:       "warn MF118",
		},
		{
			name:   "if it discovers what it injects, or the namespace is being deleted, then nothing is wrong",
			create: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1", "gone (deleting): istio.io/rev=mesh-1", "off: istio.io/rev=mesh-1 istio-injection=disabled"),
			want: "warn MF114",
		},
		{
			name:   "if no label can bring the namespace under its selectors, then the label goes",
			create: "Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other", namespaces: apps(t, "app: istio.io/rev=mesh-1"),
			want: "warn MF118",
		},
		{
			name:   "if the rule is off, then nothing is said",
			create: mesh1ByDiscovery, namespaces: apps(t, "app: istio.io/rev=mesh-1"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF118": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF118WhenAMeshIsDeleted(t *testing.T) {
	runMeshCases(t, []meshCase{
		{
			name:   "if its revision hid a tag of the same name, then that injects its namespaces",
			others: append(guide(), "IstioRevisionTag x; targets Istio mesh-2"), from: "IstioRevision x; in istio-system-x; selects istio-discovery=x",
			namespaces: apps(t, "app: istio-discovery=x istio.io/rev=x", "fine: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want:       "warn MF118",
		},
		{
			name:   "if nothing injects its namespaces any more, then that is another rule's to tell",
			others: guide()[1:], from: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "warn MF112",
		},
		{
			name:   "if what it discovered was wrong before, then nothing is said",
			others: guide()[1:], from: mesh1ByDiscovery, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-2"),
			want: "allow",
		},
	})
}

func TestMF118WhenATagThatHidARevisionIsDeleted(t *testing.T) {
	left, tag := objects(t, append(guide(), "IstioRevision x; in istio-system-x; selects istio-discovery=x")...), tagNamed(t, "IstioRevisionTag x; targets Istio mesh-1")
	tag.Metadata.CreationTimestamp, left.Revisions[0].Metadata.CreationTimestamp = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	change := policy.TagChange{
		Old: mesh.TagOf(tag), Before: mesh.NewFleet(left.WithTag(tag)), Fleet: mesh.NewFleet(left), Now: now,
		Namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=x", "wrong: istio-discovery=x istio.io/rev=x"),
	}
	compare(t, policy.New(settings()).Tag(change), "warn MF118")
}

func TestMF118WhenAMeshIsUpdated(t *testing.T) {
	mesh2 := guide()[1]
	runMeshCases(t, []meshCase{
		{
			name: "if its istiod comes into this cluster, then what it injects has to be discovered",
			from: far, to: near, namespaces: apps(t, "app: istio.io/rev=far", "web: istio-discovery=far istio.io/rev=far"),
			want: "deny MF118",
		},
		{
			name:   "if its istiod goes to another cluster, then the namespaces that another mesh discovers as well are left to that",
			others: []string{"Istio mesh-2; in istio-system-2; overlaps mesh-1"}, from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; profile remote",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want:       "deny MF118",
		},
		{
			name:   "if that other mesh takes every namespace and writes another ConfigMap, then the istiod elsewhere still gets on with it",
			others: []string{"Istio mesh-2; in istio-system-2; bundle two"}, from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; profile remote",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want:       "warn MF114",
		},
		{
			name:   "if pods of a mesh of another cluster come to mount what a mesh that takes every namespace writes, then they find that",
			others: []string{"Istio gateway; in openshift-ingress; bundle gateway"}, from: far, to: far + "; bundle gateway", namespaces: apps(t, "app: istio.io/rev=far"),
			want: "deny MF118",
		},
		{
			name:   "if that mesh comes to write what they mount, then it is the same",
			others: []string{far}, from: "Istio gateway; in openshift-ingress; bundle gateway", to: "Istio gateway; in openshift-ingress", namespaces: apps(t, "app: istio.io/rev=far"),
			want: "deny MF118 warn MF102",
		},
		{
			name:   "if its strategy takes away the revision that a tag points at, then the tag can follow the Istio",
			others: []string{"IstioRevisionTag stable; targets IstioRevision mesh-1"}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + newer,
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=stable"),
			want:       "deny MF118",
		},
		{
			name:   "if its strategy goes back, then it is the same",
			others: []string{"IstioRevisionTag default; targets IstioRevision mesh-1-v1-30-3"}, from: mesh1ByDiscovery + newer, to: mesh1ByDiscovery,
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio-injection=enabled"),
			want:       "deny MF118",
		},
		{
			name: "if the old revision is stored, then the operator keeps it as long as the tag points at it",
			others: []string{
				"IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "IstioRevisionTag stable; targets IstioRevision mesh-1",
			},
			from: mesh1ByDiscovery, to: mesh1ByDiscovery + newer, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=stable"),
			want: "allow",
		},
		{
			name: "if namespaces name the old revision themselves, then that is told of the name",
			from: mesh1ByDiscovery, to: mesh1ByDiscovery + newer, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "warn MF113",
		},
		{
			name:   "if its new version is one that a tag has been waiting for, then it injects the namespaces that use the tag",
			others: []string{waiting, mesh2}, from: mesh1ByDiscovery + older, to: mesh1ByDiscovery + newer,
			namespaces: apps(t, "app: istio.io/rev=stable", "web: istio-discovery=mesh-2 istio.io/rev=stable", "fine: istio-discovery=mesh-1 istio.io/rev=stable"),
			want:       "deny MF118 deny MF118",
		},
		{
			name:   "if it takes the namespaces of a mesh of another cluster, then they would be in both",
			others: []string{far}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: apps(t, "app: team=a istio.io/rev=far"),
			want: "deny MF118",
		},
		{
			name:   "if the operator's copy has the old selectors still, then that does not hide it",
			others: []string{"IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", far},
			from:   mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: team=a istio.io/rev=far"),
			want: "deny MF118",
		},
		{
			name:   "if the copy still discovers a namespace that the mesh lets go of, then that does not hide it either",
			others: []string{"IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", mesh2},
			from:   mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=one", namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-2"),
			want: "warn MF114 warn MF118",
		},
		{
			name:   "if more than ten are wrong, then ten are named and in the commands, and the others counted",
			others: []string{far}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: numbered(t, 12, "team=a istio.io/rev=far"),
			want: "deny MF118",
		},
		{
			name:   "if a namespace was wrong in another way before, then it is told what it comes to",
			others: []string{mesh2}, from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery in (mesh-1,mesh1)",
			namespaces: apps(t, "app: istio-discovery=mesh1 istio.io/rev=mesh-2"),
			want:       "warn MF114 warn MF118",
		},
		{
			name:   "if it was wrong in the same way before, then nothing is new",
			others: []string{mesh2}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + "; version v1.30.3", namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-2", "web: istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if it was wrong in the same way before, and only its injector has moved to another cluster, then nothing is new either",
			others: []string{mesh2}, from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; profile remote", namespaces: apps(t, "app: istio-discovery=mesh-2 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name: "if the mesh strands it, then it is told once",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "deny MF111",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: []string{far}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: apps(t, "app: team=a istio.io/rev=far"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF118": policy.Warn}},
			want:    "warn MF114 warn MF118",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: []string{far}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: apps(t, "app: team=a istio.io/rev=far"), deleting: true,
			want: "allow",
		},
	})
}

func TestMF118WhenATagIsUpdated(t *testing.T) {
	runTagCases(t, []tagCase{
		{
			name:   "if its new target does not exist, then nothing injects the namespaces that use it",
			others: guide(), from: stable, to: "IstioRevisionTag stable; targets Istio absent", namespaces: apps(t, "app: "+inMesh1, "gone (deleting): "+inMesh1, "other: istio-discovery=mesh-1"),
			want: "deny MF118",
		},
		{
			name:   "if its old target did not exist either, then nothing is lost",
			others: guide(), from: "IstioRevisionTag stable; targets Istio gone", to: "IstioRevisionTag stable; targets Istio absent", namespaces: apps(t, "app: "+inMesh1),
			want: "warn MF304",
		},
		{
			name:   "if another mesh gets them, then it is told once",
			others: guide(), from: stable, to: stableMoved, namespaces: apps(t, "app: "+inMesh1),
			want: "deny MF302",
		},
	})
}

func TestMF118WhenTheMeshMapChangesBeforeThereIsAMesh(t *testing.T) {
	others := policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Off}}
	namespaces := apps(t, "app: istio-discovery=mesh-1 istio.io/rev=blue", "right: istio-discovery=mesh-1 istio.io/rev=green", "gone (deleting): istio-discovery=mesh-1 istio.io/rev=blue")
	runMapCases(t, []mapCase{
		{
			name:  "if it gives a namespace's revision to another mesh, then the change is refused",
			fleet: []string{}, from: map[string]string{"mesh-1": "blue"}, to: map[string]string{"mesh-1": "green", "mesh-2": "blue"}, namespaces: namespaces, actions: others,
			want: "deny MF118",
		},
		{
			name:  "if it is new, then it is told",
			fleet: []string{}, create: map[string]string{"mesh-1": "green", "mesh-2": "blue"}, namespaces: namespaces, actions: others,
			want: "warn MF118",
		},
		{
			name:  "if it did so before, then nothing is new",
			fleet: []string{}, from: map[string]string{"mesh-2": "blue"}, to: map[string]string{"mesh-2": "blue", "mesh-3": "red"}, namespaces: namespaces, actions: others,
			want: "allow",
		},
		{
			name: "if there are meshes, then they decide",
			from: map[string]string{"mesh-1": "blue"}, to: map[string]string{"mesh-1": "green", "mesh-2": "blue"}, namespaces: namespaces, actions: others,
			want: "allow",
		},
	})
}

// Exempt namespaces are never judged, so a change of a mesh is neither refused nor told because of them.
func TestChangesOfAMeshLeaveOutWhatIsExempt(t *testing.T) {
	stable := []string{"IstioRevisionTag default; targets Istio mesh-1"}
	for _, c := range []struct {
		code policy.Code
		meshCase
		labels string
		want   string // outcome with the namespace app; with an exempt one it is allow
	}{
		{"MF111", meshCase{from: mesh1ByDiscovery, to: mesh1ByTeam}, "istio-discovery=mesh-1 istio.io/rev=mesh-1", "deny MF111"},
		{"MF112", meshCase{from: mesh1ByDiscovery}, "istio-discovery=mesh-1 istio.io/rev=mesh-1", "warn MF112"},
		{"MF113", meshCase{others: stable, from: mesh1ByDiscovery + "; version v1.30.3", to: mesh1ByDiscovery + newer}, "istio-discovery=mesh-1 istio.io/rev=mesh-1", "warn MF113"},
		{"MF114, of a new mesh", meshCase{create: mesh1ByDiscovery}, "istio-discovery=mesh-1", "warn MF114 warn MF114"},
		{"MF114, of a change", meshCase{from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a"}, "team=a", "warn MF114"},
		{"MF118", meshCase{others: []string{far}, from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a"}, "team=a istio.io/rev=far", "deny MF118"},
	} {
		for name, want := range map[string]string{"app": c.want, "openshift-app": "allow"} {
			c.namespaces, c.exempt = apps(t, name+": "+c.labels), func(name string) bool { return strings.HasPrefix(name, "openshift-") }
			if got := outcome(c.judge(t)); got != want {
				t.Errorf("%s with %s: %s, want %s", c.code, name, got, want)
			}
		}
	}
}

// What a change of another mesh does that is in flight is not this change's doing; what both do together is.
func TestMF118BesideAChangeInFlight(t *testing.T) {
	for _, c := range []struct {
		name, updated, inFlight string
		want                    string
	}{
		{"the other comes, and injects what it does not discover", mesh1ByDiscovery + "; version v1.30.3", near, "allow"},
		{"it takes what the other injects", mesh1ByDiscovery + " | team=a", far, "deny MF118"},
	} {
		ref, namespaces := mesh.Ref{Kind: "Istio", Name: "mesh-1"}, apps(t, "app: team=a istio.io/rev=far")
		before, beside, after := fleet(t, mesh1ByDiscovery), fleet(t, mesh1ByDiscovery, c.inFlight), fleet(t, c.updated, c.inFlight)
		change := policy.MeshChange{
			Old: before.Mesh(ref), New: after.Mesh(ref), Before: before, Beside: beside, Fleet: after, Namespaces: namespaces, Now: now,
		}
		s := settings()
		s.Actions.Rules = map[policy.Code]policy.Action{"MF114": policy.Off}
		if got := outcome(policy.New(s).Mesh(change)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// wrongs are the rules about who discovers and who injects that a namespace breaks.
func wrongs(ns *mesh.Namespace, fleet *mesh.Fleet) []policy.Code {
	verdict := policy.New(settings()).Namespace(policy.NamespaceChange{New: ns, Fleet: fleet, Now: now})
	return slices.DeleteFunc(allCodes(verdict), func(c policy.Code) bool { return !slices.Contains([]policy.Code{"MF201", "MF202", "MF205"}, c) })
}

// allCodes are those of all findings, also of what is not told of a request that is denied.
func allCodes(verdict policy.Verdict) []policy.Code {
	verdict.Warnings = slices.Concat(verdict.Warnings, verdict.Untold)
	return codes(verdict)
}

// randomChange is an UPDATE or CREATE of a mesh in a random cluster with namespaces.
func randomChange(t *testing.T, random *rand.Rand) meshCase {
	t.Helper()
	lines, other := randomFleet(random), randomFleet(random)
	i := random.IntN(2)
	c := meshCase{others: slices.Delete(slices.Clone(lines), i, i+1), from: lines[i], to: other[i]}
	if random.IntN(4) == 0 {
		c.create, c.from, c.to = lines[i], "", ""
	}
	for n := range 30 {
		labels := randomNamespace(random, everyLabel())
		labels[mesh.NameLabel] = fmt.Sprintf("app-%02d", n)
		c.namespaces = append(c.namespaces, mesh.Namespace{Name: labels[mesh.NameLabel], Labels: labels})
	}
	return c
}

// fleets are those before and after the change.
func (c meshCase) fleets(t *testing.T) (before, after *mesh.Fleet) {
	t.Helper()
	if c.create != "" {
		return fleet(t, c.others...), mesh.NewFleet(objects(t, c.others...).With(controlPlane(t, c.create)))
	}
	return c.stored(t), c.wanted(t)
}

// misplacedBy returns the namespaces that MF118 names.
func misplacedBy(verdict policy.Verdict) []string {
	var names []string
	for _, f := range slices.Concat(verdict.Denials, verdict.Warnings, verdict.Untold) {
		if f.Rule.Code == "MF118" {
			names = append(names, f.Subjects...)
		}
	}
	return names
}

// Each namespace that comes to break a rule, by the rule itself, is named: by MF118, by MF111 where the mesh strands it, by MF113
// where it names the old revision, and by MF102 or MF103 where several meshes come to discover it. No other is.
func TestMF118NamesWhatTheRulesAboutNamespacesFind(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 18))
	named, fought := 0, 0
	for range 400 {
		c := randomChange(t, random)
		before, after := c.fleets(t)
		verdict := c.judge(t)
		got := misplacedBy(verdict)
		for i := range c.namespaces {
			ns := &c.namespaces[i]
			was, is := wrongs(ns, before), wrongs(ns, after)
			fresh := slices.DeleteFunc(slices.Clone(is), func(code policy.Code) bool { return slices.Contains(was, code) })
			if slices.Contains(fresh, "MF201") {
				if fought++; !slices.ContainsFunc(allCodes(verdict), func(code policy.Code) bool { return code == "MF102" || code == "MF103" }) {
					t.Fatalf("%s: %q comes to be discovered by several: %s", c.change(), labelText(ns.Labels), outcome(verdict))
				}
			}
			lost := len(before.Injecting(ns.Labels)) > 0 && len(after.Injecting(ns.Labels)) == 0
			switch {
			case c.strands(t, ns, before, after), lost && c.renames(t, ns, before, after):
				continue
			case slices.Contains(got, ns.Name):
				if named++; !slices.Contains(is, "MF202") && !slices.Contains(is, "MF205") && !lost {
					t.Fatalf("%s: %q is named, but nothing is wrong with it", c.change(), labelText(ns.Labels))
				}
			case slices.Contains(fresh, "MF202") || slices.Contains(fresh, "MF205") || lost:
				t.Fatalf("%s: %q comes to break %q (no injector: %v) and is not named: %s", c.change(), labelText(ns.Labels), fresh, lost, outcome(verdict))
			}
		}
	}
	if named < 100 || fought < 100 {
		t.Errorf("only %d namespaces were named, and %d fought over", named, fought)
	}
}

// strands reports whether the mesh injects the namespace and does not discover it any more.
func (c meshCase) strands(t *testing.T, ns *mesh.Namespace, before, after *mesh.Fleet) bool {
	t.Helper()
	ref := c.ref(t)
	old, updated := before.Mesh(ref), after.Mesh(ref)
	if old == nil || updated.Remote() || !slices.Contains(before.Injecting(ns.Labels), old) {
		return false
	}
	was, _ := old.Discovers(ns.Labels)
	is, _ := updated.Discovers(ns.Labels)
	return was != nil && is == nil
}

// renames reports whether the namespace names a revision that is the active one no longer.
func (c meshCase) renames(t *testing.T, ns *mesh.Namespace, before, after *mesh.Fleet) bool {
	t.Helper()
	ref := c.ref(t)
	return before.Mesh(ref) != nil && before.Mesh(ref).ActiveRevision != after.Mesh(ref).ActiveRevision &&
		mesh.InjectionOf(ns.Labels).Revision == before.Mesh(ref).ActiveRevision
}

func (c meshCase) ref(t *testing.T) mesh.Ref {
	t.Helper()
	return mesh.Ref{Kind: "Istio", Name: controlPlane(t, c.create+c.to).Metadata.Name}
}

// Each command of the finding is admitted, before the change where it is refused, and after it where it is told; and the namespace
// is right then.
func TestMF118CommandsAreAdmittedAndRepairWhatTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(18, 11))
	judge, commands := policy.New(settings()), 0
	for range 300 {
		c := randomChange(t, random)
		before, after := c.fleets(t)
		verdict := c.judge(t)
		for _, f := range slices.Concat(verdict.Denials, verdict.Warnings) {
			if f.Rule.Code != "MF118" {
				continue
			}
			at := after
			if f.Action == policy.Deny {
				at = before
			}
			for _, command := range commandsForAll(f.Ways) {
				for _, name := range command.namespaces {
					commands++
					i := slices.IndexFunc(c.namespaces, func(ns mesh.Namespace) bool { return ns.Name == name })
					stored := &c.namespaces[i]
					labels, err := kubectlLabel(stored.Labels, command.arguments)
					if err != nil {
						t.Fatalf("kubectl refuses %q: %v", command.arguments, err)
					}
					changed := &mesh.Namespace{Name: name, Labels: labels}
					if v := judge.Namespace(policy.NamespaceChange{Old: stored, New: changed, Fleet: at, Now: now}); v.Answer != policy.Allowed {
						t.Fatalf("%s: %s\n\t%q of %q: %s", c.change(), f.Message(), command.arguments, labelText(stored.Labels), outcome(v))
					}
					if left := wrongs(changed, after); slices.Contains(left, "MF202") || slices.Contains(left, "MF205") {
						t.Fatalf("%s: %s\n\tafter %q %q breaks %q", c.change(), f.Message(), command.arguments, labelText(labels), left)
					}
				}
			}
		}
	}
	if commands < 200 {
		t.Errorf("only %d commands were tried", commands)
	}
	t.Logf("%d commands", commands)
}

// change is the case in words.
func (c meshCase) change() string {
	return fmt.Sprintf("%q: %q to %q", c.others, c.from, c.create+c.to)
}

// Of a tag, MF302 names what it hands to a mesh that does not discover it, and MF118 what it lets go of.
func TestMF118AndMF302NameWhatATagMakesWrong(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 2))
	handed, lost := 0, 0
	for range 400 {
		lines := randomFleet(random)
		others := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "IstioRevisionTag") })
		name := []string{"stable", "default"}[random.IntN(2)]
		target := func() string {
			return tagLine(name, []string{"Istio mesh-1", "Istio mesh-2", "Istio mesh-3", "Istio gone", "IstioRevision mesh-1"}[random.IntN(5)])
		}
		c := tagCase{others: others, from: target(), to: target(), namespaces: randomChange(t, random).namespaces}
		verdict := c.judge(t)
		before, after := fleet(t, append(slices.Clone(others), c.from)...), fleet(t, append(slices.Clone(others), c.to)...)
		var told []string
		for _, f := range slices.Concat(verdict.Denials, verdict.Warnings, verdict.Untold) {
			if f.Rule.Code == "MF302" || f.Rule.Code == "MF118" {
				told = append(told, f.Subjects...)
			}
		}
		for i := range c.namespaces {
			ns := &c.namespaces[i]
			is := slices.DeleteFunc(wrongs(ns, after), func(code policy.Code) bool { return code == "MF201" || slices.Contains(wrongs(ns, before), code) })
			loses := len(before.Injecting(ns.Labels)) > 0 && len(after.Injecting(ns.Labels)) == 0
			if len(is) > 0 {
				handed++
			} else if loses {
				lost++
			}
			if (len(is) > 0 || loses) && !slices.Contains(told, ns.Name) {
				t.Fatalf("%q, %q to %q: %q comes to break %q (no injector: %v): %s", others, c.from, c.to, labelText(ns.Labels), is, loses, outcome(verdict))
			}
		}
		sorted := slices.Sorted(slices.Values(told))
		if len(slices.Compact(sorted)) != len(told) {
			t.Fatalf("%q, %q to %q: some are told twice: %q", others, c.from, c.to, told)
		}
	}
	if handed < 50 || lost < 50 {
		t.Errorf("only %d namespaces were handed over, and %d lost their injector", handed, lost)
	}
}
