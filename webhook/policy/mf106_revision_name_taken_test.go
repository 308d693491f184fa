package policy_test

import (
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// prod has update strategy RevisionBased; with version v1.30.3 its active revision is prod-v1-30-3.
const prod = "Istio prod; in istio-system-prod; selects istio-discovery=prod; RevisionBased"

func TestMF106WhenAMeshIsCreated(t *testing.T) {
	const prod130 = prod + "; version v1.30.3"
	namesake := []string{"Istio prod-v1-30-3; in istio-system-1; selects istio-discovery=mesh-1"}
	const tag = "IstioRevisionTag stable; targets Istio mesh-1"
	mesh1 := "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	const stable = "Istio stable; in istio-system-2; selects istio-discovery=stable"
	runMeshCases(t, []meshCase{
		{
			name:   "if its active revision has the name of another mesh's, then it is refused",
			others: namesake, create: prod130,
			want: "deny MF106",
		},
		{
			name:   "if the versions differ, then so do the names",
			others: namesake, create: prod + "; version v1.30.2",
			want: "allow",
		},
		{
			name:   "if the other mesh is RevisionBased too, then its own name is no revision",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; RevisionBased; version v1.30.3"},
			create: "IstioRevision mesh-1; in istio-system-2; selects istio-discovery=canary",
			want:   "allow",
		},
		{
			name:   "if the other mesh is remote, then its name counts all the same: it injects",
			others: []string{"Istio prod-v1-30-3; in istio-system-1; profile remote"}, create: prod130,
			want: "deny MF106",
		},
		{
			name: "if an older revision of another mesh has the name, then it is refused",
			others: []string{
				"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1; RevisionBased; version v1.30.3",
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			create: "Istio mesh-1-v1-29-6; in istio-system-2; selects istio-discovery=mesh-2",
			want:   "deny MF106",
		},
		{
			name:   "if a tag has the name, then it is refused: the operator installs no revision that is called like a tag",
			others: []string{mesh1, tag}, create: stable,
			want: "deny MF106",
		},
		{
			name:   "if the tag points at the very mesh that is created, then it is refused too",
			others: []string{"IstioRevisionTag stable; targets Istio stable"}, create: stable,
			want: "deny MF106",
		},
		{
			name:   "if the tag points at nothing, then it is refused too",
			others: []string{"IstioRevisionTag stable; targets Istio gone"}, create: stable,
			want: "deny MF106",
		},
		{
			name:   "if the tag is one of istioctl's, then its webhooks have the name",
			others: []string{"IstioRevisionTag stable; targets Istiod istio-system-2/a"}, create: stable,
			want: "deny MF106",
		},
		{
			name:   "if the tag is called like a RevisionBased mesh, then that is no revision, and both can live",
			others: []string{"IstioRevisionTag prod; targets Istio prod"}, create: prod130,
			want: "allow",
		},
		{
			name:   "if both a mesh and a tag have the name, then both are named",
			others: []string{"Istio old; in istio-system-9; selects istio-discovery=old", "IstioRevision stable; of old; in istio-system-9; selects istio-discovery=old", tag},
			create: stable,
			want:   "deny MF106",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: []string{mesh1, tag}, create: stable,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF106": policy.Warn}},
			want:    "warn MF106",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: []string{mesh1, tag}, create: stable,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF106": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF106WhenAMeshIsUpdated(t *testing.T) {
	const mesh1 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	versioned := []string{"Istio prod-v1-30-3; in istio-system-1; selects istio-discovery=mesh-1"}
	const canary = "IstioRevision canary; in istio-system-1; selects istio-discovery=canary"
	runMeshCases(t, []meshCase{
		{
			name:   "if a new version makes the name another mesh's, then it is refused",
			others: versioned, from: prod + "; version v1.30.2", to: prod + "; version v1.30.3",
			want: "deny MF106",
		},
		{
			name:   "if it was so before, then an unrelated change is admitted in silence",
			others: versioned, from: prod + "; version v1.30.3", to: prod + "; version v1.30.3; bundle own",
			want: "allow",
		},
		{
			name:   "if a new version repairs it, then nobody says anything",
			others: versioned, from: prod + "; version v1.30.3", to: prod + "; version v1.30.2",
			want: "allow",
		},
		{
			name:   "if the update strategy makes the name that of a tag, then it is refused",
			others: []string{"IstioRevisionTag mesh-1; targets Istio mesh-1"},
			from:   mesh1 + "; RevisionBased; version v1.30.3", to: mesh1 + "; version v1.30.3",
			want: "deny MF106",
		},
		{
			name:   "if an IstioRevision had a tag's name before, then an unrelated change is admitted in silence",
			others: []string{"IstioRevisionTag canary; targets Istio mesh-1"}, from: canary, to: canary + "; version v1.30.3",
			want: "allow",
		},
		{
			name:   "if it is being deleted, then it is never denied",
			others: versioned, from: prod + "; version v1.30.2", to: prod + "; version v1.30.3", deleting: true,
			want: "allow",
		},
	})
}

// ownedRevision is a CREATE or UPDATE of an IstioRevision that a stored Istio owns, which is a change of that Istio's mesh.
func ownedRevision(t *testing.T, others []string, owner, from, to string) policy.Verdict {
	t.Helper()
	before := objects(t, others...)
	after := before.With(controlPlane(t, to))
	if from != "" {
		before = before.With(controlPlane(t, from))
	}
	return policy.New(settings()).Mesh(meshChange(before, after, mesh.Ref{Kind: "Istio", Name: owner}))
}

func TestMF106AndTheRevisionsThatTheOperatorWrites(t *testing.T) {
	prodIs := prod + "; version v1.30.3"
	const copied = "IstioRevision prod-v1-30-3; of prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3"
	t.Run("if it is the active revision of its own Istio, then nobody says anything", func(t *testing.T) {
		compare(t, ownedRevision(t, []string{prodIs}, "prod", "", copied), "allow")
		compare(t, ownedRevision(t, []string{prodIs}, "prod", copied, copied+"; bundle own"), "allow")
	})
	t.Run("if the Istio had a name that is taken before, then its revision is admitted in silence", func(t *testing.T) {
		compare(t, ownedRevision(t, []string{prodIs, "IstioRevisionTag prod-v1-30-3; targets Istio mesh-1"}, "prod", "", copied), "allow")
	})
	t.Run("if somebody gives a mesh a revision of another mesh's name, then it is refused", func(t *testing.T) {
		others := []string{prodIs, "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}
		const foreign = "IstioRevision mesh-2; of prod; in istio-system-prod; selects istio-discovery=prod"
		compare(t, ownedRevision(t, others, "prod", "", foreign), "deny MF106")
	})
}

// What is right is an Istio that is made again beside the IstioRevision that the old one left behind.
func TestMF106WhenTheOperatorTakesOverAnIstioRevision(t *testing.T) {
	const spec = "; in istio-system-1; selects istio-discovery=mesh-1 | team=a"
	const turned = "; in istio-system-1; selects team=a | istio-discovery=mesh-1"
	orphan := []string{"IstioRevision mesh-1" + spec}
	const versioned = "Istio mesh-1; RevisionBased; version v1.30.3; in istio-system-1; selects istio-discovery=mesh-1"
	runMeshCases(t, []meshCase{
		{
			name:   "if it has the namespace and the selectors, then it is admitted and told, and no namespace moves",
			others: orphan, create: "Istio mesh-1" + turned, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF106",
		},
		{
			name:   "if it is called default, then it is admitted and told too",
			others: []string{"IstioRevision default" + spec}, create: "Istio default" + spec,
			want: "warn MF106",
		},
		{
			name:   "if it has other selectors, then it is refused, with the way to take it over",
			others: orphan, create: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want: "deny MF106",
		},
		{
			name:   "if it runs in another namespace, then it is refused, with the same way",
			others: orphan, create: "Istio mesh-1; in istio-system-2; selects istio-discovery=mesh-1 | team=a",
			want: "deny MF106",
		},
		{
			name:   "if nothing is the same but the name, then both are named",
			others: orphan, create: "Istio mesh-1; in istio-system-2",
			want: "deny MF106",
		},
		{
			name:   "if its istiod would run in another cluster, then the one that runs here would be uninstalled, and it is refused",
			others: orphan, create: "Istio mesh-1" + spec + "; profile remote",
			want: "deny MF106",
		},
		{
			name:   "if a third mesh overlaps with it, then that is told, because it is one mesh",
			others: append(orphan, "Istio mesh-2; in istio-system-2; selects team=a"), create: "Istio mesh-1" + spec,
			want: "deny MF103",
		},
		{
			name:   "if it is the other way round, and the IstioRevision comes to its Istio, then that is the same",
			others: []string{"Istio mesh-1" + spec}, create: "IstioRevision mesh-1" + turned,
			want: "warn MF106",
		},
		{
			name:   "if the IstioRevision that comes has other selectors, then it is refused",
			others: []string{"Istio mesh-1" + spec}, create: "IstioRevision mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want: "deny MF106",
		},
		{
			name:   "once it is taken over, the mesh changes as any other, before the operator has copied it",
			others: orphan, from: "Istio mesh-1" + spec, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want: "allow",
		},
		{
			name:   "once it is taken over, the operator writes into it",
			others: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"},
			from:   "IstioRevision mesh-1" + spec, to: "IstioRevision mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			want: "allow",
		},
		{
			name:   "if a new version gives it the name of an IstioRevision with other selectors, then another version is the way out",
			others: []string{"IstioRevision mesh-1-v1-30-3; in istio-system-1; selects team=b"},
			from:   strings.Replace(versioned, "v1.30.3", "v1.30.2", 1), to: versioned,
			want: "deny MF106",
		},
	})
}
