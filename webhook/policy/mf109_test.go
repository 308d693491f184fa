package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf109 = policy.Rule{Code: "MF109", Name: "SecondAmbientMesh", Action: policy.Warn}

func TestMF109(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	ambient := []string{mesh1 + "; profile ambient"}
	const keepOne = `Keep ambient mode in one of them, and give the others sidecars: another profile, and no PILOT_ENABLE_AMBIENT in ` +
		`spec.values.pilot.env`
	second := func(field, others string, subjects ...string) policy.Finding {
		return policy.Finding{
			Rule: mf109, Action: policy.Warn, Field: field,
			Detail: `Istio "mesh-2" is set to ambient mode (` + field + `), and so is ` + others + `: there is one ztunnel in a cluster, and it ` +
				`belongs to one mesh`,
			Remedy:   keepOne,
			Subjects: subjects,
		}
	}
	const env = "spec.values.pilot.env[PILOT_ENABLE_AMBIENT]"
	strict := policy.Actions{Rules: map[policy.Code]policy.Action{"MF109": policy.Deny}}
	refused := second("spec.profile", `mesh "mesh-1" (spec.profile)`, `Istio "mesh-1"`)
	refused.Action = policy.Deny
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh is ambient by its profile, then there is a warning",
			others: ambient, create: mesh2 + "; profile ambient",
			want: warned(second("spec.profile", `mesh "mesh-1" (spec.profile)`, `Istio "mesh-1"`)),
		},
		{
			name:   "if the profile is OpenShift's, or stands among the values, then likewise",
			others: []string{mesh1 + "; profile openshift-ambient"}, create: mesh2 + "; values-profile ambient",
			want: warned(second("spec.values.profile", `mesh "mesh-1" (spec.profile)`, `Istio "mesh-1"`)),
		},
		{
			name:   "if it is istiod's environment that switches it on, then likewise",
			others: []string{mesh1 + "; ambient"}, create: mesh2 + "; ambient",
			want: warned(second(env, `mesh "mesh-1" (`+env+`)`, `Istio "mesh-1"`)),
		},
		{
			name:   "if several meshes are ambient, then all are named, also a remote one: its pods need the ztunnel too",
			others: []string{ambient[0], "Istio far; in istio-system-far; profile remote; ambient"}, create: mesh2 + "; profile ambient",
			want: warned(second("spec.profile", `mesh "far" (`+env+`) and mesh "mesh-1" (spec.profile)`, `Istio "far"`, `Istio "mesh-1"`)),
		},
		{
			name:   "if it is the only ambient mesh, then nobody says anything",
			others: []string{mesh1}, create: mesh2 + "; profile ambient",
			want: allowed(),
		},
		{
			name:   "if it is not ambient, then nobody says anything",
			others: ambient, create: mesh2 + "; profile openshift",
			want: allowed(),
		},
		{
			name:   "if its own older revision is ambient, then that is the same mesh",
			others: []string{"IstioRevision mesh-2-v1-29-6; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2; values-profile ambient"},
			create: mesh2 + "; profile ambient; RevisionBased; version v1.30.3",
			want:   allowed(),
		},
		{
			name:   "if the configuration makes the rule stricter, then an update into ambient mode is refused",
			others: ambient, from: mesh2, to: mesh2 + "; profile ambient", actions: strict,
			want: denied(refused),
		},
		{
			name:   "but if both were ambient before, then an unrelated change is admitted",
			others: ambient, from: mesh2 + "; profile ambient", to: mesh2 + "; profile ambient; version v1.30.3", actions: strict,
			want: allowed(),
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: ambient, create: mesh2 + "; profile ambient",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF109": policy.Off}},
			want:    allowed(),
		},
	})
}
