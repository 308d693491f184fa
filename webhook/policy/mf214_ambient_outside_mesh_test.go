package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// ambient is the guide with mesh-1 in ambient mode.
func ambient() []string { return []string{guide()[0] + "; ambient", guide()[1]} }

func TestMF214(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if no mesh discovers it, then the labels that put it into the mesh of ambient mode are offered",
			fleet: ambient(), create: "istio.io/dataplane-mode=ambient",
			want: "warn MF214",
		},
		{
			name:  "if that label alone changes, in a namespace of another mesh, then it is told",
			fleet: ambient(), from: "istio-discovery=mesh-2", to: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient",
			want: "warn MF214",
		},
		{
			name:  "if the mesh of ambient mode discovers it, then it is right",
			fleet: ambient(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", want: "allow",
		},
		{
			name:  "if the mode is another, then ztunnel leaves it alone",
			fleet: ambient(), create: "istio-discovery=mesh-2 istio.io/dataplane-mode=none", want: "allow",
		},
		{
			name:  "if no mesh has ambient mode, then there is no ztunnel",
			fleet: guide(), create: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient", want: "allow",
		},
		{
			name:  "if the one that has it runs in another cluster, then there is none here either",
			fleet: []string{guide()[0] + "; ambient; profile remote"}, create: "istio.io/dataplane-mode=ambient", want: "allow",
		},
		{
			name:  "if two meshes have it, then either will do",
			fleet: []string{guide()[0] + "; ambient", guide()[1] + "; ambient"}, create: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient", want: "allow",
		},
		{
			name:  "if a label gives it sidecars, then it does not take part in ambient mode, which is told alone",
			fleet: ambient(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-2 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Off}}, want: "allow",
		},
		{
			name:  "if the mesh's selectors go by names, then the mode has to go",
			fleet: []string{"Istio mesh-1; in istio-system-1; ambient; selects kubernetes.io/metadata.name=other"}, from: "team=a", to: "team=a istio.io/dataplane-mode=ambient",
			want: "warn MF214",
		},
		{
			name:  "if the configuration makes it a denial, then what was so before is a warning still",
			fleet: ambient(), from: "istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient mesh=other",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Off, "MF214": policy.Deny}},
			want:    "warn MF214",
		},
		{
			name:  "if nothing that counts changes, then it is not told again",
			fleet: ambient(), from: "istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient team=a", want: "allow",
		},
		{
			name:  "if it leaves the mesh of ambient mode, then that is a denial where the configuration makes it one",
			fleet: ambient(), from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF214": policy.Deny}},
			want:    "deny MF214",
		},
		{
			name:  "if the rule is off, then nothing is said",
			fleet: ambient(), create: "istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF214": policy.Off}}, want: "allow",
		},
	})
}
