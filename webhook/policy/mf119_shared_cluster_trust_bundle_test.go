package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF119(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	const on, off = "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}", "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'false'}}}"
	quiet := policy.Actions{Rules: map[policy.Code]policy.Action{"MF106": policy.Off}}
	runMeshCases(t, []meshCase{
		{name: "if another mesh has it, then it is refused", others: []string{mesh1 + on}, create: mesh2 + on, want: "deny MF119"},
		{
			name:   "if it is switched on later, then the command switches it off",
			others: []string{mesh1 + on}, from: mesh2, to: mesh2 + on, want: "deny MF119",
		},
		{
			name:   "if both had it before, then an edit of something else is told nothing",
			others: []string{mesh1 + on}, from: mesh2 + on, to: mesh2 + on + "; version v1.30.3", want: "allow",
		},
		{
			name:   "if an older revision of it has it, then that has to go",
			others: []string{mesh1 + on, "IstioRevision mesh-2-old; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2" + on},
			create: mesh2, actions: quiet, want: "deny MF119",
		},
		{name: "if it is the only one, then there is nothing to say", others: []string{mesh1}, create: mesh2 + on, want: "allow"},
		{name: "if it has it not, then there is nothing to say", others: []string{mesh1 + on}, create: mesh2, want: "allow"},
		{name: "if it is switched off, then there is nothing to say", others: []string{mesh1 + on}, create: mesh2 + off, want: "allow"},
		{
			name:   "if no istiod of the other mesh runs here, then there is nothing to say",
			others: []string{mesh1 + on + "; profile remote"}, create: mesh2 + on, want: "allow",
		},
		{
			name:   "if its own istiod serves another cluster, then there is nothing to say",
			others: []string{mesh1 + on}, create: mesh2 + "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: '1', EXTERNAL_ISTIOD: '1'}}}", want: "allow",
		},
		{
			name:    "if the configuration lowers the rule, then it warns",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF119": policy.Warn}},
			others:  []string{mesh1 + on}, create: mesh2 + on, want: "warn MF119",
		},
		{
			name:    "if the configuration switches the rule off, then there is nothing to say",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF119": policy.Off}},
			others:  []string{mesh1 + on}, create: mesh2 + on, want: "allow",
		},
	})
}
