package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf120 = policy.Rule{Code: "MF120", Name: "TrustBundleNotMounted", Action: policy.Deny}

func TestMF120(t *testing.T) {
	const mesh = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	const patch = `Use one name for both: kubectl patch istios.sailoperator.io mesh-1 --type=merge -p '{"spec":{"values":{"global":{"trustBundleName":"own"}}}}'`
	notMounted := func(written, remedy string) policy.Finding {
		return policy.Finding{
			Rule: mf120, Action: policy.Deny, Field: "spec.values.pilot.env[PILOT_CA_CERT_CONFIGMAP]",
			Detail: `the istiod of Istio "mesh-1" would write its root certificate to ConfigMaps "` + written + `" ` +
				`(spec.values.pilot.env[PILOT_CA_CERT_CONFIGMAP]), but its pods mount "istio-ca-root-cert" (spec.values.global.trustBundleName): new pods ` +
				`hang until there is one of that name, and get the root certificate of whichever mesh has written it`,
			Remedy:   remedy,
			Subjects: []string{written, "istio-ca-root-cert"},
		}
	}
	manifest := notMounted("own", `Use one name for both: spec: {values: {global: {trustBundleName: own}}}`)
	lowered := manifest
	lowered.Action = policy.Warn
	runMeshCases(t, []meshCase{
		{name: "if only istiod's environment renames it, then it is refused", create: mesh + "; env-bundle own", want: denied(manifest)},
		{name: "if that comes later, then the command renames the other", from: mesh, to: mesh + "; env-bundle own", want: denied(notMounted("own", patch))},
		{
			name: "if it was so before, then an edit of something else is told nothing",
			from: mesh + "; env-bundle own", to: mesh + "; env-bundle own; version v1.30.3", want: allowed(),
		},
		{
			name: "if it is renamed once more, then that is new",
			from: mesh + "; env-bundle other", to: mesh + "; env-bundle own", want: denied(notMounted("own", patch)),
		},
		{
			name:   "if the name is none, then it has to go",
			create: mesh + "; env-bundle (valueFrom)",
			want:   denied(notMounted("(valueFrom)", `Name the ConfigMap in spec.values.global.trustBundleName instead, and leave PILOT_CA_CERT_CONFIGMAP out`)),
		},
		{name: "if the values rename both, then there is nothing to say", create: mesh + "; bundle own", want: allowed()},
		{name: "if both places have one name, then there is nothing to say", create: mesh + "; bundle own; env-bundle own", want: allowed()},
		{name: "if they differ, then the values win and there is nothing to say", create: mesh + "; bundle own; env-bundle other", want: allowed()},
		{name: "if the name is the default one, then there is nothing to say", create: mesh + "; env-bundle istio-ca-root-cert", want: allowed()},
		{name: "if no istiod runs here, then there is nothing to say", create: mesh + "; env-bundle own; profile remote", want: allowed()},
		{
			name:   "if istiod writes a ClusterTrustBundle, then it writes no ConfigMap",
			create: mesh + "; with {pilot: {env: {PILOT_CA_CERT_CONFIGMAP: own, ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}", want: allowed(),
		},
		{
			name:    "if the configuration lowers the rule, then it warns",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Warn}},
			create:  mesh + "; env-bundle own", want: warned(lowered),
		},
		{
			name:    "if the configuration switches the rule off, then there is nothing to say",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF120": policy.Off}},
			create:  mesh + "; env-bundle own", want: allowed(),
		},
	})
}
