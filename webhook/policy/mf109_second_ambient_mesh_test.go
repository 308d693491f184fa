package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF109(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	ambient := []string{mesh1 + "; profile ambient"}
	strict := policy.Actions{Rules: map[policy.Code]policy.Action{"MF109": policy.Deny}}
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh is ambient by its profile, then there is a warning",
			others: ambient, create: mesh2 + "; profile ambient",
			want: "warn MF109",
		},
		{
			name:   "if the profile is OpenShift's, or stands among the values, then likewise",
			others: []string{mesh1 + "; profile openshift-ambient"}, create: mesh2 + "; values-profile ambient",
			want: "warn MF109",
		},
		{
			name:   "if it is istiod's environment that switches it on, then likewise",
			others: []string{mesh1 + "; ambient"}, create: mesh2 + "; ambient",
			want: "warn MF109",
		},
		{
			name:   "if several meshes are ambient, then all are named, also a remote one: its pods need the ztunnel too",
			others: []string{ambient[0], "Istio far; in istio-system-far; profile remote; ambient"}, create: mesh2 + "; profile ambient",
			want: "warn MF109",
		},
		{
			name:   "if it is the only ambient mesh, then nobody says anything",
			others: []string{mesh1}, create: mesh2 + "; profile ambient",
			want: "allow",
		},
		{
			name:   "if it is not ambient, then nobody says anything",
			others: ambient, create: mesh2 + "; profile openshift",
			want: "allow",
		},
		{
			name:   "if its own older revision is ambient, then that is the same mesh",
			others: []string{"IstioRevision mesh-2-v1-29-6; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2; values-profile ambient"},
			create: mesh2 + "; profile ambient; RevisionBased; version v1.30.3",
			want:   "allow",
		},
		{
			name:   "if the configuration makes the rule stricter, then an update into ambient mode is refused",
			others: ambient, from: mesh2, to: mesh2 + "; profile ambient", actions: strict,
			want: "deny MF109",
		},
		{
			name:   "but if both were ambient before, then an unrelated change is admitted",
			others: ambient, from: mesh2 + "; profile ambient", to: mesh2 + "; profile ambient; version v1.30.3", actions: strict,
			want: "allow",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: ambient, create: mesh2 + "; profile ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF109": policy.Off}},
			want:    "allow",
		},
	})
}
