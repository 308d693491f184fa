package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var mf201 = policy.Rule{Code: "MF201", Name: "DiscoveredByMany", Action: policy.Deny}

// crossing are two meshes that turn on different labels: they were there before meshfence was.
func crossing(extra ...string) []string {
	return append([]string{
		"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects team=a",
	}, extra...)
}

func TestMF201WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if two meshes discover it, then it is refused, with the labels for either",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1}, without team. ` +
					`To keep it in mesh "mesh-2" only: create it with labels: {team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if one mesh discovers it, then it is admitted",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=b",
			want: allowed(),
		},
		{
			name:   "if none discovers it, then it is admitted",
			create: "team=a",
			want:   allowed(),
		},
		{
			name:  "if three meshes discover it, then each pair is a subject, and leaving takes two labels",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"), create: "istio-discovery=mesh-1 team=a env=prod",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a) ` +
					`and mesh "mesh-3" (env): their istiods would overwrite each other's ConfigMap istio-ca-root-cert in ` +
					`it, and its pods would see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1}, without env, ` +
					`team. To keep it in mesh "mesh-2" only: create it with labels: {team: a}, without env, ` +
					`istio-discovery. To keep it in mesh "mesh-3" only: create it with labels: {env: prod}, without ` +
					`istio-discovery, team`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`, `Istio "mesh-1" and Istio "mesh-3"`, `Istio "mesh-2" and Istio "mesh-3"`},
			}),
		},
		{
			name:  "if one of them discovers everything, then there is no label to drop for the other",
			fleet: crossing("Istio mesh-3; in istio-system-3"), create: "istio-discovery=mesh-1",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-3" (which ` +
					`discovers every namespace): their istiods would overwrite each other's ConfigMap istio-ca-root-cert ` +
					`in it, and its pods would see x509 errors that come and go`,
				Remedy: `It is not the namespace that has to change, but mesh "mesh-3": kubectl patch istios.sailoperator.io ` +
					`mesh-3 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-3"},"matchExpressions":[{"key":"team","operator":"NotIn","values":["a"]}]}]}}}}'`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-3"`},
			}),
		},
		{
			name: "if both discover everything, then only their selectors can be changed",
			fleet: []string{
				"Istio mesh-1; in istio-system-1", "Istio mesh-2; in istio-system-2; selects {}",
			},
			create: "team=a",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (which discovers every namespace) and mesh "mesh-2" ` +
					`(which discovers every namespace): their istiods would overwrite each other's ConfigMap ` +
					`istio-ca-root-cert in it, and its pods would see x509 errors that come and go`,
				Remedy: `It is not the namespace that has to change, but mesh "mesh-1": kubectl patch istios.sailoperator.io ` +
					`mesh-1 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-1"}}]}}}}'. ` +
					`Or mesh "mesh-2": kubectl patch istios.sailoperator.io mesh-2 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-2"}}]}}}}'`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if one has an invalid selector, then it counts as discovering everything",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects team=c | raw team in b"), create: "team=a",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-2" (team=a) and mesh "mesh-3" (a selector of Istio ` +
					`"mesh-3" does not parse, which counts as every namespace): their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its ` +
					`pods would see x509 errors that come and go`,
				Remedy: `It is not the namespace that has to change, but mesh "mesh-3": kubectl patch istios.sailoperator.io ` +
					`mesh-3 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-3"},"matchExpressions":[{"key":"team","operator":"NotIn","values":["a"]}]}]}}}}'`,
				Subjects: []string{`Istio "mesh-2" and Istio "mesh-3"`},
			}),
		},
		{
			name: "if one discovers it through an older revision only, then that counts",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team in (a,b)",
				"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			},
			create: "istio-discovery=mesh-2 team=b",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (team in (a,b)) and mesh "mesh-2" ` +
					`(istio-discovery=mesh-2): their istiods would overwrite each other's ConfigMap istio-ca-root-cert ` +
					`in it, and its pods would see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1, team: b}. To ` +
					`keep it in mesh "mesh-2" only: create it with labels: {istio-discovery: mesh-2}, without team`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if one of them discovers what lacks a label, then that label is no label to drop",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects !env"), create: "team=a",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-2" (team=a) and mesh "mesh-3" (!env): their istiods ` +
					`would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would see x509 errors ` +
					`that come and go`,
				Remedy: `It is not the namespace that has to change, but mesh "mesh-3": kubectl patch istios.sailoperator.io ` +
					`mesh-3 --type=merge -p ` +
					`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":"mesh-3"},"matchExpressions":[{"key":"team","operator":"NotIn","values":["a"]}]}]}}}}'`,
				Subjects: []string{`Istio "mesh-2" and Istio "mesh-3"`},
			}),
		},
		{
			name:  "if the mesh that is kept is not the one that injects, then the labels change that too",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}, without team. To keep it in mesh "mesh-2" only: create it with labels: {istio.io/rev: ` +
					`mesh-2, team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if istio-injection chooses the revision of the mesh that is left, then istio.io/rev takes its place",
			fleet: crossing("IstioRevisionTag default; targets Istio mesh-1"), create: "istio-discovery=mesh-1 team=a istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled}, without team. To keep it in mesh "mesh-2" only: create it with labels: {istio.io/rev: ` +
					`mesh-2, team: a}, without istio-discovery, istio-injection`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the overlap is declared, then both may discover it",
			fleet: []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]}, create: "istio-discovery=mesh-1 team=a",
			want: allowed(),
		},
		{
			name:   "if the overlap is declared on the other side until later, then both may discover it",
			fleet:  []string{crossing()[0], crossing()[1] + "; overlaps mesh-1; until 2026-08-01T12:00:01Z"},
			create: "istio-discovery=mesh-1 team=a",
			want:   allowed(),
		},
		{
			name:   "if the declaration has expired, then it is refused",
			fleet:  []string{crossing()[0], crossing()[1] + "; overlaps mesh-1; until 2026-08-01T12:00:00Z"},
			create: "istio-discovery=mesh-1 team=a",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1}, without team. ` +
					`To keep it in mesh "mesh-2" only: create it with labels: {team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the trust bundles differ (global.trustBundleName), then both may discover it",
			fleet: []string{crossing()[0], crossing()[1] + "; bundle own"}, create: "istio-discovery=mesh-1 team=a",
			want: allowed(),
		},
		{
			name:  "if the trust bundles differ (PILOT_CA_CERT_CONFIGMAP), then both may discover it",
			fleet: []string{crossing()[0] + "; env-bundle own", crossing()[1]}, create: "istio-discovery=mesh-1 team=a",
			want: allowed(),
		},
		{
			name:   "if a third mesh discovers everything without harm, then only the two that fight are named, and it may stay",
			fleet:  crossing("Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"),
			create: "istio-discovery=mesh-1 team=a",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1}, without team. ` +
					`To keep it in mesh "mesh-2" only: create it with labels: {team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the other mesh's istiod runs elsewhere, then it does not discover",
			fleet: []string{crossing()[0], crossing()[1] + "; profile remote"}, create: "istio-discovery=mesh-1 team=a",
			want: allowed(),
		},
		{
			name:  "if the other mesh's selector selects nothing, then it does not discover",
			fleet: []string{crossing()[0], "Istio mesh-2; in istio-system-2; selects none=x,!none"}, create: "istio-discovery=mesh-1 team=a",
			want: allowed(),
		},
		{
			name:  "if the rule only warns, then it is admitted with a warning",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF201": policy.Warn}},
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: create it with labels: {istio-discovery: mesh-1}, without team. ` +
					`To keep it in mesh "mesh-2" only: create it with labels: {team: a}, without istio-discovery`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: crossing(), create: "istio-discovery=mesh-1 team=a",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF201": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF201WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if a second mesh begins to discover it, then it is refused, with commands",
			fleet: crossing(), from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 team=a",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: kubectl label namespace app team-. To keep it in mesh "mesh-2" ` +
					`only: kubectl label namespace app istio-discovery- istio.io/rev=mesh-2 team=a --overwrite`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if the refused request set several labels, then each command names all that it needs",
			fleet: crossing(), from: "env=prod", to: "env=dev istio-discovery=mesh-1 team=a istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: kubectl label namespace app istio-discovery=mesh-1 ` +
					`istio.io/rev=mesh-1 team- --overwrite. To keep it in mesh "mesh-2" only: kubectl label namespace ` +
					`app istio-discovery- istio.io/rev=mesh-2 team=a --overwrite`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if both discovered it before, then an unrelated change is admitted in silence",
			fleet: crossing(), from: "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: allowed(),
		},
		{
			name:  "if both discovered it before, then a change of labels that decide is admitted with a warning",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env=test"),
			from:  "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would see ` +
					`x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: kubectl label namespace app env=prod team- --overwrite. To keep ` +
					`it in mesh "mesh-2" only: kubectl label namespace app env=prod istio-discovery- --overwrite`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if a third mesh begins to discover it, then it is refused",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1 team=a env=prod",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a) ` +
					`and mesh "mesh-3" (env): their istiods would overwrite each other's ConfigMap istio-ca-root-cert in ` +
					`it, and its pods would see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: kubectl label namespace app env- team-. To keep it in mesh ` +
					`"mesh-2" only: kubectl label namespace app env- istio-discovery-. To keep it in mesh "mesh-3" only: ` +
					`kubectl label namespace app env=prod istio-discovery- team- --overwrite`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`, `Istio "mesh-1" and Istio "mesh-3"`, `Istio "mesh-2" and Istio "mesh-3"`},
			}),
		},
		{
			name:  "if a third mesh no longer discovers it, then it is admitted with a warning about the others",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a env=prod", to: "istio-discovery=mesh-1 team=a",
			want: warned(policy.Finding{
				Rule: mf201, Action: policy.Warn, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-1" (istio-discovery=mesh-1) and mesh "mesh-2" (team=a): ` +
					`their istiods would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would ` +
					`see x509 errors that come and go`,
				Remedy: `To keep it in mesh "mesh-1" only: kubectl label namespace app env- team-. To keep it in mesh ` +
					`"mesh-2" only: kubectl label namespace app env- istio-discovery-`,
				Subjects: []string{`Istio "mesh-1" and Istio "mesh-2"`},
			}),
		},
		{
			name:  "if another pair of meshes discovers it, then it is refused",
			fleet: crossing("Istio mesh-3; in istio-system-3; selects env"),
			from:  "istio-discovery=mesh-1 team=a", to: "team=a env=prod",
			want: denied(policy.Finding{
				Rule: mf201, Action: policy.Deny, Field: `metadata.labels`,
				Detail: `namespace "app" is discovered by mesh "mesh-2" (team=a) and mesh "mesh-3" (env): their istiods ` +
					`would overwrite each other's ConfigMap istio-ca-root-cert in it, and its pods would see x509 errors ` +
					`that come and go`,
				Remedy: `To keep it in mesh "mesh-2" only: kubectl label namespace app env- istio-discovery-. To keep it in ` +
					`mesh "mesh-3" only: kubectl label namespace app env=prod istio-discovery- team- --overwrite`,
				Subjects: []string{`Istio "mesh-2" and Istio "mesh-3"`},
			}),
		},
		{
			name:  "if it is repaired, then it is admitted without a word",
			fleet: crossing(), from: "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1",
			want: allowed(),
		},
		{
			name:  "if it is being deleted, then it is never denied",
			fleet: crossing(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 team=a", deleting: true,
			want: allowed(),
		},
	})
}

// DESIGN 2: istio-ca-root-cert is written to every discovered namespace except these three.
func TestMF201LeavesAloneTheNamespacesThatNoIstiodWritesTo(t *testing.T) {
	judge := policy.New(settings())
	for name, want := range map[string]policy.Answer{
		"kube-public": policy.Allowed, "kube-node-lease": policy.Allowed, "local-path-storage": policy.Allowed,
		"kube-system": policy.Denied, "app": policy.Denied,
	} {
		ns := &mesh.Namespace{Name: name, Labels: map[string]string{"istio-discovery": "mesh-1", "team": "a", mesh.NameLabel: name}}
		got := judge.Namespace(policy.NamespaceChange{New: ns, Fleet: fleet(t, crossing()...)})
		if got.Answer != want {
			t.Errorf("%s: answer %v, want %v", name, got.Answer, want)
		}
	}
}
