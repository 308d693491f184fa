package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// choice is a label and the values that it can have, besides being absent.
type choice struct {
	key    string
	values []string
}

// membership are the labels that decide who discovers and who injects, each right, wrong, and another mesh's.
func membership() []choice {
	return []choice{
		{"istio-discovery", []string{"mesh-1", "mesh-2", "mesh-9"}},
		{"team", []string{"a", "b"}},
		{mesh.RevisionLabel, []string{"mesh-1", "mesh-2", "stable", "nobody"}},
		{mesh.InjectionLabel, []string{"enabled", "disabled"}},
	}
}

// otherModes are the labels of ambient mode and of OpenShift Service Mesh 2, beside the least of the others.
func otherModes() []choice {
	return []choice{
		{"istio-discovery", []string{"mesh-1", "mesh-2"}},
		{mesh.RevisionLabel, []string{"mesh-1", "mesh-2", "stable"}},
		{mesh.InjectionLabel, []string{"enabled"}},
		{mesh.DataplaneModeLabel, []string{"ambient"}},
		{mesh.MaistraMemberLabel, []string{"istio-system"}},
		{"maistra.io/ignore-namespace", []string{"true"}},
	}
}

// everyLabel is more than can be walked through exhaustively.
func everyLabel() []choice {
	return []choice{
		{"istio-discovery", []string{"mesh-1", "mesh-2", "mesh-3", "mesh-9"}},
		{"mesh", []string{"mesh-1", "mesh-2", "other"}},
		{"team", []string{"a", "b"}},
		{mesh.RevisionLabel, []string{"mesh-1", "mesh-2", "mesh-3", "mesh-1-v1-30-0", "stable", "nobody"}},
		{mesh.InjectionLabel, []string{"enabled", "disabled", "true"}},
		{mesh.DataplaneModeLabel, []string{"ambient", "none"}},
		{mesh.MaistraMemberLabel, []string{"istio-system"}},
		{"maistra.io/ignore-namespace", []string{"true", "false"}},
	}
}

// everyNamespace has every combination of the labels.
func everyNamespace(choices []choice) []map[string]string {
	all := []map[string]string{{mesh.NameLabel: "app"}}
	for _, c := range choices {
		for _, labels := range all[:len(all):len(all)] {
			for _, value := range c.values {
				more := maps.Clone(labels)
				more[c.key] = value
				all = append(all, more)
			}
		}
	}
	return all
}

// randomNamespace has a random combination of the labels.
func randomNamespace(random *rand.Rand, choices []choice) map[string]string {
	labels := map[string]string{mesh.NameLabel: "app"}
	for _, c := range choices {
		if i := random.IntN(len(c.values) + 1); i > 0 {
			labels[c.key] = c.values[i-1]
		}
	}
	return labels
}

// randomFleet is a cluster as it may be when meshfence is installed: two or three meshes whose selectors overlap more often
// than not, and some of which live in the namespace that is judged.
func randomFleet(random *rand.Rand) []string {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	var lines []string
	for i := range 2 + random.IntN(2) {
		line := fmt.Sprintf("Istio mesh-%d; in %s", i+1, pick("app", fmt.Sprintf("istio-system-%d", i+1), fmt.Sprintf("istio-system-%d", i+1)))
		var list []string
		for range random.IntN(3) {
			list = append(list, pick(
				"istio-discovery=mesh-1", "istio-discovery=mesh-2", "istio-discovery in (mesh-1,mesh-2)", "istio-discovery",
				"istio-discovery=mesh-1,team=a", "istio-discovery,team notin (b)", "team=a", "team=b", "team", "!team,istio-discovery",
				"team notin (a)", "!istio-discovery", "null", "{}", "raw team in a",
			))
		}
		if len(list) == 0 {
			list = []string{fmt.Sprintf("istio-discovery=mesh-%d", i+1)}
		}
		line += "; selects " + strings.Join(list, " | ")
		line += pick("", "", "", "", "; bundle own-root", "; overlaps mesh-1", "; profile remote", "; RevisionBased; version v1.30.0", "; ambient")
		lines = append(lines, line)
	}
	lines = append(lines, pick("IstioRevisionTag default; targets Istio mesh-1", "IstioRevisionTag default; targets Istio mesh-2",
		"IstioRevisionTag default; targets Istio gone", "IstioRevisionTag stable; targets Istio mesh-1"))
	return append(lines, pick("map", "map mesh-1=mesh-1", "map mesh-1=stable", "map mesh-1=mesh-2 mesh-2=mesh-2"))
}

// judgement is how a change of a namespace is judged.
type judgement func(policy.NamespaceChange) policy.Verdict

// walk goes through the states of the namespace app by changes of one label, as a person makes them: meshfence fills in
// istio.io/rev, then it judges.
type walk struct {
	edits  []edit
	fleet  *mesh.Fleet
	policy *policy.Policy
	judge  judgement
	places map[string]*place // by their names
	// warned is that of a walkedFleet.
	warned bool
}

// edit sets a label, or removes it if the value is "".
type edit struct{ key, value string }

// place is a state of the namespace.
type place struct {
	name   string
	ns     *mesh.Namespace
	filled string // the annotation meshfence.io/filled-revision
	// findings are what a creation in this state would be told, as findingNames has them.
	findings []string
	clean    bool
	steps    []step // by the walk's edits, as far as they were tried
	saved    bool   // repairs lead from here to a clean place
}

// step is where an edit leads; to is nil if the edit is refused or changes nothing. It repairs if it brings no new finding.
type step struct {
	tried, repairs bool
	to             *place
}

func newWalk(choices []choice, fleet *mesh.Fleet) *walk {
	p := policy.New(settings())
	w := &walk{fleet: fleet, policy: p, judge: p.Namespace, places: map[string]*place{}}
	for _, c := range choices {
		w.edits = append(w.edits, edit{key: c.key})
	}
	for _, c := range choices {
		for _, value := range c.values {
			w.edits = append(w.edits, edit{c.key, value})
		}
	}
	return w
}

// at returns the place with these labels.
func (w *walk) at(labels map[string]string, filled string) *place {
	name := fmt.Sprintf("%s (filled in: %q)", labelText(labels), filled)
	if p := w.places[name]; p != nil {
		return p
	}
	p := &place{name: name, ns: &mesh.Namespace{Name: "app", Labels: labels}, filled: filled, steps: make([]step, len(w.edits))}
	p.findings = findingNames(w.policy.Namespace(policy.NamespaceChange{New: p.ns, Fleet: w.fleet, Now: now}))
	p.clean = len(p.findings) == 0 && w.atHome(labels)
	w.places[name] = p
	return p
}

// atHome reports whether every mesh whose control-plane namespace this is discovers it: otherwise the mesh has a finding
// (MF104) that the namespace's labels are to blame for. A mesh without an istiod here discovers nothing.
func (w *walk) atHome(labels map[string]string) bool {
	return !slices.ContainsFunc(w.fleet.Meshes(), func(m *mesh.Mesh) bool {
		source, _ := m.Discovers(labels)
		return m.ControlPlane == "app" && source == nil && !m.Remote()
	})
}

// findingNames tells findings apart: the rules and what they are about. What a refused request would have caused counts too.
func findingNames(verdict policy.Verdict) []string {
	var names []string
	for _, f := range slices.Concat(verdict.Denials, verdict.Warnings, verdict.Untold) {
		names = append(names, fmt.Sprintf("%s %q", f.Rule.Code, f.Subjects))
	}
	return names
}

// step tries an edit at a place.
func (w *walk) step(from *place, i int) step {
	e, s := w.edits[i], &from.steps[i]
	if s.tried || from.ns.Labels[e.key] == e.value {
		return *s
	}
	s.tried = true
	after := maps.Clone(from.ns.Labels)
	if after[e.key] = e.value; e.value == "" {
		delete(after, e.key)
	}
	filled, updated := from.filled, &mesh.Namespace{Name: "app", Labels: after}
	fill := w.policy.Fill(policy.FillChange{Old: from.ns, New: updated, Before: policy.Origin{Filled: filled}, After: policy.Origin{Filled: filled}, Fleet: w.fleet})
	switch fill.Answer {
	case policy.LeaveAlone:
	case policy.Add, policy.Replace:
		filled, after[mesh.RevisionLabel] = fill.Revision, fill.Revision
	case policy.Remove:
		filled = ""
		delete(after, mesh.RevisionLabel)
	}
	verdict := w.judge(policy.NamespaceChange{Old: from.ns, New: updated, Fleet: w.fleet, Now: now})
	if verdict.Answer == policy.Allowed {
		s.to = w.at(after, filled)
		s.repairs = w.warned || !slices.ContainsFunc(findingNames(verdict), func(name string) bool { return !slices.Contains(from.findings, name) })
	}
	return *s
}

// traps looks at every combination of the labels, with the revision written by a person and filled in. It returns the
// places from which no sequence of repairs leads to a clean one; all is true if there is no clean one.
func (w *walk) traps(choices []choice) (traps []*place, all bool) {
	var starts []*place
	for _, labels := range everyNamespace(choices) {
		starts = append(starts, w.at(labels, ""))
		if revision, ok := labels[mesh.RevisionLabel]; ok {
			starts = append(starts, w.at(labels, revision))
		}
	}
	if !slices.ContainsFunc(starts, func(p *place) bool { return p.clean }) {
		return starts, true
	}
	// The fewest labels first: from there on, the way from most places is one step long.
	slices.SortStableFunc(starts, func(a, b *place) int { return len(a.ns.Labels) - len(b.ns.Labels) })
	for _, p := range starts {
		if !w.rescue(p) {
			traps = append(traps, p)
		}
	}
	return traps, false
}

// rescue looks for repairs that lead to a clean place, breadth first, and remembers all places on the way there.
func (w *walk) rescue(from *place) bool {
	cameFrom, queue := map[*place]*place{from: nil}, []*place{from}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if p.clean || p.saved {
			for ; p != nil; p = cameFrom[p] {
				p.saved = true
			}
			return true
		}
		for i := range w.edits {
			s := w.step(p, i)
			if !s.repairs {
				continue
			}
			if _, seen := cameFrom[s.to]; seen {
				continue
			}
			cameFrom[s.to] = p
			if s.to.clean || s.to.saved {
				queue = append([]*place{s.to}, queue...)
				break
			}
			queue = append(queue, s.to)
		}
	}
	return false
}

// walkedFleet is a cluster that is walked through. hopeless says why no labels are clean there: then only a mesh can be
// repaired, and nothing is demanded of the labels.
type walkedFleet struct {
	name, hopeless string
	fleet          []string
	// warned says that on the way to a clean state there may be a warning that was not there before. Where a mesh injects by default,
	// a namespace can only stop to name a revision that does not exist, and then say that it wants none: in between it is injected.
	warned bool
}

func walkedFleets() []walkedFleet {
	const first, second = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"
	return []walkedFleet{
		{name: "the guide", fleet: guide()},
		{name: "the guide, nothing called default", fleet: []string{first, second}},
		{name: "overlapping selectors", fleet: append(crossing(), "IstioRevisionTag default; targets Istio mesh-2")},
		{name: "a declared overlap", fleet: []string{crossing()[0] + "; overlaps mesh-2", crossing()[1], "IstioRevisionTag default; targets Istio mesh-2"}},
		{name: "a declared overlap that has expired", fleet: []string{crossing()[0] + "; overlaps mesh-2; until 2026-01-01T00:00:00Z", crossing()[1]}},
		{name: "tags", fleet: []string{first, second, "IstioRevisionTag stable; targets Istio mesh-1", "IstioRevisionTag default; targets IstioRevision mesh-2"}},
		{name: "tags without a target", fleet: []string{first, second, "IstioRevisionTag stable; targets Istio gone", "IstioRevisionTag default; targets Istio gone"}},
		{name: "a mesh map", fleet: append(guide(), "IstioRevisionTag stable; targets Istio mesh-1", "map mesh-1=stable mesh-2=mesh-2")},
		{name: "a mesh map of another mesh's revision", fleet: append(guide(), "map mesh-1=mesh-2 mesh-9=mesh-1")},
		{name: "a mesh map of unknown revisions", fleet: append(guide(), "map mesh-1=nobody mesh-2=nobody mesh-9=nobody")},
		{name: "a control-plane namespace", fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", second, "IstioRevisionTag default; targets Istio mesh-2"}},
		{name: "a control-plane namespace that another mesh discovers too", fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects team=a | istio-discovery=mesh-2"}},
		{name: "a control-plane namespace that another mesh would get with some values", fleet: []string{"Istio mesh-1; in app; selects istio-discovery", "Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2"}},
		{name: "a control-plane namespace that labels cannot give to its mesh", hopeless: "mesh-2 discovers all that mesh-1 does", fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery"}},
		{name: "a control-plane namespace of two meshes", hopeless: "both should discover it, and would fight", fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in app; selects team=a"}},
		{name: "a control-plane namespace of two meshes that do not fight", fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in app; selects istio-discovery in (mesh-1,mesh-2); bundle own"}},
		{name: "one mesh for everything", fleet: []string{"Istio mesh-1; in istio-system-1"}},
		{name: "a mesh for everything beside another", fleet: []string{first, "Istio mesh-2; in istio-system-2"}},
		{name: "two meshes for everything", hopeless: "every namespace is in both", fleet: []string{"Istio mesh-1; in istio-system-1", "Istio mesh-2; in istio-system-2"}},
		{name: "OpenShift's gateway-only mesh", fleet: append(guide(), "Istio openshift-gateway; in openshift-ingress; bundle openshift-gw-ca-root-cert")},
		{name: "a mesh of ambient mode", fleet: append(ambient(), "IstioRevisionTag default; targets Istio mesh-2")},
		{name: "two meshes of ambient mode, one of them of another cluster", fleet: []string{first + "; ambient; profile remote", second + "; ambient"}},
		{name: "a mesh that injects by default", warned: true, fleet: []string{"Istio default; in istio-system; injects-by-default; selects istio-discovery=mesh-1"}},
		{name: "a mesh that injects by default, beside another", warned: true, fleet: []string{"Istio mesh-1; in istio-system-1; injects-by-default; selects istio-discovery=mesh-1", second, "IstioRevisionTag default; targets Istio mesh-1"}},
		{name: "a mesh that injects everything by default, beside another", fleet: []string{first, "Istio default; in istio-system; injects-by-default; bundle own"}},
		{name: "a mesh whose revision cannot be chosen", fleet: []string{"Istio " + strings.Repeat("long", 14) + "; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1", second}},
		{name: "meshes that share a ClusterTrustBundle and mount nothing", fleet: []string{
			first + "; env-bundle own; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}", second + "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}",
		}},
		{name: "a remote mesh", fleet: []string{first, "Istio mesh-2; in istio-system-2; profile remote", "IstioRevisionTag default; targets Istio mesh-2"}},
		{name: "an invalid selector", fleet: []string{first, "Istio mesh-2; in istio-system-2; selects raw team in a"}},
		{name: "two invalid selectors", hopeless: "both count as everything", fleet: []string{"Istio mesh-1; in istio-system-1; selects raw team in a", "Istio mesh-2; in istio-system-2; selects raw team in a"}},
		{name: "no mesh"},
		{name: "no mesh, and a mesh map", fleet: []string{"map mesh-1=mesh-1 mesh-2=mesh-2"}},
		{name: "no mesh, and a mesh map that names one revision twice", fleet: []string{"map mesh-1=stable mesh-2=stable mesh-9=default"}},
		{name: "an older revision that discovers more", fleet: []string{
			"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
			"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects team=a",
			second, "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0", "map mesh-1=stable",
		}},
		{name: "an IstioRevision that no Istio owns", fleet: []string{"IstioRevision mesh-1; in istio-system-1; selects team=a", second}},
		{name: "selectors that ask for absence", fleet: []string{
			"Istio mesh-1; in istio-system-1; selects !team,istio-discovery", "Istio mesh-2; in istio-system-2; selects istio-discovery notin (mesh-1)",
		}},
		{name: "selectors of two labels", fleet: []string{
			"Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1,team=a", "Istio mesh-2; in istio-system-2; selects istio-discovery in (mesh-1,mesh-2)",
			"Istio mesh-3; in istio-system-3; selects team notin (a),istio-discovery",
		}},
	}
}

// Every state can be brought to a clean one, without any finding, by changes of one label that are all admitted, each
// bringing no new finding.
func TestWhateverANamespacesLabelsAreAdmittedChangesOfOneLabelRepairThem(t *testing.T) {
	for _, c := range walkedFleets() {
		t.Run(c.name, func(t *testing.T) {
			for _, choices := range [][]choice{membership(), otherModes()} {
				w := newWalk(choices, fleet(t, c.fleet...))
				w.warned = c.warned
				traps, all := w.traps(choices)
				if all != (c.hopeless != "") {
					t.Errorf("no labels are clean: %v; expected because: %q", all, c.hopeless)
				}
				if len(traps) > 0 && !all {
					t.Errorf("%d of %d states are traps, such as %s with %q", len(traps), len(w.places), traps[0].name, traps[0].findings)
				}
			}
		})
	}
}

func TestInARandomFleetNoLabelsAreATrap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	states, hopeless := 0, 0
	for range 20 {
		lines := randomFleet(random)
		w := newWalk(membership(), fleet(t, lines...))
		traps, all := w.traps(membership())
		if states += len(w.places); all {
			hopeless++ // such as two meshes that both discover everything: only a mesh can be repaired there
		} else if len(traps) > 0 {
			t.Errorf("%d of %d states are traps, such as %s with %q, in\n\t%s", len(traps), len(w.places), traps[0].name,
				traps[0].findings, strings.Join(lines, "\n\t"))
		}
	}
	t.Logf("%d states; %d fleets in which no labels are clean", states, hopeless)
}

func TestARandomWalkFromABrokenStateNeverEndsInATrap(t *testing.T) {
	const walks, steps = 5, 8
	random := rand.New(rand.NewPCG(5, 6))
	rescued := 0
	for _, c := range walkedFleets() {
		if c.hopeless != "" {
			continue
		}
		w := newWalk(everyLabel(), fleet(t, c.fleet...))
		w.warned = c.warned
		for range walks {
			p := w.at(randomNamespace(random, everyLabel()), "")
			for range steps {
				if !w.rescue(p) {
					t.Fatalf("%s: %s is a trap: %q", c.name, p.name, p.findings)
				}
				rescued++
				if s := w.step(p, random.IntN(len(w.edits))); s.to != nil { // also one that makes it worse
					p = s.to
				}
			}
		}
	}
	t.Logf("%d states were repaired", rescued)
}

// A judgement that refuses what was wrong before makes every state a trap that needs two changes.
func TestTheWalkFindsTraps(t *testing.T) {
	w := newWalk(otherModes(), fleet(t, guide()...))
	w.judge = func(c policy.NamespaceChange) policy.Verdict {
		c.Old = nil
		return w.policy.Namespace(c)
	}
	if traps, all := w.traps(otherModes()); len(traps) == 0 || all {
		t.Errorf("%d of %d states are traps, want some", len(traps), len(w.places))
	}
	both := namespace(t, "app", "istio-injection=enabled istio.io/rev=mesh-2")
	if w.rescue(w.at(both.Labels, "")) {
		t.Errorf("%q can be repaired", labelText(both.Labels))
	}
}

func TestIfARandomChangeIsRefusedThenItsCommandsAreAdmittedAndRepairWhatTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	commands, silent := 0, 0
	for range 60 {
		lines := randomFleet(random)
		cluster, judge := fleet(t, lines...), policy.New(settings())
		for range 40 {
			from := &mesh.Namespace{Name: "app", Labels: randomNamespace(random, everyLabel())}
			to := &mesh.Namespace{Name: "app", Labels: randomNamespace(random, everyLabel())}
			verdict := judge.Namespace(policy.NamespaceChange{Old: from, New: to, Fleet: cluster, Now: now})
			before := t.Failed()
			n := checkCommands(t, cluster, from, to, verdict)
			if t.Failed() && !before {
				t.Fatalf("changed to %q in\n\t%s", labelText(to.Labels), strings.Join(lines, "\n\t"))
			}
			if commands += n; n == 0 && verdict.Answer != policy.Allowed {
				silent++
			}
		}
	}
	t.Logf("%d commands; %d denials without any", commands, silent)
}
