package observed_test

import (
	"testing"
)

func TestMF913(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if a pod's label asks for a mesh that does not discover its namespace, then it is named",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: istio-system-1, labels: {pod-template-hash: 7c9, istio.io/rev: mesh-2}, annotations: {}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"warn MF913 Namespace istio-system-1"},
		},
		{
			name: "if the namespace has a revision, then the label has no effect",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9, istio.io/rev: mesh-2}, annotations: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-b, namespace: shop, labels: {pod-template-hash: 7c9, istio.io/rev: mesh-2}, annotations: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"warn MF913 Namespace shop"},
		},
		{
			name: "if it has been injected so, then the sidecar is named too",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: istio-system-1, labels: {pod-template-hash: 7c9, istio.io/rev: mesh-2}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"deny MF904 Namespace istio-system-1", "warn MF913 Namespace istio-system-1"},
		},
		{
			name: "if it asks for a tag, then that leads to the mesh",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: istio-system-1, labels: {pod-template-hash: 7c9, istio.io/rev: canary}, annotations: {}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}
---
{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: canary}, spec: {targetRef: {kind: Istio, name: mesh-2}}}`,
			want: []string{"warn MF913 Namespace istio-system-1"},
		},
		{
			name: "if it asks for its own mesh, or for none that is known, then nothing is said",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: istio-system-1, labels: {pod-template-hash: 7c9, istio.io/rev: mesh-1}, annotations: {}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-b, namespace: istio-system-1, labels: {pod-template-hash: 7c9, istio.io/rev: usergroup-1}, annotations: {}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
		},
	})
}
