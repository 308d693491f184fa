package observed_test

import (
	"testing"
)

func TestMF903(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if a namespace has the root certificate of the other mesh, then both meshes are named",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca2}}`,
			want: []string{"deny MF903 Namespace shop"},
		},
		{
			name: "if it has one that is no mesh's, then that is said",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca3}}`,
			want: []string{"deny MF903 Namespace shop"},
		},
		{
			name: "if the ConfigMap has no certificate, then that is said",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: "none"}}`,
			want: []string{"deny MF903 Namespace shop"},
		},
		{
			name: "if it was written again while the cluster was read, then istiods fight over it",
			with: `{apiVersion: v1, kind: ConfigMap, again: true, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "2"}, data: {root-cert.pem: $ca1}}`,
			want: []string{"deny MF903 Namespace shop"},
		},
		{
			name: "if the mesh has a trust bundle of its own name, then the other ConfigMap does not count",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {values: {global: {trustBundleName: istio-ca-mesh-1}}}}
---
{patch: true, kind: IstioRevision, metadata: {name: mesh-1}, spec: {values: {global: {trustBundleName: istio-ca-mesh-1}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-mesh-1, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-mesh-1, namespace: istio-system-1, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca3}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: istio-system-1, resourceVersion: "1"}, data: {root-cert.pem: $ca3}}`,
		},
		{
			name: "if the namespace is exempt, then nothing is said of it",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca2}}`, exempt: "shop",
		},
		{
			name: "if the namespace is in deletion, then nothing is said of it",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: shop, resourceVersion: "1"}, data: {root-cert.pem: $ca2}}
---
{patch: true, kind: Namespace, metadata: {name: shop, deletionTimestamp: "2026-11-01T00:00:00Z"}}`,
		},
	})
}
