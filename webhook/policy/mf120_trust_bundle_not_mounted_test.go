package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF120(t *testing.T) {
	const mesh = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	runMeshCases(t, []meshCase{
		{name: "if only istiod's environment renames it, then it is refused", create: mesh + "; env-bundle own", want: "deny MF120"},
		{name: "if that comes later, then the command renames the other", from: mesh, to: mesh + "; env-bundle own", want: "deny MF120"},
		{name: "if the values that renamed both are taken away, then they are to be kept", from: mesh + "; bundle own; env-bundle own", to: mesh + "; env-bundle own", want: "deny MF120"},
		{
			name: "if it was so before, then an edit of something else is told nothing",
			from: mesh + "; env-bundle own", to: mesh + "; env-bundle own; version v1.30.3", want: "allow",
		},
		{
			name: "if it is renamed once more, then that is new",
			from: mesh + "; env-bundle other", to: mesh + "; env-bundle own", want: "deny MF120",
		},
		{
			name:   "if the name is none, then it has to go",
			create: mesh + "; env-bundle (valueFrom)",
			want:   "deny MF120",
		},
		{name: "if the values rename both, then there is nothing to say", create: mesh + "; bundle own", want: "allow"},
		{name: "if both places have one name, then there is nothing to say", create: mesh + "; bundle own; env-bundle own", want: "allow"},
		{name: "if they differ, then the values win and there is nothing to say", create: mesh + "; bundle own; env-bundle other", want: "allow"},
		{name: "if the name is the default one, then there is nothing to say", create: mesh + "; env-bundle istio-ca-root-cert", want: "allow"},
		{name: "if no istiod runs here, then there is nothing to say", create: mesh + "; env-bundle own; profile remote", want: "allow"},
		{
			name:   "if istiod writes a ClusterTrustBundle, then it writes no ConfigMap",
			create: mesh + "; with {pilot: {env: {PILOT_CA_CERT_CONFIGMAP: own, ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}", want: "allow",
		},
		{
			name:    "if the configuration lowers the rule, then it warns",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Warn}},
			create:  mesh + "; env-bundle own", want: "warn MF120",
		},
		{
			name:    "if the configuration switches the rule off, then there is nothing to say",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Off}},
			create:  mesh + "; env-bundle own", want: "allow",
		},
	})
}
