package observed_test

import (
	"testing"
)

func TestMF908(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if a namespace that no mesh discovers has a mesh's root certificate, then the mesh is named",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: outside, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}`,
			want: []string{"warn MF908 Namespace outside"},
		},
		{
			name: "if it is of no known mesh, then it is not known whether it is stale",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: outside, resourceVersion: "1"}, data: {root-cert.pem: $ca3}}`,
		},
		{
			name: "if the namespace is discovered by the other mesh, then it is not stale but foreign",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca2}}`,
			want: []string{"deny MF903 Namespace shop"},
		},
	})
}
