package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

const (
	filledFor1 = "istio-discovery=mesh-1 istio.io/rev=mesh-1"
	movedTo2   = "istio-discovery=mesh-2 istio.io/rev=mesh-1"
)

// overlapping are two meshes that may overlap: a namespace of both is admitted.
func overlapping() []string { return []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]} }

func TestWhoseARevisionIs(t *testing.T) {
	follows := followed("mesh-1 mesh-2", mesh2Discovers)
	upgraded := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1", "IstioRevisionTag stable; targets Istio mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", guide()[1],
	}
	runFillCases(t, []fillCase{
		{
			name: "if the annotation is lost and no manager owns the label, then it is meshfence's",
			from: filledFor1, to: movedTo2, owner: policy.NoOwner,
			want: follows,
		},
		{
			name: "if the annotation is lost in the very request that moves the namespace, then it is meshfence's",
			from: filledFor1, to: movedTo2, owner: policy.NoOwner, filledBefore: "mesh-1", replaced: true,
			want: follows,
		},
		{
			name: "if the annotation is lost and nothing is known of managers, then it is a person's",
			from: filledFor1, to: movedTo2,
			want: nothing(),
		},
		{
			name: "if a manager has written the value that was filled in, then it is that manager's",
			from: filledFor1, to: movedTo2, owner: policy.SomeOwner, filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if the request itself writes the value that was filled in, then it is that request's",
			from: filledFor1, to: movedTo2, owner: policy.NoOwner, filledBefore: "mesh-1", claimed: true,
			want: nothing(),
		},
		{
			name: "if it was copied together with the annotation, then it is meshfence's",
			from: filledFor1, to: movedTo2, owner: policy.CopyingOwner, filledBefore: "mesh-1",
			want: follows,
		},
		{
			name: "if it was copied and has another value than the annotation, then it is a person's",
			from: filledFor1, to: movedTo2, owner: policy.CopyingOwner, filledBefore: "default",
			want: nothing(),
		},
		{
			name: "if no manager owns it but it is another mesh's, then another webhook has written it",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-2", to: "istio-discovery=mesh-9 istio.io/rev=mesh-2", owner: policy.NoOwner,
			want: nothing(),
		},
		{
			name:  "if no manager owns it and it is an older revision of the mesh, then it was filled in once",
			fleet: upgraded, from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-29-0", owner: policy.NoOwner,
			want: followed("mesh-1-v1-29-0 mesh-2", mesh2Discovers),
		},
		{
			name:  "if no manager owns it and it is a tag of the mesh, then it was filled in",
			fleet: upgraded, from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-2 istio.io/rev=stable", owner: policy.NoOwner,
			want: followed("stable mesh-2", mesh2Discovers),
		},
		{
			name: "if no manager owns it and it is the name of nothing any more, then it was filled in once",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-2 istio.io/rev=gone", owner: policy.NoOwner,
			want: followed("gone mesh-2", mesh2Discovers),
		},
		{
			name:  "if no manager owns what is the name of nothing any more and the discovery label goes, then it goes too",
			fleet: []string{"map mesh-1=new"}, from: filledFor1, to: "istio.io/rev=mesh-1", owner: policy.NoOwner,
			want: removed(`this namespace leaves mesh "mesh-1"`),
		},
		{
			name:  "if the mesh map had another entry then, then it was filled in once",
			fleet: []string{"map mesh-1=new mesh-2=mesh-2"}, from: filledFor1, to: movedTo2, owner: policy.NoOwner,
			want: followed("mesh-1 mesh-2", mesh2Mapped),
		},
		{
			name: "if it is the name of nothing and the namespace was in no mesh, then another webhook has written it",
			from: "istio.io/rev=gone", to: "istio-discovery=mesh-2 istio.io/rev=gone", owner: policy.NoOwner,
			want: nothing(),
		},
		{
			name: "if it is the name of nothing and a manager owns it, then it is that manager's",
			from: "istio-discovery=mesh-1 istio.io/rev=gone", to: "istio-discovery=mesh-2 istio.io/rev=gone", owner: policy.SomeOwner,
			want: nothing(),
		},
		{
			name:  "if no manager owns it and it is the mesh map's entry, then it was filled in, also while there is no mesh",
			fleet: []string{"map mesh-1=mesh-1 mesh-2=mesh-2"}, from: filledFor1, to: movedTo2, owner: policy.NoOwner,
			want: followed("mesh-1 mesh-2", mesh2Mapped),
		},
		{
			name:  "if no manager owns it and its mesh has gone, then it was filled in, and follows",
			fleet: []string{guide()[1]}, from: filledFor1, to: movedTo2, owner: policy.NoOwner,
			want: follows,
		},
		{
			name:  "if no manager owns it and its mesh, which asked for another label, has gone, then it follows too",
			fleet: []string{guide()[1]}, from: "team=a istio.io/rev=mesh-1", to: "team=a " + movedTo2, owner: policy.NoOwner,
			want: follows,
		},
		{
			name:  "if no manager owns it and its mesh has gone, then it leaves with the discovery label",
			fleet: []string{guide()[1]}, from: filledFor1, to: "istio.io/rev=mesh-1", owner: policy.NoOwner,
			want: removed("this namespace loses its discovery label"),
		},
		{
			name:  "if no manager owns it and its mesh has gone, then it yields",
			fleet: []string{guide()[1]}, from: filledFor1, to: filledFor1 + " istio-injection=enabled", owner: policy.NoOwner,
			want: removed("this namespace has istio-injection=enabled"),
		},
		{
			name:  "if no manager owns it and its mesh has turned remote, then it was filled in, and follows",
			fleet: []string{guide()[0] + "; profile remote", guide()[1]}, from: filledFor1, to: movedTo2, owner: policy.NoOwner,
			want: follows,
		},
		{
			name:  "if no manager owns it and its mesh has turned remote, then it leaves with the discovery label",
			fleet: []string{guide()[0] + "; profile remote", guide()[1]}, from: filledFor1, to: "istio.io/rev=mesh-1", owner: policy.NoOwner,
			want: removed("this namespace loses its discovery label"),
		},
		{
			name: "if nothing is ever filled in, then what no manager owns was written by another webhook",
			from: filledFor1, to: movedTo2, owner: policy.NoOwner, fillFrom: []policy.FillSource{},
			want: nothing(),
		},
		{
			name: "if nothing is filled in any more, then what was filled in once leaves",
			from: filledFor1, to: movedTo2, filledBefore: "mesh-1", fillFrom: []policy.FillSource{},
			want: removed(`this namespace moves to mesh "mesh-2" and fillFrom has no revision for it`),
		},
	})
}

func TestWhenAFilledInRevisionLeaves(t *testing.T) {
	const leaves = `this namespace leaves mesh "mesh-1"`
	runFillCases(t, []fillCase{
		{
			name: "if the discovery label goes, then it goes too",
			from: filledFor1, to: "istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed(leaves),
		},
		{
			name: "if the discovery label goes and the annotation is lost, then it goes too",
			from: filledFor1, to: "istio.io/rev=mesh-1", owner: policy.NoOwner,
			want: removed(leaves),
		},
		{
			name:  "if the discovery label goes after its mesh has gone, then it goes too",
			fleet: []string{guide()[1]}, from: filledFor1, to: "istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed("this namespace loses its discovery label"),
		},
		{
			name:  "if its mesh has gone and another mesh's label changes, then it stays",
			fleet: []string{"Istio mesh-3; in istio-system-3; selects team=a"}, from: filledFor1, to: filledFor1 + " team=b", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name:  "if a mesh that discovers everything is left, then it goes all the same",
			fleet: []string{guide()[0], "Istio gateway; in openshift-ingress; bundle own"}, from: filledFor1, to: "istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed(leaves),
		},
		{
			name: "if a person chose the revision, then it stays",
			from: filledFor1, to: "istio.io/rev=mesh-1", owner: policy.SomeOwner,
			want: nothing(),
		},
		{
			name:  "if a second mesh comes to discover it that may, then it stays",
			fleet: overlapping(), from: filledFor1, to: filledFor1 + " team=a", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name:  "if it leaves the first of two meshes, then it follows to the second",
			fleet: overlapping(), from: filledFor1 + " team=a", to: "istio.io/rev=mesh-1 team=a", filledBefore: "mesh-1",
			want: followed("mesh-1 mesh-2", `mesh "mesh-2" (team=a) discovers this namespace`),
		},
		{
			name:  "if it leaves both meshes, then it goes",
			fleet: overlapping(), from: filledFor1 + " team=a", to: "istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed("this namespace loses its discovery label"),
		},
		{
			name:  "if two discovery labels come to name different meshes of the mesh map, then it goes",
			fleet: []string{"map mesh-1=mesh-1 mesh-2=mesh-2"}, from: filledFor1, to: filledFor1 + " mesh=mesh-2", filledBefore: "mesh-1",
			want: removed("its labels name several meshes"),
		},
		{
			name:  "if the mesh map still names its mesh, but the mesh discovers it no longer, then it goes",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1,team=a", "map mesh-1=mesh-1"},
			from:  filledFor1 + " team=a", to: filledFor1, filledBefore: "mesh-1",
			want: removed(`with it this change would break MF205 InjectedNotDiscovered: istio.io/rev=mesh-1 is a revision of mesh "mesh-1", ` +
				`but no mesh discovers the namespace`),
		},
		{
			name:  "if it moves to a mesh of ambient mode, then it goes",
			fleet: []string{guide()[0], guide()[1] + "; profile ambient"}, from: filledFor1, to: movedTo2, filledBefore: "mesh-1",
			want: removed(`this namespace moves to mesh "mesh-2" and that is a mesh of ambient mode`),
		},
		{
			name:  "if the namespace has become a control-plane namespace and moves, then it goes",
			fleet: append(guide(), "Istio mesh-3; in app; selects istio-discovery=mesh-3"), from: filledFor1, to: movedTo2, filledBefore: "mesh-1",
			want: removed(`this namespace moves to mesh "mesh-2" and is a control-plane namespace`),
		},
		{
			name: "if all rules only warn, then it goes too",
			from: filledFor1, to: "istio.io/rev=mesh-1", filledBefore: "mesh-1", actions: policy.Actions{WarnOnly: true},
			want: removed(leaves),
		},
		{
			name:  "if the request is refused all the same, then its refusal does not speak of the label",
			fleet: []string{guide()[0], crossing()[1], "Istio mesh-3; in istio-system-3; selects team"}, from: filledFor1, to: "istio.io/rev=mesh-1 team=a", filledBefore: "mesh-1",
			want: policy.Fill{Answer: policy.Remove},
		},
	})
}

func TestWhenAFilledInRevisionYields(t *testing.T) {
	for label, want := range map[string]policy.Fill{
		"istio-injection=enabled":            removed("this namespace has istio-injection=enabled"),
		"istio-injection=disabled":           removed("this namespace has istio-injection=disabled"),
		"istio.io/dataplane-mode=ambient":    removed("this namespace has istio.io/dataplane-mode=ambient"),
		"istio.io/dataplane-mode=none":       removed("this namespace has istio.io/dataplane-mode=none"),
		"maistra.io/member-of=istio-system":  nothing(), // MF208 is told
		"istio.io/use-waypoint=waypoint":     nothing(),
		"pod-security.kubernetes.io/enforce": nothing(),
	} {
		if label == "pod-security.kubernetes.io/enforce" {
			label += "=baseline"
		}
		runFillCases(t, []fillCase{
			{name: "if it gets " + label, from: filledFor1, to: filledFor1 + " " + label, filledBefore: "mesh-1", want: want},
			{name: "if it gets " + label + " and no manager owns its revision", from: filledFor1, to: filledFor1 + " " + label, owner: policy.NoOwner, want: want},
			{name: "if it gets " + label + " and a person chose the revision", from: filledFor1, to: filledFor1 + " " + label, owner: policy.SomeOwner, filledBefore: "mesh-1", want: nothing()},
		})
	}
}

func TestWhenAFilledInRevisionIsRemoved(t *testing.T) {
	again := policy.Fill{Answer: policy.Add, Revision: "mesh-1", Warnings: told("mesh-1 again", "this namespace was replaced without it and "+mesh1Discovers, "app")}
	upgraded := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
	}
	old := again
	old.Revision, old.Warnings = "mesh-1-v1-29-0", told("mesh-1-v1-29-0 again", "this namespace was replaced without it and "+mesh1Discovers, "app")
	runFillCases(t, []fillCase{
		{
			name: "if the annotation goes with it and the discovery label stays, then it is filled in again",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", replaced: true,
			want: again,
		},
		{
			name:  "if the annotation goes with it, then it keeps the older revision that it had",
			fleet: upgraded, from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-1", filledBefore: "mesh-1-v1-29-0", replaced: true,
			want: old,
		},
		{
			name:  "if the annotation goes with it and its revision does not exist any more, then the active one is filled in",
			fleet: guide()[:2], from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-1", filledBefore: "mesh-1-v1-29-0", replaced: true,
			want: again,
		},
		{
			name: "if the annotation stays, then it stays away, and that is told",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1",
			want: staysAway(),
		},
		{
			name: "if the annotation was lost before, then it stays away, and that is told",
			from: filledFor1, to: "istio-discovery=mesh-1", owner: policy.NoOwner,
			want: staysAway(),
		},
		{
			name: "if the annotation was lost before and the namespace is written whole, then it is filled in again",
			from: filledFor1, to: "istio-discovery=mesh-1", owner: policy.NoOwner, rewritten: true,
			want: again,
		},
		{
			name: "if the namespace is written whole with the annotation, then a person has left the label out",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", rewritten: true,
			want: staysAway(),
		},
		{
			name: "if a person chose it, then nothing is told",
			from: filledFor1, to: "istio-discovery=mesh-1", owner: policy.SomeOwner, filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if the namespace has opted out, then nothing is told",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", optedOut: true,
			want: nothing(),
		},
		{
			name: "if a manifest that replaces it opts out, then it stays away",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", replaced: true, optedOut: true,
			want: nothing(),
		},
		{
			name: "if it is replaced by one without the discovery label, then that is told",
			from: filledFor1, to: "", filledBefore: "mesh-1", replaced: true,
			want: gone(`this namespace leaves mesh "mesh-1"`),
		},
		{
			name: "if the annotation was lost before it is replaced by one without the discovery label, then that is told",
			from: filledFor1, to: "", owner: policy.NoOwner, rewritten: true,
			want: gone(`this namespace leaves mesh "mesh-1"`),
		},
		{
			name:  "if its mesh has gone before it is replaced by one without the discovery label, then that is told",
			fleet: []string{guide()[1]}, from: filledFor1, to: "", filledBefore: "mesh-1", replaced: true,
			want: gone("this namespace loses its discovery label"),
		},
		{
			name: "if a person removes it together with the discovery label, then nothing is told",
			from: filledFor1, to: "", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if it is replaced by one that has istio-injection, then that is told",
			from: filledFor1, to: "istio-discovery=mesh-1 istio-injection=enabled", filledBefore: "mesh-1", replaced: true,
			want: gone("this namespace has istio-injection=enabled"),
		},
		{
			name:  "if it is replaced by one of a mesh of ambient mode, then that is told",
			fleet: []string{guide()[0], guide()[1] + "; profile ambient"}, from: filledFor1, to: "istio-discovery=mesh-2", filledBefore: "mesh-1", replaced: true,
			want: gone(`this namespace is in mesh "mesh-2" and that is a mesh of ambient mode`),
		},
		{
			name: "if it is replaced and nothing is filled in any more, then that is told",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", replaced: true, fillFrom: []policy.FillSource{},
			want: gone(`there is no revision that can be filled in for mesh "mesh-1"`),
		},
		{
			name: "if nothing is filled in any more, then nothing is told",
			from: filledFor1, to: "istio-discovery=mesh-1", filledBefore: "mesh-1", fillFrom: []policy.FillSource{},
			want: nothing(),
		},
		{
			name:  "if the request is refused, then nothing is told",
			fleet: append(guide(), crossing()[1], "Istio mesh-3; in istio-system-3; selects team"), from: filledFor1, to: "istio-discovery=mesh-1 team=a", filledBefore: "mesh-1",
			want: nothing(),
		},
	})
}

func TestMeshesForWhichNothingIsFilledIn(t *testing.T) {
	const mesh1 = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	runFillCases(t, []fillCase{
		{name: "if the mesh is one of ambient mode, then nothing is", fleet: []string{mesh1 + "; profile ambient"}, create: "istio-discovery=mesh-1", want: nothing()},
		{name: "if its istiod is switched to ambient mode, then nothing is", fleet: []string{mesh1 + "; ambient"}, create: "istio-discovery=mesh-1", want: nothing()},
		{name: `if its Istio carries meshfence.io/fill: "false", then nothing is`, fleet: []string{mesh1 + "; fill false"}, create: "istio-discovery=mesh-1", want: nothing()},
		{name: "if the annotation says something else, then it is filled in", fleet: []string{mesh1 + "; fill true"}, create: "istio-discovery=mesh-1", want: added("mesh-1", mesh1Discovers)},
		{
			name:   "if an IstioRevision that no Istio owns carries it, then nothing is",
			fleet:  []string{"IstioRevision mesh-1; in istio-system-1; selects istio-discovery=mesh-1; fill false"},
			create: "istio-discovery=mesh-1", want: nothing(),
		},
		{
			name:  "if the mesh map names such a mesh by a discovery label, then it is filled in",
			fleet: []string{mesh1 + "; profile ambient", "map mesh-1=mesh-1"}, create: "istio-discovery=mesh-1",
			want: added("mesh-1", mesh1Mapped),
		},
		{
			name:  "if the mesh map names such a mesh that another label leads to, then it is filled in",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a; fill false", "map mesh-1=mesh-1"}, create: "team=a",
			want: added("mesh-1", `mesh "mesh-1" (team=a) discovers this namespace`),
		},
		{
			name:  "if the mesh map may not be asked, then it cannot say so",
			fleet: []string{mesh1 + "; fill false", "map mesh-1=mesh-1"}, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.ActiveRevision},
			want: nothing(),
		},
	})
}

func TestWhichNameOfTheMeshIsFilledIn(t *testing.T) {
	const (
		versions = "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1"
		stable   = "IstioRevisionTag stable; targets Istio mesh-1"
		long     = "a-mesh-with-a-name-of-fifty-six-characters-which-is-long"
		tooLong  = "Istio " + long + "; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1"
	)
	cases := []fillCase{
		{name: "if one tag follows a mesh whose revisions change, then it is the tag", fleet: []string{versions, stable}, want: added("stable", mesh1Discovers)},
		{name: "if two tags follow it, then it is the active revision", fleet: []string{versions, stable, "IstioRevisionTag canary; targets Istio mesh-1"}, want: added("mesh-1-v1-30-0", mesh1Discovers)},
		{name: "if the tag points at a revision, then it does not follow", fleet: []string{versions, "IstioRevision mesh-1-v1-30-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-30-0"}, want: added("mesh-1-v1-30-0", mesh1Discovers)},
		{name: "if the tag follows another mesh, then it is the active revision", fleet: []string{versions, "IstioRevisionTag stable; targets Istio mesh-2"}, want: added("mesh-1-v1-30-0", mesh1Discovers)},
		{name: "if the mesh keeps its revision, then a tag that follows it is not needed", fleet: []string{guide()[0], stable}, want: added("mesh-1", mesh1Discovers)},
		{name: "if the tag has the name of a revision, then it stands for nothing", fleet: []string{versions, "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2", "IstioRevisionTag mesh-2; targets Istio mesh-1"}, want: added("mesh-1-v1-30-0", mesh1Discovers)},
		{name: "if the mesh map has an entry, then that counts more", fleet: []string{versions, stable, "map mesh-1=mesh-1-v1-30-0"}, want: added("mesh-1-v1-30-0", mesh1Mapped)},
		{name: "if tags may not be asked, then it is the active revision", fleet: []string{versions, stable}, fillFrom: []policy.FillSource{policy.MeshMap, policy.ActiveRevision}, want: added("mesh-1-v1-30-0", mesh1Discovers)},
		{
			name: "if the active revision is too long for a label, then nothing is, and that is told", fleet: []string{tooLong},
			want: policy.Fill{Answer: policy.LeaveAlone, Warnings: []string{`meshfence did not fill in istio.io/rev, because the active revision of mesh "` + long + `", "` + long + `-v1-30-0", cannot be the value of a label (MF117)`}},
		},
		{name: "if a tag follows such a mesh, then it is the tag", fleet: []string{tooLong, "IstioRevisionTag stable; targets Istio " + long}, want: added("stable", `mesh "`+long+`" (istio-discovery=mesh-1) discovers this namespace`)},
		{
			name: "if the tag is too long for a label too, then nothing is", fleet: []string{tooLong, "IstioRevisionTag " + long + "-canary-canary; targets Istio " + long},
			want: policy.Fill{Answer: policy.LeaveAlone, Warnings: []string{`meshfence did not fill in istio.io/rev, because the active revision of mesh "` + long + `", "` + long + `-v1-30-0", cannot be the value of a label (MF117)`}},
		},
	}
	for i := range cases {
		cases[i].create = "istio-discovery=mesh-1"
	}
	runFillCases(t, cases)
}
