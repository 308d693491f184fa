package policy_test

import (
	"fmt"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf214 = policy.Rule{Code: "MF214", Name: "AmbientOutsideMesh", Action: policy.Warn}

// outsideAmbient is the finding about the namespace app and mesh-1, which has ambient mode. by says who discovers it instead.
func outsideAmbient(by, remedy string, subjects ...string) policy.Finding {
	return policy.Finding{
		Rule: mf214, Action: policy.Warn, Field: `metadata.labels[istio.io/dataplane-mode]`,
		Detail: fmt.Sprintf(`namespace "app" has istio.io/dataplane-mode=ambient, but mesh "mesh-1", which has ambient mode, does not discover it%s: `+
			`ztunnel would take its traffic, and the istiod of mesh "mesh-1" does not know its workloads`, by),
		Remedy: remedy, Subjects: append([]string{"mesh-1"}, subjects...),
	}
}

// ambient is the guide with mesh-1 in ambient mode.
func ambient() []string { return []string{guide()[0] + "; ambient", guide()[1]} }

func TestMF214(t *testing.T) {
	const leave = `To leave ambient mode: kubectl label namespace app istio.io/dataplane-mode-`
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if no mesh discovers it, then the labels that put it into the mesh of ambient mode are offered",
			fleet: ambient(), create: "istio.io/dataplane-mode=ambient",
			want: warned(outsideAmbient("", `To put it into mesh "mesh-1": create it with labels: {istio-discovery: mesh-1}. `+
				`To leave ambient mode: create it without istio.io/dataplane-mode`)),
		},
		{
			name:  "if that label alone changes, in a namespace of another mesh, then it is told",
			fleet: ambient(), from: "istio-discovery=mesh-2", to: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient",
			want: warned(outsideAmbient(`, and mesh "mesh-2" (istio-discovery=mesh-2) does`, `To put it into mesh "mesh-1": kubectl label namespace app `+
				`istio-discovery=mesh-1 --overwrite. `+leave, "discovered by mesh-2")),
		},
		{
			name:  "if the mesh of ambient mode discovers it, then it is right",
			fleet: ambient(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", want: allowed(),
		},
		{
			name:  "if the mode is another, then ztunnel leaves it alone",
			fleet: ambient(), create: "istio-discovery=mesh-2 istio.io/dataplane-mode=none", want: allowed(),
		},
		{
			name:  "if no mesh has ambient mode, then there is no ztunnel",
			fleet: guide(), create: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient", want: allowed(),
		},
		{
			name:  "if the one that has it runs in another cluster, then there is none here either",
			fleet: []string{guide()[0] + "; ambient; profile remote"}, create: "istio.io/dataplane-mode=ambient", want: allowed(),
		},
		{
			name:  "if two meshes have it, then either will do",
			fleet: []string{guide()[0] + "; ambient", guide()[1] + "; ambient"}, create: "istio-discovery=mesh-2 istio.io/dataplane-mode=ambient", want: allowed(),
		},
		{
			name:  "if a label gives it sidecars, then it does not take part in ambient mode, which is told alone",
			fleet: ambient(), create: "istio-discovery=mesh-2 istio.io/rev=mesh-2 istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF211": policy.Off}}, want: allowed(),
		},
		{
			name:  "if the mesh's selectors go by names, then the mode has to go",
			fleet: []string{"Istio mesh-1; in istio-system-1; ambient; selects kubernetes.io/metadata.name=other"}, from: "team=a", to: "team=a istio.io/dataplane-mode=ambient",
			want: warned(outsideAmbient("", leave)),
		},
		{
			name:  "if the configuration makes it a denial, then what was so before is a warning still",
			fleet: ambient(), from: "istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient mesh=other",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF212": policy.Off, "MF214": policy.Deny}},
			want: warned(outsideAmbient("", `To put it into mesh "mesh-1": kubectl label namespace app istio-discovery=mesh-1 mesh=other --overwrite. `+
				`To leave ambient mode: kubectl label namespace app istio.io/dataplane-mode- mesh=other --overwrite`)),
		},
		{
			name:  "if nothing that counts changes, then it is not told again",
			fleet: ambient(), from: "istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient team=a", want: allowed(),
		},
		{
			name:  "if it leaves the mesh of ambient mode, then that is a denial where the configuration makes it one",
			fleet: ambient(), from: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", to: "istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF214": policy.Deny}},
			want: denied(func() policy.Finding {
				f := outsideAmbient("", `To put it into mesh "mesh-1": kubectl label namespace app istio-discovery=mesh-1 --overwrite. `+
					`To leave ambient mode: kubectl label namespace app istio-discovery- istio.io/dataplane-mode-`)
				f.Action = policy.Deny
				return f
			}()),
		},
		{
			name:  "if the rule is off, then nothing is said",
			fleet: ambient(), create: "istio.io/dataplane-mode=ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF214": policy.Off}}, want: allowed(),
		},
	})
}
