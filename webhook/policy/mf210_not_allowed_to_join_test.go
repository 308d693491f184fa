package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF210(t *testing.T) {
	on := policy.Actions{Rules: map[policy.Code]policy.Action{"MF210": policy.Deny}}
	warn := policy.Actions{Rules: map[policy.Code]policy.Action{"MF210": policy.Warn}}
	mesh1, mesh2 := mesh.Ref{Kind: "Istio", Name: "mesh-1"}, mesh.Ref{Kind: "Istio", Name: "mesh-2"}
	type rights = map[mesh.Ref]policy.Right
	const in1 = "istio-discovery=mesh-1"
	overlapping := []string{
		"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1,team=a",
		"Istio mesh-2; in istio-system-2; selects team=a; overlaps mesh-1",
		"IstioRevision canary; in istio-system-3; selects istio-discovery=canary",
		"Istio all; in istio-system-4; selects {}; overlaps mesh-1,mesh-2,canary",
	}
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if the user may not use the mesh, then the namespace may not join it",
			create: in1, user: "jane", rights: rights{mesh1: policy.Refused}, actions: on, want: "deny MF210",
		},
		{
			name: "if the namespace is there already, then it may not move to it",
			from: "istio-discovery=mesh-2", to: in1, user: "jane", rights: rights{mesh1: policy.Refused, mesh2: policy.Granted}, actions: on,
			want: "deny MF210",
		},
		{
			name:   "if the user may use it, then it may",
			create: in1, user: "jane", rights: rights{mesh1: policy.Granted}, actions: on, want: "allow",
		},
		{
			name:   "if the API server could not be asked, then it may not, and the message says so",
			create: in1, user: "jane", rights: rights{mesh1: policy.Unasked}, actions: on, want: "deny MF210",
		},
		{
			name:   "if nobody asked, then it may not",
			create: in1, user: "jane", rights: rights{mesh2: policy.Granted}, actions: on, want: "deny MF210",
		},
		{
			name: "if it is in the mesh already, then everything else may be changed by anybody",
			from: in1, to: in1 + " istio.io/rev=mesh-1", user: "jane", rights: rights{mesh1: policy.Refused}, actions: on, want: "allow",
		},
		{
			name: "if it leaves a mesh, then nobody asks",
			from: in1, to: "team=a", user: "jane", rights: rights{mesh1: policy.Refused}, actions: on, want: "allow",
		},
		{
			name:   "if it joins through several labels, then the field is all of them",
			fleet:  overlapping[:1],
			create: in1 + " team=a", user: "jane", rights: rights{mesh1: policy.Refused}, actions: on, want: "deny MF210",
		},
		{
			name: "if it joins several meshes, then each counts", fleet: overlapping[:2],
			create: in1 + " team=a", user: "jane", rights: rights{mesh1: policy.Refused, mesh2: policy.Granted}, actions: on, want: "deny MF210",
		},
		{
			name: "if the mesh is an IstioRevision without an owner, then it is named as such", fleet: overlapping[2:3],
			create: "istio-discovery=canary", user: "jane", rights: rights{{Kind: "IstioRevision", Name: "canary"}: policy.Refused}, actions: on, want: "deny MF210",
		},
		{
			name: "if the mesh discovers everything, then every new namespace joins it", fleet: []string{"Istio mesh-1; in istio-system-1"},
			create: "", user: "jane", rights: rights{mesh1: policy.Refused}, actions: on,
			want: "deny MF210",
		},
		{
			name:   "if the rule only warns, then it is a warning",
			create: in1, user: "jane", rights: rights{mesh1: policy.Refused}, actions: warn, want: "warn MF210",
		},
		{
			name:   "if the configuration says nothing, then the rule is off",
			create: in1, user: "jane", rights: rights{mesh1: policy.Refused}, want: "allow",
		},
		{
			name: "if it is being deleted, then it is never denied", from: "team=a", to: in1, deleting: true,
			user: "jane", rights: rights{mesh1: policy.Refused}, actions: on, want: "allow",
		},
	})
}

func TestTheUserIsAskedAboutTheMeshesThatTheNamespaceJoins(t *testing.T) {
	mesh1, mesh2 := mesh.Ref{Kind: "Istio", Name: "mesh-1"}, mesh.Ref{Kind: "Istio", Name: "mesh-2"}
	for _, c := range []struct {
		name     string
		from, to string
		update   bool
		deleting bool
		off      bool
		want     []mesh.Ref
	}{
		{name: "created in one", to: "istio-discovery=mesh-1", want: []mesh.Ref{mesh1}},
		{name: "created in none", to: "team=a"},
		{name: "moved", from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-2", update: true, want: []mesh.Ref{mesh2}},
		{name: "left", from: "istio-discovery=mesh-1", update: true},
		{name: "stays", from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 team=a", update: true},
		{name: "deleted", to: "istio-discovery=mesh-1", deleting: true},
		{name: "rule off", to: "istio-discovery=mesh-1", off: true},
	} {
		change := policy.NamespaceChange{New: namespace(t, "app", c.to), Fleet: fleet(t, guide()...)}
		if c.update {
			change.Old = namespace(t, "app", c.from)
		}
		change.New.Deleting = c.deleting
		s := settings()
		if !c.off {
			s.Actions.Rules = map[policy.Code]policy.Action{"MF210": policy.Warn}
		}
		if diff := cmp.Diff(c.want, policy.New(s).Joins(change), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if got, want := policy.UseResource(mesh1)+" "+policy.UseResource(mesh.Ref{Kind: "IstioRevision"}), "istios istiorevisions"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
