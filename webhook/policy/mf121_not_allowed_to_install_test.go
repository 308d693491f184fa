package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF121(t *testing.T) {
	const istiod = "Istiod group-1/istio-a; selects group=1"
	planes := apps(t, "group-1: group=1")
	runMeshCases(t, []meshCase{
		{
			name: "if the user could install no istiod, then no ConfigMap makes a mesh", create: istiod, namespaces: planes,
			installing: &policy.Installing{User: "jane", Right: policy.Refused}, want: "deny MF121",
		},
		{
			name: "if the right could not be asked for, then it is none", create: istiod, namespaces: planes,
			installing: &policy.Installing{User: "jane", Right: policy.Unasked}, want: "deny MF121",
		},
		{
			name: "if the user may, then nothing is said", create: istiod, namespaces: planes,
			installing: &policy.Installing{User: "jane", Right: policy.Granted}, want: "allow",
		},
		{name: "if there are webhooks already, then nothing is asked", create: istiod, namespaces: planes, want: "allow"},
		{
			name: "if only warnings are asked for, then it warns", create: istiod, namespaces: planes,
			installing: &policy.Installing{User: "jane", Right: policy.Refused}, actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF121": policy.Warn}}, want: "warn MF121",
		},
		{
			name: "if the rule is off, then nothing is said", create: istiod, namespaces: planes,
			installing: &policy.Installing{User: "jane", Right: policy.Refused}, actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF121": policy.Off}}, want: "allow",
		},
	})
}
