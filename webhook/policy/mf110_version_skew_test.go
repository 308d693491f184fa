package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF110(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; version ", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; version "
	const mesh3 = "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3; version "
	strict := policy.Actions{Rules: map[policy.Code]policy.Action{"MF110": policy.Deny}}
	runMeshCases(t, []meshCase{
		{
			name:   "if it is two minor versions older, then there is a warning",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.28.9",
			want: "warn MF110",
		},
		{
			name:   "if it is two minor versions newer, then there is a warning",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.32.0-alpha.527f8d6c",
			want: "warn MF110",
		},
		{
			name:   "if it is one minor version older, then nobody says anything",
			others: []string{mesh1 + "v1.30.0-beta.1"}, create: mesh2 + "v1.29.0",
			want: "allow",
		},
		{
			name:   "if it is one minor version newer, then nobody says anything",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.31.0-beta.1",
			want: "allow",
		},
		{
			name:   "if the versions are aliases, then their minor versions count",
			others: []string{mesh1 + "v1.31-latest"}, create: mesh2 + "v1.29-latest",
			want: "warn MF110",
		},
		{
			name:   "if the other's version is the alias master, then nobody can say how far apart they are",
			others: []string{mesh1 + "master"}, create: mesh2 + "v1.24.0",
			want: "allow",
		},
		{
			name:   "if its own version is the alias master, then likewise",
			others: []string{mesh1 + "v1.24.0"}, create: mesh2 + "master",
			want: "allow",
		},
		{
			name:   "if it has no version, then likewise",
			others: []string{mesh1 + "v1.24.0"}, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want: "allow",
		},
		{
			name:   "if a version is not like Istio's, then likewise",
			others: []string{mesh1 + "v1.latest"}, create: mesh2 + "latest.24",
			want: "allow",
		},
		{
			name:   "if the major versions differ, then nobody knows which minor versions are neighbours",
			others: []string{mesh1 + "v1.32.0"}, create: mesh2 + "v2.0.0",
			want: "warn MF110",
		},
		{
			name:   "if several meshes are too far away, then all are named, and only those",
			others: []string{mesh1 + "v1.30.3", mesh3 + "v1.31.0", "Istio near; in istio-system-4; selects istio-discovery=near; version v1.29.6"},
			create: mesh2 + "v1.28.9",
			want:   "warn MF110",
		},
		{
			name:   "if one of several others is of the alias master, then the message goes by the rest",
			others: []string{mesh1 + "v1.30.3", mesh3 + "master"}, create: mesh2 + "v1.28.9",
			want: "warn MF110",
		},
		{
			name:   "if the others are too far apart themselves, then they come first",
			others: []string{mesh1 + "v1.30.3", mesh3 + "v1.27.9"}, create: mesh2 + "v1.28.9",
			want: "warn MF110",
		},
		{
			name:   "if its own older revision is far away, then that is the same mesh, on its way",
			others: []string{"IstioRevision mesh-2-v1-27-9; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2; version v1.27.9"},
			create: mesh2 + "v1.30.3; RevisionBased",
			want:   "allow",
		},
		{
			name:   "if the configuration makes the rule stricter, then an update that goes away is refused",
			others: []string{mesh1 + "v1.30.3"}, from: mesh2 + "v1.28.9", to: mesh2 + "v1.27.9", actions: strict,
			want: "deny MF110",
		},
		{
			name:   "but one that comes nearer is admitted, although it is too far still",
			others: []string{mesh1 + "v1.30.3"}, from: mesh2 + "v1.27.9", to: mesh2 + "v1.28.9", actions: strict,
			want: "warn MF110",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.27.9",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF110": policy.Off}},
			want:    "allow",
		},
	})
}

func TestIfAFleetIsLargeThenAMessageNamesTenMeshesAndCountsTheOthers(t *testing.T) {
	var others []string
	for i := range 12 {
		others = append(others, fmt.Sprintf("Istio m%02d; in ns-%02d; selects istio-discovery=m%02d; profile ambient; version v1.27.9", i, i, i))
	}
	c := meshCase{others: others, create: "Istio mesh-2; selects istio-discovery=mesh-2; profile ambient; injects-by-default; version v1.30.3"}
	for _, want := range []string{
		`including those meant for mesh "m00", mesh "m01", mesh "m02", mesh "m03", mesh "m04", mesh "m05", mesh "m06", mesh "m07", mesh "m08", mesh "m09" and 2 more`,
		`so is mesh "m00", mesh "m01", mesh "m02", mesh "m03", mesh "m04", mesh "m05", mesh "m06", mesh "m07", mesh "m08", mesh "m09" and 2 more`,
		`mesh "m09" (v1.27.9) and 2 more`,
	} {
		verdict := c.judge(t)
		if !slices.ContainsFunc(slices.Concat(verdict.Denials, verdict.Untold), func(f policy.Finding) bool { return strings.Contains(f.Detail, want) }) {
			t.Errorf("nothing says %q: %s", want, outcome(verdict))
		}
	}
}
