package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf213 = policy.Rule{Code: "MF213", Name: "RevisionNotInMeshMap", Action: policy.Warn}

// following has a tag for each of mesh-1's revisions, and a mesh map that gives it one of them.
func following(extra ...string) []string {
	return append([]string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-30-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
		"IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0",
		"IstioRevisionTag canary; targets Istio mesh-1",
		"map mesh-1=stable",
	}, extra...)
}

func TestMF213WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if the mesh map has another revision for its mesh, then that one is proposed",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-30-0",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-30-0, but the mesh map gives the revision ` +
					`"stable" to mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}`,
				Subjects: []string{`Istio "mesh-1"`, "revision mesh-1-v1-30-0"},
			}),
		},
		{
			name:  "if the mesh map has another tag for its mesh, then that one is proposed",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=canary, but the mesh map gives the revision "stable" to ` +
					`mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}`,
				Subjects: []string{`Istio "mesh-1"`, "revision canary"},
			}),
		},
		{
			name:  "if it has the revision that the mesh map's tag points at, then it would not follow the tag",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-29-0, but the mesh map gives the revision ` +
					`"stable" to mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}`,
				Subjects: []string{`Istio "mesh-1"`, "revision mesh-1-v1-29-0"},
			}),
		},
		{
			name:  "if it has the mesh map's tag, then it is admitted without a word",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=stable",
			want: allowed(),
		},
		{
			name:  "if the mesh map has no entry for its mesh, then there is nothing to compare with",
			fleet: following(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: allowed(),
		},
		{
			name:  "if the mesh map's revision is another mesh's, then it is no example to follow",
			fleet: append(guide(), "map mesh-1=mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name:  "if the mesh map's revision does not exist, then it is no example to follow",
			fleet: append(guide(), "map mesh-1=stable"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name:  "if its revision is another mesh's, then only that is told",
			fleet: following(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-30-0",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-30-0, a revision of mesh "mesh-1", but mesh ` +
					`"mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-1" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, ` +
					`istio.io/rev: mesh-2}. To move it to mesh "mesh-1": create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1-v1-30-0}`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if no mesh discovers it, then only that is told",
			fleet: following(), create: "istio.io/rev=mesh-1-v1-30-0",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-30-0, a revision of mesh "mesh-1", but no ` +
					`mesh discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert ` +
					`is written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1-v1-30-0}. To keep it out of every mesh: ` +
					`create it without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:  "if its mesh's istiod runs elsewhere, then the mesh map counts all the same",
			fleet: []string{"Istio far; in istio-system; profile remote", "IstioRevisionTag stable; targets Istio far", "map far=stable"}, create: "istio.io/rev=far",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=far, but the mesh map gives the revision "stable" to ` +
					`mesh "far": it would stay behind when the mesh moves on`,
				Remedy:   `To follow the mesh map: create it with labels: {istio.io/rev: stable}`,
				Subjects: []string{`Istio "far"`, "revision far"},
			}),
		},
		{
			name:  "if istio-injection decides, then istio.io/rev does not count",
			fleet: following("IstioRevisionTag default; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio-injection=enabled",
			want: allowed(),
		},
		{
			name:  "if the mesh's selectors ask for its revision, then they have to change first",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio.io/rev=mesh-1", "IstioRevisionTag stable; targets Istio mesh-1", "map mesh-1=stable"}, create: "istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but the mesh map gives the revision "stable" to ` +
					`mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map, first give the mesh a selector for istio.io/rev=stable: kubectl ` +
					`edit istio mesh-1`,
				Subjects: []string{`Istio "mesh-1"`, "revision mesh-1"},
			}),
		},
		{
			name:   "if two meshes discover it with a declared overlap, then the mesh map's entry for the one that injects it counts",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "IstioRevisionTag stable; targets Istio mesh-2", "map mesh-1=mesh-1 mesh-2=stable"},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, but the mesh map gives the revision "stable" to ` +
					`mesh "mesh-2": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable, team: a}`,
				Subjects: []string{`Istio "mesh-2"`, "revision mesh-2"},
			}),
		},
		{
			name:  "if the rule denies, then it is refused",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Deny}},
			want: denied(policy.Finding{
				Rule: mf213, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=canary, but the mesh map gives the revision "stable" to ` +
					`mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy: `To follow the mesh map: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`stable}`,
				Subjects: []string{`Istio "mesh-1"`, "revision canary"},
			}),
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF213WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it gets another revision of its mesh, then the command follows the mesh map",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-1 istio.io/rev=canary",
			want: warned(policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=canary, but the mesh map gives the revision "stable" to ` +
					`mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy:   `To follow the mesh map: kubectl label namespace app istio.io/rev=stable --overwrite`,
				Subjects: []string{`Istio "mesh-1"`, "revision canary"},
			}),
		},
		{
			name:  "if it was so before, then a change of other labels is admitted in silence, also if the rule denies",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=canary env=prod", actions: deny,
			want: allowed(),
		},
		{
			name:  "if it was so before, then a change of another label that decides is admitted with a warning, even if the rule denies",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=canary mesh=other", actions: deny,
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[mesh]`,
				Detail: `namespace "app" has mesh=other, but no mesh has that name, and no selector asks for that value: ` +
					`until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"mesh=other"},
			}, policy.Finding{
				Rule: mf213, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=canary, but the mesh map gives the revision "stable" to mesh ` +
					`"mesh-1": it would stay behind when the mesh moves on`,
				Remedy:   `To follow the mesh map: kubectl label namespace app istio.io/rev=stable mesh=other --overwrite`,
				Subjects: []string{`Istio "mesh-1"`, "revision canary"},
			}),
		},
		{
			name:  "if it goes from one wrong revision to another, then that is new",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", actions: deny,
			want: denied(policy.Finding{
				Rule: mf213, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1-v1-29-0, but the mesh map gives the revision ` +
					`"stable" to mesh "mesh-1": it would stay behind when the mesh moves on`,
				Remedy:   `To follow the mesh map: kubectl label namespace app istio.io/rev=stable --overwrite`,
				Subjects: []string{`Istio "mesh-1"`, "revision mesh-1-v1-29-0"},
			}),
		},
		{
			name:  "if it follows the mesh map again, then it is admitted without a word",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=stable",
			want: allowed(),
		},
	})
}
