package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF904(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if a pod has the sidecar of a mesh that does not discover its namespace, then what made it is named",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"deny MF904 Namespace shop"},
		},
		{
			name: "if there are several of one owner and of others, then they are counted",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-b, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: []}}`,
			want: []string{"deny MF904 Namespace shop"},
		},
		{
			name: "if no mesh discovers the namespace any more, then that is said",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: outside, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-1}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"deny MF904 Namespace outside"},
		},
		{
			name: "if the labels of the namespace still choose that mesh, then its labels are to be looked at first",
			with: `{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: mesh-2}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
			want: []string{"deny MF202 Namespace shop", "deny MF904 Namespace shop"},
		},
		{
			name: "if the pod is being deleted, then it does not count",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, deletionTimestamp: "2026-11-01T00:00:00Z", labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
		},
		{
			name: "if no mesh that is known has the revision, then nothing is known of it",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: usergroup-1}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
		},
		{
			name: "if the pod has no sidecar, then nothing is said",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`,
		},
		{
			name: "if pods may not be listed, then it is not judged",
			with: `{apiVersion: v1, kind: Pod, metadata: {name: old-7c9-a, namespace: shop, labels: {pod-template-hash: 7c9}, annotations: {istio.io/rev: mesh-2}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old-7c9, uid: u, controller: true}]}}`, missing: []observed.Resource{observed.Pods},
			want: []string{"MF904 not judged", "MF913 not judged"},
		},
	})
}
