package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

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
			want:   "deny MF202",
		},
		{
			name:   "if a mesh that takes every namespace injects it, then it is in that mesh too, whose fault it is that another one is as well",
			fleet:  append(guide()[:2], "Istio every; in istio-system-every"),
			create: "istio-discovery=mesh-1 istio.io/rev=every",
			want:   "warn MF201",
		},
		{
			name:   "if its revision is another mesh's, then it is refused, with both ways out",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want:   "deny MF202",
		},
		{
			name:   "if its revision is that of the mesh that discovers it, then it is admitted",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "allow",
		},
		{
			name:   "if nothing injects it, then it is admitted",
			create: "istio-discovery=mesh-1",
			want:   "allow",
		},
		{
			name:  "if it has a tag of another mesh, then it is refused",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "deny MF202",
		},
		{
			name:  "if it has a tag on a revision of its mesh, then it is admitted",
			fleet: append(upgrading, "IstioRevisionTag prod; targets IstioRevision mesh-1-v1-29-0"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "allow",
		},
		{
			name:  "if its tag has no target, then nobody knows whose it is",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if it has an older revision of its mesh, then it is admitted",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: "allow",
		},
		{
			name:  "if it has an older revision of another mesh, then the active one is proposed for that of its own",
			fleet: upgrading, create: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-29-0",
			want: "deny MF202",
		},
		{
			name:  "if the mesh map has an entry for its mesh, then that one is proposed",
			fleet: append(upgrading, "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", "map mesh-1=stable"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name:  "if the mesh map has an entry for its mesh that is another mesh's, then the active revision is proposed",
			fleet: append(guide(), "map mesh-1=mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name:   "if istio-injection=enabled chooses default, a tag on another mesh, then it is refused",
			create: "istio-discovery=mesh-2 istio-injection=enabled",
			want:   "deny MF202",
		},
		{
			name:   "if istio-injection=enabled chooses default, a tag on its mesh, then it is admitted",
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   "allow",
		},
		{
			name:  "if istio-injection=enabled chooses an Istio called default, another mesh, then it is refused",
			fleet: []string{"Istio default; in istio-system; selects istio-discovery=default", guide()[1]}, create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: "deny MF202",
		},
		{
			name:  "if istio-injection=enabled chooses an IstioRevision called default, another mesh, then it is refused",
			fleet: []string{"IstioRevision default; in istio-system; selects istio-discovery=default", guide()[1]}, create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: "deny MF202",
		},
		{
			name:  "if istio-injection=enabled and nothing is called default, then nothing injects it",
			fleet: guide()[:2], create: "istio-discovery=mesh-2 istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Off}}, // that rule says so
			want:    "allow",
		},
		{
			name:   "if istio-injection has any other value, then nothing injects it",
			create: "istio-discovery=mesh-1 istio-injection=disabled",
			want:   "allow",
		},
		{
			name:   "if istio-injection=enabled overrides istio.io/rev, then default counts, and no way out leaves both labels",
			create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-2",
			want:   "deny MF202 deny MF204",
		},
		{
			name:   "if two meshes discover it with a declared overlap, then its revision may belong to either",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want:   "allow",
		},
		{
			name:   "if two meshes discover it with a declared overlap, then a third one's revision is refused",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-3",
			want:   "deny MF202",
		},
		{
			name:   "if OpenShift's gateway-only mesh discovers it, as everything, then the way to the injecting mesh is still offered",
			fleet:  append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio.io/rev=mesh-1",
			want:   "deny MF202",
		},
		{
			name:   "if OpenShift's gateway-only mesh discovers it besides its own, then it is admitted",
			fleet:  append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "allow",
		},
		{
			name:   "if its revision is that of a mesh whose istiod runs elsewhere, then it can only stay",
			fleet:  append(guide(), "Istio far; in istio-system-far; profile remote"),
			create: "istio-discovery=mesh-1 istio.io/rev=far",
			want:   "deny MF202",
		},
		{
			name:   "if the mesh that runs elsewhere is beside OpenShift's gateway-only mesh, then its namespaces are admitted",
			fleet:  append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert", "Istio far; in istio-system-far; profile remote"),
			create: "istio.io/rev=far",
			want:   "allow",
		},
		{
			name:   "if the mesh that takes every namespace writes the ConfigMap that its pods mount, then they would find that",
			fleet:  []string{"Istio everything; in istio-system", "Istio far; in istio-system-far; profile remote"},
			create: "istio.io/rev=far",
			want:   "deny MF202",
		},
		{
			name:   "if another mesh asks for its labels, then it is that mesh's, whatever ConfigMap that writes",
			fleet:  []string{guide()[0] + "; bundle one", "Istio far; in istio-system-far; profile remote"},
			create: "istio-discovery=mesh-1 istio.io/rev=far",
			want:   "deny MF202",
		},
		{
			name: "if two meshes claim its revision, then both are named",
			fleet: append(guide(), "Istio team; in istio-system-3; RevisionBased; version v1.30.0; selects team=a",
				"Istio team-v1-30-0; in istio-system-4; selects team=b"),
			create: "istio-discovery=mesh-1 istio.io/rev=team-v1-30-0",
			want:   "deny MF202",
		},
		{
			name:  "if two meshes that fight discover it too, then that is reported first",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"), create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-3",
			want: "deny MF201 deny MF202",
		},
		{
			name:   "if all rules only warn, then it is admitted with a warning",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", actions: policy.Actions{WarnOnly: true},
			want: "warn MF202",
		},
		{
			name:    "if the rule is off, then it stays off in a cluster where all rules only warn",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF202": policy.Off}, WarnOnly: true},
			want:    "allow",
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
			want: "warn MF202",
		},
		{
			name: "if it gets the revision of another mesh, then it is refused, with commands",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name: "if another mesh begins to discover it, then it is refused, and the commands name every label that differs",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1",
			want: "deny MF202",
		},
		{
			name: "if both labels move together, then it is admitted",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: "allow",
		},
		{
			name: "if istio-injection is added to a namespace without labels, then the command removes it again",
			from: "istio-discovery=mesh-2", to: "istio-discovery=mesh-2 istio-injection=enabled",
			want: "deny MF202",
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 env=prod",
			want: "allow",
		},
		{
			name: "if it was so before, then a change of another label that decides is admitted with a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 mesh=other",
			want: "warn MF202 warn MF212",
		},
		{
			name:  "if it gets a third mesh's revision instead, then it is refused",
			fleet: three, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-3",
			want: "deny MF202",
		},
		{
			name:  "if a third mesh begins to discover it, then it is refused",
			fleet: three, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-3 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name: "if the revision label is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name: "if the discovery label is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: "allow",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2", deleting: true,
			want: "allow",
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
			want: "deny MF202",
		},
		{
			name:  "if the mesh map gives its revision to its mesh, then it is admitted",
			fleet: mapped, create: "istio-discovery=mesh-1 istio.io/rev=stable", actions: unknown,
			want: "allow",
		},
		{
			name:  "if the mesh map gives its revision to several meshes, then one of them is proposed",
			fleet: mapped, create: "istio-discovery=mesh-2 istio.io/rev=stable", actions: unknown,
			want: "deny MF202",
		},
		{
			name:  "if its discovery label is not in the mesh map, then it can only move",
			fleet: mapped, create: "istio-discovery=mesh-9 istio.io/rev=mesh-2", actions: unknown,
			want: "deny MF202",
		},
		{
			name:  "if the discovery label has the other key, then it counts too",
			fleet: mapped, create: "mesh=mesh-1 istio.io/rev=mesh-2", actions: unknown,
			want: "deny MF202",
		},
		{
			name:  "if it has both discovery labels and both are wrong, then each is a finding",
			fleet: mapped, create: "istio-discovery=mesh-1 mesh=mesh-1b istio.io/rev=mesh-2", actions: unknown,
			want: "deny MF202 deny MF202",
		},
		{
			name:  "if it has no discovery label, then there is nothing to compare with",
			fleet: mapped, create: "istio.io/rev=mesh-2", actions: unknown,
			want: "allow",
		},
		{
			name:  "if the mesh map does not know its revision, then there is nothing to compare with",
			fleet: mapped, create: "istio-discovery=mesh-1 istio.io/rev=canary", actions: unknown,
			want: "allow",
		},
		{
			name:  "if istio-injection=enabled chooses default, then the mesh map's entry for default counts",
			fleet: []string{"map mesh-1=default mesh-2=mesh-2"}, create: "istio-discovery=mesh-2 istio-injection=enabled", actions: unknown,
			want: "deny MF202",
		},
		{
			name:  "if istio-injection=enabled overrides istio.io/rev, then no way out leaves both labels",
			fleet: []string{"map mesh-1=default mesh-2=mesh-2"}, create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-2", actions: unknown,
			want: "deny MF202 deny MF204",
		},
		{
			name:  "if there is a mesh, then the mesh map no longer decides",
			fleet: append(mapped, "Istio mesh-3; in istio-system-3; selects team=a"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", actions: unknown,
			want: "allow",
		},
		{
			name:  "if the label is changed to another mesh's, then it is refused, with commands",
			fleet: mapped, from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-2 istio.io/rev=stable", actions: unknown,
			want: "deny MF202",
		},
		{
			name:  "if it was so before, then an unrelated change is admitted in silence",
			fleet: mapped, from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2 env=prod", actions: unknown,
			want: "allow",
		},
	})
}
