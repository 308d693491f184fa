package observed_test

import (
	"testing"
)

func TestMF909(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if two meshes have one root namespace, then each is told of the other",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {values: {meshConfig: {rootNamespace: istio-system-1}}}}`,
			want: []string{"deny MF909 Istio mesh-1", "warn MF901 Istio mesh-2", "deny MF909 Istio mesh-2"},
		},
		{
			name: "if a mesh does not discover its root namespace, then its configuration there does not count",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {values: {meshConfig: {rootNamespace: outside}}}}`,
			want: []string{"warn MF901 Istio mesh-2", "deny MF909 Istio mesh-2"},
		},
		{
			name: "if the root namespace is not there, then likewise",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {values: {meshConfig: {rootNamespace: nowhere}}}}`,
			want: []string{"warn MF901 Istio mesh-2", "deny MF909 Istio mesh-2"},
		},
		{
			name: "if it discovers a root namespace that is not the control plane's, then that is fine",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {values: {meshConfig: {rootNamespace: bank}}}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: bank}, spec: {mtls: {mode: STRICT}}}`,
		},
	})
}
