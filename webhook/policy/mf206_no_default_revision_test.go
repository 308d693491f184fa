package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF206WhenANamespaceIsCreated(t *testing.T) {
	noDefault := guide()[:2]
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it is a member of a Service Mesh 2 mesh, then that one's injector may answer",
			fleet: guide()[:2], create: "maistra.io/member-of=istio-system istio-injection=enabled",
			want: "allow",
		},
		{
			name:  "if Service Mesh 2 is told to leave its pods alone, then nothing injects them",
			fleet: guide()[:2], create: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if istio-injection=enabled and nothing is called default, then the discovering mesh's revision is offered",
			fleet: noDefault, create: "istio-discovery=mesh-2 istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:   "if a tag is called default, then it is admitted without a word",
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   "allow",
		},
		{
			name:  "if an Istio is called default, then it is admitted without a word",
			fleet: []string{"Istio default; in istio-system; selects istio-discovery=default"}, create: "istio-discovery=default istio-injection=enabled",
			want: "allow",
		},
		{
			name:  "if an Istio called default has revisions of other names, then nothing is called default",
			fleet: []string{"Istio default; in istio-system; RevisionBased; version v1.30.0; selects istio-discovery=default"}, create: "istio-discovery=default istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if an ownerless IstioRevision is called default, then it is admitted without a word",
			fleet: []string{"IstioRevision default; in istio-system; selects istio-discovery=default"}, create: "istio-discovery=default istio-injection=enabled",
			want: "allow",
		},
		{
			name:  "if istio-injection has any other value, then it chooses nothing",
			fleet: noDefault, create: "istio-discovery=mesh-1 istio-injection=disabled",
			want: "allow",
		},
		{
			name:  "if istio.io/rev decides, then nothing needs to be called default",
			fleet: noDefault, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name:  "if no mesh discovers it, then it can have no sidecars, or be told where the names are",
			fleet: noDefault, create: "istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if there is no mesh yet, then it is told so too",
			fleet: []string{}, create: "istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if the mesh map has an entry for the discovering mesh, then that one is offered",
			fleet: append(guide()[:2:2], "IstioRevisionTag stable; targets Istio mesh-1", "map mesh-1=stable"), create: "istio-discovery=mesh-1 istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if two meshes discover it with a declared overlap, then either is offered",
			fleet: []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]}, create: "istio-discovery=mesh-1 team=a istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:   "if OpenShift's gateway-only mesh discovers it as well, then that one is not offered",
			fleet:  append(guide()[:2:2], "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   "warn MF206",
		},
		{
			name:   "if the only mesh discovers everything, then that one is offered",
			fleet:  []string{"Istio mesh-1; in istio-system-1"},
			create: "istio-injection=enabled",
			want:   "warn MF206",
		},
		{
			name:   "if its mesh discovers it only because of that label, then it cannot be replaced",
			fleet:  []string{"Istio mesh-1; in istio-system-1; selects istio-injection=enabled"},
			create: "istio-injection=enabled",
			want:   "warn MF206",
		},
		{
			name:  "if it has the discovering mesh's tag as well, then that tag stays",
			fleet: append(guide()[:2:2], "IstioRevisionTag stable; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=stable",
			want: "deny MF204",
		},
		{
			name:  "if it has another mesh's revision as well and no mesh discovers it, then both labels go",
			fleet: noDefault, create: "istio-injection=enabled istio.io/rev=mesh-1",
			want: "deny MF204",
		},
		{
			name:  "if the rule denies, then it is refused",
			fleet: noDefault, create: "istio-discovery=mesh-2 istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Deny}},
			want:    "deny MF206",
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: noDefault, create: "istio-discovery=mesh-2 istio-injection=enabled",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF206WhenANamespaceIsUpdated(t *testing.T) {
	noDefault := guide()[:2]
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF206": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if it gets istio-injection=enabled, then the command replaces that label",
			fleet: noDefault, from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio-injection=enabled",
			want: "warn MF206",
		},
		{
			name:  "if it was so before, then a change of other labels is admitted in silence, also if the rule denies",
			fleet: noDefault, from: "istio-injection=enabled", to: "istio-injection=enabled colour=blue", actions: deny,
			want: "allow",
		},
		{
			name:  "if it was so before, and a mesh comes to discover it, then a warning names the revision, even if the rule denies",
			fleet: noDefault, from: "istio-injection=enabled", to: "istio-injection=enabled istio-discovery=mesh-1", actions: deny,
			want: "warn MF206",
		},
		{
			name:  "if it was so before, then a change of a label that injects is admitted with a warning, even if the rule denies",
			fleet: noDefault, from: "istio-injection=enabled istio.io/rev=mesh-1", to: "istio-injection=enabled", actions: deny,
			want: "warn MF206",
		},
		{
			name:  "if it was not so before, then a rule that denies refuses it",
			fleet: noDefault, from: "istio-injection=disabled", to: "istio-injection=enabled", actions: deny,
			want: "deny MF206",
		},
		{
			name:  "if it is repaired, then it is admitted without a word",
			fleet: noDefault, from: "istio-discovery=mesh-1 istio-injection=enabled", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name:  "if it is being deleted, then nobody says anything",
			fleet: noDefault, from: "env=prod", to: "istio-injection=enabled", deleting: true,
			want: "allow",
		},
	})
}
