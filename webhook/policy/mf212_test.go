package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf212 = policy.Rule{Code: "MF212", Name: "DiscoveryWithoutMesh", Action: policy.Warn}

func TestMF212WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if its discovery label is nearly a mesh's name, then that one is proposed",
			create: "istio-discovery=mesh1",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1}`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name:   "if its discovery label is like no mesh's name, then it is told where the names are",
			create: "istio-discovery=production",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=production, but no mesh has that name, and no ` +
					`selector asks for that value: until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=production"},
			}),
		},
		{
			name:   "if its discovery label is a mesh's name, then it is admitted without a word",
			create: "istio-discovery=mesh-2",
			want:   allowed(),
		},
		{
			name:  "if there is no mesh yet, then labels may come first",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-discovery=mesh-9",
			want: allowed(),
		},
		{
			name:   "if it has no discovery label, then there is nothing to find",
			create: "env=prod",
			want:   allowed(),
		},
		{
			name:   "if the discovery label has the other key, then it counts too, and what makes the mesh discover it comes along",
			create: "mesh=mesh1",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[mesh]`,
				Detail: `namespace "app" has mesh=mesh1, but no mesh has that name, and no selector asks for that ` +
					`value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1, mesh: mesh-1}`,
				Subjects: []string{"mesh=mesh1"},
			}),
		},
		{
			name:   "if both discovery labels name nothing, then each is a finding",
			create: "istio-discovery=production mesh=production",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=production, but no mesh has that name, and no ` +
					`selector asks for that value: until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=production"},
			}, policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[mesh]`,
				Detail: `namespace "app" has mesh=production, but no mesh has that name, and no selector asks for ` +
					`that value: until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"mesh=production"},
			}),
		},
		{
			name:  "if a mesh of another name asks for that value, then the value is its",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery=mesh-prod", guide()[1]}, create: "istio-discovery=mesh-prod",
			want: allowed(),
		},
		{
			name:  "if a mesh of another name asks for that value and for a label that is missing, then the value is its all the same",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery=mesh-prod,env=prod", guide()[1]}, create: "istio-discovery=mesh-prod",
			want: allowed(),
		},
		{
			name:  "if a mesh asks for the label with any value, then every value is its",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery"}, create: "istio-discovery=mesh-9",
			want: allowed(),
		},
		{
			name:  "if a mesh only excludes other values, then it does not ask for this one",
			fleet: []string{"Istio prod; in istio-system-1; selects istio-discovery notin (none),env"}, create: "istio-discovery=mesh-9",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-9, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy:   `To see the meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=mesh-9"},
			}),
		},
		{
			name: "if only an older revision's selector asks for that value, then it counts as well",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=old",
			},
			create: "istio-discovery=old",
			want:   allowed(),
		},
		{
			name:  "if only a mesh for everything discovers it, then its label still names nothing",
			fleet: append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"), create: "istio-discovery=mesh-3",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-3, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1}`,
				Subjects: []string{"istio-discovery=mesh-3"},
			}),
		},
		{
			name:  "if an invalid selector makes a mesh discover everything, then its label still names nothing",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects raw istio-discovery in mesh-1"}, create: "istio-discovery=mesh-9",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh-9, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1}`,
				Subjects: []string{"istio-discovery=mesh-9"},
			}),
		},
		{
			name:  "if the mesh that was meant cannot discover it, then no command is proposed",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other"}, create: "istio-discovery=mesh1",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? Labels alone cannot put the namespace into that mesh. To see the ` +
					`meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name:   "if its revision is that of the mesh that was meant, then both rules propose the same",
			create: "istio-discovery=mesh1 istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, a revision of mesh "mesh-1", but no mesh ` +
					`discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is ` +
					`written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-1", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-1, istio.io/rev: mesh-1}. To keep it out of every mesh: create it ` +
					`with labels: {istio-discovery: mesh1}, without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-1"`},
			}),
		},
		{
			name:   "if its revision is another mesh's than the one that was meant, then the command takes that along",
			create: "istio-discovery=mesh-11 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf205, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but no mesh ` +
					`discovers it: its pods would hang in Init:0/1, because the ConfigMap istio-ca-root-cert is ` +
					`written to discovered namespaces only`,
				Remedy: `To put it into mesh "mesh-2", set both labels in one command: create it with labels: ` +
					`{istio-discovery: mesh-2, istio.io/rev: mesh-2}. To keep it out of every mesh: create it ` +
					`with labels: {istio-discovery: mesh-11}, without istio.io/rev`,
				Subjects: []string{`injected by Istio "mesh-2"`},
			}),
		},
		{
			name:  "if another mesh would discover it too, then the command leaves that one",
			fleet: crossing(), create: "istio-discovery=mesh1 team=a",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1}, without team`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name:  "if it is the control-plane namespace of another mesh, then it is not moved to the one that was meant",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio home; in app; selects team=a"}, create: "istio-discovery=mesh1 team=a",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? Labels alone cannot put the namespace into that mesh. To see the ` +
					`meshes: kubectl get istios,istiorevisions`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "istio-discovery=mesh1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Deny}},
			want: denied(policy.Finding{
				Rule: mf212, Action: policy.Deny, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: create it with labels: ` +
					`{istio-discovery: mesh-1}`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF212WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if its discovery label becomes nearly a mesh's name, then the command corrects it",
			from: "istio-discovery=mesh-2 istio-injection=disabled", to: "istio-discovery=mesh1 istio-injection=disabled",
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: kubectl label namespace app ` +
					`istio-discovery=mesh-1 --overwrite`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name: "if it was so before, then a change of other labels is admitted in silence, also if the rule denies",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh1 env=prod", actions: deny,
			want: allowed(),
		},
		{
			name: "if it was so before, then a change of a label that decides is admitted with a warning, even if the rule denies",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh1 mesh=mesh-2", actions: deny,
			want: warned(policy.Finding{
				Rule: mf212, Action: policy.Warn, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh1, but no mesh has that name, and no selector asks for that ` +
					`value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-1"? To put it into that mesh: kubectl label namespace app istio-discovery=mesh-1 ` +
					`mesh=mesh-2 --overwrite`,
				Subjects: []string{"istio-discovery=mesh1"},
			}),
		},
		{
			name: "if it goes from one wrong name to another, then that is new",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh2", actions: deny,
			want: denied(policy.Finding{
				Rule: mf212, Action: policy.Deny, Field: `metadata.labels[istio-discovery]`,
				Detail: `namespace "app" has istio-discovery=mesh2, but no mesh has that name, and no selector ` +
					`asks for that value: until one does, the label puts it into no mesh`,
				Remedy: `Did you mean "mesh-2"? To put it into that mesh: kubectl label namespace app ` +
					`istio-discovery=mesh-2 --overwrite`,
				Subjects: []string{"istio-discovery=mesh2"},
			}),
		},
		{
			name: "if it is repaired, then it is admitted without a word",
			from: "istio-discovery=mesh1", to: "istio-discovery=mesh-1", actions: deny,
			want: allowed(),
		},
	})
}

// Both guides label a control-plane namespace before they create its Istio, and the second one's when the first exists.
func TestMF212OfAControlPlaneNamespace(t *testing.T) {
	judge := func(name, text string, lines ...string) policy.Verdict {
		return policy.New(settings()).Namespace(policy.NamespaceChange{New: namespace(t, name, text), Fleet: fleet(t, lines...), Now: now})
	}
	t.Run("if it is set aside for a mesh that is still to come, then its label may come first", func(t *testing.T) {
		compare(t, judge("istio-system-2", "istio-discovery=mesh-2", guide()[0]), allowed())
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
