package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// universe is every namespace with some of these labels, and the changes of one label between them.
type universe struct {
	keys   []string
	values [][]string // of the keys; the first is "", absent
	states []*mesh.Namespace
}

// smallUniverse has every revision that a fleet of randomFleet knows, and one that it does not.
func smallUniverse() *universe {
	u := &universe{
		keys: []string{"istio-discovery", "team", mesh.RevisionLabel, mesh.InjectionLabel},
		values: [][]string{
			{"", "mesh-1", "mesh-2", "mesh-9"}, {"", "a", "b"}, {"", "mesh-1", "mesh-2", "mesh-3", "nobody"}, {"", "enabled", "disabled"},
		},
	}
	n := 1
	for _, values := range u.values {
		n *= len(values)
	}
	for i := range n {
		all := map[string]string{mesh.NameLabel: "app"}
		for k, value := range u.digits(i) {
			if value > 0 {
				all[u.keys[k]] = u.values[k][value]
			}
		}
		u.states = append(u.states, &mesh.Namespace{Name: "app", Labels: all})
	}
	return u
}

// digits are the indices of a state's values, by key.
func (u *universe) digits(state int) []int {
	digits := make([]int, len(u.keys))
	for k, values := range u.values {
		digits[k] = state % len(values)
		state /= len(values)
	}
	return digits
}

// neighbours are the states that one label away.
func (u *universe) neighbours(state int) []int {
	var all []int
	weight := 1
	for k, digit := range u.digits(state) {
		for other := range u.values[k] {
			if other != digit {
				all = append(all, state+(other-digit)*weight)
			}
		}
		weight *= len(u.values[k])
	}
	return all
}

// randomFleet is a cluster as it may be when meshfence is installed: two or three meshes whose selectors overlap more often
// than not.
func randomFleet(random *rand.Rand) []string {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	var lines []string
	for i := range 2 + random.IntN(2) {
		line := fmt.Sprintf("Istio mesh-%d; in istio-system-%d", i+1, i+1)
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
		line += pick("", "", "", "", "; bundle own-root", "; overlaps mesh-1", "; profile remote", "; RevisionBased; version v1.30.0")
		lines = append(lines, line)
	}
	return append(lines, pick("IstioRevisionTag default; targets Istio mesh-1", "IstioRevisionTag default; targets Istio mesh-2",
		"IstioRevisionTag default; targets Istio gone", "map mesh-1=mesh-1"))
}

// walk goes from state to state by changes of one label.
type walk struct {
	*universe
	fleet *mesh.Fleet
	judge *policy.Policy
}

func newWalk(u *universe, fleet *mesh.Fleet) *walk {
	return &walk{universe: u, fleet: fleet, judge: policy.New(settings())}
}

// clean says, for every state, whether nothing would refuse to create it.
func (w *walk) clean() []bool {
	clean := make([]bool, len(w.states))
	for i, s := range w.states {
		clean[i] = w.judge.Namespace(policy.NamespaceChange{New: s, Fleet: w.fleet, Now: now}).Answer == policy.Allowed
	}
	return clean
}

func (w *walk) change(from, to int) policy.Verdict {
	return w.judge.Namespace(policy.NamespaceChange{Old: w.states[from], New: w.states[to], Fleet: w.fleet, Now: now})
}

// traps are the states from which no sequence of admitted changes leads to a clean one: a search backwards, from the clean
// states, that goes on for as long as it finds a state from which one change is admitted into a state found earlier.
func (w *walk) traps(clean []bool) []int {
	saved := slices.Clone(clean)
	for found := true; found; {
		found = false
		for from := range w.states {
			if !saved[from] && slices.ContainsFunc(w.neighbours(from), func(to int) bool {
				return saved[to] && w.change(from, to).Answer == policy.Allowed
			}) {
				saved[from], found = true, true
			}
		}
	}
	var traps []int
	for i, ok := range saved {
		if !ok {
			traps = append(traps, i)
		}
	}
	return traps
}

func TestIfANamespaceIsBrokenThenAdmittedChangesOfOneLabelLeadToACleanState(t *testing.T) {
	u := smallUniverse()
	random := rand.New(rand.NewPCG(1, 2))
	broken, hopeless := 0, 0
	for range 50 {
		lines := randomFleet(random)
		w := newWalk(u, fleet(t, lines...))
		clean := w.clean()
		if !slices.Contains(clean, true) {
			hopeless++ // such as two meshes that both discover everything: only a mesh can be repaired there
			continue
		}
		for _, ok := range clean {
			if !ok {
				broken++
			}
		}
		if traps := w.traps(clean); len(traps) > 0 {
			t.Errorf("%d of %d states are traps, such as %q, in\n\t%s", len(traps), len(u.states),
				labelText(u.states[traps[0]].Labels), strings.Join(lines, "\n\t"))
		}
	}
	t.Logf("%d broken states; %d fleets in which no labels are clean", broken, hopeless)
}

func TestIfARandomChangeIsRefusedThenItsCommandsAreAdmittedAndRepairWhatTheySay(t *testing.T) {
	u := smallUniverse()
	random := rand.New(rand.NewPCG(3, 4))
	commands, silent := 0, 0
	for range 80 {
		lines := randomFleet(random)
		w := newWalk(u, fleet(t, lines...))
		for range 30 {
			from, to := random.IntN(len(u.states)), random.IntN(len(u.states))
			verdict := w.change(from, to)
			before := t.Failed()
			n := checkCommands(t, w.fleet, u.states[from], u.states[to], verdict)
			if t.Failed() && !before {
				t.Fatalf("changed to %q in\n\t%s", labelText(u.states[to].Labels), strings.Join(lines, "\n\t"))
			}
			if commands += n; n == 0 && verdict.Answer != policy.Allowed {
				silent++
			}
		}
	}
	t.Logf("%d commands; %d denials without any", commands, silent)
}
