package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf203 = policy.Rule{Code: "MF203", Name: "UnknownRevision", Action: policy.Deny}

// targetless is the finding about the namespace app and the tag prod, with what can be done beside a look at the tag.
func targetless(way string) policy.Finding {
	return policy.Finding{
		Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
		Detail: `namespace "app" has istio.io/rev=prod, a tag whose target does not exist: until it does, its pods start without sidecars, ` +
			`unless the operator has installed the tag for an earlier target`,
		Remedy:   way + `To see where the tag points: kubectl get istiorevisiontags.sailoperator.io prod -o yaml`,
		Subjects: []string{"tag prod"},
	}
}

func TestMF203WhenANamespaceIsCreated(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
	}
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if a mesh discovers it, then an unknown revision is refused, and the nearest name of that mesh proposed",
			create: "istio-discovery=mesh-1 istio.io/rev=msh-1",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=msh-1, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "mesh-1"? To use the revision "mesh-1": create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"mesh-1", "revision msh-1"},
			}),
		},
		{
			name:  "if two letters are swapped, then that is one mistake, and near enough in a short name",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=rpod",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=rpod, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "prod"? To use the revision "prod": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: prod}`,
				Subjects: []string{"mesh-1", "revision rpod"},
			}),
		},
		{
			name:   "if no name is near, then the active revision is proposed",
			create: "istio-discovery=mesh-1 istio.io/rev=production",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=production, but no revision or tag has that name: its pods would ` +
					`start without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy:   `To use the revision "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"mesh-1", "revision production"},
			}),
		},
		{
			name:  "if the mesh has revisions by version, then its bare name is none of them",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `To use the revision "mesh-1-v1-30-0": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-1-v1-30-0}`,
				Subjects: []string{"mesh-1", "revision mesh-1"},
			}),
		},
		{
			name:  "if it names an older revision that still exists, then it is admitted",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: allowed(),
		},
		{
			name:  "if the version has a typing error, then the nearest of the mesh's revisions is proposed",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1.29.0",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1.29.0, but no revision or tag has that name: its pods ` +
					`would start without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "mesh-1-v1-29-0"? To use the revision "mesh-1-v1-29-0": create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1-v1-29-0}`,
				Subjects: []string{"mesh-1", "revision mesh-1-v1.29.0"},
			}),
		},
		{
			name:  "if it names a tag, then it is admitted",
			fleet: append(upgrading, "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: allowed(),
		},
		{
			name:  "if it nearly names a tag, then the tag is proposed",
			fleet: append(upgrading, "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=prd",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=prd, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "prod"? To use the revision "prod": create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: prod}`,
				Subjects: []string{"mesh-1", "revision prd"},
			}),
		},
		{
			name:  "if it names a tag whose target is missing, then the name exists, and nothing answers to it",
			fleet: append(upgrading, "IstioRevisionTag prod; targets IstioRevision mesh-1-v1-28-0"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: warned(targetless(`To use mesh "mesh-1", which discovers it, without the tag: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1-v1-30-0}. `)),
		},
		{
			name:  "if no mesh discovers it, then only the tag can help",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), from: "team=a", to: "team=a istio.io/rev=prod",
			want: warned(targetless("")),
		},
		{
			name:  "if the mesh's selectors ask for another revision, then the label cannot change either",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio.io/rev=prod", "IstioRevisionTag prod; targets Istio gone"}, create: "istio.io/rev=prod",
			want: warned(targetless("")),
		},
		{
			name:  "if istio-injection switches injection off, then the tag chooses nothing",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio-injection=disabled",
			want: allowed(),
		},
		{
			name:   "if it is empty, then it names nothing",
			create: "istio-discovery=mesh-1 istio.io/rev=",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy:   `To use the revision "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"mesh-1", "revision "},
			}),
		},
		{
			name:   "if two meshes discover it, then the names of both count",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=msh-2",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=msh-2, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a) discover it`,
				Remedy: `Did you mean "mesh-2"? To use the revision "mesh-2": create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-2, team: a}`,
				Subjects: []string{"mesh-1", "mesh-2", "revision msh-2"},
			}),
		},
		{
			name:   "if no mesh discovers it, then it is a warning, and the command makes the nearest name's mesh discover it",
			create: "istio-discovery=mesh-9 istio.io/rev=mesh-9",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-9, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy: `Did you mean "mesh-1"? To use the revision "mesh-1": create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"revision mesh-9"},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-9, but no mesh has that name, and no selector asks for that ` +
					`value: until one does, the label puts it into no mesh`,
				Remedy:   `Did you mean "mesh-1"? To put it into that mesh: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"istio-discovery=mesh-9"},
			}),
		},
		{
			name:   "if no mesh discovers it and no name is near, then it is a warning",
			create: "istio.io/rev=production",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=production, but no revision or tag has that name: its pods would ` +
					`start without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision production"},
			}),
		},
		{
			name:  "if there is no mesh yet, then it is a warning: labels may come before meshes",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision mesh-1"},
			}),
		},
		{
			name:   "if only OpenShift's gateway-only mesh discovers it, and the discovery label's mesh is still to come, then it is a warning",
			fleet:  []string{"Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"},
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision mesh-1"},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-1, but no mesh has that name, and no selector asks for that ` +
					`value: until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=mesh-1"},
			}),
		},
		{
			name: "if another mesh asks for it, then the name that is proposed is not that of OpenShift's gateway-only mesh",
			fleet: []string{
				"Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
				"Istio prod; in istio-system-prod; selects istio-discovery=prod",
			},
			create: "istio-discovery=prod istio.io/rev=nobody",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=nobody, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "openshift-gateway" (which discovers every namespace) and mesh "prod" ` +
					`(istio-discovery=prod) discover it`,
				Remedy:   `To use the revision "prod": create it with labels: {istio-discovery: prod, istio.io/rev: prod}`,
				Subjects: []string{"openshift-gateway", "prod", "revision nobody"},
			}),
		},
		{
			name:  "if the nearest name is that of a mesh whose istiod runs elsewhere, then no label is needed besides",
			fleet: []string{"Istio far-away; in istio-system; profile remote"}, create: "istio.io/rev=faraway",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=faraway, but no revision or tag has that name: its pods would ` +
					`start without sidecars`,
				Remedy: `Did you mean "far-away"? To use the revision "far-away": create it with labels: {istio.io/rev: ` +
					`far-away}`,
				Subjects: []string{"revision faraway"},
			}),
		},
		{
			name:  "if the nearest name's mesh cannot discover it, whatever its labels are, then there is no command",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio.io/rev=mesh-2",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy: `Did you mean "mesh-1"? No label would make the mesh of that revision discover this namespace: ` +
					`change its selectors first`,
				Subjects: []string{"revision mesh-2"},
			}),
		},
		{
			name:   "if istio-injection overrides it, then it does not matter here",
			create: "istio-discovery=mesh-1 istio.io/rev=nobody istio-injection=disabled",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=disabled and istio.io/rev=nobody: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`disabled}, without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio-discovery=mesh-1 istio.io/rev=msh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF203": policy.Warn}},
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=msh-1, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "mesh-1"? To use the revision "mesh-1": create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1}`,
				Subjects: []string{"mesh-1", "revision msh-1"},
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio.io/rev=msh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF203": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF203WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if the label is mistyped, then it is refused, with a command",
			from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh1",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh1, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `Did you mean "mesh-1"? To use the revision "mesh-1": kubectl label namespace app ` +
					`istio.io/rev=mesh-1 --overwrite`,
				Subjects: []string{"mesh-1", "revision mesh1"},
			}),
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone env=prod",
			want: allowed(),
		},
		{
			name: "if it was so before, then a change of another label that decides is admitted with a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone mesh=other",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=gone, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy:   `To use the revision "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 mesh=other --overwrite`,
				Subjects: []string{"mesh-1", "revision gone"},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[mesh]`,
				Detail: `namespace "app" has mesh=other, but no mesh has that name, and no selector asks for that value: ` +
					`until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"mesh=other"},
			}),
		},
		{
			name: "if it gets another unknown revision, then it is refused",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone-too",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=gone-too, but no revision or tag has that name: its pods would ` +
					`start without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy:   `To use the revision "mesh-1": kubectl label namespace app istio.io/rev=mesh-1 --overwrite`,
				Subjects: []string{"mesh-1", "revision gone-too"},
			}),
		},
		{
			name: "if a mesh begins to discover it, then what was a warning is refused",
			from: "istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone",
			want: denied(policy.Finding{
				Rule: mf203, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=gone, but no revision or tag has that name: its pods would start ` +
					`without sidecars; mesh "mesh-1" (istio-discovery=mesh-1) discovers it`,
				Remedy: `To use the revision "mesh-1": kubectl label namespace app istio-discovery=mesh-1 ` +
					`istio.io/rev=mesh-1 --overwrite`,
				Subjects: []string{"mesh-1", "revision gone"},
			}),
		},
		{
			name: "if its mesh no longer discovers it, then it is a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio.io/rev=gone",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=gone, but no revision or tag has that name: its pods would start ` +
					`without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision gone"},
			}),
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=gone", deleting: true,
			want: allowed(),
		},
	})
}
