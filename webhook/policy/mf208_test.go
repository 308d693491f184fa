package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf208 = policy.Rule{Code: "MF208", Name: "MaistraMember", Action: policy.Warn}

func TestMF208WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if it is a member of a Service Mesh 2 mesh and has a revision, then the label that sets it free is offered",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf208, Action: policy.Warn, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1, maistra.io/ignore-namespace: "true"}. To leave it to Service ` +
					`Mesh 2: create it with labels: {istio-discovery: mesh-1}, without istio.io/rev`,
			}),
		},
		{
			name:   "if Service Mesh 2 is told to ignore it, then it is admitted without a word",
			create: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   allowed(),
		},
		{
			name:   "if the label that should set it free has another value than true, then it does not",
			create: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=yes istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf208, Action: policy.Warn, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1, maistra.io/ignore-namespace: "true"}. To leave it to Service ` +
					`Mesh 2: create it with labels: {istio-discovery: mesh-1}, without istio.io/rev`,
			}),
		},
		{
			name:   "if it has no revision, then only Service Mesh 2 injects it",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1",
			want:   allowed(),
		},
		{
			name:   "if istio-injection=enabled is its only injecting label, then nobody knows which version is meant",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio-injection=enabled",
			want:   allowed(),
		},
		{
			name:   "if istio-injection switches injection off, then only that is told",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=disabled and istio.io/rev=mesh-1: ` +
					`istio-injection wins and switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-1}, without istio-injection. To let istio-injection decide: create it ` +
					`with labels: {istio-discovery: mesh-1, istio-injection: disabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if it is no member, then it is admitted without a word",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   allowed(),
		},
		{
			name:   "if there is no mesh yet, then both versions would inject it later",
			fleet:  []string{},
			create: "maistra.io/member-of=istio-system istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but no revision or tag has that name: its pods ` +
					`would start without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision mesh-1"},
			}, policy.Finding{
				Rule: mf208, Action: policy.Warn, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: create it with labels: {istio.io/rev: ` +
					`mesh-1, maistra.io/ignore-namespace: "true"}. To leave it to Service Mesh 2: create it ` +
					`without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Deny}},
			want: denied(policy.Finding{
				Rule: mf208, Action: policy.Deny, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1, maistra.io/ignore-namespace: "true"}. To leave it to Service ` +
					`Mesh 2: create it with labels: {istio-discovery: mesh-1}, without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF208WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if a member gets a revision, then there are two ways out",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1", to: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf208, Action: policy.Warn, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: kubectl label namespace app ` +
					`istio.io/rev=mesh-1 maistra.io/ignore-namespace=true --overwrite. To leave it to Service ` +
					`Mesh 2: kubectl label namespace app istio.io/rev-`,
			}),
		},
		{
			name: "if both labels come together, then it is admitted without a word",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1",
			to:   "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name: "if it was so before, then even a rule that denies only warns",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			to:   "maistra.io/member-of=istio-system istio-discovery=mesh-2 istio.io/rev=mesh-2", actions: deny,
			want: warned(policy.Finding{
				Rule: mf208, Action: policy.Warn, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-2: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: kubectl label namespace app ` +
					`istio-discovery=mesh-2 istio.io/rev=mesh-2 maistra.io/ignore-namespace=true --overwrite. To ` +
					`leave it to Service Mesh 2: kubectl label namespace app istio-discovery=mesh-2 istio.io/rev- ` +
					`--overwrite`,
			}),
		},
		{
			name: "if the label that set it free is removed, then a rule that denies refuses it",
			from: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			to:   "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1", actions: deny,
			want: denied(policy.Finding{
				Rule: mf208, Action: policy.Deny, Field: `metadata.labels[maistra.io/member-of]`,
				Detail: `namespace "app" has maistra.io/member-of=istio-system and istio.io/rev=mesh-1: OpenShift ` +
					`Service Mesh 2 and 3 would both inject its pods, which then do not start`,
				Remedy: `To have Service Mesh 2 leave its pods alone: kubectl label namespace app ` +
					`maistra.io/ignore-namespace=true --overwrite. To leave it to Service Mesh 2: kubectl label ` +
					`namespace app istio.io/rev-`,
			}),
		},
	})
}
