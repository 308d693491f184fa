package observed_test

import (
	"testing"
)

func TestMF914(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if ztunnel asks another mesh than the one of the namespace, then both are named",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: null, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: sailoperator.io/v1, kind: ZTunnel, metadata: {name: default}, spec: {namespace: ztunnel, values: {ztunnel: {istioNamespace: istio-system-2, revision: mesh-2}}}}`,
			want: []string{"warn MF109 Istio mesh-1", "warn MF109 Istio mesh-2", "warn MF914 Namespace shop"},
		},
		{
			name: "if its target says so, then likewise",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: null, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: sailoperator.io/v1, kind: ZTunnel, metadata: {name: default}, spec: {namespace: ztunnel, targetRef: {kind: Istio, name: mesh-2}}}`,
			want: []string{"warn MF109 Istio mesh-1", "warn MF109 Istio mesh-2", "warn MF914 Namespace shop"},
		},
		{
			name: "if its address says so, then likewise",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: null, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: sailoperator.io/v1, kind: ZTunnel, metadata: {name: default}, spec: {namespace: ztunnel, values: {ztunnel: {xdsAddress: "istiod-mesh-2.istio-system-2.svc:15012"}}}}`,
			want: []string{"warn MF109 Istio mesh-1", "warn MF109 Istio mesh-2", "warn MF914 Namespace shop"},
		},
		{
			name: "if it asks the namespace's own mesh, then that is right",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: null, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: sailoperator.io/v1, kind: ZTunnel, metadata: {name: default}, spec: {namespace: ztunnel, targetRef: {kind: IstioRevision, name: mesh-1}}}`,
			want: []string{"warn MF109 Istio mesh-1", "warn MF109 Istio mesh-2"},
		},
		{
			name: "if it asks an istiod that is not known, then nothing is known of it",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Istio, metadata: {name: mesh-2}, spec: {profile: openshift-ambient}}
---
{patch: true, kind: Namespace, metadata: {name: shop, labels: {istio.io/rev: null, istio.io/dataplane-mode: ambient}}}
---
{apiVersion: sailoperator.io/v1, kind: ZTunnel, metadata: {name: default}, spec: {namespace: ztunnel, values: {ztunnel: {istioNamespace: elsewhere}}}}`,
			want: []string{"warn MF109 Istio mesh-1", "warn MF109 Istio mesh-2"},
		},
	})
}
