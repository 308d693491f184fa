package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf110 = policy.Rule{Code: "MF110", Name: "VersionSkew", Action: policy.Warn}

const listVersions = ` for Istio "mesh-2". The versions that there are: kubectl explain istios.spec.version --api-version=sailoperator.io/v1`

// skewed is the finding about mesh-2 of a version beside mesh-1 of another.
func skewed(version, other, remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf110, Action: policy.Warn, Field: `spec.version`,
		Detail: `Istio "mesh-2" has version ` + version + `, but mesh "mesh-1" has ` + other + `: that is more than one minor version apart, and ` +
			`all of them share one IstioCNI`,
		Remedy:   remedy,
		Subjects: []string{`Istio "mesh-1"`},
	}
}

func TestMF110(t *testing.T) {
	const mesh1, mesh2 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; version ", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2; version "
	const mesh3 = "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3; version "
	const near130 = `Choose a spec.version from v1.29 to v1.31` + listVersions
	strict := policy.Actions{Rules: map[policy.Code]policy.Action{"MF110": policy.Deny}}
	refused := skewed("v1.27.9", "v1.30.3", near130)
	refused.Action = policy.Deny
	runMeshCases(t, []meshCase{
		{
			name:   "if it is two minor versions older, then there is a warning",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.28.9",
			want: warned(skewed("v1.28.9", "v1.30.3", near130)),
		},
		{
			name:   "if it is two minor versions newer, then there is a warning",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.32.0-alpha.527f8d6c",
			want: warned(skewed("v1.32.0-alpha.527f8d6c", "v1.30.3", near130)),
		},
		{
			name:   "if it is one minor version older, then nobody says anything",
			others: []string{mesh1 + "v1.30.0-beta.1"}, create: mesh2 + "v1.29.0",
			want: allowed(),
		},
		{
			name:   "if it is one minor version newer, then nobody says anything",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.31.0-beta.1",
			want: allowed(),
		},
		{
			name:   "if the versions are aliases, then their minor versions count",
			others: []string{mesh1 + "v1.31-latest"}, create: mesh2 + "v1.29-latest",
			want: warned(skewed("v1.29-latest", "v1.31-latest", `Choose a spec.version from v1.30 to v1.32`+listVersions)),
		},
		{
			name:   "if the other's version is the alias master, then nobody can say how far apart they are",
			others: []string{mesh1 + "master"}, create: mesh2 + "v1.24.0",
			want: allowed(),
		},
		{
			name:   "if its own version is the alias master, then likewise",
			others: []string{mesh1 + "v1.24.0"}, create: mesh2 + "master",
			want: allowed(),
		},
		{
			name:   "if it has no version, then likewise",
			others: []string{mesh1 + "v1.24.0"}, create: "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
			want: allowed(),
		},
		{
			name:   "if a version is not like Istio's, then likewise",
			others: []string{mesh1 + "v1.latest"}, create: mesh2 + "latest.24",
			want: allowed(),
		},
		{
			name:   "if the major versions differ, then nobody knows which minor versions are neighbours",
			others: []string{mesh1 + "v1.32.0"}, create: mesh2 + "v2.0.0",
			want: warned(skewed("v2.0.0", "v1.32.0", `Bring all meshes to one major version first`)),
		},
		{
			name:   "if several meshes are too far away, then all are named, and only those",
			others: []string{mesh1 + "v1.30.3", mesh3 + "v1.31.0", "Istio near; in istio-system-4; selects istio-discovery=near; version v1.29.6"},
			create: mesh2 + "v1.28.9",
			want: warned(policy.Finding{
				Rule: mf110, Action: policy.Warn, Field: `spec.version`,
				Detail: `Istio "mesh-2" has version v1.28.9, but mesh "mesh-1" has v1.30.3 and mesh "mesh-3" has v1.31.0: that is more than one ` +
					`minor version apart, and all of them share one IstioCNI`,
				Remedy:   `Choose a spec.version of v1.30` + listVersions,
				Subjects: []string{`Istio "mesh-1"`, `Istio "mesh-3"`},
			}),
		},
		{
			name:   "if one of several others is of the alias master, then the message goes by the rest",
			others: []string{mesh1 + "v1.30.3", mesh3 + "master"}, create: mesh2 + "v1.28.9",
			want: warned(skewed("v1.28.9", "v1.30.3", near130)),
		},
		{
			name:   "if the others are too far apart themselves, then they come first",
			others: []string{mesh1 + "v1.30.3", mesh3 + "v1.27.9"}, create: mesh2 + "v1.28.9",
			want: warned(skewed("v1.28.9", "v1.30.3", `No version is near enough to all of them: bring the other meshes together first, one minor `+
				`version at a time. The versions that there are: kubectl explain istios.spec.version --api-version=sailoperator.io/v1`)),
		},
		{
			name:   "if its own older revision is far away, then that is the same mesh, on its way",
			others: []string{"IstioRevision mesh-2-v1-27-9; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2; version v1.27.9"},
			create: mesh2 + "v1.30.3; RevisionBased",
			want:   allowed(),
		},
		{
			name:   "if the configuration makes the rule stricter, then an update that goes away is refused",
			others: []string{mesh1 + "v1.30.3"}, from: mesh2 + "v1.28.9", to: mesh2 + "v1.27.9", actions: strict,
			want: denied(refused),
		},
		{
			name:   "but one that comes nearer is admitted, although it is too far still",
			others: []string{mesh1 + "v1.30.3"}, from: mesh2 + "v1.27.9", to: mesh2 + "v1.28.9", actions: strict,
			want: warned(skewed("v1.28.9", "v1.30.3", near130)),
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: []string{mesh1 + "v1.30.3"}, create: mesh2 + "v1.27.9",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF110": policy.Off}},
			want:    allowed(),
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
		`also those that are meant for mesh "m00", mesh "m01", mesh "m02", mesh "m03", mesh "m04", mesh "m05", mesh "m06", mesh "m07", mesh "m08", mesh "m09" and 2 more`,
		`mesh "m09" (spec.profile) and 2 more: there is one ztunnel`,
		`mesh "m09" has v1.27.9 and 2 more: that is`,
	} {
		verdict := c.judge(t)
		if !slices.ContainsFunc(slices.Concat(verdict.Denials, verdict.Untold), func(f policy.Finding) bool { return strings.Contains(f.Detail, want) }) {
			t.Errorf("nothing says %q: %s", want, outcome(verdict))
		}
	}
}
