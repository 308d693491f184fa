package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF912(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if the ConfigMap has other selectors than its IstioRevision, then both are named",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevision, name: mesh-1, uid: u, controller: true}]}, data: {mesh: "discoverySelectors: [{matchLabels: {istio-discovery: mesh-3}}]"}}`,
			want: []string{"warn MF912 ConfigMap istio-system-1/istio-mesh-1"},
		},
		{
			name: "if it has none, then istiod discovers every namespace",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevision, name: mesh-1, uid: u, controller: true}]}, data: {mesh: "rootNamespace: istio-system-1"}}`,
			want: []string{"warn MF912 ConfigMap istio-system-1/istio-mesh-1"},
		},
		{
			name: "if the order is another, and one stands there twice, then they are the same",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: IstioRevision, name: mesh-1, uid: u, controller: true}]}, data: {mesh: "discoverySelectors: [{matchExpressions: [{key: istio-discovery, operator: In, values: [mesh-1]}]}, {matchLabels: {istio-discovery: mesh-1}}]"}}`,
		},
		{
			name: "if it is not the operator's, then there is nothing to compare it with",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {mesh: "discoverySelectors: [{matchLabels: {istio-discovery: mesh-3}}]"}}`,
		},
		{
			name:    "if ConfigMaps may not be listed, then it is not judged",
			missing: []observed.Resource{observed.MeshConfigs},
			want:    []string{"MF910 not judged", "MF912 not judged"},
		},
	})
}
