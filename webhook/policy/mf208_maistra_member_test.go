package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF208WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if it is a member of a Service Mesh 2 mesh and has a revision, then the label that sets it free is offered",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "warn MF208",
		},
		{
			name:   "if Service Mesh 2 is told to ignore it, then it is admitted without a word",
			create: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "allow",
		},
		{
			name:   "if the label that should set it free has another value than true, then it does not",
			create: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=yes istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "warn MF208",
		},
		{
			name:   "if it has no revision, then only Service Mesh 2 injects it",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1",
			want:   "allow",
		},
		{
			name:   "if istio-injection=enabled is its only injecting label, then nobody knows which version is meant",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio-injection=enabled",
			want:   "allow",
		},
		{
			name:   "if istio-injection switches injection off, then only that is told",
			create: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want:   "warn MF204",
		},
		{
			name:   "if it is no member, then it is admitted without a word",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "allow",
		},
		{
			name:   "if there is no mesh yet, then both versions would inject it later",
			fleet:  []string{},
			create: "maistra.io/member-of=istio-system istio.io/rev=mesh-1",
			want:   "warn MF203 warn MF208",
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Deny}},
			want:    "deny MF208",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF208WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF208": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if a member gets a revision, then there are two ways out",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1", to: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "warn MF208",
		},
		{
			name: "if both labels come together, then it is admitted without a word",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1",
			to:   "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name: "if it was so before, then even a rule that denies only warns",
			from: "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1",
			to:   "maistra.io/member-of=istio-system istio-discovery=mesh-2 istio.io/rev=mesh-2", actions: deny,
			want: "warn MF208",
		},
		{
			name: "if the label that set it free is removed, then a rule that denies refuses it",
			from: "maistra.io/member-of=istio-system maistra.io/ignore-namespace=true istio-discovery=mesh-1 istio.io/rev=mesh-1",
			to:   "maistra.io/member-of=istio-system istio-discovery=mesh-1 istio.io/rev=mesh-1", actions: deny,
			want: "deny MF208",
		},
	})
}
