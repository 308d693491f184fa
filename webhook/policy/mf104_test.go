package policy_test

import (
	"fmt"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var mf104 = policy.Rule{Code: "MF104", Name: "ControlPlaneNotDiscovered", Action: policy.Warn}

// undiscovered is the finding about mesh-2 and its namespace istio-system-2, with a remedy.
func undiscovered(remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf104, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
		Detail: `Istio "mesh-2" does not discover its own control-plane namespace "istio-system-2": that gets no ConfigMap ` +
			`istio-ca-root-cert, so gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, do not count`,
		Remedy:   remedy,
		Subjects: []string{"istio-system-2"},
	}
}

func TestMF104(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	unlabelled := []mesh.Namespace{*namespace(t, "app", "istio-discovery=mesh-2"), *namespace(t, "istio-system-2", "")}
	const label = `To let it: kubectl label namespace istio-system-2 istio-discovery=mesh-2 --overwrite`
	deleting := *namespace(t, "istio-system-2", "")
	deleting.Deleting = true
	runMeshCases(t, []meshCase{
		{
			name:    "if the namespace exists and has no label, then there is a warning, with the command that sets it",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			others:  other, create: mesh2, namespaces: unlabelled,
			want: warned(undiscovered(label)),
		},
		{
			name:   "if the namespace is labelled, as the guides say, then nobody says anything",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-2")},
			want: allowed(),
		},
		{
			name:   "if the namespace does not exist yet, then nobody says anything",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-1", "istio-discovery=mesh-1")},
			want: allowed(),
		},
		{
			name:   "if the namespace is being deleted, then nobody says anything: it will be another one when it comes back",
			others: other, create: mesh2, namespaces: []mesh.Namespace{deleting},
			want: allowed(),
		},
		{
			name:   "if spec.namespace is absent, then it is istio-system",
			others: other, create: "Istio mesh-2; selects istio-discovery=mesh-2", namespaces: []mesh.Namespace{*namespace(t, "istio-system", "")},
			want: warned(policy.Finding{
				Rule: mf104, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-2" does not discover its own control-plane namespace "istio-system": that gets no ConfigMap ` +
					`istio-ca-root-cert, so gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, do not count`,
				Remedy:   `To let it: kubectl label namespace istio-system istio-discovery=mesh-2 --overwrite`,
				Subjects: []string{"istio-system"},
			}),
		},
		{
			name:    "if any of the selectors matches it, then that is enough",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			create:  mesh2 + " | kubernetes.io/metadata.name=istio-system-2", namespaces: unlabelled,
			want: allowed(),
		},
		{
			name:    "if the trust bundle has another name, then that is the ConfigMap that is missing",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			others:  other, create: mesh2 + "; bundle own-root", namespaces: unlabelled,
			want: warned(policy.Finding{
				Rule: mf104, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-2" does not discover its own control-plane namespace "istio-system-2": that gets no ConfigMap ` +
					`own-root, so gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, do not count`,
				Remedy:   label,
				Subjects: []string{"istio-system-2"},
			}),
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			others: other, create: "IstioRevision canary; in istio-system-2; selects istio-discovery=canary", namespaces: unlabelled,
			want: warned(policy.Finding{
				Rule: mf104, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `IstioRevision "canary" does not discover its own control-plane namespace "istio-system-2": that gets no ConfigMap ` +
					`istio-ca-root-cert, so gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, do not count`,
				Remedy:   `To let it: kubectl label namespace istio-system-2 istio-discovery=canary --overwrite`,
				Subjects: []string{"istio-system-2"},
			}),
		},
		{
			name:   "if only an older revision's selector matches it, then there is a warning: the current istiod does not read there",
			others: []string{"IstioRevision mesh-2-v1-29-0; of mesh-2; in istio-system-2; selects team=a"},
			create: mesh2 + "; RevisionBased; version v1.30.0", namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "team=a")},
			want: warned(undiscovered(label)),
		},
		{
			name:    "if it discovers everything, then also this namespace",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			create:  "Istio mesh-2; in istio-system-2", namespaces: unlabelled,
			want: warned(policy.Finding{
				Rule: mf102, Action: policy.Warn, Field: `spec.values.meshConfig.discoverySelectors`,
				Detail: `Istio "mesh-2" has no discoverySelectors and so discovers every namespace; that does no harm only while it is the ` +
					`only mesh in the cluster`,
				Remedy: `The API server drops a misspelt field (such as matchLabel), which leaves {}. Give it a selector of its own: spec: ` +
					`{values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-2}}]}}}`,
			}),
		},
		{
			name:   "if it is remote, then no istiod here discovers anything, and nobody says anything",
			others: other, create: mesh2 + "; profile remote", namespaces: unlabelled,
			want: allowed(),
		},
	})
}

func TestMF104OffersLabelsThatOtherRulesAdmit(t *testing.T) {
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	const own = `Add to the discoverySelectors of Istio "mesh-2": {matchLabels: {kubernetes.io/metadata.name: istio-system-2}`
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh's discovery label is there, then it is overwritten",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-1")},
			want: warned(undiscovered(`To let it: kubectl label namespace istio-system-2 istio-discovery=mesh-2 --overwrite`)),
		},
		{
			name:   "if another mesh discovers it through another label, then that label goes too",
			others: []string{"Istio mesh-1; in istio-system-1; selects team=a,istio-discovery notin (mesh-2) | istio-discovery=mesh-2,team=b,colour=red"},
			create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2,colour notin (red)",
			namespaces: []mesh.Namespace{
				*namespace(t, "istio-system-2", "team=b colour=red"),
			},
			want: warned(undiscovered(`To let it: kubectl label namespace istio-system-2 colour- istio-discovery=mesh-2 --overwrite`)),
		},
		{
			name:   "if the revision of another mesh injects it, then it gets this mesh's",
			others: other, create: mesh2, namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio.io/rev=mesh-1")},
			want: warned(undiscovered(`To let it: kubectl label namespace istio-system-2 istio-discovery=mesh-2 istio.io/rev=mesh-2 --overwrite`)),
		},
		{
			name:   "if several selectors would do, then the one with the fewest changes is taken",
			others: other, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2,team=a | istio-discovery=mesh-2",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want:       warned(undiscovered(`To let it: kubectl label namespace istio-system-2 istio-discovery=mesh-2 --overwrite`)),
		},
		{
			name:       "if the selectors go by name, then no label helps, but one more selector does",
			create:     "Istio mesh-2; in istio-system-2; selects kubernetes.io/metadata.name in (app,shop)",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want:       warned(undiscovered(own + `}`)),
		},
		{
			name:   "if the only selector selects nothing, then likewise, and the new one keeps apart from the other mesh",
			others: other, create: "Istio mesh-2; in istio-system-2; selects none=x,!none", namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "")},
			want: warned(undiscovered(own + `, matchExpressions: [{key: istio-discovery, operator: NotIn, values: [mesh-1]}]}`)),
		},
		{
			name:   "if that cannot be had because the other mesh's label is there, then the message says what is wanted",
			others: other, create: "Istio mesh-2; in istio-system-2; selects none=x,!none",
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=mesh-1")},
			want: warned(undiscovered(`Change the discoverySelectors of Istio "mesh-2" so that one of them matches it, and no other ` +
				`mesh's does`)),
		},
	})
}

func TestMF104WhenAMeshIsUpdated(t *testing.T) {
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	const label = `To let it: kubectl label namespace istio-system-2 istio-discovery=mesh-2 --overwrite`
	unlabelled := []mesh.Namespace{*namespace(t, "istio-system-2", "")}
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Deny}}
	refused := undiscovered(label)
	refused.Action = policy.Deny
	runMeshCases(t, []meshCase{
		{
			name:    "if new selectors leave it out, then there is a warning",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF114": policy.Off}},
			from:    "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-2,two)", to: mesh2,
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=two")},
			want:       warned(undiscovered(label)),
		},
		{
			name: "if the configuration makes the rule stricter, then that is refused",
			from: "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-2,two)", to: mesh2,
			actions:    policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Deny, "MF114": policy.Off}},
			namespaces: []mesh.Namespace{*namespace(t, "istio-system-2", "istio-discovery=two")},
			want:       denied(refused),
		},
		{
			name: "but if it was left out before, then an unrelated change is admitted all the same",
			from: mesh2, to: mesh2 + "; version v1.30.3", actions: deny, namespaces: unlabelled,
			want: allowed(),
		},
		{
			name: "if the rule is off, then nobody says anything",
			from: mesh2, to: mesh2 + "; version v1.30.3", namespaces: unlabelled,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Off}},
			want:    allowed(),
		},
		{
			name: "if the mesh is being deleted, then nobody says anything",
			from: mesh2, to: mesh2, namespaces: unlabelled, deleting: true,
			want: allowed(),
		},
	})
}

func TestTheCommandsOfMF104AreAdmittedAndHelp(t *testing.T) {
	for _, text := range []string{"", "istio-discovery=mesh-1", "istio.io/rev=mesh-1", "istio-injection=disabled istio.io/rev=mesh-1", "istio-injection=enabled"} {
		stored := *namespace(t, "istio-system-2", text)
		c := meshCase{others: guide()[:1], create: guide()[1], namespaces: []mesh.Namespace{stored}}
		cluster := fleet(t, guide()[:2]...)
		for _, f := range c.judge(t).Warnings {
			for _, command := range commandsIn(t, f.Remedy, "istio-system-2") {
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

// unlabelledHome is the finding about the control-plane namespace of mesh-1, which discovers istio-discovery=mesh-1.
func unlabelledHome(name string) policy.Finding {
	return policy.Finding{
		Rule: mf104, Action: policy.Warn, Field: `metadata.labels`,
		Detail: fmt.Sprintf(`namespace %q is the control-plane namespace of mesh "mesh-1", which does not discover it: it gets no ConfigMap istio-ca-root-cert, `+
			`so gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, do not count`, name),
		Remedy:   fmt.Sprintf(`To let it: kubectl label namespace %s istio-discovery=mesh-1 --overwrite`, name),
		Subjects: []string{`Istio "mesh-1"`},
	}
}

func TestMF104WhenTheControlPlaneNamespaceIsCreatedAfterItsMesh(t *testing.T) {
	const home = "Istio mesh-1; in app; selects istio-discovery=mesh-1"
	off := policy.Actions{Rules: map[policy.Code]policy.Action{"MF104": policy.Off}}
	byName := unlabelledHome("app")
	byName.Remedy = `Add to the discoverySelectors of Istio "mesh-1": {matchLabels: {kubernetes.io/metadata.name: app}}`
	runNamespaceCases(t, []namespaceCase{
		{name: "if it comes without the label, then it is told", fleet: []string{home}, create: "", want: warned(unlabelledHome("app"))},
		{name: "if it comes with the label, then it is admitted without a word", fleet: []string{home}, create: "istio-discovery=mesh-1", want: allowed()},
		{name: "if it is another namespace, then it is not", fleet: guide(), create: "team=a", want: allowed()},
		{name: "if it is there already, then the mesh has that finding", fleet: []string{home}, from: "team=a", to: "team=b", want: allowed()},
		{name: "if its mesh discovers everything, then it does not need a label", fleet: []string{"Istio mesh-1; in app"}, create: "", want: allowed()},
		{name: "if its istiod runs in another cluster, then nothing reads there", fleet: []string{"Istio mesh-1; in app; profile remote"}, create: "", want: allowed()},
		{name: "if no label does it, then the mesh needs a selector for it", fleet: []string{"Istio mesh-1; in app; selects kubernetes.io/metadata.name=other"}, create: "", want: warned(byName)},
		{name: "if the rule is off, then nothing is said", fleet: []string{home}, create: "", actions: off, want: allowed()},
	})
}
