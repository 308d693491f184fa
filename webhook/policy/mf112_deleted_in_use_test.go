package policy_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF112(t *testing.T) {
	app := apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")
	runMeshCases(t, []meshCase{
		{
			name: "if a namespace uses its revision, then that is told",
			from: mesh1ByDiscovery, namespaces: app,
			want: "warn MF112",
		},
		{
			name: "if nobody uses it, then there is nothing to tell",
			from: mesh1ByDiscovery,
			namespaces: apps(t, "app: istio-discovery=mesh-1", "off: istio-discovery=mesh-1 istio.io/rev=mesh-1 istio-injection=disabled",
				"gone (deleting): istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if another mesh is there, then the namespaces can move to that",
			others: []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}, from: mesh1ByDiscovery, namespaces: app,
			want: "warn MF112",
		},
		{
			name: "if the other mesh runs elsewhere, or is on its way out itself, then they cannot move there",
			others: []string{
				"Istio mesh-2; in istio-system-2; profile remote",
				"IstioRevision mesh-3; of mesh-3; in istio-system-1; selects istio-discovery=mesh-3",
			},
			from: mesh1ByDiscovery, namespaces: app,
			want: "warn MF112",
		},
		{
			name: "if namespaces use its tags or an older revision, then they are told too",
			others: []string{
				"IstioRevisionTag default; targets Istio mesh-1", "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-6",
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			from: mesh1ByDiscovery,
			namespaces: apps(t, "app-1: istio-injection=enabled", "app-2: istio.io/rev=stable", "app-3: istio.io/rev=mesh-1-v1-29-6",
				"app-4: istio.io/rev=mesh-2"),
			want: "warn MF112",
		},
		{
			name: "if it is an IstioRevision that nobody owns, then it is told by that name",
			from: "IstioRevision canary; in istio-system-1; selects team=a", namespaces: apps(t, "app: team=a istio.io/rev=canary"),
			want: "warn MF112",
		},
		{
			name: "if more than ten use it, then ten are named and the others counted",
			from: mesh1ByDiscovery, namespaces: numbered(t, 11, "istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "warn MF112",
		},
		{
			name: "if the configuration makes it a denial, then it is refused",
			from: mesh1ByDiscovery, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF112": policy.Deny}},
			want:    "deny MF112",
		},
		{
			name: "if the rule is off, then nobody says anything",
			from: mesh1ByDiscovery, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF112": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF112WhenTheRevisionsOfADeletedIstioAreOrphaned(t *testing.T) {
	stored := objects(t, mesh1ByDiscovery, "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"IstioRevisionTag stable; targets Istio mesh-1")
	ref := mesh.Ref{Kind: "Istio", Name: "mesh-1"}
	change := meshChange(stored, stored.Without(ref), ref)
	change.Namespaces = apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1", "app-web: istio-discovery=mesh-1 istio.io/rev=stable")
	// The revision injects as before; the tag has lost its target.
	compare(t, policy.New(settings()).Mesh(change), "warn MF112")
}

// pruned is the DELETE of an IstioRevision that its Istio outlives, as the webhook asks about it: the mesh before and after.
func pruned(t *testing.T, revision string, namespaces []mesh.Namespace, lines ...string) policy.Verdict {
	t.Helper()
	stored := objects(t, lines...)
	change := meshChange(stored, stored.Without(mesh.Ref{Kind: "IstioRevision", Name: revision}), mesh.Ref{Kind: "Istio", Name: "prod"})
	change.Removing = true
	change.Namespaces = namespaces
	if change.Old == nil || change.New == nil || len(change.New.Sources) != len(change.Old.Sources)-1 {
		t.Fatalf("no revision %q of prod in %q", revision, lines)
	}
	return policy.New(settings()).Mesh(change)
}

func TestMF112WhenNoLabelBringsANamespaceUnderTheRevisionThatRemains(t *testing.T) {
	compare(t, pruned(t, "prod-v1-29-6", apps(t, "app: team=a istio.io/rev=prod-v1-29-6"),
		"Istio prod; in istio-system-prod; RevisionBased; version v1.30.3; selects kubernetes.io/metadata.name=other",
		"IstioRevision prod-v1-29-6; of prod; in istio-system-prod; version v1.29.6; selects team=a",
	), "warn MF112")
}

func TestMF112WhenOneRevisionOfAMeshIsDeleted(t *testing.T) {
	prod := []string{
		"Istio prod; in istio-system-prod; RevisionBased; version v1.30.3; selects istio-discovery=prod",
		"IstioRevision prod-v1-29-6; of prod; in istio-system-prod; version v1.29.6; selects istio-discovery=prod | team=a",
		"IstioRevision prod-v1-30-3; of prod; in istio-system-prod; version v1.30.3; selects istio-discovery=prod",
		"IstioRevisionTag stable; targets IstioRevision prod-v1-29-6",
		"IstioRevisionTag latest; targets Istio prod",
	}
	for _, c := range []struct {
		name, revision string
		namespaces     []mesh.Namespace
		want           string
	}{
		{
			name:     "if nobody uses exactly that revision, as when the operator prunes it, then it is admitted without a word",
			revision: "prod-v1-29-6",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod-v1-30-3", "web: istio-discovery=prod istio.io/rev=latest",
				"gone (deleting): istio-discovery=prod istio.io/rev=prod-v1-29-6"),
			want: "allow",
		},
		{
			name:       "if a namespace uses it, then that is told, with the revision to use",
			revision:   "prod-v1-29-6",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod-v1-29-6", "web: istio-discovery=prod istio.io/rev=prod-v1-30-3"),
			want:       "warn MF112",
		},
		{
			name:       "if only that revision discovers a namespace that uses it, then the command has the label that the others ask for",
			revision:   "prod-v1-29-6",
			namespaces: apps(t, "app: team=a istio.io/rev=prod-v1-29-6"),
			want:       "warn MF112",
		},
		{
			name:       "if a namespace uses a tag that points at it, then that is told",
			revision:   "prod-v1-29-6",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=stable"),
			want:       "warn MF112",
		},
		{
			name:       "if it is the active revision, then the operator creates it again, and there is nothing to tell",
			revision:   "prod-v1-30-3",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod-v1-30-3"),
			want:       "allow",
		},
		{
			name:       "if its selectors were the only ones that matched a namespace of the mesh, then it may go all the same, and that is told",
			revision:   "prod-v1-29-6",
			namespaces: apps(t, "app: team=a istio.io/rev=prod-v1-30-3", "web: team=a istio.io/rev=latest", "off: team=a", "wrong: istio.io/rev=latest"),
			want:       "warn MF118",
		},
	} {
		t.Run(c.name, func(t *testing.T) { compare(t, pruned(t, c.revision, c.namespaces, prod...), c.want) })
	}
	t.Run("if the Istio itself breaks rules, then that is not the deletion's to tell", func(t *testing.T) {
		broken := append([]string{"Istio other; in istio-system-prod; selects istio-discovery=prod"}, prod...)
		compare(t, pruned(t, "prod-v1-29-6", nil, broken...), "allow")
	})
}

func TestMF112ItsCommandsAreAdmittedBeforeAndAfterTheDeletion(t *testing.T) {
	c := meshCase{
		others: []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2", "IstioRevisionTag default; targets Istio mesh-1"},
		from:   mesh1ByDiscovery,
		namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1", "web: istio-discovery=mesh-1 istio-injection=enabled",
			"both: istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1"),
	}
	f, before := finding(t, c.judge(t), "MF112"), c.namespaces
	for when, fleet := range map[string]*mesh.Fleet{"before": c.stored(t), "after": c.wanted(t)} {
		for _, way := range []string{"move them", "turn injection off"} {
			c.namespaces = afterWay(t, f, way, fleet, before)
			if verdict := c.judge(t); slices.Contains(codes(verdict), "MF112") {
				t.Errorf("%s, %s the deletion: %s", way, when, outcome(verdict))
			}
		}
	}
}
