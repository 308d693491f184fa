package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF205WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if its revision exists and no mesh discovers it, then it is refused, with both labels in one command",
			create: "istio.io/rev=mesh-1",
			want:   "deny MF205",
		},
		{
			name:   "if its discovery label is no mesh's, then that one is corrected",
			create: "istio-discovery=mesh1 istio.io/rev=mesh-1",
			want:   "deny MF205",
		},
		{
			name:   "if istio-injection=enabled chooses default, then it is refused",
			create: "istio-injection=enabled",
			want:   "deny MF205",
		},
		{
			name:   "if istio-injection=enabled overrides istio.io/rev, then no way out leaves both labels",
			create: "istio-injection=enabled istio.io/rev=mesh-2",
			want:   "deny MF204 deny MF205",
		},
		{
			name:   "if istio-injection switches injection off, then it is admitted",
			create: "istio-injection=disabled",
			want:   "allow",
		},
		{
			name:  "if istio-injection=enabled and nothing is called default, then it is admitted",
			fleet: guide()[:2], create: "istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Off}}, // that rule warns
			want:    "allow",
		},
		{
			name:  "if it has a tag, then the tag's mesh is offered",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-2"), create: "istio.io/rev=prod",
			want: "deny MF205",
		},
		{
			name:  "if its tag has no target, then nothing injects it",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if its mesh's istiod runs elsewhere, then who discovers it is not known here",
			fleet: []string{"Istio far; in istio-system; profile remote"}, create: "istio.io/rev=far",
			want: "allow",
		},
		{
			name: "if only an older revision's selector can match, then that one counts as well",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects kubernetes.io/metadata.name=other",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team=a",
			},
			create: "istio.io/rev=mesh-1-v1-30-0",
			want:   "deny MF205",
		},
		{
			name:  "if its mesh cannot discover it, whatever its labels are, then it can only stay out",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio.io/rev=mesh-1",
			want: "deny MF205",
		},
		{
			name:  "if its mesh's selectors need several labels, then the smallest change is proposed",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a,env in (dev,test) | istio-discovery | !skip,stage notin (x),tier=1"}, create: "istio.io/rev=mesh-1 skip=yes",
			want: "deny MF205",
		},
		{
			name:  "if the mesh's trust bundle has its own name, then that name is told",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a; bundle own"}, create: "istio.io/rev=mesh-1",
			want: "deny MF205",
		},
		{
			name: "if two meshes claim its revision, then either is offered",
			fleet: []string{
				"Istio team; in istio-system-3; RevisionBased; version v1.30.0; selects team=a",
				"Istio team-v1-30-0; in istio-system-4; selects team=b",
			},
			create: "istio.io/rev=team-v1-30-0",
			want:   "deny MF205",
		},
		{
			name:   "if the label that its mesh needs would make another mesh discover it too, then that one is left",
			fleet:  []string{"Istio mesh-1; in istio-system-1; selects team=a,env", "Istio mesh-2; in istio-system-2; selects team=a,tier=1"},
			create: "istio.io/rev=mesh-1 tier=1",
			want:   "deny MF205",
		},
		{
			name:   "if its revision does not exist, then another rule warns",
			create: "istio.io/rev=nobody",
			want:   "warn MF203",
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF205": policy.Warn}},
			want:    "warn MF205",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF205": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF205WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it goes from a revision to a tag of the same mesh, then it is no worse off",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1"),
			from:  "istio.io/rev=mesh-1", to: "istio.io/rev=stable",
			want: "warn MF205",
		},
		{
			name:  "if it goes from a tag to a revision of the same mesh, then it is no worse off",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1"),
			from:  "istio.io/rev=stable", to: "istio.io/rev=mesh-1",
			want: "warn MF205",
		},
		{
			name: "if it goes from istio-injection=enabled to the revision that default leads to, then it is no worse off",
			from: "istio-injection=enabled", to: "istio.io/rev=mesh-1",
			want: "warn MF205",
		},
		{
			name: "if istio.io/rev is set first, then it is refused, with a command that sets both labels",
			from: "env=prod", to: "env=prod istio.io/rev=mesh-1",
			want: "deny MF205",
		},
		{
			name: "if the discovery label is set first, then it is admitted",
			from: "env=prod", to: "env=prod istio-discovery=mesh-1",
			want: "allow",
		},
		{
			name: "if both labels are set together, then it is admitted",
			from: "env=prod", to: "env=prod istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name: "if the discovery label is removed while the revision stays, then it is refused",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1",
			want: "deny MF205",
		},
		{
			name: "if both labels are removed together, then it is admitted",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "env=prod",
			want: "allow",
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 env=prod",
			want: "allow",
		},
		{
			name: "if it was so before, then a discovery label that is no mesh's makes nothing worse",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-9",
			want: "warn MF205 warn MF212",
		},
		{
			name: "if it gets another mesh's revision, then it is refused",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-2",
			want: "deny MF205",
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-1",
			want: "allow",
		},
		{
			name: "if the wrong mesh is made to discover it, then that is new, and refused",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-2",
			want: "deny MF202",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "env=prod", to: "istio.io/rev=mesh-1", deleting: true,
			want: "allow",
		},
	})
}

func TestMF205IsSilentInNamespacesWhosePodsAreNeverInjected(t *testing.T) {
	judge, f := policy.New(settings()), fleet(t, guide()...)
	for name, want := range map[string]policy.Answer{
		"kube-system": policy.Allowed, "kube-public": policy.Allowed, "kube-node-lease": policy.Allowed, "local-path-storage": policy.Allowed,
		"kube-flannel": policy.Denied,
	} {
		got := judge.Namespace(policy.NamespaceChange{New: namespace(t, name, "istio.io/rev=mesh-1"), Fleet: f, Now: now})
		if got.Answer != want || want == policy.Allowed && len(got.Warnings) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
