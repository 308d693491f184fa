package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

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
			want: "warn MF213",
		},
		{
			name:  "if the mesh map has another tag for its mesh, then that one is proposed",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			want: "warn MF213",
		},
		{
			name:  "if it has the revision that the mesh map's tag points at, then it would not follow the tag",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: "warn MF213",
		},
		{
			name:  "if it has the mesh map's tag, then it is admitted without a word",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=stable",
			want: "allow",
		},
		{
			name:  "if the mesh map has no entry for its mesh, then there is nothing to compare with",
			fleet: following(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: "allow",
		},
		{
			name:  "if the mesh map's revision is another mesh's, then it is no example to follow",
			fleet: append(guide(), "map mesh-1=mesh-2"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name:  "if the mesh map's revision does not exist, then it is no example to follow",
			fleet: append(guide(), "map mesh-1=stable"), create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name:  "if its revision is another mesh's, then only that is told",
			fleet: following(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-30-0",
			want: "deny MF202",
		},
		{
			name:  "if no mesh discovers it, then only that is told",
			fleet: following(), create: "istio.io/rev=mesh-1-v1-30-0",
			want: "deny MF205",
		},
		{
			name:  "if its mesh's istiod runs elsewhere, then the mesh map counts all the same",
			fleet: []string{"Istio far; in istio-system; profile remote", "IstioRevisionTag stable; targets Istio far", "map far=stable"}, create: "istio.io/rev=far",
			want: "warn MF213",
		},
		{
			name:  "if istio-injection decides, then istio.io/rev does not count",
			fleet: following("IstioRevisionTag default; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio-injection=enabled",
			want: "allow",
		},
		{
			name:  "if the mesh's selectors ask for its revision, then they have to change first",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio.io/rev=mesh-1", "IstioRevisionTag stable; targets Istio mesh-1", "map mesh-1=stable"}, create: "istio.io/rev=mesh-1",
			want: "warn MF213",
		},
		{
			name:   "if two meshes discover it with a declared overlap, then the mesh map's entry for the one that injects it counts",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "IstioRevisionTag stable; targets Istio mesh-2", "map mesh-1=mesh-1 mesh-2=stable"},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want:   "warn MF213",
		},
		{
			name:  "if the rule denies, then it is refused",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Deny}},
			want:    "deny MF213",
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: following(), create: "istio-discovery=mesh-1 istio.io/rev=canary",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF213WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF213": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it gets another revision of its mesh, then the command follows the mesh map",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-1 istio.io/rev=canary",
			want: "warn MF213",
		},
		{
			name:  "if it was so before, then a change of other labels is admitted in silence, also if the rule denies",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=canary env=prod", actions: deny,
			want: "allow",
		},
		{
			name:  "if it was so before, then a change of another label that decides is admitted with a warning, even if the rule denies",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=canary mesh=other", actions: deny,
			want: "warn MF212 warn MF213",
		},
		{
			name:  "if it goes from one wrong revision to another, then that is new",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", actions: deny,
			want: "deny MF213",
		},
		{
			name:  "if it follows the mesh map again, then it is admitted without a word",
			fleet: following(), from: "istio-discovery=mesh-1 istio.io/rev=canary", to: "istio-discovery=mesh-1 istio.io/rev=stable",
			want: "allow",
		},
	})
}
