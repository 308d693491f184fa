package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF212WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if its discovery label is nearly a mesh's name, then that one is proposed",
			create: "istio-discovery=mesh1",
			want:   "warn MF212",
		},
		{
			name:   "if its discovery label is like no mesh's name, then it is told where the names are",
			create: "istio-discovery=production",
			want:   "warn MF212",
		},
		{
			name:   "if its discovery label is a mesh's name, then it is admitted without a word",
			create: "istio-discovery=mesh-2",
			want:   "allow",
		},
		{
			name:  "if there is no mesh yet, then labels may come first",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-discovery=mesh-9",
			want: "allow",
		},
		{
			name:   "if it has no discovery label, then there is nothing to find",
			create: "env=prod",
			want:   "allow",
		},
		{
			name:   "if the discovery label has the other key, then it counts too, and what makes the mesh discover it comes along",
			create: "mesh=mesh1",
			want:   "warn MF212",
		},
		{
			name:   "if both discovery labels name nothing, then each is a finding",
			create: "istio-discovery=production mesh=production",
			want:   "warn MF212 warn MF212",
		},
		{
			name:  "if a mesh of another name asks for that value, then the value is its",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery=mesh-prod", guide()[1]}, create: "istio-discovery=mesh-prod",
			want: "allow",
		},
		{
			name:  "if a mesh of another name asks for that value and for a label that is missing, then the value is its all the same",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery=mesh-prod,env=prod", guide()[1]}, create: "istio-discovery=mesh-prod",
			want: "allow",
		},
		{
			name:  "if a mesh asks for the label with any value, then every value is its",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery"}, create: "istio-discovery=mesh-9",
			want: "allow",
		},
		{
			name:  "if a mesh only excludes other values, then it does not ask for this one",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery notin (none),env"}, create: "istio-discovery=mesh-9",
			want: "warn MF212",
		},
		{
			name: "if only an older revision's selector asks for that value, then it counts as well",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=old",
			},
			create: "istio-discovery=old",
			want:   "allow",
		},
		{
			name:  "if only a mesh for everything discovers it, then its label still names nothing",
			fleet: append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"), create: "istio-discovery=mesh-3",
			want: "warn MF212",
		},
		{
			name:  "if an invalid selector makes a mesh discover everything, then its label still names nothing",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects raw istio-discovery in mesh-1"}, create: "istio-discovery=mesh-9",
			want: "warn MF212",
		},
		{
			name:  "if the mesh that was meant cannot discover it, then no command is proposed",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio-discovery=mesh1",
			want: "warn MF212",
		},
		{
			name:   "if its revision is that of the mesh that was meant, then both rules propose the same",
			create: "istio-discovery=mesh1 istio.io/rev=mesh-1",
			want:   "deny MF205",
		},
		{
			name:   "if its revision is another mesh's than the one that was meant, then the command takes that along",
			create: "istio-discovery=mesh-11 istio.io/rev=mesh-2",
			want:   "deny MF205",
		},
		{
			name:  "if another mesh would discover it too, then the command leaves that one",
			fleet: crossing(), create: "istio-discovery=mesh1 team=a",
			want: "warn MF212",
		},
		{
			name:  "if it is the control-plane namespace of another mesh, then it is not moved to the one that was meant",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio home; in app; selects team=a"}, create: "istio-discovery=mesh1 team=a",
			want: "warn MF212",
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "istio-discovery=mesh1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Deny}},
			want:    "deny MF212",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF212WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if its discovery label becomes nearly a mesh's name, then the command corrects it",
			from: "istio-discovery=mesh-2 istio-injection=disabled", to: "istio-discovery=mesh1 istio-injection=disabled",
			want: "warn MF212",
		},
		{
			name: "if it was so before, then a change of other labels is admitted in silence, also if the rule denies",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh1 env=prod", actions: deny,
			want: "allow",
		},
		{
			name: "if it was so before, then a change of a label that decides is admitted with a warning, even if the rule denies",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh1 mesh=mesh-2", actions: deny,
			want: "warn MF212",
		},
		{
			name: "if it goes from one wrong name to another, then that is new",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh2", actions: deny,
			want: "deny MF212",
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh-1", actions: deny,
			want: "allow",
		},
	})
}

// Both guides label a control-plane namespace before they create its Istio, and the second one's when the first exists.
func TestMF212OfAControlPlaneNamespace(t *testing.T) {
	judge := func(name, text string, lines ...string) policy.Verdict {
		return policy.New(settings()).Namespace(policy.NamespaceChange{New: namespace(t, name, text), Fleet: fleet(t, lines...), Now: now})
	}
	t.Run("if it is set aside for a mesh that is still to come, then its label may come first", func(t *testing.T) {
		compare(t, judge("istio-system-2", "istio-discovery=mesh-2", guide()[0]), "allow")
	})
	t.Run("if its mesh exists, then its label has to be right", func(t *testing.T) {
		if got := outcome(judge("istio-system-1", "istio-discovery=mesh1", guide()[0])); got != "warn MF104 warn MF212" {
			t.Error(got)
		}
	})
	t.Run("if the configuration does not set it aside, then it is a namespace like any other", func(t *testing.T) {
		if got := outcome(judge("mesh-2-control-plane", "istio-discovery=mesh-2", guide()[0])); got != "warn MF212" {
			t.Error(got)
		}
	})
}
