package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf202 = policy.Rule{Code: "MF202", Name: "RevisionOfAnotherMesh", Action: policy.Deny}

func TestMF202WhenANamespaceIsCreated(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		guide()[1],
	}
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if a mesh that takes every namespace discovers it too, then it is the other two that count, with both ways out",
			fleet:  append(guide()[:2], "Istio every; in istio-system-every"),
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:   "if a mesh that takes every namespace injects it, then it is in that mesh too, whose fault it is that another one is as well",
			fleet:  append(guide()[:2], "Istio every; in istio-system-every"),
			create: "istio-discovery=mesh-1 istio.io/rev=every",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "every" (which discovers every namespace) and mesh "mesh-1" ` +
					`(istio-discovery=mesh-1): their istiods would overwrite each other's ConfigMap istio-ca-root-cert in ` +
					`it, and its pods would see x509 errors that come and go`,
				Remedy: `It is not the namespace that has to change, but mesh "every": kubectl patch istios.sailoperator.io ` +
					`every --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"every"}}]}}}}'`,
				Subjects: []string{`Istio "every" and Istio "mesh-1"`},
			}),
		},
		{
			name:   "if its revision is another mesh's, then it is refused, with both ways out",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:   "if its revision is that of the mesh that discovers it, then it is admitted",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   allowed(),
		},
		{
			name:   "if nothing injects it, then it is admitted",
			create: "istio-discovery=mesh-1",
			want:   allowed(),
		},
		{
			name:  "if it has a tag of another mesh, then it is refused",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=prod, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: prod}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:  "if it has a tag on a revision of its mesh, then it is admitted",
			fleet: append(upgrading, "IstioRevisionTag prod; targets IstioRevision mesh-1-v1-29-0"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: allowed(),
		},
		{
			name:  "if its tag has no target, then nobody knows whose it is",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: warned(targetless(`To use mesh "mesh-1", which discovers it, without the tag: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}. `)),
		},
		{
			name:  "if it has an older revision of its mesh, then it is admitted",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: allowed(),
		},
		{
			name:  "if it has an older revision of another mesh, then the active one is proposed for that of its own",
			fleet: upgrading, create: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-29-0",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-29-0, a revision of mesh "mesh-1", but mesh "mesh-2" ` +
					`(istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh "mesh-1" and have ` +
					`only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}. To move it to mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-1-v1-29-0}`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if the mesh map has an entry for its mesh, then that one is proposed",
			fleet: append(upgrading, "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", "map mesh-1=stable"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the mesh map has an entry for its mesh that is another mesh's, then the active revision is proposed",
			fleet: append(guide(), "map mesh-1=mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:   "if istio-injection=enabled chooses default, a tag on another mesh, then it is refused",
			create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-1" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "mesh-1": create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if istio-injection=enabled chooses default, a tag on its mesh, then it is admitted",
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   allowed(),
		},
		{
			name:  "if istio-injection=enabled chooses an Istio called default, another mesh, then it is refused",
			fleet: []string{"Istio default; in istio-system; selects istio-discovery=default", guide()[1]}, create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh ` +
					`"default", but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the ` +
					`istiod of mesh "default" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "default": create it with labels: ` +
					`{istio-discovery: default, istio-injection: enabled}`,
				Subjects: []string{"mesh-2", `injected by Istio "default"`},
			}),
		},
		{
			name:  "if istio-injection=enabled chooses an IstioRevision called default, another mesh, then it is refused",
			fleet: []string{"IstioRevision default; in istio-system; selects istio-discovery=default", guide()[1]}, create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh ` +
					`"default", but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the ` +
					`istiod of mesh "default" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "default": create it with labels: ` +
					`{istio-discovery: default, istio-injection: enabled}`,
				Subjects: []string{"mesh-2", `injected by IstioRevision "default"`},
			}),
		},
		{
			name:  "if istio-injection=enabled and nothing is called default, then nothing injects it",
			fleet: guide()[:2], create: "istio-discovery=mesh-2 istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Off}}, // that rule says so
			want:    allowed(),
		},
		{
			name:   "if istio-injection has any other value, then nothing injects it",
			create: "istio-discovery=mesh-1 istio-injection=disabled",
			want:   allowed(),
		},
		{
			name:   "if istio-injection=enabled overrides istio.io/rev, then default counts, and no way out leaves both labels",
			create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-1" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "mesh-1": create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}, policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-2, istio.io/rev: mesh-2}, ` +
					`without istio-injection`,
			}),
		},
		{
			name:   "if two meshes discover it with a declared overlap, then its revision may belong to either",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want:   allowed(),
		},
		{
			name:   "if two meshes discover it with a declared overlap, then a third one's revision is refused",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-3",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-3, a revision of mesh "mesh-3", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) and mesh "mesh-2" (team=a) discover it: its sidecars would ask the istiod ` +
					`of mesh "mesh-3" and have only the root certificate of mesh "mesh-1" and mesh "mesh-2" to verify it ` +
					`with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1, ` +
					`team: a}. To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-2, team: a}. To move it to mesh "mesh-3": create it with labels: ` +
					`{istio-discovery: mesh-3, istio.io/rev: mesh-3}, without team`,
				Subjects: []string{"mesh-1", "mesh-2", `injected by Istio "mesh-3"`},
			}),
		},
		{
			name:   "if OpenShift's gateway-only mesh discovers it, as everything, then the way to the injecting mesh is still offered",
			fleet:  append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but mesh "openshift-gateway" ` +
					`(which discovers every namespace) discovers it: its sidecars would ask the istiod of mesh "mesh-1" ` +
					`and have only the root certificate of mesh "openshift-gateway" to verify it with`,
				Remedy: `To keep it in mesh "openshift-gateway": create it with labels: {istio.io/rev: openshift-gateway}. ` +
					`To move it to mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"openshift-gateway", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if OpenShift's gateway-only mesh discovers it besides its own, then it is admitted",
			fleet:  append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   allowed(),
		},
		{
			name:   "if its revision is that of a mesh whose istiod runs elsewhere, then it can only stay",
			fleet:  append(guide(), "Istio far; in istio-system-far; profile remote"),
			create: "istio-discovery=mesh-1 istio.io/rev=far",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=far, a revision of mesh "far", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "far" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy:   `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"mesh-1", `injected by Istio "far"`},
			}),
		},
		{
			name: "if two meshes claim its revision, then both are named",
			fleet: append(guide(), "Istio team; in istio-system-3; RevisionBased; version v1.30.0; selects team=a",
				"Istio team-v1-30-0; in istio-system-4; selects team=b"),
			create: "istio-discovery=mesh-1 istio.io/rev=team-v1-30-0",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=team-v1-30-0, a revision of mesh "team" and mesh "team-v1-30-0", ` +
					`but mesh "mesh-1" (istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh ` +
					`"team" and mesh "team-v1-30-0" and have only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "team": create it with labels: {istio.io/rev: team-v1-30-0, team: a}, ` +
					`without istio-discovery. To move it to mesh "team-v1-30-0": create it with labels: {istio.io/rev: ` +
					`team-v1-30-0, team: b}, without istio-discovery`,
				Subjects: []string{"mesh-1", `injected by Istio "team"`, `injected by Istio "team-v1-30-0"`},
			}),
		},
		{
			name:  "if two meshes that fight discover it too, then that is reported first",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"), create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-3",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}, without team. To keep it in mesh "mesh-2" only: create it with labels: {istio.io/rev: ` +
					`mesh-2, team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}, policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-3, a revision of mesh "mesh-3", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) and mesh "mesh-2" (team=a) discover it: its sidecars would ask the istiod ` +
					`of mesh "mesh-3" and have only the root certificate of mesh "mesh-1" and mesh "mesh-2" to verify it ` +
					`with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1, ` +
					`team: a}. To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-2, team: a}. To move it to mesh "mesh-3": create it with labels: ` +
					`{istio-discovery: mesh-3, istio.io/rev: mesh-3}, without team`,
				Subjects: []string{"mesh-1", "mesh-2", `injected by Istio "mesh-3"`},
			}),
		},
		{
			name:   "if all rules only warn, then it is admitted with a warning",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", actions: policy.Actions{WarnOnly: true},
			want: warned(policy.Finding{
				Rule: mf202, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name:    "if the rule is off, then it stays off in a cluster where all rules only warn",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF202": policy.Off}, WarnOnly: true},
			want:    allowed(),
		},
	})
}

func TestMF202WhenANamespaceIsUpdated(t *testing.T) {
	three := append(guide(), "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3")
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it goes from a revision to a tag of the same other mesh, then it is no worse off",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-2"),
			from:  "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=stable",
			want: warned(policy.Finding{
				Rule: mf202, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=stable, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 --overwrite. To move ` +
					`it to mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 istio.io/rev=stable --overwrite`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name: "if it gets the revision of another mesh, then it is refused, with commands",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 --overwrite. To move ` +
					`it to mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 istio.io/rev=mesh-2 ` +
					`--overwrite`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name: "if another mesh begins to discover it, then it is refused, and the commands name every label that differs",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1",
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
			name: "if both labels move together, then it is admitted",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: allowed(),
		},
		{
			name: "if istio-injection is added to a namespace without labels, then the command removes it again",
			from: "istio-discovery=mesh-2", to: "istio-discovery=mesh-2 istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-1" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": kubectl label namespace app istio-injection- istio.io/rev=mesh-2 ` +
					`--overwrite. To move it to mesh "mesh-1": kubectl label namespace app istio-discovery=mesh-1 ` +
					`istio-injection=enabled --overwrite`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 env=prod",
			want: allowed(),
		},
		{
			name: "if it was so before, then a change of another label that decides is admitted with a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 mesh=other",
			want: warned(policy.Finding{
				Rule: mf202, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 mesh=other ` +
					`--overwrite. To move it to mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 ` +
					`mesh=other --overwrite`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[mesh]`,
				Detail: `namespace "app" has mesh=other, but no mesh has that name, and no selector asks for that value: ` +
					`until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"mesh=other"},
			}),
		},
		{
			name:  "if it gets a third mesh's revision instead, then it is refused",
			fleet: three, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-3",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-3, a revision of mesh "mesh-3", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-3" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 --overwrite. To move ` +
					`it to mesh "mesh-3": kubectl label namespace app istio-discovery=mesh-3 istio.io/rev=mesh-3 ` +
					`--overwrite`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-3"`},
			}),
		},
		{
			name:  "if a third mesh begins to discover it, then it is refused",
			fleet: three, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-3 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-3" ` +
					`(istio-discovery=mesh-3) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-3" to verify it with`,
				Remedy: `To keep it in mesh "mesh-3": kubectl label namespace app istio-discovery=mesh-3 istio.io/rev=mesh-3 ` +
					`--overwrite. To move it to mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 ` +
					`--overwrite`,
				Subjects: []string{"mesh-3", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name: "if the revision label is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name: "if the discovery label is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: allowed(),
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2", deleting: true,
			want: allowed(),
		},
	})
}

func TestMF202WhileThereIsNoMeshYet(t *testing.T) {
	mapped := []string{"map mesh-1=stable mesh-1b=stable mesh-2=mesh-2"}
	unknown := policy.Actions{Rules: map[policy.Code]policy.Action{ // these rules warn here: no revision exists, or another mesh only
		"MF203": policy.Off, "MF206": policy.Off, "MF212": policy.Off,
	}}
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if the mesh map gives its revision to another mesh, then it is refused",
			fleet: mapped, create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio-discovery=mesh-1 and istio.io/rev=mesh-2, but the mesh map gives the ` +
					`revision "mesh-2" to mesh "mesh-2"`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}`,
				Subjects: []string{"istio-discovery=mesh-1", "revision mesh-2"},
			}),
		},
		{
			name:  "if the mesh map gives its revision to its mesh, then it is admitted",
			fleet: mapped, create: "istio-discovery=mesh-1 istio.io/rev=stable", actions: unknown,
			want: allowed(),
		},
		{
			name:  "if the mesh map gives its revision to several meshes, then one of them is proposed",
			fleet: mapped, create: "istio-discovery=mesh-2 istio.io/rev=stable", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio-discovery=mesh-2 and istio.io/rev=stable, but the mesh map gives the ` +
					`revision "stable" to mesh "mesh-1" and mesh "mesh-1b"`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}. To move it to mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: stable}`,
				Subjects: []string{"istio-discovery=mesh-2", "revision stable"},
			}),
		},
		{
			name:  "if its discovery label is not in the mesh map, then it can only move",
			fleet: mapped, create: "istio-discovery=mesh-9 istio.io/rev=mesh-2", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio-discovery=mesh-9 and istio.io/rev=mesh-2, but the mesh map gives the ` +
					`revision "mesh-2" to mesh "mesh-2"`,
				Remedy:   `To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: mesh-2}`,
				Subjects: []string{"istio-discovery=mesh-9", "revision mesh-2"},
			}),
		},
		{
			name:  "if the discovery label has the other key, then it counts too",
			fleet: mapped, create: "mesh=mesh-1 istio.io/rev=mesh-2", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has mesh=mesh-1 and istio.io/rev=mesh-2, but the mesh map gives the revision ` +
					`"mesh-2" to mesh "mesh-2"`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio.io/rev: stable, mesh: mesh-1}. To move ` +
					`it to mesh "mesh-2": create it with labels: {istio.io/rev: mesh-2, mesh: mesh-2}`,
				Subjects: []string{"mesh=mesh-1", "revision mesh-2"},
			}),
		},
		{
			name:  "if it has both discovery labels and both are wrong, then each is a finding",
			fleet: mapped, create: "istio-discovery=mesh-1 mesh=mesh-1b istio.io/rev=mesh-2", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio-discovery=mesh-1 and istio.io/rev=mesh-2, but the mesh map gives the ` +
					`revision "mesh-2" to mesh "mesh-2"`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: stable, ` +
					`mesh: mesh-1}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2, mesh: mesh-2}`,
				Subjects: []string{"istio-discovery=mesh-1", "revision mesh-2"},
			}, policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has mesh=mesh-1b and istio.io/rev=mesh-2, but the mesh map gives the revision ` +
					`"mesh-2" to mesh "mesh-2"`,
				Remedy: `To keep it in mesh "mesh-1b": create it with labels: {istio-discovery: mesh-1b, istio.io/rev: ` +
					`stable, mesh: mesh-1b}. To move it to mesh "mesh-2": create it with labels: {istio-discovery: ` +
					`mesh-2, istio.io/rev: mesh-2, mesh: mesh-2}`,
				Subjects: []string{"mesh=mesh-1b", "revision mesh-2"},
			}),
		},
		{
			name:  "if it has no discovery label, then there is nothing to compare with",
			fleet: mapped, create: "istio.io/rev=mesh-2", actions: unknown,
			want: allowed(),
		},
		{
			name:  "if the mesh map does not know its revision, then there is nothing to compare with",
			fleet: mapped, create: "istio-discovery=mesh-1 istio.io/rev=canary", actions: unknown,
			want: allowed(),
		},
		{
			name:  "if istio-injection=enabled chooses default, then the mesh map's entry for default counts",
			fleet: []string{"map mesh-1=default mesh-2=mesh-2"}, create: "istio-discovery=mesh-2 istio-injection=enabled", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-discovery=mesh-2 and istio-injection=enabled, but the mesh map gives the ` +
					`revision "default" to mesh "mesh-1"`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "mesh-1": create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}`,
				Subjects: []string{"istio-discovery=mesh-2", "revision default"},
			}),
		},
		{
			name:  "if istio-injection=enabled overrides istio.io/rev, then no way out leaves both labels",
			fleet: []string{"map mesh-1=default mesh-2=mesh-2"}, create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-2", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-discovery=mesh-2 and istio-injection=enabled, but the mesh map gives the ` +
					`revision "default" to mesh "mesh-1"`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "mesh-1": create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
				Subjects: []string{"istio-discovery=mesh-2", "revision default"},
			}, policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-2, istio.io/rev: mesh-2}, ` +
					`without istio-injection`,
			}),
		},
		{
			name:  "if there is a mesh, then the mesh map no longer decides",
			fleet: append(mapped, "Istio mesh-3; in istio-system-3; selects team=a"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", actions: unknown,
			want: allowed(),
		},
		{
			name:  "if the label is changed to another mesh's, then it is refused, with commands",
			fleet: mapped, from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-2 istio.io/rev=stable", actions: unknown,
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio-discovery=mesh-2 and istio.io/rev=stable, but the mesh map gives the ` +
					`revision "stable" to mesh "mesh-1" and mesh "mesh-1b"`,
				Remedy: `To keep it in mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 istio.io/rev=mesh-2 ` +
					`--overwrite. To move it to mesh "mesh-1": kubectl label namespace app istio-discovery=mesh-1 ` +
					`--overwrite`,
				Subjects: []string{"istio-discovery=mesh-2", "revision stable"},
			}),
		},
		{
			name:  "if it was so before, then an unrelated change is admitted in silence",
			fleet: mapped, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 env=prod", actions: unknown,
			want: allowed(),
		},
	})
}
