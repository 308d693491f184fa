package observed_test

import (
	"testing"
)

func TestMF911(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if a tag's revision is gone, then pods with the tag are refused",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: v1-28, istio.io/tag: canary}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [canary]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
			want: []string{"warn MF911 MutatingWebhookConfiguration istio-revision-tag-canary"},
		},
		{
			name: "if the revision is that of an istiod that Helm installed, then it is installed",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: v1-28, istio.io/tag: canary}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}, caBundle: ""}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [canary]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-v1-28, labels: {istio.io/rev: v1-28}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}, caBundle: ""}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [v1-28]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
		},
		{
			name: "if the tag is the operator's, then MF304 has said it",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: v1-28, istio.io/tag: canary}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, name: canary, uid: u}]}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [canary]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
		},
	})
}
