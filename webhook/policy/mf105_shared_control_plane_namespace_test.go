package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF105(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	const mesh2 = "Istio mesh-2; selects istio-discovery=mesh-2"
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh has the same spec.namespace, then it is refused",
			others: other, create: mesh2 + "; in istio-system-1",
			want: "deny MF105",
		},
		{
			name:    "if an IstioRevision that the operator takes over is there, then that is no other mesh",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF106": policy.Off}},
			others:  []string{"IstioRevision mesh-1; in istio-system-1; selects istio-discovery=mesh-1"},
			create:  "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-2",
			want:    "allow",
		},
		{
			name: "if the revisions that it has left behind are there when it is made again, then they are its own",
			others: []string{
				"IstioRevision mesh-1-v1-29-6; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-30-3; in istio-system-1; version v1.30.3; selects istio-discovery=mesh-1",
			},
			create: "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects istio-discovery=mesh-1",
			want:   "warn MF106",
		},
		{
			name:   "if it has its own, then it is admitted",
			others: other, create: mesh2 + "; in istio-system-2",
			want: "allow",
		},
		{
			name:   "if neither says anything, then both are in istio-system",
			others: []string{"Istio mesh-1; selects istio-discovery=mesh-1"}, create: mesh2,
			want: "deny MF105",
		},
		{
			name:   "if one says istio-system and the other nothing, then they share it",
			others: []string{"Istio mesh-1; selects istio-discovery=mesh-1; in istio-system"}, create: mesh2,
			want: "deny MF105",
		},
		{
			name: "if several meshes are there already, then all are named",
			others: []string{
				"Istio mesh-3; in istio-system-1; selects istio-discovery=mesh-3",
				"IstioRevision canary; in istio-system-1; selects istio-discovery=canary", other[0],
			},
			create: mesh2 + "; in istio-system-1",
			want:   "deny MF105",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then it is judged as an Istio is",
			others: other, create: "IstioRevision canary; in istio-system-1; selects istio-discovery=canary",
			want: "deny MF105",
		},
		{
			name:   "if the others there are its own revisions, then it is alone",
			others: []string{"IstioRevision mesh-2-v1-29-0; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2"},
			create: mesh2 + "; in istio-system-2; RevisionBased; version v1.30.0",
			want:   "allow",
		},
		{
			name:   "if it was so before, then an unrelated change is admitted in silence",
			others: other, from: mesh2 + "; in istio-system-1", to: mesh2 + "; in istio-system-1; version v1.30.0",
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: other, from: mesh2 + "; in istio-system-1", to: mesh2 + "; in istio-system-1", deleting: true,
			want: "allow",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: other, create: mesh2 + "; in istio-system-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF105": policy.Warn}},
			want:    "warn MF105",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: mesh2 + "; in istio-system-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF105": policy.Off}},
			want:    "allow",
		},
	})
}

func TestIfAMeshBreaksSeveralRulesThenAllAreReportedInTheOrderOfTheCatalogue(t *testing.T) {
	c := meshCase{
		others: []string{"Istio mesh-1; selects istio-discovery=mesh-1"},
		create: "Istio mesh-2; selects {} | istio-discovery=mesh-1",
	}
	if got, want := outcome(c.judge(t)), "deny MF102 deny MF103 deny MF105"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.create = "Istio mesh-2; selects raw team in a"
	if got, want := outcome(c.judge(t)), "deny MF101 deny MF102 deny MF105"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
