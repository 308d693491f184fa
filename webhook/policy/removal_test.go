package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// A DELETE of a part of a mesh leaves the mesh, so what is wrong then is found by the rules about meshes.
func TestADeletionIsDeniedOnlyByARuleThatTheConfigurationSaysDenies(t *testing.T) {
	before := objects(t, guide()...)
	after := before.With(controlPlane(t, "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-2"))
	for _, test := range []struct {
		name     string
		removing bool
		rules    map[policy.Code]policy.Action
		want     string
	}{
		{"if it is an update, then it is refused", false, nil, "deny MF103"},
		{"if it is a deletion, then it is admitted with a warning", true, nil, "warn MF103"},
		{"if it is a deletion and the rule is to deny, then it is refused", true, map[policy.Code]policy.Action{"MF103": policy.Deny}, "deny MF103"},
		{"if it is a deletion and another rule is to deny, then it is admitted with a warning", true, map[policy.Code]policy.Action{"MF105": policy.Deny}, "warn MF103"},
		{"if it is a deletion and the rule is off, then nobody says anything", true, map[policy.Code]policy.Action{"MF103": policy.Off}, "allow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := meshChange(before, after, mesh.Ref{Kind: "Istio", Name: "mesh-1"})
			change.Removing = test.removing
			s := settings()
			s.Actions.Rules = test.rules
			if got := outcome(policy.New(s).Mesh(change)); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
