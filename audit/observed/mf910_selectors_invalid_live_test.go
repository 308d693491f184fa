package observed_test

import (
	"testing"
)

func TestMF910(t *testing.T) {
	runObservedCases(t, []observedCase{
		{
			name: "if the text is no YAML, then istiod is not to be restarted",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {mesh: "discoverySelectors: ["}}`,
			want: []string{"deny MF910 ConfigMap istio-system-1/istio-mesh-1"},
		},
		{
			name: "if a selector is none, then likewise",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {mesh: "discoverySelectors: [{matchExpressions: [{key: a, operator: in, values: [b]}]}]"}}`,
			want: []string{"deny MF910 ConfigMap istio-system-1/istio-mesh-1"},
		},
		{
			name: "if the key is gone, then likewise",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {meshNetworks: "networks: {}"}}`,
			want: []string{"deny MF910 ConfigMap istio-system-1/istio-mesh-1"},
		},
		{
			name:    "if no istiod runs on it, then there is nothing to keep running",
			with:    `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-mesh-1, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {mesh: "discoverySelectors: ["}}`,
			without: []string{"Deployment/istio-system-1/istiod-mesh-1"},
		},
		{
			name: "if it is the ConfigMap of something else, then it has no mesh configuration to begin with",
			with: `{apiVersion: v1, kind: ConfigMap, metadata: {name: sidecar-templates, namespace: istio-system-1, labels: {istio.io/rev: mesh-1}}, data: {config: "{{"}}`,
		},
	})
}
