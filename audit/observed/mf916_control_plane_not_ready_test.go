package observed_test

import (
	"testing"
)

func TestMF916(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if an Istio is not ready, then the operator's reason is told",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, status: {conditions: [{type: Ready, status: "False", reason: IstiodNotReady, message: "not all istiod pods\nare ready"}]}}`,
			want: []string{"deny MF916 Istio mesh-1"},
		},
		{
			name: "if the operator has not said anything, then that is told",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, status: null}`,
			want: []string{"deny MF916 Istio mesh-1"},
		},
		{
			name: "if an older revision of a mesh is not ready, then that is told of the revision",
			with: `{patch: true, kind: IstioRevision, metadata: {name: mesh-1}, status: {conditions: [{type: Ready, status: Unknown, reason: Pending}]}}`,
			want: []string{"deny MF916 IstioRevision mesh-1"},
		},
		{
			name: "if istiod has no pod that is available, then its Deployment is named",
			with: `{patch: true, kind: Deployment, metadata: {name: istiod-mesh-1, namespace: istio-system-1}, status: {availableReplicas: null}}`,
			want: []string{"deny MF916 Deployment istio-system-1/istiod-mesh-1"},
		},
		{
			name: "if it is scaled to 0, then the command scales it up",
			with: `{patch: true, kind: Deployment, metadata: {name: istiod-mesh-1, namespace: istio-system-1}, spec: {replicas: 0}, status: {availableReplicas: 0}}`,
			want: []string{"deny MF916 Deployment istio-system-1/istiod-mesh-1"},
		},
		{
			name: "if the Deployment is one of Service Mesh 2, then nothing is said",
			with: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: elsewhere, labels: {app: istiod, maistra-version: 2.6.0}}}`,
		},
		{
			name: "if an istiod that Helm installed has no pod, then it is told by its Deployment",
			with: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod-x, namespace: elsewhere, labels: {app: istiod, istio.io/rev: x}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-x, namespace: elsewhere, labels: {istio.io/rev: x}}, data: {mesh: "discoverySelectors: [{matchLabels: {istio-discovery: x}}]"}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: elsewhere, creationTimestamp: "2026-01-01T00:00:00Z"}, spec: {mtls: {mode: STRICT}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere, labels: {istio-discovery: x, kubernetes.io/metadata.name: elsewhere}}}`,
			want: []string{"deny MF916 Deployment elsewhere/istiod-x"},
		},
	})
}
