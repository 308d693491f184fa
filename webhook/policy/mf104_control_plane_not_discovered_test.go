package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF104(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	unlabelled := []mesh.Namespace{*namespace(t, "app", "istio-discovery=mesh-2"), *namespace(t, "istio-system-2", "")}
	deleting := *namespace(t, "istio-system-2", "")
	deleting.Deleting = true
	runMeshCases(t, []meshCase{
		{
			name:    "if the namespace exists and has no label, then there is a warning, with the command that sets it",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			others:  other, create: mesh2, namespaces: unlabelled,
			want: "warn MF104",
		},
		{
			name:   "if the namespace is labelled, as the guides say, then nobody says anything",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-2")},
			want: "allow",
		},
		{
			name:   "if the namespace does not exist yet, then nobody says anything",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-1", "istio-discovery=mesh-1")},
			want: "allow",
		},
		{
			name:   "if the namespace is being deleted, then nobody says anything: it will be another one when it comes back",
			others: other, create: mesh2, namespaces: []mesh.Namespace{deleting},
			want: "allow",
		},
		{
			name:   "if spec.namespace is absent, then it is istio-system",
			others: other, create: "Istio mesh-2; selects istio-discovery=mesh-2", namespaces: []mesh.Namespace{*namespace(t, "istio-system", "")},
			want: "warn MF104",
		},
		{
			name:    "if any of the selectors matches it, then that is enough",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			create:  mesh2 + " | kubernetes.io/metadata.name=istio-system-2", namespaces: unlabelled,
			want: "allow",
		},
		{
			name:    "if the trust bundle has another name, then that is the ConfigMap that is missing",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			others:  other, create: mesh2 + "; bundle own-root", namespaces: unlabelled,
			want: "warn MF104",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			others: other, create: "IstioRevision canary; in istio-system-2; selects istio-discovery=canary", namespaces: unlabelled,
			want: "warn MF104",
		},
		{
			name:   "if only an older revision's selector matches it, then there is a warning: the current istiod does not read there",
			others: []string{"IstioRevision mesh-2-v1-29-0; of mesh-2; in istio-system-2; selects team=a"},
			create: mesh2 + "; RevisionBased; version v1.30.0", namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "team=a")},
			want: "warn MF104",
		},
		{
			name:    "if it discovers everything, then also this namespace",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			create:  "Istio mesh-2; in istio-system-2", namespaces: unlabelled,
			want: "warn MF102",
		},
		{
			name:   "if it is remote, then no istiod here discovers anything, and nobody says anything",
			others: other, create: mesh2 + "; profile remote", namespaces: unlabelled,
			want: "allow",
		},
	})
}

func TestMF104OffersLabelsThatOtherRulesAdmit(t *testing.T) {
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh's discovery label is there, then it is overwritten",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-1")},
			want: "warn MF104",
		},
		{
			name:   "if another mesh discovers it through another label, then that label goes too",
			others: []string{"Istio mesh-1; in istio-system-1; selects team=a,istio-discovery notin (mesh-2) | istio-discovery=mesh-2,team=b,colour=red"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2,colour notin (red)",
			namespaces: []mesh.Namespace{
				*namespace(t, "istio-system-2", "team=b colour=red"),
			},
			want: "warn MF104",
		},
		{
			name:   "if the revision of another mesh injects it, then it gets this mesh's",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio.io/rev=mesh-1")},
			want: "warn MF104",
		},
		{
			name:   "if several selectors would do, then the one with the fewest changes is taken",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2,team=a | istio-discovery=mesh-2",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want:       "warn MF104",
		},
		{
			name:       "if the selectors go by name, then no label helps, but one more selector does",
			create:     "Istio mesh-2; in istio-system-2; selects kubernetes.io/metadata.name in (app,shop)",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want:       "warn MF104",
		},
		{
			name:   "if the only selector selects nothing, then likewise, and the new one keeps apart from the other mesh",
			others: other, create: "Istio mesh-2; in istio-system-2; selects none=x,!none", namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want: "warn MF104",
		},
		{
			name:   "if that cannot be had because the other mesh's label is there, then the message says what is wanted",
			others: other, create: "Istio mesh-2; in istio-system-2; selects none=x,!none",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-1")},
			want:       "warn MF104",
		},
	})
}

func TestMF104WhenAMeshIsUpdated(t *testing.T) {
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	unlabelled := []mesh.Namespace{*namespace(t, "istio-system-2", "")}
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Deny}}
	runMeshCases(t, []meshCase{
		{
			name:    "if new selectors leave it out, then there is a warning",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			from:    "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-2,two)", to: mesh2,
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=two")},
			want:       "warn MF104",
		},
		{
			name: "if the configuration makes the rule stricter, then that is refused",
			from: "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-2,two)", to: mesh2,
			actions:    policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Deny, "MF114": policy.Off}},
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=two")},
			want:       "deny MF104",
		},
		{
			name: "but if it was left out before, then an unrelated change is admitted all the same",
			from: mesh2, to: mesh2 + "; version v1.30.3", actions: deny, namespaces: unlabelled,
			want: "allow",
		},
		{
			name: "if the rule is off, then nobody says anything",
			from: mesh2, to: mesh2 + "; version v1.30.3", namespaces: unlabelled,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Off}},
			want:    "allow",
		},
		{
			name: "if the mesh is being deleted, then nobody says anything",
			from: mesh2, to: mesh2, namespaces: unlabelled, deleting: true,
			want: "allow",
		},
	})
}

func TestTheCommandsOfMF104AreAdmittedAndHelp(t *testing.T) {
	for _, text := range []string{"", "istio-discovery=mesh-1", "istio.io/rev=mesh-1", "istio-injection=disabled istio.io/rev=mesh-1", "istio-injection=enabled"} {
		stored := *namespace(t, "istio-system-2", text)
		c := meshCase{others: guide()[:1], create: guide()[1], namespaces: []mesh.Namespace{stored}}
		cluster := fleet(t, guide()[:2]...)
		for _, f := range c.judge(t).Warnings {
			for _, command := range commandsIn(t, f.Ways, "istio-system-2") {
				after, err := kubectlLabel(stored.Labels, command)
				if err != nil {
					t.Fatal(err)
				}
				labelled := mesh.Namespace{Name: stored.Name, Labels: after}
				if got := policy.New(settings()).Namespace(policy.NamespaceChange{Old: &stored, New: &labelled, Fleet: cluster, Now: now}); got.Answer != policy.Allowed {
					t.Errorf("stored %q: %q is refused: %s", text, command, outcome(got))
				}
				c.namespaces = []mesh.Namespace{labelled}
				if got := c.judge(t); len(got.Warnings) > 0 {
					t.Errorf("stored %q: after %q there is still %s", text, command, outcome(got))
				}
			}
		}
	}
}

func TestMF104WhenTheControlPlaneNamespaceIsCreatedAfterItsMesh(t *testing.T) {
	const home = "Istio mesh-1; in app; selects istio-discovery=mesh-1"
	off := policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Off}}
	runNamespaceCases(t, []namespaceCase{
		{name: "if it comes without the label, then it is told", fleet: []string{home}, create: "", want: "warn MF104"},
		{name: "if it comes with the label, then it is admitted without a word", fleet: []string{home}, create: "istio-discovery=mesh-1", want: "allow"},
		{name: "if it is another namespace, then it is not", fleet: guide(), create: "team=a", want: "allow"},
		{name: "if it is there already, then the mesh has that finding", fleet: []string{home}, from: "team=a", to: "team=b", want: "allow"},
		{name: "if its mesh discovers everything, then it does not need a label", fleet: []string{"Istio mesh-1; in app"}, create: "", want: "allow"},
		{name: "if its istiod runs in another cluster, then nothing reads there", fleet: []string{"Istio mesh-1; in app; profile remote"}, create: "", want: "allow"},
		{name: "if no label does it, then the mesh needs a selector for it", fleet: []string{"Istio mesh-1; in app; selects kubernetes.io/metadata.name=other"}, create: "", want: "warn MF104"},
		{name: "if the rule is off, then nothing is said", fleet: []string{home}, create: "", actions: off, want: "allow"},
	})
}
