package policy_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

const (
	mesh1ByDiscovery = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1"
	mesh1ByTeam      = "Istio mesh-1; in istio-system-1; selects team=a"
)

func TestMF111(t *testing.T) {
	app := apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")
	runMeshCases(t, []meshCase{
		{
			name: "if an in-use namespace is no longer discovered, then it is refused, and it is not told again as leaving",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: app,
			want: "deny MF111",
		},
		{
			name: "if the namespace has the new label already, then it is admitted without a word",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1 team=a"),
			want: "allow",
		},
		{
			name: "if the old selector stays beside the new one, then it is admitted without a word",
			from: mesh1ByDiscovery, to: mesh1ByDiscovery + " | team=a", namespaces: app,
			want: "allow",
		},
		{
			name: "if nothing injects the namespace, then it only leaves",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: istio-discovery=mesh-1"),
			want: "warn MF114",
		},
		{
			name: "if istio-injection switches its injection off, then it only leaves",
			from: mesh1ByDiscovery, to: mesh1ByTeam,
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1 istio-injection=disabled"),
			want:       "warn MF114",
		},
		{
			name:   "if another mesh injects the namespace, then it is not in use by this one",
			others: []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"},
			from:   mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1b",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-2"),
			want:       "warn MF114 warn MF118",
		},
		{
			name: "if the namespace is being deleted, then it does not count",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app (deleting): istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name: "if the namespace was not discovered before either, then nothing changes for it",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: env=prod istio.io/rev=mesh-1"),
			want: "allow",
		},
		{
			name:   "if it is injected through a tag, and others through istio-injection, then each gets its own command",
			others: []string{"IstioRevisionTag stable; targets Istio mesh-1", "IstioRevisionTag default; targets Istio mesh-1"},
			from:   mesh1ByDiscovery, to: mesh1ByTeam,
			namespaces: apps(t, "app-1: istio-discovery=mesh-1 istio.io/rev=stable", "app-2: istio-discovery=mesh-1 istio-injection=enabled",
				"app-3: istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1", "app-4: istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "deny MF111",
		},
		{
			name: "if the new label has to take the place of the old one, then the new selectors have to come beside the old ones first",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=prod", namespaces: app,
			want: "deny MF111",
		},
		{
			name: "if no label brings the namespace under the new selectors, then one of them has to match it",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects kubernetes.io/metadata.name=other", namespaces: app,
			want: "deny MF111",
		},
		{
			name: "if the new selectors ask for another revision, then a label that chooses it is no way to keep the namespace",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio.io/rev=stable", namespaces: app,
			want: "deny MF111",
		},
		{
			name:   "if the new label would put the namespace into another mesh as well, then that is no way to keep it",
			others: []string{"Istio mesh-2; in istio-system-2; selects team"},
			from:   mesh1ByDiscovery + " | team=a", to: mesh1ByTeam, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF103": policy.Off}},
			want:    "deny MF111",
		},
		{
			name: "if the active revision gets another name too, then who used the old one is in use all the same",
			from: mesh1ByDiscovery, to: mesh1ByTeam + "; RevisionBased; version v1.30.3", namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF113": policy.Off}},
			want:    "deny MF111",
		},
		{
			name: "if more than ten are stranded, then ten are named and the others counted",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: numbered(t, 12, "istio-discovery=mesh-1 istio.io/rev=mesh-1"),
			want: "deny MF111",
		},
		{
			name: "if the mesh discovered everything, then its first selectors are judged like any others",
			from: "Istio mesh-1; in istio-system-1", to: mesh1ByTeam, namespaces: apps(t, "app: istio.io/rev=mesh-1"),
			want: "deny MF111",
		},
		{
			name: "if its selectors did not parse, then the change is a repair and goes through with a warning",
			from: "Istio mesh-1; in istio-system-1; selects raw team in a", to: mesh1ByTeam, namespaces: apps(t, "app: istio.io/rev=mesh-1"),
			want: "warn MF111",
		},
		{
			name: "if its istiod will run in another cluster, then what that discovers is not known, and nothing is refused",
			from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; profile remote", namespaces: app,
			want: "warn MF114",
		},
		{
			name: "if the operator's copy of the old selectors still matches, then that does not hide what comes of the change",
			others: []string{
				"IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			},
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: app,
			want: "deny MF111",
		},
		{
			name:   "if the operator brings its copy up to date, then nobody is told a second time",
			others: []string{mesh1ByTeam}, from: "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
			to: "IstioRevision mesh-1; of mesh-1; in istio-system-1; selects team=a", namespaces: app,
			want: "allow",
		},
		{
			name: "if only an older revision still discovers what the active one injects, then it is stranded",
			others: []string{
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
			},
			from:       "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects istio-discovery=mesh-1",
			to:         "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects team=a",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-30-3"),
			want:       "deny MF111",
		},
		{
			name: "if the older revision that injects the namespace still discovers it, then it is not stranded",
			others: []string{
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
			},
			from:       "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects istio-discovery=mesh-1",
			to:         "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects team=a",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-6"),
			want:       "allow",
		},
		{
			name: "if a new version comes with new selectors, then what a tag takes along is stranded",
			others: []string{
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
				"IstioRevisionTag stable; targets Istio mesh-1",
			},
			from:       "Istio mesh-1; in istio-system-1; RevisionBased; version v1.29.6; selects istio-discovery=mesh-1",
			to:         "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects team=a",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=stable"),
			want:       "deny MF111",
		},
		{
			name: "if a new version comes with new selectors, then the old revision, which keeps its own, is not forgotten",
			others: []string{
				"IstioRevision mesh-1-v1-29-6; of mesh-1; in istio-system-1; version v1.29.6; selects istio-discovery=mesh-1",
			},
			from:       "Istio mesh-1; in istio-system-1; RevisionBased; version v1.29.6; selects istio-discovery=mesh-1",
			to:         "Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.3; selects team=a",
			namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-29-6"),
			want:       "warn MF113",
		},
		{
			name: "if the rule only warns, then it is admitted with a warning",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF111": policy.Warn}},
			want:    "warn MF111",
		},
		{
			name: "if the rule is off, then nobody says anything",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF111": policy.Off}},
			want:    "allow",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: app, deleting: true,
			want: "allow",
		},
	})
}

func TestMF111TwiceInARowIsRefusedTwice(t *testing.T) {
	// What is wrong with a change is new with every change: asking again does not help.
	c := meshCase{from: mesh1ByDiscovery, to: mesh1ByTeam, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")}
	for range 2 {
		if verdict := c.judge(t); verdict.Answer != policy.Denied {
			t.Error(outcome(verdict))
		}
	}
}

func TestMF111EitherWayOutLetsTheChangeThrough(t *testing.T) {
	const beside = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1 | "
	for name, c := range map[string]struct {
		meshCase
		interim string // the mesh that the first way asks for before its commands
	}{
		"an additional label": {meshCase: meshCase{from: mesh1ByDiscovery, to: mesh1ByTeam}},
		"another value":       {meshCase{from: mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery=prod"}, beside + "istio-discovery=prod"},
		"a label that goes":   {meshCase: meshCase{from: "Istio mesh-1; in istio-system-1; selects istio-discovery", to: "Istio mesh-1; in istio-system-1; selects !env,istio-discovery"}},
		"everything before":   {meshCase: meshCase{from: "Istio mesh-1; in istio-system-1", to: mesh1ByTeam}},
		"beside another mesh": {meshCase: meshCase{
			others: []string{"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"},
			from:   mesh1ByDiscovery, to: "Istio mesh-1; in istio-system-1; selects istio-discovery notin (mesh-2),team in (a,b)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.others = append(c.others, "IstioRevisionTag default; targets Istio mesh-1")
			c.namespaces = slices.Concat(numbered(t, 3, "istio-discovery=mesh-1 istio.io/rev=mesh-1 env=dev"),
				apps(t, "web: istio-discovery=mesh-1 istio-injection=enabled env=dev", "idle: istio-discovery=mesh-1 env=dev"))
			f, before := finding(t, c.judge(t), "MF111"), c.namespaces
			stored := c.stored(t)
			if c.interim != "" {
				stored = mesh.NewFleet(objects(t, c.others...).With(controlPlane(t, c.interim)))
			}
			for way, fleet := range map[string]*mesh.Fleet{"keep them": stored, "take them out of the mesh first": c.stored(t)} {
				c.namespaces = afterWay(t, f, way, fleet, before)
				if verdict := c.judge(t); verdict.Answer != policy.Allowed || slices.Contains(codes(verdict), "MF111") {
					t.Errorf("%s: %s", way, outcome(verdict))
				}
			}
		})
	}
}
