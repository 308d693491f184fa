package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF211WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if it is in ambient mode and has a revision, then one of them has to go",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want:   "warn MF211",
		},
		{
			name:   "if it is in ambient mode and has istio-injection=enabled, then one of them has to go",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/dataplane-mode=ambient",
			want:   "warn MF211",
		},
		{
			name:   "if it has both injecting labels, then ambient mode needs it to lose both",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want:   "warn MF204 warn MF211",
		},
		{
			name:   "if istio-injection switches injection off, then it is in ambient mode",
			create: "istio-discovery=mesh-1 istio-injection=disabled istio.io/dataplane-mode=ambient",
			want:   "allow",
		},
		{
			name:   "if nothing injects it, then it is in ambient mode",
			create: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient",
			want:   "allow",
		},
		{
			name:   "if the mode is none, then it has sidecars",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=none",
			want:   "allow",
		},
		{
			name:   "if there is no mesh yet, then it is told so too",
			fleet:  []string{},
			create: "istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want:   "warn MF203 warn MF211",
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Deny}},
			want:    "deny MF211",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF211WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if a namespace of ambient mode gets a revision, then there are two ways out",
			from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want: "warn MF211",
		},
		{
			name: "if it was so before, then even a rule that denies only warns",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			to:   "istio-discovery=mesh-2 istio.io/rev=mesh-2 istio.io/dataplane-mode=ambient", actions: deny,
			want: "warn MF211",
		},
		{
			name: "if it was not so before, then a rule that denies refuses it",
			from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient",
			to:   "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient", actions: deny,
			want: "deny MF211",
		},
		{
			name: "if it leaves ambient mode, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
	})
}
