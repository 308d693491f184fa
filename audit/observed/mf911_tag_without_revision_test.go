package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
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
			name:    "if meshes may not be listed, then its revision may be there all the same",
			without: []string{"Istio/mesh-1", "IstioRevision/mesh-1"}, missing: []observed.Resource{observed.Meshes},
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: mesh-1, istio.io/tag: canary}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-1}, caBundle: ""}, rules: [{resources: [pods]}]}]}`,
			want: notJudged("MF202", "MF212", "MF203", "MF202", "MF212", "MF904", "MF905", "MF906", "MF908", "MF911", "MF912", "MF913", "MF914"),
		},
		{
			name: "if the tag is the operator's, then MF304 has said it",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-canary, labels: {istio.io/rev: v1-28, istio.io/tag: canary}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, name: canary, uid: u}]}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [canary]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
		},
	})
}
