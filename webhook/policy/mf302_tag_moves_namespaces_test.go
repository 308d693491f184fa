package policy_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

const (
	stable      = "IstioRevisionTag stable; targets Istio mesh-1"
	stableMoved = "IstioRevisionTag stable; targets Istio mesh-2"
	inMesh1     = "istio-discovery=mesh-1 istio.io/rev=stable"
)

func TestMF302(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery in (mesh-1,legacy)",
		guide()[1],
	}
	app := func(labels string) []mesh.Namespace { return []mesh.Namespace{*namespace(t, "app", labels)} }
	terminating := app(inMesh1)
	terminating[0].Deleting = true
	runTagCases(t, []tagCase{
		{
			name:   "if the new target's mesh does not discover a namespace that uses the tag, then the change is refused, with both ways out",
			others: guide(), from: stable, to: stableMoved, namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if a tag is created for a mesh that does not discover a namespace that names it already, then it is refused",
			others: guide(), create: stableMoved, namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if the new target's mesh discovers it, then the change is admitted",
			others: guide(), from: stable, to: stableMoved, namespaces: app("istio-discovery=mesh-2 istio.io/rev=stable"),
			want: "allow",
		},
		{
			name:   "if the new target is another revision of the same mesh, then it is admitted",
			others: upgrading, from: "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", to: stable, namespaces: app(inMesh1),
			want: "allow",
		},
		{
			name:   "if only an older revision of the target's mesh discovers the namespace, then it is admitted",
			others: upgrading, from: "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", to: stable, namespaces: app("istio-discovery=legacy istio.io/rev=stable"),
			want: "allow",
		},
		{
			name:   "if nobody uses the tag, then it may point anywhere",
			others: guide(), from: stable, to: stableMoved, namespaces: app("istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if istio-injection beats the label that names the tag, then the namespace does not use it",
			others: guide(), from: stable, to: stableMoved, namespaces: app(inMesh1 + " istio-injection=enabled"),
			want: "allow",
		},
		{
			name:   "if injection is switched off, then the namespace does not use it",
			others: guide(), from: stable, to: stableMoved, namespaces: app(inMesh1 + " istio-injection=disabled"),
			want: "allow",
		},
		{
			name:   "if the namespace is being deleted, then it does not matter",
			others: guide(), from: stable, to: stableMoved, namespaces: terminating,
			want: "allow",
		},
		{
			name:   "if the tag default moves, then istio-injection=enabled uses it, and the remedy takes that label away",
			others: guide()[:2], from: "IstioRevisionTag default; targets Istio mesh-1", to: "IstioRevisionTag default; targets Istio mesh-2",
			namespaces: app("istio-discovery=mesh-1 istio-injection=enabled"),
			want:       "deny MF302",
		},
		{
			name:   "if the tag pointed at an older revision, then the namespace can keep that one",
			others: upgrading, from: "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", to: stableMoved, namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if the new target is an IstioRevision, then its mesh counts, and whoever follows gets that revision",
			others: append(upgrading, "IstioRevisionTag x; targets Istio mesh-2"), from: stableMoved, to: "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0",
			namespaces: app("istio-discovery=mesh-2 istio.io/rev=stable"),
			want:       "deny MF302",
		},
		{
			name:   "if the tag pointed at nothing before, then its first target can break a namespace as well",
			others: guide(), from: "IstioRevisionTag stable; targets Istio gone", to: stableMoved, namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if the new target does not exist, then nobody is moved: that they lose their injector is another rule's matter",
			others: guide(), from: stable, to: "IstioRevisionTag stable; targets Istio absent", namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF118": policy.Off}},
			want:    "warn MF304",
		},
		{
			name:   "if the new target's istiod runs in another cluster, then it does not discover what a mesh of this one does",
			others: []string{guide()[0], far}, from: stable, to: "IstioRevisionTag stable; targets Istio far", namespaces: append(app(inMesh1), *namespace(t, "web", "istio.io/rev=stable")),
			want: "deny MF302",
		},
		{
			name:   "if a tag is created for it, then it is the same",
			others: []string{guide()[0], far}, create: "IstioRevisionTag stable; targets Istio far", namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if it is the tag default, then it is the same",
			others: []string{guide()[0], far}, from: "IstioRevisionTag default; targets Istio mesh-1", to: "IstioRevisionTag default; targets Istio far",
			namespaces: app("istio-discovery=mesh-1 istio-injection=enabled"),
			want:       "deny MF302",
		},
		{
			name:   "if no mesh of this cluster discovers the namespace, then who does is not known here",
			others: []string{guide()[0], far}, create: "IstioRevisionTag stable; targets Istio far", namespaces: app("istio.io/rev=stable"),
			want: "allow",
		},
		{
			name:   "if it pointed at another mesh of another cluster before, then they were wrong already",
			others: []string{guide()[0], far, "Istio off; in istio-system-off; profile remote"}, from: "IstioRevisionTag stable; targets Istio off",
			to: "IstioRevisionTag stable; targets Istio far", namespaces: app(inMesh1),
			want: "warn MF302",
		},
		{
			name:   "if the old target's istiod runs in another cluster, then the namespace was not wrong before",
			others: []string{guide()[0] + "; profile remote", guide()[1]}, from: stable, to: stableMoved, namespaces: app(inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if the target's mesh has a selector that does not parse, then it counts as discovering everything",
			others: []string{guide()[0], "Istio mesh-2; in istio-system-2; selects raw team in b"}, from: stable, to: stableMoved, namespaces: app(inMesh1),
			want: "allow",
		},
		{
			name: "if a declared overlap lets both meshes discover it, then it is admitted",
			others: []string{
				guide()[0], "Istio mesh-2; in istio-system-2; overlaps mesh-1; selects istio-discovery in (mesh-1,mesh-2)",
			},
			from: stable, to: stableMoved, namespaces: app(inMesh1),
			want: "allow",
		},
		{
			name:   "if the old target's mesh did not discover it either, then the change is admitted with a warning",
			others: guide(), from: stable, to: stableMoved, namespaces: app("istio.io/rev=stable"),
			want: "warn MF302",
		},
		{
			name:   "if the target stays the same, then what was wrong before is not told again",
			others: guide(), from: stableMoved, to: stableMoved, namespaces: app(inMesh1),
			want: "allow",
		},
		{
			name:   "if some were wrong before and others are not yet, then only these are a reason to refuse",
			others: guide(), from: stable, to: stableMoved,
			namespaces: append(app(inMesh1), *namespace(t, "app-2", "istio.io/rev=stable"), *namespace(t, "app-3", "istio-discovery=mesh-2 istio.io/rev=stable")),
			want:       "deny MF302",
		},
		{
			name:   "if there are many, then ten are named and in the commands, and the others counted",
			others: guide(), from: stable, to: stableMoved, namespaces: numbered(t, 12, inMesh1),
			want: "deny MF302",
		},
		{
			name:   "if a revision has the tag's name, then its namespaces are not the tag's",
			others: guide(), from: "IstioRevisionTag mesh-1; targets Istio mesh-1", to: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			namespaces: app("istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want:       "warn MF301",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: guide(), from: stable, to: stableMoved, namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF302": policy.Warn}},
			want:    "warn MF302",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: guide(), from: stable, to: stableMoved, namespaces: app(inMesh1),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF302": policy.Off}},
			want:    "allow",
		},
	})
}

// tagUsers are namespaces that use the tags stable and default in every way.
func tagUsers(t *testing.T) []mesh.Namespace {
	t.Helper()
	var all []mesh.Namespace
	for i, text := range []string{
		inMesh1, "istio-discovery=mesh-2 istio.io/rev=stable", "istio.io/rev=stable", "istio-discovery=mesh-9 istio.io/rev=stable",
		"istio-discovery=mesh-1 istio-injection=enabled", "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=stable",
		"istio-injection=enabled", "istio-injection=enabled istio.io/rev=mesh-1", inMesh1 + " team=a",
	} {
		all = append(all, *namespace(t, "app-"+string(rune('1'+i)), text))
	}
	return all
}

// follow runs the label commands of the ways out whose labels begin like this. Every one must be admitted without a new
// finding, while the tag is what it was; it returns the namespaces afterwards.
func follow(t *testing.T, ways []policy.Way, beginnings []string, stored []mesh.Namespace, fleet *mesh.Fleet) []mesh.Namespace {
	t.Helper()
	judge, after := policy.New(settings()), slices.Clone(stored)
	for _, way := range waysThat(ways, beginnings...) {
		for _, c := range commandsForAll([]policy.Way{way}) {
			for i := range after {
				if !slices.Contains(c.namespaces, after[i].Name) {
					continue
				}
				labels, err := kubectlLabel(after[i].Labels, c.arguments)
				if err != nil {
					t.Fatalf("kubectl refuses %q: %v", c.arguments, err)
				}
				changed := mesh.Namespace{Name: after[i].Name, Labels: labels}
				wrongBefore := codes(judge.Namespace(policy.NamespaceChange{New: &after[i], Fleet: fleet, Now: now}))
				v := judge.Namespace(policy.NamespaceChange{Old: &after[i], New: &changed, Fleet: fleet, Now: now})
				if v.Answer != policy.Allowed || slices.ContainsFunc(codes(v), func(c policy.Code) bool { return !slices.Contains(wrongBefore, c) }) {
					t.Errorf("%q of %q: %s", way, labelText(after[i].Labels), outcome(v))
				}
				after[i] = changed
			}
		}
	}
	return after
}

func TestMF302AfterEitherWayOutTheTagMayChange(t *testing.T) {
	fleets := [][]string{guide()[:2], {
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", guide()[1],
	}}
	targets := []string{"", "Istio mesh-1", "Istio mesh-2", "IstioRevision mesh-1-v1-29-0", "IstioRevision mesh-2", "Istio gone"}
	refusals := 0
	for _, others := range fleets {
		for _, name := range []string{"stable", "default"} {
			for _, from := range targets {
				for _, to := range targets[1:] {
					c := tagCase{others: others, from: tagLine(name, from), to: tagLine(name, to), namespaces: tagUsers(t)}
					verdict := c.judge(t)
					if verdict.Answer == policy.Allowed {
						continue
					}
					refusals++
					before := fleet(t, append(slices.Clone(others), nonEmpty(c.from)...)...)
					for _, way := range [][]string{{"keep ", "take ", "turn injection off "}, {"move ", "take ", "turn injection off "}} {
						again := c
						again.namespaces = follow(t, verdict.Denials[0].Ways, way, c.namespaces, before)
						if v := again.judge(t); v.Answer != policy.Allowed {
							t.Errorf("%q to %q after %q: %s", c.from, c.to, way, outcome(v))
						}
					}
				}
			}
		}
	}
	if refusals < 10 {
		t.Errorf("only %d refusals were tried", refusals)
	}
}

func tagLine(name, target string) string {
	if target == "" {
		return ""
	}
	return "IstioRevisionTag " + name + "; targets " + target
}

func nonEmpty(line string) []string {
	if line == "" {
		return nil
	}
	return []string{line}
}
