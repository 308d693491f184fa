package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf205 = policy.Rule{Code: "MF205", Name: "InjectedNotDiscovered", Action: policy.Deny}

func TestMF205WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if its revision exists and no mesh discovers it, then it is refused, with both labels in one command",
			create: "istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1}. To keep it out of every mesh: create it without ` +
					`istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if its discovery label is no mesh's, then that one is corrected",
			create: "istio-discovery=mesh1 istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1}. To keep it out of every mesh: create it with ` +
					`labels: {istio-discovery: mesh1}, without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if istio-injection=enabled chooses default, then it is refused",
			create: "istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but no mesh discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert ` +
					`is written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}. To keep it out of every mesh: create it ` +
					`without istio-injection`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if istio-injection=enabled overrides istio.io/rev, then no way out leaves both labels",
			create: "istio-injection=enabled istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `Neither chooses a revision that fits. To have none: create it without istio-injection, istio.io/rev`,
			}, policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but no mesh discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert ` +
					`is written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev. To keep it out of every ` +
					`mesh: create it without istio-injection, istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if istio-injection switches injection off, then it is admitted",
			create: "istio-injection=disabled",
			want:   allowed(),
		},
		{
			name:  "if istio-injection=enabled and nothing is called default, then it is admitted",
			fleet: guide()[:2], create: "istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Off}}, // that rule warns
			want:    allowed(),
		},
		{
			name:  "if it has a tag, then the tag's mesh is offered",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-2"), create: "istio.io/rev=prod",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=prod, a revision of mesh "mesh-2", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-2", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-2, istio.io/rev: prod}. To keep it out of every mesh: create it without ` +
					`istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-2"`},
			}),
		},
		{
			name:  "if its tag has no target, then nothing injects it",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio.io/rev=prod",
			want: warned(targetless("")),
		},
		{
			name:  "if its mesh's istiod runs elsewhere, then who discovers it is not known here",
			fleet: []string{"Istio far; in istio-system; profile remote"}, create: "istio.io/rev=far",
			want: allowed(),
		},
		{
			name: "if only an older revision's selector can match, then that one counts as well",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects kubernetes.io/metadata.name=other",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team=a",
			},
			create: "istio.io/rev=mesh-1-v1-30-0",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-30-0, a revision of mesh "mesh-1", but no mesh discovers ` +
					`it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to ` +
					`discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: {istio.io/rev: ` +
					`mesh-1-v1-30-0, team: a}. To keep it out of every mesh: create it without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if its mesh cannot discover it, whatever its labels are, then it can only stay out",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy:   `To keep it out of every mesh: create it without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if its mesh's selectors need several labels, then the smallest change is proposed",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a,env in (dev,test) | istio-discovery | !skip,stage notin (x),tier=1"}, create: "istio.io/rev=mesh-1 skip=yes",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: any, istio.io/rev: mesh-1, skip: "yes"}. To keep it out of every mesh: create it ` +
					`with labels: {skip: "yes"}, without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if the mesh's trust bundle has its own name, then that name is told",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a; bundle own"}, create: "istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap own is written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: {istio.io/rev: ` +
					`mesh-1, team: a}. To keep it out of every mesh: create it without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if two meshes claim its revision, then either is offered",
			fleet: []string{
				"Istio team; in istio-system-3; RevisionBased; version v1.30.0; selects team=a",
				"Istio team-v1-30-0; in istio-system-4; selects team=b",
			},
			create: "istio.io/rev=team-v1-30-0",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=team-v1-30-0, a revision of mesh "team" and mesh "team-v1-30-0", ` +
					`but no mesh discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert ` +
					`is written to discovered namespaces only`,
				Remedy: `To put it into mesh "team", set both labels in one command: create it with labels: {istio.io/rev: ` +
					`team-v1-30-0, team: a}. To put it into mesh "team-v1-30-0", set both labels in one command: create ` +
					`it with labels: {istio.io/rev: team-v1-30-0, team: b}. To keep it out of every mesh: create it ` +
					`without istio.io/rev`,
				Subjects: []string{`injected by Istio "team"`, `injected by Istio "team-v1-30-0"`},
			}),
		},
		{
			name:   "if the label that its mesh needs would make another mesh discover it too, then that one is left",
			fleet:  []string{"Istio mesh-1; in istio-system-1; selects team=a,env", "Istio mesh-2; in istio-system-2; selects team=a,tier=1"},
			create: "istio.io/rev=mesh-1 tier=1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: {env: any, ` +
					`istio.io/rev: mesh-1, team: a}, without tier. To keep it out of every mesh: create it with labels: ` +
					`{tier: "1"}, without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if its revision does not exist, then another rule warns",
			create: "istio.io/rev=nobody",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=nobody, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision nobody"},
			}),
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF205": policy.Warn}},
			want: warned(policy.Finding{
				Rule: mf205, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1}. To keep it out of every mesh: create it without ` +
					`istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF205": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF205WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it goes from a revision to a tag of the same mesh, then it is no worse off",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1"),
			from:  "istio.io/rev=mesh-1", to: "istio.io/rev=stable",
			want: warned(policy.Finding{
				Rule: mf205, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=stable, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio.io/rev=stable --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if it goes from a tag to a revision of the same mesh, then it is no worse off",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1"),
			from:  "istio.io/rev=stable", to: "istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf205, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio.io/rev=mesh-1 --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if it goes from istio-injection=enabled to the revision that default leads to, then it is no worse off",
			from: "istio-injection=enabled", to: "istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf205, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio-injection- istio.io/rev=mesh-1 --overwrite. To keep it out of every mesh: ` +
					`kubectl label namespace app istio-injection- istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if istio.io/rev is set first, then it is refused, with a command that sets both labels",
			from: "env=prod", to: "env=prod istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio.io/rev=mesh-1 --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if the discovery label is set first, then it is admitted",
			from: "env=prod", to: "env=prod istio-discovery=mesh-1",
			want: allowed(),
		},
		{
			name: "if both labels are set together, then it is admitted",
			from: "env=prod", to: "env=prod istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name: "if the discovery label is removed while the revision stays, then it is refused",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio.io/rev=mesh-1 --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio-discovery- istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if both labels are removed together, then it is admitted",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "env=prod",
			want: allowed(),
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 env=prod",
			want: allowed(),
		},
		{
			name: "if it was so before, then a discovery label that is no mesh's makes nothing worse",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-9",
			want: warned(policy.Finding{
				Rule: mf205, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-1 istio.io/rev=mesh-1 --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio-discovery=mesh-9 istio.io/rev- --overwrite`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-9, but no mesh has that name, and no selector asks for that ` +
					`value: until one does, the label puts it into no mesh`,
				Remedy:   `Did you mean "mesh-1"? To put it into that mesh: kubectl label namespace app istio-discovery=mesh-1 --overwrite`,
				Subjects: []string{"istio-discovery=mesh-9"},
			}),
		},
		{
			name: "if it gets another mesh's revision, then it is refused",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but no mesh discovers it: its ` +
					`pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is written to discovered ` +
					`namespaces only`,
				Remedy: `To put it into mesh "mesh-2", set both labels in one command: kubectl label namespace app ` +
					`istio-discovery=mesh-2 istio.io/rev=mesh-2 --overwrite. To keep it out of every mesh: kubectl label ` +
					`namespace app istio.io/rev-`,
				Subjects: []string{`injected by Istio "mesh-2"`},
			}),
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-1",
			want: allowed(),
		},
		{
			name: "if the wrong mesh is made to discover it, then that is new, and refused",
			from: "istio.io/rev=mesh-1", to: "istio.io/rev=mesh-1 istio-discovery=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but mesh "mesh-2" ` +
					`(istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh "mesh-1" and have ` +
					`only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 istio.io/rev=mesh-2 ` +
					`--overwrite. To move it to mesh "mesh-1": kubectl label namespace app istio-discovery=mesh-1 ` +
					`--overwrite`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "env=prod", to: "istio.io/rev=mesh-1", deleting: true,
			want: allowed(),
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
