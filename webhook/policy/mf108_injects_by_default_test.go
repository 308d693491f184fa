package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF108WhenTheMeshItselfInjectsByDefault(t *testing.T) {
	other := []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"}
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	runMeshCases(t, []meshCase{
		{
			name:   "if another mesh exists, then it is refused",
			others: other, create: mesh2 + "; injects-by-default",
			want: "deny MF108",
		},
		{
			name:   "if it does not, then nobody says anything",
			others: other, create: mesh2,
			want: "allow",
		},
		{
			name:   "if a tag makes it the default, then it does so at once",
			others: []string{other[0], "IstioRevisionTag default; targets Istio mesh-2"}, create: mesh2 + "; injects-by-default",
			want: "deny MF108",
		},
		{
			name:   "if the mesh map names a tag of it, then that is the label",
			others: []string{other[0], "IstioRevisionTag stable; targets Istio mesh-2", "map mesh-2=stable"}, create: mesh2 + "; injects-by-default",
			want: "deny MF108",
		},
		{
			name:   "if the other mesh is remote, then it injects too, and it is refused",
			others: []string{"Istio far; in istio-system-far; profile remote"}, create: mesh2 + "; injects-by-default",
			want: "deny MF108",
		},
		{
			name:    "if it is alone and discovers everything, then it does no harm yet",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF102": policy.Off}},
			create:  "Istio default; in istio-system; injects-by-default",
			want:    "warn MF108",
		},
		{
			name:   "if its webhooks are not installed with it, then it injects nothing by default",
			others: other, create: mesh2 + "; injects-by-default; with {global: {operatorManageWebhooks: true}}",
			want: "allow",
		},
		{
			name:   "if it is alone and has selectors, then there is a warning",
			create: "Istio default; in istio-system; selects istio-discovery=default; injects-by-default",
			want:   "warn MF108",
		},
		{
			name:   "if it is an IstioRevision that no Istio owns, then the command is about that",
			others: other, from: "IstioRevision canary; in istio-system-2; selects istio-discovery=canary; injects-by-default",
			to:   "IstioRevision canary; in istio-system-2; selects istio-discovery=canary; injects-by-default; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if an update switches it on, then it is refused",
			others: other, from: mesh2, to: mesh2 + "; injects-by-default",
			want: "deny MF108",
		},
		{
			name:   "if it was on before, then an unrelated change is admitted in silence",
			others: other, from: mesh2 + "; injects-by-default", to: mesh2 + "; injects-by-default; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if an update switches it off, then nobody says anything",
			others: other, from: mesh2 + "; injects-by-default", to: mesh2,
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: other, from: mesh2, to: mesh2 + "; injects-by-default", deleting: true,
			want: "allow",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: other, create: mesh2 + "; injects-by-default",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF108": policy.Warn}},
			want:    "warn MF108",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: other, create: mesh2 + "; injects-by-default",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF108": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF108WhenAnotherMeshInjectsByDefault(t *testing.T) {
	const mesh1 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; injects-by-default"
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	runMeshCases(t, []meshCase{
		{
			name:   "if that mesh is the default, then a second mesh is refused",
			others: []string{mesh1, "IstioRevisionTag default; targets Istio mesh-1"}, create: mesh2,
			want: "deny MF108",
		},
		{
			name:   "if nothing of that mesh is called default, then its setting does nothing yet, and it is a warning",
			others: []string{mesh1}, create: mesh2,
			want: "warn MF108",
		},
		{
			name:   "if both were there before, then an unrelated change is admitted in silence",
			others: []string{mesh1, "IstioRevisionTag default; targets Istio mesh-1"}, from: mesh2, to: mesh2 + "; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if the mesh then starts to inject by default itself, then that is new",
			others: []string{mesh1, "IstioRevisionTag default; targets Istio mesh-1"}, from: mesh2, to: mesh2 + "; injects-by-default",
			want: "deny MF108 warn MF108",
		},
	})
}

func TestMF108AndTheRevisionsThatTheOperatorWrites(t *testing.T) {
	const mesh1 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	const mesh2 = "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	const copied = "IstioRevision mesh-2; of mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	t.Run("if the Istio has the setting already, then its copy is admitted in silence", func(t *testing.T) {
		compare(t, ownedRevision(t, []string{mesh1, mesh2 + "; injects-by-default"}, "mesh-2", "", copied+"; injects-by-default"), "allow")
	})
	t.Run("if the copy has it still after the Istio has not, then the operator's change of it is admitted in silence", func(t *testing.T) {
		compare(t, ownedRevision(t, []string{mesh1, mesh2}, "mesh-2", copied+"; injects-by-default", copied+"; injects-by-default; version v1.30.3"), "allow")
		compare(t, ownedRevision(t, []string{mesh1, mesh2}, "mesh-2", copied+"; injects-by-default", copied), "allow")
	})
}
