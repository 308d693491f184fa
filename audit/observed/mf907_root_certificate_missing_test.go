package observed_test

import (
	"testing"

	"github.com/meshfence/meshfence/audit/observed"
)

func TestMF907(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name:    "if a namespace has not got the root certificate of the mesh that discovers it, then the log of istiod is next",
			without: []string{"ConfigMap/shop/istio-ca-root-cert"},
			want:    []string{"deny MF907 Namespace shop"},
		},
		{
			name:    "if the control plane does not work, then that is what is told",
			with:    `{patch: true, kind: Deployment, metadata: {name: istiod-mesh-1, namespace: istio-system-1}, status: {availableReplicas: 0}}`,
			without: []string{"ConfigMap/shop/istio-ca-root-cert"},
			want:    []string{"deny MF916 Deployment istio-system-1/istiod-mesh-1"},
		},
		{
			name: "if the mesh writes to a ConfigMap of another name, then that is the one that is missing",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {values: {global: {trustBundleName: istio-ca-mesh-1}}}}
---
{patch: true, kind: IstioRevision, metadata: {name: mesh-1}, spec: {values: {global: {trustBundleName: istio-ca-mesh-1}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-mesh-1, namespace: istio-system-1, resourceVersion: "1"}, data: {root-cert.pem: $ca1}}`,
			want: []string{"deny MF907 Namespace shop"},
		},
		{
			name: "if it writes to a ClusterTrustBundle, then no ConfigMap is missing",
			with: `{patch: true, kind: Istio, metadata: {name: mesh-1}, spec: {values: {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: "true"}}}}}
---
{patch: true, kind: IstioRevision, metadata: {name: mesh-1}, spec: {values: {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: "true"}}}}}`,
			without: []string{"ConfigMap/shop/istio-ca-root-cert", "ConfigMap/istio-system-1/istio-ca-root-cert"},
		},
		{
			name: "if it is a namespace that no istiod writes to, then nothing is said",
			with: `{apiVersion: v1, kind: Namespace, metadata: {name: kube-public, labels: {istio-discovery: mesh-1}}}`,
		},
		{
			name:    "if Deployments may not be listed, then its istiod may not run, which another rule would tell",
			without: []string{"ConfigMap/shop/istio-ca-root-cert", "Deployment/istio-system-1/istiod-mesh-1"}, missing: []observed.Resource{observed.Istiods},
			want: notJudged("MF906", "MF907", "MF910", "MF916"),
		},
		{
			name:    "if ConfigMaps may not be listed, then it is not judged",
			without: []string{"ConfigMap/shop/istio-ca-root-cert"}, missing: []observed.Resource{observed.RootCertificates},
			want: []string{"MF903 not judged", "MF907 not judged", "MF908 not judged"},
		},
	})
}
