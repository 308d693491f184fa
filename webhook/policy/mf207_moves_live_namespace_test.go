package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF207(t *testing.T) {
	const mesh1, mesh2 = "istio-discovery=mesh-1 istio.io/rev=mesh-1", "istio-discovery=mesh-2 istio.io/rev=mesh-2"
	revisionBased := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"IstioRevisionTag stable; targets Istio mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
		"Istio default; in istio-system; selects istio-discovery=default",
	}
	deny := policy.Actions{Rules: map[policy.Code]policy.Action{"MF207": policy.Deny}}
	runNamespaceCases(t, []namespaceCase{
		{
			name: "if it moves to another mesh and pods have the old one's sidecar, then they are counted",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 7, Revisions: map[string]int{"mesh-1": 5, "mesh-2": 1}},
			want: "warn MF207",
		},
		{
			name: "if it leaves all meshes, then pods with a sidecar are counted too",
			from: mesh1, to: "team=a", pods: &mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 1}},
			want: "warn MF207",
		},
		{
			name: "if it joins a first mesh and pods have another one's sidecar, then they are counted",
			from: "team=a", to: mesh1, pods: &mesh.Pods{Seen: 2, Revisions: map[string]int{"mesh-2": 2}},
			want: "warn MF207",
		},
		{
			name: "if pods have sidecars of several revisions, also old ones, then all are named", fleet: revisionBased,
			from: "istio-discovery=mesh-1 istio.io/rev=stable", to: mesh2,
			pods: &mesh.Pods{Seen: 9, Revisions: map[string]int{"mesh-1-v1-30-0": 2, "mesh-1-v1-29-0": 3, "default": 1, "mesh-2": 1}},
			want: "warn MF207",
		},
		{
			name: "if all pods have the new mesh's sidecar, or none, then nothing is said",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 7, Revisions: map[string]int{"mesh-2": 3}}, want: "allow",
		},
		{
			name: "if the revision of a pod is nobody's any more, then it is not another mesh's",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-0": 1, "": 1}}, want: "allow",
		},
		{
			name: "if there are no pods, then nothing is said",
			from: mesh1, to: mesh2, pods: &mesh.Pods{}, want: "allow",
		},
		{
			name: "if nobody looked, then nothing is said",
			from: mesh1, to: mesh2, want: "allow",
		},
		{
			name: "if the discovering mesh stays, then pods of another one are not this change's doing",
			from: mesh1, to: mesh1 + " team=a", pods: &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-2": 1}}, want: "allow",
		},
		{
			name:   "if it is created, then it has no pods",
			create: mesh1, pods: &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-2": 1}}, want: "allow",
		},
		{
			name: "if the look stopped early, then the number is that of the pods that were seen",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 498, Revisions: map[string]int{"mesh-1": 20}, Stopped: "after 500 pods"},
			want: "warn MF207",
		},
		{
			name: "if the look stopped early and found nothing, then that is said",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 200, Revisions: map[string]int{"mesh-2": 20}, Stopped: "after 300ms"},
			want: "warn MF207",
		},
		{
			name: "if the look saw nothing, then that is said",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Stopped: "because the API server did not list them"},
			want: "warn MF207",
		},
		{
			name: "if the configuration says deny, then pods that were seen deny",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-1": 1}}, actions: deny, want: "deny MF207",
		},
		{
			name: "if the configuration says deny and the look was not finished, then it warns all the same",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Stopped: "after 300ms"}, actions: deny,
			want: "warn MF207",
		},
		{
			name: "if the rule is off, then nothing is said",
			from: mesh1, to: mesh2, pods: &mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-1": 1}},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF207": policy.Off}}, want: "allow",
		},
	})
}

func TestPodsAreWorthALookOnlyIfTheNamespaceMoves(t *testing.T) {
	off := policy.Actions{Rules: map[policy.Code]policy.Action{"MF207": policy.Off}}
	meshes := append(guide(), "IstioRevisionTag stable; targets Istio mesh-1", "Istio default; in istio-system; selects istio-discovery=default")
	for _, c := range []struct {
		name     string
		from, to string
		create   bool
		deleting bool
		actions  policy.Actions
		want     bool
	}{
		{name: "to another mesh", from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2", want: true},
		{name: "to no mesh", from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", want: true},
		{name: "to the mesh that injects it", from: "istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1", want: true},
		{name: "out of a mesh by a tag", from: "istio-discovery=mesh-1 istio.io/rev=stable", want: true},
		{name: "out of the default mesh", from: "istio-discovery=default istio-injection=enabled", want: true},
		{name: "to another mesh, without injection before", from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-2"},
		{name: "to another mesh, with injection turned off before", from: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio-injection=disabled", to: "istio-discovery=mesh-2"},
		{name: "to a first mesh", from: "team=a", to: "istio-discovery=mesh-1"},
		{name: "to a first mesh, with its revision", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1"},
		{name: "to a mesh after a revision that does not exist", from: "istio.io/rev=mesh-0", to: "istio-discovery=mesh-1"},
		{name: "to another revision", from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1"},
		{name: "between values of no mesh", from: "istio-discovery=a istio.io/rev=mesh-1", to: "istio-discovery=b istio.io/rev=mesh-1"},
		{name: "created", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1", create: true},
		{name: "deleted", from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", deleting: true},
		{name: "rule off", from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2", actions: off},
	} {
		change := policy.NamespaceChange{Old: namespace(t, "app", c.from), New: namespace(t, "app", c.to), Fleet: fleet(t, meshes...)}
		change.New.Deleting = c.deleting
		if c.create {
			change.Old = nil
		}
		s := settings()
		s.Actions = c.actions
		if got := policy.New(s).WantsPods(change); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
