package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// crossing are two meshes that turn on different labels: they were there before meshfence was.
func crossing(extra ...string) []string {
	return append([]string{
		"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects team=a",
	}, extra...)
}

func TestMF201WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if two meshes discover it, then it is refused, with the labels for either",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			want: "deny MF201",
		},
		{
			name:  "if one mesh discovers it, then it is admitted",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=b",
			want: "allow",
		},
		{
			name: "if two revisions that a deleted Istio has left behind discover it, then they are one mesh",
			fleet: []string{
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-30-3; of mesh-1; in istio-system-1; version v1.30.3; selects istio-discovery=mesh-1",
			},
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-6",
			want:   "allow",
		},
		{
			name:   "if none discovers it, then it is admitted",
			create: "team=a",
			want:   "allow",
		},
		{
			name:  "if three meshes discover it, then each pair is a subject, and leaving takes two labels",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"), create: "istio-discovery=mesh-1 team=a env=prod",
			want: "deny MF201",
		},
		{
			name:  "if one of them discovers everything, then there is no label to drop for the other",
			fleet: crossing("Istio mesh-3; in istio-system-3"), create: "istio-discovery=mesh-1",
			want: "warn MF201",
		},
		{
			name: "if both discover everything, then only their selectors can be changed",
			fleet: []string{
				"Istio mesh-1; in istio-system-1", "Istio mesh-2; in istio-system-2; selects {}",
			},
			create: "team=a",
			want:   "warn MF201",
		},
		{
			name:   "if both discover everything, then the change of either is a command",
			fleet:  []string{"Istio mesh-1; in istio-system-1", "Istio mesh-2; in istio-system-2; selects {}"},
			create: "team=a", all: apps(t, "other: istio.io/rev=mesh-1"),
			want: "warn MF201",
		},
		{
			name:   "if two discover everything beside one that asks for its label, then both have to change, each with a command",
			fleet:  []string{"Istio mesh-1; in istio-system-1", "Istio mesh-2; in istio-system-2; selects {}", "Istio mesh-3; in istio-system-3; selects team=a"},
			create: "team=a", all: apps(t, "other: istio.io/rev=mesh-1"),
			want: "warn MF201 warn MF201",
		},
		{
			name:  "if one has an invalid selector, then it counts as discovering everything",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects team=c | raw team in b"), create: "team=a",
			want: "warn MF201",
		},
		{
			name: "if one discovers it through an older revision only, then that counts",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team in (a,b)",
				"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			},
			create: "istio-discovery=mesh-2 team=b",
			want:   "deny MF201",
		},
		{
			name:  "if one of them discovers what lacks a label, then that label is no label to drop",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects !env"), create: "team=a",
			want: "warn MF201",
		},
		{
			name:  "if the mesh that is kept is not the one that injects, then the labels change that too",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-1",
			want: "deny MF201",
		},
		{
			name:  "if istio-injection chooses the revision of the mesh that is left, then istio.io/rev takes its place",
			fleet: crossing("IstioRevisionTag default; targets Istio mesh-1"), create: "istio-discovery=mesh-1 team=a istio-injection=enabled",
			want: "deny MF201",
		},
		{
			name:  "if the overlap is declared, then both may discover it",
			fleet: []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]}, create: "istio-discovery=mesh-1 team=a",
			want: "allow",
		},
		{
			name:   "if the overlap is declared on the other side until later, then both may discover it",
			fleet:  []string{crossing()[0], crossing()[1] + "; overlaps mesh-1; until 2026-08-01T12:00:01Z"},
			create: "istio-discovery=mesh-1 team=a",
			want:   "allow",
		},
		{
			name:   "if the declaration has expired, then it is refused",
			fleet:  []string{crossing()[0], crossing()[1] + "; overlaps mesh-1; until 2026-08-01T12:00:00Z"},
			create: "istio-discovery=mesh-1 team=a",
			want:   "deny MF201",
		},
		{
			name:  "if the trust bundles differ (global.trustBundleName), then both may discover it",
			fleet: []string{crossing()[0], crossing()[1] + "; bundle own"}, create: "istio-discovery=mesh-1 team=a",
			want: "allow",
		},
		{
			name:  "if the trust bundles differ (PILOT_CA_CERT_CONFIGMAP), then both may discover it",
			fleet: []string{crossing()[0] + "; env-bundle own", crossing()[1]}, create: "istio-discovery=mesh-1 team=a",
			want: "allow",
		},
		{
			name:   "if a third mesh discovers everything without harm, then only the two that fight are named, and it may stay",
			fleet:  crossing("Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio-discovery=mesh-1 team=a",
			want:   "deny MF201",
		},
		{
			name:  "if the other mesh's istiod runs elsewhere, then it does not discover",
			fleet: []string{crossing()[0], crossing()[1] + "; profile remote"}, create: "istio-discovery=mesh-1 team=a",
			want: "allow",
		},
		{
			name:  "if the other mesh's selector selects nothing, then it does not discover",
			fleet: []string{crossing()[0], "Istio mesh-2; in istio-system-2; selects none=x,!none"}, create: "istio-discovery=mesh-1 team=a",
			want: "allow",
		},
		{
			name:  "if the rule only warns, then it is admitted with a warning",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF201": policy.Warn}},
			want:    "warn MF201",
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF201": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF201WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if a second mesh begins to discover it, then it is refused, with commands",
			fleet: crossing(), from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 team=a",
			want: "deny MF201",
		},
		{
			name:  "if the refused request set several labels, then each command names all that it needs",
			fleet: crossing(), from: "env=prod", to: "env=dev istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want: "deny MF201",
		},
		{
			name:  "if both discovered it before, then an unrelated change is admitted in silence",
			fleet: crossing(), from: "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: "allow",
		},
		{
			name:  "if both discovered it before, then a change of labels that decide is admitted with a warning",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env=test"),
			from:  "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: "warn MF201",
		},
		{
			name:  "if a third mesh begins to discover it, then it is refused",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: "deny MF201",
		},
		{
			name:  "if a third mesh no longer discovers it, then it is admitted with a warning about the others",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a env=prod", to: "istio-discovery=mesh-1 team=a",
			want: "warn MF201",
		},
		{
			name:  "if another pair of meshes discovers it, then it is refused",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a", to: "team=a env=prod",
			want: "deny MF201",
		},
		{
			name:  "if it is repaired, then it is admitted without a word",
			fleet: crossing(), from: "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1",
			want: "allow",
		},
		{
			name:  "if it is being deleted, then it is never denied",
			fleet: crossing(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 team=a", deleting: true,
			want: "allow",
		},
	})
}

// docs/design.md, who writes the root certificate: istio-ca-root-cert is written to every discovered namespace except these three.
func TestMF201LeavesAloneTheNamespacesThatNoIstiodWritesTo(t *testing.T) {
	judge := policy.New(settings())
	for name, want := range map[string]policy.Answer{
		"kube-public": policy.Allowed, "kube-node-lease": policy.Allowed, "local-path-storage": policy.Allowed,
		"kube-system": policy.Denied, "app": policy.Denied,
	} {
		ns := &mesh.Namespace{Name: name, Labels: map[string]string{"istio-discovery": "mesh-1", "team": "a", mesh.NameLabel: name}}
		got := judge.Namespace(policy.NamespaceChange{New: ns, Fleet: fleet(t, crossing()...)})
		if got.Answer != want {
			t.Errorf("%s: answer %v, want %v", name, got.Answer, want)
		}
	}
}
