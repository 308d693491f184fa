package policy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// fillCase is a CREATE of the namespace app with the labels create, or, if from or to is not empty, an UPDATE.
type fillCase struct {
	name             string
	fleet            []string // guide() if there are none
	create, from, to string
	called           string // the namespace's name, app if it is empty
	generated        bool   // the name is only the beginning of one, and the label with the name is not there yet
	deleting         bool
	optedOut         bool
	filledBefore     string
	owner            policy.Owner        // of istio.io/rev, before and after
	claimed          bool                // the request makes a manager own istio.io/rev
	replaced         bool                // the request removes the annotation
	rewritten        bool                // it writes the namespace whole
	fillFrom         []policy.FillSource // those of settings() if it is nil
	actions          policy.Actions
	want             policy.Fill
}

func (c fillCase) fill(t *testing.T) policy.Fill {
	t.Helper()
	if c.fleet == nil {
		c.fleet = guide()
	}
	if c.called == "" {
		c.called = "app"
	}
	change := policy.FillChange{
		New: namespace(t, c.called, c.create), OptedOut: c.optedOut, Rewritten: c.rewritten, Fleet: fleet(t, c.fleet...),
		Before: policy.Origin{Filled: c.filledBefore, Owner: c.owner}, After: policy.Origin{Filled: c.filledBefore, Owner: c.owner},
	}
	if c.from != "" || c.to != "" {
		change.Old, change.New = namespace(t, c.called, c.from), namespace(t, c.called, c.to)
	}
	if c.generated {
		delete(change.New.Labels, mesh.NameLabel)
	}
	if c.replaced {
		change.After = policy.Origin{}
	}
	if c.claimed {
		change.After.Owner = policy.SomeOwner
	}
	change.New.Deleting = c.deleting
	s := settings()
	s.Actions = c.actions
	if c.fillFrom != nil {
		s.FillFrom = c.fillFrom
	}
	return policy.New(s).Fill(change)
}

func runFillCases(t *testing.T, cases []fillCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.fill(t)); diff != "" {
				t.Errorf("fill (-want +got):\n%s", diff)
			}
		})
	}
}

func nothing() policy.Fill { return policy.Fill{Answer: policy.LeaveAlone} }

// added is a label that was missing, in the namespace app.
func added(revision, why string) policy.Fill {
	return policy.Fill{Answer: policy.Add, Revision: revision, Warnings: told(revision, why, "app")}
}

// followed is a label that was filled in earlier, in the namespace app, and gets another value: "mesh-1 mesh-2".
func followed(values, why string) policy.Fill {
	before, revision, _ := strings.Cut(values, " ")
	return policy.Fill{Answer: policy.Replace, Revision: revision, Warnings: told(revision+" in place of "+before, why, "app")}
}

// removed is mesh-1, filled in earlier in the namespace app, that goes; more are the warnings after the first.
func removed(why string, more ...string) policy.Fill {
	return policy.Fill{
		Answer: policy.Remove, Warnings: append([]string{"meshfence removed istio.io/rev=mesh-1, which it had filled in, because " + why}, more...),
	}
}

// staysAway is mesh-1 that was filled in earlier and that a person removes.
func staysAway() policy.Fill {
	return policy.Fill{Answer: policy.LeaveAlone, Warnings: []string{`meshfence does not fill in istio.io/rev=mesh-1 again as long as this namespace stays in mesh "mesh-1"; ` +
		`to opt out for good: kubectl annotate namespace app meshfence.io/fill=false`}}
}

// gone is mesh-1 that was filled in earlier and without which the namespace is replaced.
func gone(why string) policy.Fill {
	return policy.Fill{Answer: policy.LeaveAlone, Warnings: []string{
		"meshfence does not fill in istio.io/rev=mesh-1 again, without which this namespace was replaced, because " + why,
	}}
}

func told(revision, why, namespace string) []string {
	what := "meshfence filled in istio.io/rev=" + revision + ", because " + why
	how := "to opt out: kubectl annotate namespace " + namespace + " meshfence.io/fill=false && kubectl label namespace " + namespace + " istio.io/rev-"
	if line := what + "; " + how; utf8.RuneCountInString(line) <= itemLimit {
		return []string{line}
	}
	return []string{what, "meshfence: " + how}
}

const (
	mesh1Discovers = `mesh "mesh-1" (istio-discovery=mesh-1) discovers this namespace`
	mesh2Discovers = `mesh "mesh-2" (istio-discovery=mesh-2) discovers this namespace`
	mesh1Mapped    = "the mesh map has it for istio-discovery=mesh-1"
	mesh2Mapped    = "the mesh map has it for istio-discovery=mesh-2"
)

func TestWhenTheRevisionIsFilledIn(t *testing.T) {
	runFillCases(t, []fillCase{
		{
			name:   "if a namespace is created with a discovery label, then it is filled in",
			create: "istio-discovery=mesh-1",
			want:   added("mesh-1", mesh1Discovers),
		},
		{
			name:   "if a namespace is created without labels, then nothing is",
			create: "",
			want:   nothing(),
		},
		{
			name: "if the discovery label appears, then it is filled in",
			from: "env=prod", to: "env=prod istio-discovery=mesh-1",
			want: added("mesh-1", mesh1Discovers),
		},
		{
			name: "if the discovery label changes, then it is filled in",
			from: "istio-discovery=mesh-9", to: "istio-discovery=mesh-2",
			want: added("mesh-2", mesh2Discovers),
		},
		{
			name:  "if a label appears that is no discovery label but a mesh's selector asks for it, then it is filled in",
			fleet: crossing(), from: "env=prod", to: "env=prod team=a",
			want: added("mesh-2", `mesh "mesh-2" (team=a) discovers this namespace`),
		},
		{
			name: "if another label changes, then the label that a person removed is not put back",
			from: "istio-discovery=mesh-1 env=prod", to: "istio-discovery=mesh-1 env=dev", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if the label is removed, then it is not put back, and that is told",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1", filledBefore: "mesh-1",
			want: staysAway(),
		},
		{
			name: "if the label was removed and the discovery label changes later, then it is filled in again",
			from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-2", filledBefore: "mesh-1",
			want: added("mesh-2", mesh2Discovers),
		},
		{
			name: "if both labels are changed, the revision by removing it, then it is filled in for the new mesh",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2",
			want: added("mesh-2", mesh2Discovers),
		},
		{
			name: "if the discovery label is removed, then nothing is filled in",
			from: "istio-discovery=mesh-1 team=a", to: "team=a",
			want: nothing(),
		},
		{
			name:   "if the namespace is being deleted, then nothing is filled in",
			create: "istio-discovery=mesh-1", deleting: true,
			want: nothing(),
		},
	})
}

func TestWhichMeshTheRevisionIsFilledInFor(t *testing.T) {
	const gateway = "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert"
	runFillCases(t, []fillCase{
		{
			name:  "if the mesh map names the discovery label's value, then that mesh's entry is taken",
			fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1", "map mesh-1=stable"), create: "istio-discovery=mesh-1",
			want: added("stable", mesh1Mapped),
		},
		{
			name:  "if the mesh map has it and there is no Istio yet, then that is enough",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-1",
			want: added("stable", mesh1Mapped),
		},
		{
			name:  "if the label has the other configured key, then the mesh map counts too",
			fleet: []string{"map mesh-1=stable"}, create: "mesh=mesh-1",
			want: added("stable", "the mesh map has it for mesh=mesh-1"),
		},
		{
			name:  "if the label has a key that is not configured, then its value names no mesh",
			fleet: []string{"map mesh-1=stable"}, create: "team=mesh-1",
			want: nothing(),
		},
		{
			name:  "if the mesh map does not name the value, then nothing is known before the Istio exists",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-9",
			want: nothing(),
		},
		{
			name:  "if two discovery labels name different meshes of the mesh map, then neither is taken",
			fleet: []string{"map mesh-1=stable mesh-2=mesh-2"}, create: "istio-discovery=mesh-1 mesh=mesh-2",
			want: nothing(),
		},
		{
			name:  "if two discovery labels name different meshes of the mesh map, then not even the only mesh that discovers it is taken",
			fleet: append(guide(), "map mesh-1=mesh-1 mesh-2=mesh-2"), create: "istio-discovery=mesh-1 mesh=mesh-2",
			want: nothing(),
		},
		{
			name:  "if two discovery labels name the same mesh, then it is taken",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-1 mesh=mesh-1",
			want: added("stable", "the mesh map has it for mesh=mesh-1"),
		},
		{
			name:  "if only one of two discovery labels is in the mesh map, then that one is taken",
			fleet: []string{"map mesh-1=mesh-1", guide()[0]}, create: "istio-discovery=mesh-1 mesh=mesh-9",
			want: added("mesh-1", mesh1Mapped),
		},
		{
			name:  "if a selector asks with In, then its mesh is taken",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team in (a,b)"}, create: "team=b",
			want: added("mesh-1", `mesh "mesh-1" (team in (a,b)) discovers this namespace`),
		},
		{
			name:  "if a selector asks with Exists, then its mesh is taken",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team,env notin (dev)"}, create: "team=b",
			want: added("mesh-1", `mesh "mesh-1" (env notin (dev),team) discovers this namespace`),
		},
		{
			name:  "if a selector only asks for the absence of labels, then that is no reason to fill in",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects !team,env notin (dev)"}, create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:  "if a selector only asks for the name that every namespace has, then that is no reason to fill in",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name"}, create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:  "if the only mesh has no selectors, then it never causes a fill",
			fleet: []string{"Istio mesh-1; in istio-system-1"}, create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:  "if the only mesh has the selector {}, then it never causes a fill",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects {}"}, create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:  "if the only mesh has an invalid selector, which counts as everything, then it never causes a fill",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | raw team in a"}, create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:  "if OpenShift's gateway-only Istio discovers everything, then it does not stop the filling",
			fleet: append(guide(), gateway), create: "istio-discovery=mesh-1",
			want: added("mesh-1", mesh1Discovers),
		},
		{
			name:  "if only OpenShift's gateway-only Istio discovers it, then nothing is filled in",
			fleet: append(guide(), gateway), create: "team=a",
			want: nothing(),
		},
		{
			name:   "if two meshes with a declared overlap ask for its labels, then neither is taken",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1]},
			create: "istio-discovery=mesh-1 team=a",
			want:   nothing(),
		},
		{
			name:   "if two meshes with a declared overlap ask for its labels, then the mesh map can still tell",
			fleet:  []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "map mesh-1=mesh-1"},
			create: "istio-discovery=mesh-1 team=a",
			want:   added("mesh-1", mesh1Mapped),
		},
		{
			name: "if only an older revision's selector asks for it, then its mesh is taken",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team=a",
			},
			create: "team=a",
			want:   added("mesh-1-v1-30-0", `mesh "mesh-1" (team=a) discovers this namespace`),
		},
		{
			name:  "if the mesh is an IstioRevision that no Istio owns, then its name is taken",
			fleet: []string{"IstioRevision canary; in istio-system-1; selects istio-discovery=canary"}, create: "istio-discovery=canary",
			want: added("canary", `mesh "canary" (istio-discovery=canary) discovers this namespace`),
		},
		{
			name:  "if the mesh's istiod runs elsewhere, then its selectors discover nothing here",
			fleet: []string{"Istio far; in istio-system; profile remote; selects istio-discovery=far"}, create: "istio-discovery=far",
			want: nothing(),
		},
		{
			name:  "if the mesh's istiod runs elsewhere and the mesh map names it, then that is enough",
			fleet: []string{"Istio far; in istio-system; profile remote", "map far=far"}, create: "istio-discovery=far",
			want: added("far", "the mesh map has it for istio-discovery=far"),
		},
	})
}

func TestWhichRevisionIsFilledIn(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0",
	}
	mapped := slices.Concat(upgrading, []string{"map mesh-1=stable"})
	runFillCases(t, []fillCase{
		{
			name:  "if the mesh map has no entry, then it is the active revision",
			fleet: upgrading, create: "istio-discovery=mesh-1",
			want: added("mesh-1-v1-30-0", mesh1Discovers),
		},
		{
			name:  "if the mesh map has an entry, then it comes first",
			fleet: mapped, create: "istio-discovery=mesh-1",
			want: added("stable", mesh1Mapped),
		},
		{
			name:  "if the mesh was found by its selector, then its entry in the mesh map comes first too",
			fleet: append(crossing(), "IstioRevisionTag stable; targets Istio mesh-2", "map mesh-2=stable"), create: "team=a",
			want: added("stable", `mesh "mesh-2" (team=a) discovers this namespace`),
		},
		{
			name:  "if only the mesh map may be asked and it has an entry, then it is that",
			fleet: mapped, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.MeshMap},
			want: added("stable", mesh1Mapped),
		},
		{
			name:  "if only the mesh map may be asked and it has no entry, then it is nothing",
			fleet: upgrading, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.MeshMap},
			want: nothing(),
		},
		{
			name:  "if only the active revision may be asked, then the mesh map is not",
			fleet: mapped, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.ActiveRevision},
			want: added("mesh-1-v1-30-0", mesh1Discovers),
		},
		{
			name:  "if only the active revision may be asked, then nothing is known before the Istio exists",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.ActiveRevision},
			want: nothing(),
		},
		{
			name:  "if the active revision comes first, then the mesh map names the mesh but not its revision",
			fleet: mapped, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.ActiveRevision, policy.MeshMap},
			want: added("mesh-1-v1-30-0", mesh1Mapped),
		},
		{
			name:  "if the active revision comes first and there is no Istio yet, then it is the mesh map's",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{policy.ActiveRevision, policy.MeshMap},
			want: added("stable", mesh1Mapped),
		},
		{
			name:  "if nothing may be asked, then nothing is ever filled in",
			fleet: mapped, create: "istio-discovery=mesh-1", fillFrom: []policy.FillSource{},
			want: nothing(),
		},
		{
			name:   "if the name is generated, then the command has a place for it",
			called: "app-", generated: true, create: "istio-discovery=mesh-1",
			want: policy.Fill{Answer: policy.Add, Revision: "mesh-1", Warnings: told("mesh-1", mesh1Discovers, "NAME")},
		},
	})
}

func TestWhenTheRevisionIsNeverFilledIn(t *testing.T) {
	runFillCases(t, []fillCase{
		{name: "if it has istio.io/rev already, then never", create: "istio-discovery=mesh-1 istio.io/rev=mesh-2", want: nothing()},
		{name: "if it has an empty istio.io/rev, then never", create: "istio-discovery=mesh-1 istio.io/rev=", want: nothing()},
		{name: "if it has istio-injection=enabled, then never", create: "istio-discovery=mesh-1 istio-injection=enabled", want: nothing()},
		{name: "if it has istio-injection=disabled, then never", create: "istio-discovery=mesh-1 istio-injection=disabled", want: nothing()},
		{name: "if it is in ambient mode, then never", create: "istio-discovery=mesh-1 istio.io/dataplane-mode=ambient", want: nothing()},
		{name: "if it has any data plane mode, then never", create: "istio-discovery=mesh-1 istio.io/dataplane-mode=none", want: nothing()},
		{name: "if it is a member of a Maistra mesh, then never", create: "istio-discovery=mesh-1 maistra.io/member-of=istio-system", want: nothing()},
		{
			name: "if the same request adds the discovery label and istio-injection, then never: it counts what it has then",
			from: "env=prod", to: "istio-discovery=mesh-1 istio-injection=enabled",
			want: nothing(),
		},
		{
			name: "if the same request removes istio-injection, then it may be: it counts what it has then",
			from: "istio-injection=enabled", to: "istio-discovery=mesh-1",
			want: added("mesh-1", mesh1Discovers),
		},
		{
			name:  "if it is a mesh's control-plane namespace, then never",
			fleet: []string{"Istio mesh-1; in control; selects istio-discovery=mesh-1"}, called: "control", create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{
			name:   "if the configuration sets it aside for a control plane, then never, even before its Istio exists",
			called: "istio-system-3", create: "istio-discovery=mesh-1",
			want: nothing(),
		},
		{name: "if its pods are never injected, then never", called: "kube-public", create: "istio-discovery=mesh-1", want: nothing()},
		{name: "if its pods are never injected, then not when it is labelled later either", called: "kube-node-lease", from: "env=prod", to: "istio-discovery=mesh-1", want: nothing()},
		{
			name: "if its pods are never injected, then what was filled in once does not follow, but leaves", called: "kube-public",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed(`this namespace moves to mesh "mesh-2" and is one of the system's, whose pods are never injected`),
		},
		{name: "if it has opted out, then never", create: "istio-discovery=mesh-1", optedOut: true, want: nothing()},
		{
			name: "if it has opted out, then what was filled in does not follow, but leaves",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1", filledBefore: "mesh-1", optedOut: true,
			want: removed(`this namespace moves to mesh "mesh-2" and carries meshfence.io/fill: "false"`),
		},
	})
}

func TestWhenAFilledInRevisionFollows(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery in (mesh-1,mesh-1b)",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery in (mesh-1,mesh-1b)",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
	}
	runFillCases(t, []fillCase{
		{
			name: "if the discovery label moves to another mesh, then it follows",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: followed("mesh-1 mesh-2", mesh2Discovers),
		},
		{
			name:  "if the discovery label moves to another mesh of the mesh map, then it follows",
			fleet: []string{"map mesh-1=stable mesh-2=mesh-2"}, filledBefore: "stable",
			from: "istio-discovery=mesh-1 istio.io/rev=stable", to: "istio-discovery=mesh-2 istio.io/rev=stable",
			want: followed("stable mesh-2", mesh2Mapped),
		},
		{
			name:  "if it moves to another mesh while it still has an older revision of the first, then it follows",
			fleet: upgrading, filledBefore: "mesh-1-v1-29-0",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1-v1-29-0",
			want: followed("mesh-1-v1-29-0 mesh-2", mesh2Discovers),
		},
		{
			name:  "if the discovery label changes but the mesh stays the same, then a person decides when to leave the older revision",
			fleet: upgrading, filledBefore: "mesh-1-v1-29-0",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-1b istio.io/rev=mesh-1-v1-29-0",
			want: nothing(),
		},
		{
			name:  "if another mesh's label changes but the mesh stays the same, then the older revision stays too",
			fleet: append(upgrading, "Istio mesh-3; in istio-system-3; selects team=a"), filledBefore: "mesh-1-v1-29-0",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-0 team=b",
			want: nothing(),
		},
		{
			name: "if a person has set another value since, then it does not follow",
			from: "istio-discovery=mesh-1 istio.io/rev=default", to: "istio-discovery=mesh-2 istio.io/rev=default", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if the same request sets another value, then it does not follow",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=default", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if the same request sets the value that was once filled in, then a person wants that",
			from: "istio-discovery=mesh-1 istio.io/rev=default", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if it was never filled in, then it does not follow",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1",
			want: nothing(),
		},
		{
			name:   "if a copy of a namespace is created with annotation and label, then it does not follow",
			create: "istio-discovery=mesh-2 istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if it moves to no mesh, then it leaves",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-9 istio.io/rev=mesh-1", filledBefore: "mesh-1",
			want: removed(`this namespace leaves mesh "mesh-1"`),
		},
		{
			name: "if the discovery label does not change, then nothing does",
			from: "istio-discovery=mesh-2 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1 env=prod", filledBefore: "mesh-1",
			want: nothing(),
		},
		{
			name: "if it gets istio-injection at the same time, then it yields",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1 istio-injection=disabled", filledBefore: "mesh-1",
			want: removed("this namespace has istio-injection=disabled"),
		},
	})
}

func TestIfTheRevisionWouldItselfBeRefusedThenItIsNotFilledInButTold(t *testing.T) {
	withheld := func(warnings ...string) policy.Fill {
		return policy.Fill{Answer: policy.LeaveAlone, Warnings: warnings}
	}
	wrongMap := append(guide(), "map mesh-1=mesh-2")
	const misled = `meshfence did not fill in istio.io/rev=mesh-2 for mesh "mesh-1", because that would break MF202 RevisionOfAnotherMesh: ` +
		`mesh "mesh-1" discovers it (istio-discovery=mesh-1), but istio.io/rev=mesh-2 is a revision of mesh "mesh-2"`
	runFillCases(t, []fillCase{
		{
			name:  "if the mesh map has another mesh's revision, then MF202 is told",
			fleet: wrongMap, create: "istio-discovery=mesh-1",
			want: withheld(misled),
		},
		{
			name:  "if the mesh map's revision does not exist while the mesh does, then MF203 is told",
			fleet: append(guide(), "map mesh-1=stable"), create: "istio-discovery=mesh-1",
			want: withheld(`meshfence did not fill in istio.io/rev=stable for mesh "mesh-1", because that would break MF203 UnknownRevision: ` +
				`istio.io/rev=stable is the name of no revision or tag, and mesh "mesh-1" discovers it (istio-discovery=mesh-1)`),
		},
		{
			name:  "if the mesh map names a mesh that does not discover it, then MF205 is told",
			fleet: []string{"Istio mesh-1; in istio-system-1; selects team=a", "map mesh-1=mesh-1"}, create: "istio-discovery=mesh-1",
			want: withheld(`meshfence did not fill in istio.io/rev=mesh-1 for mesh "mesh-1", because that would break MF205 InjectedNotDiscovered: ` +
				`istio.io/rev=mesh-1 is a revision of mesh "mesh-1", but no mesh discovers the namespace`),
		},
		{
			name:  "if the other discovery label names somebody else before there is a mesh, then MF202 is told",
			fleet: []string{"map mesh-1=stable"}, create: "istio-discovery=mesh-1 mesh=mesh-9",
			want: withheld(`meshfence did not fill in istio.io/rev=stable for mesh "mesh-1", because that would break MF202 RevisionOfAnotherMesh: ` +
				`mesh=mesh-9 names mesh "mesh-9", but the mesh map gives the revision "stable" of istio.io/rev=stable to mesh "mesh-1"`),
		},
		{
			name:  "if the name is generated, then its beginning stands for it",
			fleet: wrongMap, create: "istio-discovery=mesh-1", called: "app", generated: true,
			want: withheld(misled),
		},
		{
			name:  "if all rules only warn, then it is not filled in all the same",
			fleet: wrongMap, create: "istio-discovery=mesh-1", actions: policy.Actions{WarnOnly: true},
			want: withheld(misled),
		},
		{
			name:  "if the rule itself is lowered, then it is filled in",
			fleet: wrongMap, create: "istio-discovery=mesh-1", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF202": policy.Warn}},
			want: added("mesh-2", mesh1Mapped),
		},
		{
			name:  "if the rule itself is off, then it is filled in",
			fleet: wrongMap, create: "istio-discovery=mesh-1", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF202": policy.Off}},
			want: added("mesh-2", mesh1Mapped),
		},
		{
			name:  "if the namespace is refused anyway, then nothing is filled in, and nobody is told that something was",
			fleet: append(crossing(), "map mesh-1=mesh-1"), create: "istio-discovery=mesh-1 team=a",
			want: nothing(),
		},
		{
			name:  "if it would follow to a revision that is refused, then it leaves, and that is told",
			fleet: append(guide(), "map mesh-2=default"), filledBefore: "mesh-1",
			from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-1",
			want: removed(`this namespace moves to mesh "mesh-2" and istio.io/rev=default would break MF202 RevisionOfAnotherMesh: `+
				`mesh "mesh-2" discovers it (istio-discovery=mesh-2), but istio.io/rev=default is`, `a revision of mesh "mesh-1"`),
		},
	})
}

// filled is the namespace with what a fill makes of it.
func filled(ns *mesh.Namespace, fill policy.Fill) *mesh.Namespace {
	all := map[string]string{}
	if fill.Answer != policy.Remove {
		all[mesh.RevisionLabel] = fill.Revision
	}
	for key, value := range ns.Labels {
		if key != mesh.RevisionLabel {
			all[key] = value
		}
	}
	return &mesh.Namespace{Name: ns.Name, Labels: all}
}

// expectedFill is an oracle for a creation in one of the states: the revision that is filled in, "" for none.
func (k knowledge) expectedFill(s state) string {
	switch {
	case s.revision != "" || s.injection != "":
		return ""
	case k.mapped[s.discovery] != "":
		return k.mapped[s.discovery]
	}
	for _, m := range k.meshes {
		if s.discovery == m {
			return m // its active revision, in place
		}
	}
	return ""
}

func TestWhatIsFilledInInEveryStateOfTheThreeLabels(t *testing.T) {
	judge := policy.New(settings())
	for _, k := range everyKnowledge() {
		f := fleet(t, k.fleet...)
		for _, s := range states() {
			ns := s.namespace()
			fill := judge.Fill(policy.FillChange{New: ns, Fleet: f})
			if want := k.expectedFill(s); fill.Revision != want || (fill.Answer == policy.Add) != (want != "") {
				t.Errorf("%s: %v is filled in with %q, want %q", k.name, s, fill.Revision, want)
			}
			checkFill(t, policy.NamespaceChange{New: ns, Fleet: f, Now: now}, fill)
		}
	}
}

// checkFill fails if a change that would be admitted is refused because of what meshfence filled in.
func checkFill(t *testing.T, change policy.NamespaceChange, fill policy.Fill) (turned bool) {
	t.Helper()
	if fill.Answer == policy.LeaveAlone {
		return false
	}
	judge := policy.New(settings())
	without := judge.Namespace(change)
	change.New = filled(change.New, fill)
	with := judge.Namespace(change)
	if without.Answer == policy.Allowed && with.Answer != policy.Allowed {
		t.Errorf("without istio.io/rev=%s: %s, with it: %s", fill.Revision, outcome(without), outcome(with))
		return true
	}
	return false
}

func TestAFillNeverTurnsAnAdmittedNamespaceIntoADeniedOne(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	judge := policy.New(settings())
	fills := 0
	for range 200 {
		lines := append(randomFleet(random), "map mesh-1="+[]string{"mesh-1", "mesh-2", "default", "nobody"}[random.IntN(4)])
		f := fleet(t, lines...)
		for range 60 {
			from := &mesh.Namespace{Name: "app", Labels: randomNamespace(random, membership())}
			to := &mesh.Namespace{Name: "app", Labels: randomNamespace(random, membership())}
			if random.IntN(2) == 0 {
				from = nil
			}
			fill := judge.Fill(policy.FillChange{Old: from, New: to, Fleet: f, Before: policy.Origin{Filled: to.Labels[mesh.RevisionLabel]}, After: policy.Origin{Filled: to.Labels[mesh.RevisionLabel]}})
			if fill.Answer != policy.LeaveAlone {
				fills++
			}
			if checkFill(t, policy.NamespaceChange{Old: from, New: to, Fleet: f, Now: now}, fill) {
				t.Fatalf("created or changed to %q in\n\t%s", labelText(to.Labels), strings.Join(lines, "\n\t"))
			}
		}
	}
	t.Logf("%d fills", fills)
}

// Whoever may not join is refused when the namespace is validated; whoever may gets the label.
func TestWhatIsFilledInDoesNotDependOnWhetherRightsAreAsked(t *testing.T) {
	for _, action := range []policy.Action{policy.Off, policy.Warn, policy.Deny} {
		c := fillCase{create: "istio-discovery=mesh-1", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF210": action}}}
		if got := c.fill(t); got.Answer != policy.Add || got.Revision != "mesh-1" {
			t.Errorf("MF210 %v: %+v, want mesh-1 added", action, got)
		}
	}
}
