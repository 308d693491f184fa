package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF902(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if two meshes have the same root certificate, then each is named beside the other",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: bank, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system-2, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}`,
			want: []string{"deny MF902 Istio mesh-1", "deny MF902 Istio mesh-2"},
		},
		{
			name: "if they declare that they overlap, then that is what they are to have",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: bank, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system-2, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{patch: true, kind: Istio, metadata: {name: mesh-1, annotations: {meshfence.io/allow-overlap: mesh-2}}}`,
		},
		{
			name: "if the declaration has ended, then it is told again",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: bank, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system-2, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{patch: true, kind: Istio, metadata: {name: mesh-1, annotations: {meshfence.io/allow-overlap: mesh-2, meshfence.io/allow-overlap-until: "2026-10-01T00:00:00Z"}}}`,
			want: []string{"deny MF902 Istio mesh-1", "deny MF902 Istio mesh-2"},
		},
		{
			name: "if the webhooks have no certificate yet, then nothing is known of it",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: ""}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}`,
		},
		{
			name: "if the webhooks may not be listed, then it is not judged, nor what else needs them",
			with: `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector-mesh-2-istio-system-2, labels: {istio.io/rev: mesh-2}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system-2}, caBundle: $bundle1}, rules: [{resources: [pods]}], namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [mesh-2]}, {key: istio-injection, operator: DoesNotExist}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}]}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: bank, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system-2, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}`, missing: []observed.Resource{observed.Injectors},
			want: []string{"MF902 not judged", "MF903 not judged", "MF906 not judged", "MF908 not judged", "MF911 not judged"},
		},
	})
}
