package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

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
			want:   "deny MF203",
		},
		{
			name:  "if two letters are swapped, then that is one mistake, and near enough in a short name",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=rpod",
			want: "deny MF203",
		},
		{
			name:   "if no name is near, then the active revision is proposed",
			create: "istio-discovery=mesh-1 istio.io/rev=production",
			want:   "deny MF203",
		},
		{
			name:  "if the mesh has revisions by version, then its bare name is none of them",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "deny MF203",
		},
		{
			name:  "if it names an older revision that still exists, then it is admitted",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0",
			want: "allow",
		},
		{
			name:  "if the version has a typing error, then the nearest of the mesh's revisions is proposed",
			fleet: upgrading, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1.29.0",
			want: "deny MF203",
		},
		{
			name:  "if it names a tag, then it is admitted",
			fleet: append(upgrading, "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "allow",
		},
		{
			name:  "if it nearly names a tag, then the tag is proposed",
			fleet: append(upgrading, "IstioRevisionTag prod; targets Istio mesh-1"), create: "istio-discovery=mesh-1 istio.io/rev=prd",
			want: "deny MF203",
		},
		{
			name:  "if it names a tag whose target is missing, then the name exists, and nothing answers to it",
			fleet: append(upgrading, "IstioRevisionTag prod; targets IstioRevision mesh-1-v1-28-0"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if the tag is one of istioctl's, then its webhooks are to be looked at, and pods are refused",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istiod istio-system-2/gone"), create: "istio-discovery=mesh-1 istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if no mesh discovers it, then only the tag can help",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), from: "team=a", to: "team=a istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if the mesh's selectors ask for another revision, then the label cannot change either",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio.io/rev=prod", "IstioRevisionTag prod; targets Istio gone"}, create: "istio.io/rev=prod",
			want: "warn MF203",
		},
		{
			name:  "if istio-injection switches injection off, then the tag chooses nothing",
			fleet: append(guide(), "IstioRevisionTag prod; targets Istio gone"), create: "istio-injection=disabled",
			want: "allow",
		},
		{
			name:   "if it is empty, then it names nothing",
			create: "istio-discovery=mesh-1 istio.io/rev=",
			want:   "deny MF203",
		},
		{
			name:   "if two meshes discover it, then the names of both count",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]},
			create: "istio-discovery=mesh-1 team=a istio.io/rev=msh-2",
			want:   "deny MF203",
		},
		{
			name:   "if no mesh discovers it, then it is a warning, and the command makes the nearest name's mesh discover it",
			create: "istio-discovery=mesh-9 istio.io/rev=mesh-9",
			want:   "warn MF203 warn MF212",
		},
		{
			name:   "if no mesh discovers it and no name is near, then it is a warning",
			create: "istio.io/rev=production",
			want:   "warn MF203",
		},
		{
			name:  "if there is no mesh yet, then it is a warning: labels may come before meshes",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "warn MF203",
		},
		{
			name:   "if only OpenShift's gateway-only mesh discovers it, and the discovery label's mesh is still to come, then it is a warning",
			fleet:  []string{"Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"},
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "warn MF203 warn MF212",
		},
		{
			name: "if another mesh asks for it, then the name that is proposed is not that of OpenShift's gateway-only mesh",
			fleet: []string{
				"Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert",
				"Istio prod; in istio-system-prod; selects istio-discovery=prod",
			},
			create: "istio-discovery=prod istio.io/rev=nobody",
			want:   "deny MF203",
		},
		{
			name:  "if the nearest name is that of a mesh whose istiod runs elsewhere, then no label is needed besides",
			fleet: []string{"Istio far-away; in istio-system; profile remote"}, create: "istio.io/rev=faraway",
			want: "warn MF203",
		},
		{
			name:  "if the nearest name's mesh cannot discover it, whatever its labels are, then there is no command",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio.io/rev=mesh-2",
			want: "warn MF203",
		},
		{
			name:   "if istio-injection overrides it, then it does not matter here",
			create: "istio-discovery=mesh-1 istio.io/rev=nobody istio-injection=disabled",
			want:   "warn MF204",
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio-discovery=mesh-1 istio.io/rev=msh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF203": policy.Warn}},
			want:    "warn MF203",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio.io/rev=msh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF203": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF203WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if the label is mistyped, then it is refused, with a command",
			from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh1",
			want: "deny MF203",
		},
		{
			name: "if it was so before, then an unrelated change is admitted in silence",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone env=prod",
			want: "allow",
		},
		{
			name: "if it was so before, then a change of another label that decides is admitted with a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone mesh=other",
			want: "warn MF203 warn MF212",
		},
		{
			name: "if it gets another unknown revision, then it is refused",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone-too",
			want: "deny MF203",
		},
		{
			name: "if a mesh begins to discover it, then what was a warning is refused",
			from: "istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=gone",
			want: "deny MF203",
		},
		{
			name: "if its mesh no longer discovers it, then it is a warning",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio.io/rev=gone",
			want: "warn MF203",
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=gone", deleting: true,
			want: "allow",
		},
	})
}
