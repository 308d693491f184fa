package observed_test

import (
	"testing"
)

func TestMF906(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name:    "if no injector selects a namespace whose labels choose a revision, then its pods come without a sidecar",
			without: []string{"MutatingWebhookConfiguration/istio-sidecar-injector-mesh-1-istio-system-1"},
			want:    []string{"deny MF906 Namespace shop"},
		},
		{
			name:    "if the control plane does not work, then that is what is told",
			with:    `{patch: true, kind: Istio, metadata: {name: mesh-1}, status: {conditions: [{type: Ready, status: "False", reason: IstiodNotReady}]}}`,
			without: []string{"MutatingWebhookConfiguration/istio-sidecar-injector-mesh-1-istio-system-1"},
			want:    []string{"deny MF916 Istio mesh-1"},
		},
		{
			name: "if the injector of another mesh selects it too, then both are named",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: extra, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle2}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-1]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
			want: []string{"deny MF906 Namespace shop"},
		},
		{
			name: "if the injector of an istiod that is not known selects it too, then likewise",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: helm, labels: {istio.io/rev: usergroup-1}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: usergroup-1}, caBundle: $bundle3}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-1]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
			want: []string{"deny MF906 Namespace shop"},
		},
		{
			name: "if only the injector of another mesh selects it, then that is another istiod than the labels say",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-1-istio-system-1, labels: {istio.io/rev: mesh-1}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-1}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [nothing]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle2}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2, mesh-1]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
			want: []string{"deny MF906 Namespace shop"},
		},
		{
			name: "if an injector selects a namespace that no labels choose a revision for, then that is said",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: all, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle2}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
			want: []string{"deny MF906 Namespace istio-system-1", "deny MF906 Namespace istio-system-2", "deny MF906 Namespace outside"},
		},
		{
			name: "if an istiod that is not known injects a namespace that no mesh injects, then that is its business",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: helm, labels: {istio.io/rev: usergroup-1}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: usergroup-1}, caBundle: $bundle3}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [usergroup-1]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: v1, kind: Namespace, metadata: {name: theirs, labels: {istio.io/rev: usergroup-1}}}`,
			want: []string{"warn MF203 Namespace theirs"},
		},
		{
			name: "if a tag's webhooks are there, then they inject what has the tag",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: mesh-1, istio.io/tag: canary}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-1}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [canary]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: canary}, spec: {targetRef: {kind: Istio, name: mesh-1}}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: canary}}}`,
		},
		{
			name: "if the tag's webhooks are missing, then its namespaces get no sidecar",
			with: `{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: canary}, spec: {targetRef: {kind: Istio, name: mesh-1}}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: canary}}}`,
			want: []string{"deny MF906 Namespace shop"},
		},
		{
			name: "if a webhook of the configuration is not for pods, then it is no injector",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: other, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: a.b.c, rules: [{resources: [services]}]}]}`,
		},
	})
}
