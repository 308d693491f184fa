package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf119 = policy.Rule{Code: "MF119", Name: "SharedClusterTrustBundle", Action: policy.Deny}

func TestMF119(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	const on, off = "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}", "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'false'}}}"
	const field = "spec.values.pilot.env[ENABLE_CLUSTER_TRUST_BUNDLE_API]"
	const without = `Leave it to one mesh: create Istio "mesh-2" without ` + field
	const remove = `Leave it to one mesh: kubectl patch istios.sailoperator.io mesh-2 --type=merge -p ` +
		`'{"spec":{"values":{"pilot":{"env":{"ENABLE_CLUSTER_TRUST_BUNDLE_API":null}}}}}'`
	second := func(remedy string) policy.Finding {
		return policy.Finding{
			Rule: mf119, Action: policy.Deny, Field: field,
			Detail: `Istio "mesh-2" has ENABLE_CLUSTER_TRUST_BUNDLE_API in the environment of its istiod, and so has mesh "mesh-1": each istiod would ` +
				`overwrite the other's root certificate in the one ClusterTrustBundle istio.io:istiod-ca:root-cert, whatever namespaces they discover`,
			Remedy:   remedy,
			Subjects: []string{`Istio "mesh-1"`},
		}
	}
	lowered := second(without)
	lowered.Action = policy.Warn
	older := second(`The variable is that of the older IstioRevision "mesh-2-old": move its namespaces to another revision of Istio "mesh-2" first, so that ` +
		`the operator removes it`)
	older.Detail = `IstioRevision "mesh-2-old"` + older.Detail[len(`Istio "mesh-2"`):]
	quiet := policy.Actions{Rules: map[policy.Code]policy.Action{"MF106": policy.Off}}
	runMeshCases(t, []meshCase{
		{name: "if another mesh has it, then it is refused", others: []string{mesh1 + on}, create: mesh2 + on, want: denied(second(without))},
		{
			name:   "if it is switched on later, then the command switches it off",
			others: []string{mesh1 + on}, from: mesh2, to: mesh2 + on, want: denied(second(remove)),
		},
		{
			name:   "if both had it before, then an edit of something else is told nothing",
			others: []string{mesh1 + on}, from: mesh2 + on, to: mesh2 + on + "; version v1.30.3", want: allowed(),
		},
		{
			name:   "if an older revision of it has it, then that has to go",
			others: []string{mesh1 + on, "IstioRevision mesh-2-old; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2" + on},
			create: mesh2, actions: quiet, want: denied(older),
		},
		{name: "if it is the only one, then there is nothing to say", others: []string{mesh1}, create: mesh2 + on, want: allowed()},
		{name: "if it has it not, then there is nothing to say", others: []string{mesh1 + on}, create: mesh2, want: allowed()},
		{name: "if it is switched off, then there is nothing to say", others: []string{mesh1 + on}, create: mesh2 + off, want: allowed()},
		{
			name:   "if no istiod of the other mesh runs here, then there is nothing to say",
			others: []string{mesh1 + on + "; profile remote"}, create: mesh2 + on, want: allowed(),
		},
		{
			name:   "if its own istiod serves another cluster, then there is nothing to say",
			others: []string{mesh1 + on}, create: mesh2 + "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: '1', EXTERNAL_ISTIOD: '1'}}}", want: allowed(),
		},
		{
			name:    "if the configuration lowers the rule, then it warns",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF119": policy.Warn}},
			others:  []string{mesh1 + on}, create: mesh2 + on, want: warned(lowered),
		},
		{
			name:    "if the configuration switches the rule off, then there is nothing to say",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF119": policy.Off}},
			others:  []string{mesh1 + on}, create: mesh2 + on, want: allowed(),
		},
	})
}
