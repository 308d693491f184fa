package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF901(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name:    "if a mesh has no PeerAuthentication, then that is said of it, with the one to apply",
			without: []string{"PeerAuthentication/istio-system-1/default"},
			want:    []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if it says PERMISSIVE, then the mode is named",
			with: `{patch: true, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system-1}, spec: {mtls: {mode: PERMISSIVE}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if it sets no mode, then that is permissive for a whole mesh",
			with: `{patch: true, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system-1}, spec: {mtls: null}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if an older one says DISABLE, then it is the one that counts",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: older, namespace: istio-system-1, creationTimestamp: "2025-12-31T00:00:00Z"}, spec: {mtls: {mode: DISABLE}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if a younger one says DISABLE, then it does not count",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: younger, namespace: istio-system-1, creationTimestamp: "2026-01-02T00:00:00Z"}, spec: {mtls: {mode: DISABLE}}}`,
		},
		{
			name: "if two are of one second, then the first by name counts",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a, namespace: istio-system-1, creationTimestamp: "2026-01-01T00:00:00Z"}, spec: {mtls: {mode: DISABLE}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if the only one has a selector, then it is not for the whole mesh",
			with: `{patch: true, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system-1}, spec: {selector: {matchLabels: {app: web}}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if the root namespace is another one, then the PeerAuthentication of that counts",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {values: {meshConfig: {rootNamespace: shop}}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if the root namespace is not discovered, then its PeerAuthentication does not count",
			with: `{patch: true, kind: Namespace, metadata: {name: istio-system-1, labels: {istio-discovery: other}}}`,
			want: []string{"warn MF104 Istio mesh-1", "warn MF901 Istio mesh-1", "warn MF212 Namespace istio-system-1", "warn MF908 Namespace istio-system-1"},
		},
		{
			name: "if a namespace takes it back for itself, then it is named",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: open, namespace: shop}, spec: {mtls: {mode: PERMISSIVE}}}`,
			want: []string{"warn MF901 Istio mesh-1"},
		},
		{
			name: "if a namespace inherits, by an unset mode, then nothing is said",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: open, namespace: shop}, spec: {mtls: {mode: UNSET}}}`,
		},
		{
			name: "if a namespace that no mesh discovers takes it back, then nothing is said",
			with: `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: open, namespace: outside}, spec: {mtls: {mode: DISABLE}}}`,
		},
		{
			name:    "if there is only one mesh, then nothing is said: plain text comes from no other mesh",
			without: []string{"PeerAuthentication/istio-system-1/default", "Istio/mesh-2", "IstioRevision/mesh-2", "Deployment/istio-system-2/istiod-mesh-2", "Namespace/bank", "Namespace/istio-system-2"},
		},
		{
			name:    "if namespaces may not be listed, then the root namespace may be there all the same",
			without: []string{"Namespace/istio-system-1"}, missing: []observed.Resource{observed.Namespaces},
			want: notJudged("MF104", "MF901", "MF903", "MF904", "MF905", "MF906", "MF907", "MF908", "MF909", "MF913", "MF914"),
		},
		{
			name:    "if PeerAuthentications may not be listed, then it is not judged",
			without: []string{"PeerAuthentication/istio-system-1/default"}, missing: []observed.Resource{observed.PeerAuthentications},
			want: []string{"MF901 not judged"},
		},
		{
			name:    "if the configuration makes it strict, then it is",
			without: []string{"PeerAuthentication/istio-system-1/default"}, actions: strictly("MF901"),
			want: []string{"deny MF901 Istio mesh-1"},
		},
		{
			name:    "if the configuration switches it off, then nothing is said",
			without: []string{"PeerAuthentication/istio-system-1/default"}, actions: without("MF901"),
		},
	})
}
