package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf211 = policy.Rule{Code: "MF211", Name: "AmbientWithRevision", Action: policy.Warn}

func TestMF211WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if it is in ambient mode and has a revision, then one of them has to go",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want: warned(policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-1: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}, without istio.io/dataplane-mode. To have ambient mode: create it with labels: ` +
					`{istio-discovery: mesh-1}, without istio.io/rev`,
			}),
		},
		{
			name:   "if it is in ambient mode and has istio-injection=enabled, then one of them has to go",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/dataplane-mode=ambient",
			want: warned(policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio-injection=enabled: its ` +
					`pods would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled}, without istio.io/dataplane-mode. To have ambient mode: create it with labels: ` +
					`{istio-discovery: mesh-1}, without istio-injection`,
			}),
		},
		{
			name:   "if it has both injecting labels, then ambient mode needs it to lose both",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled, which chooses the revision "default", and ` +
					`istio.io/rev=mesh-1: both lead to the same revision now, and istio-injection wins once they do not`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, ` +
					`istio.io/rev: mesh-1}, without istio-injection. To let istio-injection decide: create it ` +
					`with labels: {istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}, policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio-injection=enabled: its ` +
					`pods would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled, istio.io/rev: mesh-1}, without istio.io/dataplane-mode. To have ambient mode: ` +
					`create it with labels: {istio-discovery: mesh-1}, without istio-injection, istio.io/rev`,
			}),
		},
		{
			name:   "if istio-injection switches injection off, then it is in ambient mode",
			create: "istio-discovery=mesh-1 istio-injection=disabled istio.io/dataplane-mode=ambient",
			want:   allowed(),
		},
		{
			name:   "if nothing injects it, then it is in ambient mode",
			create: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient",
			want:   allowed(),
		},
		{
			name:   "if the mode is none, then it has sidecars",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=none",
			want:   allowed(),
		},
		{
			name:   "if there is no mesh yet, then it is told so too",
			fleet:  []string{},
			create: "istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want: warned(policy.Finding{
				Rule: mf203, Action: policy.Warn, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-1, but no revision or tag has that name: its pods ` +
					`would start without sidecars`,
				Remedy:   `To see the names that exist: kubectl get istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision mesh-1"},
			}, policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-1: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: create it with labels: {istio.io/rev: mesh-1}, without ` +
					`istio.io/dataplane-mode. To have ambient mode: create it without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule denies, then it is refused",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Deny}},
			want: denied(policy.Finding{
				Rule: mf211, Action: policy.Deny, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-1: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}, without istio.io/dataplane-mode. To have ambient mode: create it with labels: ` +
					`{istio-discovery: mesh-1}, without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF211WhenANamespaceIsUpdated(t *testing.T) {
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if a namespace of ambient mode gets a revision, then there are two ways out",
			from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			want: warned(policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-1: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: kubectl label namespace app istio.io/dataplane-mode- ` +
					`istio.io/rev=mesh-1 --overwrite. To have ambient mode: kubectl label namespace app ` +
					`istio.io/rev-`,
			}),
		},
		{
			name: "if it was so before, then even a rule that denies only warns",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient",
			to:   "istio-discovery=mesh-2 istio.io/rev=mesh-2 istio.io/dataplane-mode=ambient", actions: deny,
			want: warned(policy.Finding{
				Rule: mf211, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-2: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: kubectl label namespace app istio-discovery=mesh-2 ` +
					`istio.io/dataplane-mode- istio.io/rev=mesh-2 --overwrite. To have ambient mode: kubectl ` +
					`label namespace app istio-discovery=mesh-2 istio.io/rev- --overwrite`,
			}),
		},
		{
			name: "if it was not so before, then a rule that denies refuses it",
			from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient",
			to:   "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient", actions: deny,
			want: denied(policy.Finding{
				Rule: mf211, Action: policy.Deny, Field: `metadata.labels[istio.io/dataplane-mode]`,
				Detail: `namespace "app" has istio.io/dataplane-mode=ambient and istio.io/rev=mesh-1: its pods ` +
					`would get sidecars, and a pod with a sidecar does not take part in ambient mode`,
				Remedy: `To have sidecars: kubectl label namespace app istio.io/dataplane-mode- ` +
					`istio.io/rev=mesh-1 --overwrite. To have ambient mode: kubectl label namespace app ` +
					`istio.io/rev-`,
			}),
		},
		{
			name: "if it leaves ambient mode, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio.io/dataplane-mode=ambient", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
	})
}
