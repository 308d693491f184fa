package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF107(t *testing.T) {
	const istio = "Istio default; in istio-system; selects istio-discovery=default"
	const mesh1 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	const tag = "IstioRevisionTag default; targets Istio mesh-1"
	const revision = "IstioRevision default; in istio-system-1; selects istio-discovery=mesh-1"
	runMeshCases(t, []meshCase{
		{name: "if it is the first owner, then it is admitted", others: []string{mesh1}, create: istio, want: "allow"},
		{name: "if a tag is called default, then it is refused", others: []string{mesh1, tag}, create: istio, want: "deny MF107"},
		{
			name:   "if the tag was created first and points at the very Istio, then it is refused too: the operator installs only one of them",
			others: []string{"IstioRevisionTag default; targets Istio default"}, create: istio,
			want: "deny MF107",
		},
		{
			name:   "if an IstioRevision of another Istio is called default, then it is refused",
			others: []string{mesh1, "IstioRevision default; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}, create: istio,
			want: "deny MF107",
		},
		{
			name:   "if the other owner is remote, then it injects too, and it is refused",
			others: []string{mesh1 + "; profile remote", "IstioRevision default; of mesh-1; in istio-system-1; profile remote"}, create: istio,
			want: "deny MF107",
		},
		{
			name:   "if it is an IstioRevision beside a tag, then it is judged as an Istio is",
			others: []string{tag}, create: revision,
			want: "deny MF107",
		},
		{
			name:   "if it is RevisionBased, then its revision has the version in its name, and a tag default is its only owner of the name",
			others: []string{"IstioRevisionTag default; targets Istio default"}, create: istio + "; RevisionBased; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if the other Istio that is called default is RevisionBased, then it does not have the name",
			others: []string{"Istio default; in istio-system-1; selects istio-discovery=mesh-1; RevisionBased; version v1.30.3"},
			create: "IstioRevision default; in istio-system; selects istio-discovery=default",
			want:   "allow",
		},
		{
			name:   "if the update strategy gives it the name while a tag has it, then it is refused",
			others: []string{"IstioRevisionTag default; targets Istio default"},
			from:   istio + "; RevisionBased; version v1.30.3", to: istio + "; version v1.30.3",
			want: "deny MF107",
		},
		{
			name:   "if it was so before, then an unrelated change is admitted in silence",
			others: []string{mesh1, tag}, from: istio, to: istio + "; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: []string{mesh1, tag}, from: istio, to: istio, deleting: true,
			want: "allow",
		},
		{
			name:   "if everything only warns, then it is admitted with a warning",
			others: []string{mesh1, tag}, create: istio, actions: policy.Actions{WarnOnly: true},
			want: "warn MF107",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: []string{mesh1, tag}, create: istio,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF107": policy.Off}},
			want:    "allow",
		},
	})
}

func TestIfTheIstioIsTheDefaultThenTheOperatorsCopyIsNoSecondOne(t *testing.T) {
	const istio = "Istio default; in istio-system; selects istio-discovery=default"
	compare(t, ownedRevision(t, []string{istio}, "default", "", "IstioRevision default; of default; in istio-system; selects istio-discovery=default"), "allow")
}
