package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF905(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if its namespace has the revision of the mesh that discovers it, then that takes it",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: shop, labels: {}}, spec: {gatewayClassName: istio}}`,
		},
		{
			name: "if its own label says so, then likewise",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, spec: {gatewayClassName: istio}}`,
		},
		{
			name: "if neither it nor its namespace has a revision, and none is called default, then none takes it",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: istio-system-1, labels: {}}, spec: {gatewayClassName: istio}}`,
			want: []string{"deny MF905 Gateway istio-system-1/web"},
		},
		{
			name: "if its label names a mesh that does not discover its namespace, then none takes it",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: shop, labels: {istio.io/rev: mesh-2}}, spec: {gatewayClassName: istio}}`,
			want: []string{"deny MF905 Gateway shop/web"},
		},
		{
			name: "if no mesh discovers its namespace, then none takes it",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: outside, labels: {istio.io/rev: mesh-2}}, spec: {gatewayClassName: istio}}`,
			want: []string{"deny MF905 Gateway outside/web"},
		},
		{
			name: "if its label is empty, then it is as if there were none",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: shop, labels: {istio.io/rev: ""}}, spec: {gatewayClassName: istio}}`,
			want: []string{"deny MF905 Gateway shop/web"},
		},
		{
			name: "if a tag is called default and leads to the mesh, then that takes it",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: istio-system-1, labels: {}}, spec: {gatewayClassName: istio}}
---
{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: default}, spec: {targetRef: {kind: Istio, name: mesh-1}}}`,
		},
		{
			name: "if its class is another controller's, then it is none of Istio's",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: outside, labels: {}}, spec: {gatewayClassName: openshift-default}}`,
		},
		{
			name: "if Gateways may not be listed, then it is not judged",
			with: `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: outside, labels: {}}, spec: {gatewayClassName: istio}}`, missing: []observed.Resource{observed.Gateways},
			want: []string{"MF905 not judged"},
		},
	})
}
