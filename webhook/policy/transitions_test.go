package policy_test

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// state is the three labels of a namespace; "" is absent.
type state struct {
	discovery, revision, injection string
}

// states are all of them: each label absent, right for a namespace of mesh-1, wrong, and another mesh's. istio-injection
// names no mesh: enabled is right for mesh-1, which default belongs to (and so another mesh's for a namespace of mesh-2);
// disabled is the documented way to switch injection off; true is the mistake that people make, and switches it off too.
func states() []state {
	var all []state
	for _, discovery := range []string{"", "mesh-1", "mesh-9", "mesh-2"} {
		for _, revision := range []string{"", "mesh-1", "mesh-9", "mesh-2"} {
			for _, injection := range []string{"", "enabled", "disabled", "true"} {
				all = append(all, state{discovery, revision, injection})
			}
		}
	}
	return all
}

func (s state) namespace() *mesh.Namespace {
	all := map[string]string{mesh.NameLabel: "app"}
	for key, value := range map[string]string{"istio-discovery": s.discovery, "istio.io/rev": s.revision, "istio-injection": s.injection} {
		if value != "" {
			all[key] = value
		}
	}
	return &mesh.Namespace{Name: "app", Labels: all}
}

func (s state) String() string {
	return fmt.Sprintf("%-6s %-6s %-8s", cmp.Or(s.discovery, "-"), cmp.Or(s.revision, "-"), cmp.Or(s.injection, "-"))
}

// knowledge is what a cluster knows: as a fleet, and in the words of the prose, for the oracle.
type knowledge struct {
	name  string
	fleet []string
	// meshes discover the namespaces whose istio-discovery is their name.
	meshes []string
	// owners are the meshes by revision or tag.
	owners map[string]string
	// mapped is the mesh map, from mesh to revision.
	mapped map[string]string
	// waiting is a tag whose target does not exist.
	waiting string
	// byDefault is the mesh that injects what chooses no revision.
	byDefault string
}

// everyKnowledge is the guide's two meshes, with and without a tag default on mesh-1, a tag without a target, and a mesh that injects by default, and three clusters without a mesh.
func everyKnowledge() []knowledge {
	return []knowledge{
		{
			name: "mesh known", fleet: guide(), meshes: []string{"mesh-1", "mesh-2"},
			owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2", "default": "mesh-1"},
		},
		{
			name: "mesh known, nothing called default", fleet: guide()[:2], meshes: []string{"mesh-1", "mesh-2"},
			owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2"},
		},
		{
			name: "mesh known, mesh-9 is a tag whose target does not exist", fleet: append(guide(), "IstioRevisionTag mesh-9; targets Istio gone"),
			meshes: []string{"mesh-1", "mesh-2"}, owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2", "default": "mesh-1"}, waiting: "mesh-9",
		},
		{
			name: "mesh known, mesh-1 injects by default", fleet: []string{guide()[0] + "; injects-by-default", guide()[1], guide()[2]}, meshes: []string{"mesh-1", "mesh-2"},
			owners: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2", "default": "mesh-1"}, byDefault: "mesh-1",
		},
		{
			name: "mesh not yet known, mesh map only", fleet: []string{"map mesh-1=mesh-1 mesh-2=mesh-2"},
			mapped: map[string]string{"mesh-1": "mesh-1", "mesh-2": "mesh-2"},
		},
		{
			name: "mesh not yet known, mesh map with default", fleet: []string{"map mesh-1=default mesh-2=mesh-2"},
			mapped: map[string]string{"mesh-1": "default", "mesh-2": "mesh-2"},
		},
		{name: "mesh not yet known, no mesh map"},
	}
}

// offence is a finding as the prose tells it: the rule, whether it denies by itself, and what it is about, each of which must
// have been so in the old object for the change to be no offence of its own.
type offence struct {
	code  policy.Code
	deny  bool
	about string
}

// among reports whether offences of an old object have one of the new object.
func (o offence) among(before []offence) bool {
	return slices.ContainsFunc(before, func(b offence) bool {
		return b.code == o.code && (b.deny || !o.deny) && !slices.ContainsFunc(strings.Fields(o.about), func(word string) bool {
			return !slices.Contains(strings.Fields(b.about), word)
		})
	})
}

// untouched reports whether a change leaves alone the labels that the rule of an offence is about.
func (o offence) untouched(old, updated state) bool {
	switch o.code {
	case "MF201", "MF212":
		return old.discovery == updated.discovery
	case "MF204":
		return old.revision == updated.revision && old.injection == updated.injection
	default:
		return old == updated
	}
}

// offences is the oracle: the rules about a namespace that these three labels can break, by docs/rules.md and the facts in docs/design.md.
func (k knowledge) offences(s state) []offence {
	discovering := ""
	if slices.Contains(k.meshes, s.discovery) {
		discovering = s.discovery
	}
	// istio-injection wins; enabled is default, anything else is nothing.
	chosen := s.revision
	if s.injection != "" {
		chosen = ""
	}
	if s.injection == "enabled" {
		chosen = "default"
	}
	var found []offence
	owner, byLabel := k.owners[chosen], s.revision+s.injection != ""
	if !byLabel {
		owner = k.byDefault
	}
	if discovering != "" && owner != "" && owner != discovering {
		found = append(found, offence{"MF202", byLabel, "in:" + discovering + " by:" + owner})
	}
	if len(k.meshes) == 0 && s.discovery != "" {
		for named, revision := range k.mapped {
			if revision == chosen && named != s.discovery {
				found = append(found, offence{"MF202", true, "in:" + s.discovery + " by:" + chosen})
			}
		}
	}
	if s.injection == "" && s.revision != "" && owner == "" {
		found = append(found, offence{"MF203", discovering != "" && chosen != k.waiting, cmp.Or(discovering, chosen) + " " + chosen})
	}
	if s.injection != "" && s.revision != "" {
		found = append(found, offence{"MF204", s.injection == "enabled" && s.revision != k.owners["default"], ""})
	}
	if discovering == "" && owner != "" {
		found = append(found, offence{"MF205", byLabel, owner})
	}
	if s.injection == "enabled" && owner == "" {
		found = append(found, offence{"MF206", false, ""})
	}
	if len(k.meshes) > 0 && s.discovery != "" && discovering == "" {
		found = append(found, offence{"MF212", false, ""})
	}
	return found
}

// expected is the oracle's verdict, as outcome shows it. old is nil for a CREATE. What was wrong before is told where the change
// is about it and leaves it wrong; what is new with a change that is refused is not told.
func (k knowledge) expected(old *state, updated state) string {
	var before []offence
	if old != nil {
		before = k.offences(*old)
	}
	var denials, past, caused []string
	for _, o := range k.offences(updated) {
		switch was := o.among(before); {
		case o.deny && !was:
			denials = append(denials, "deny "+string(o.code))
		case old != nil && o.untouched(*old, updated):
		case was || (offence{o.code, false, o.about}).among(before):
			past = append(past, "warn "+string(o.code))
		default:
			caused = append(caused, "warn "+string(o.code))
		}
	}
	return toldOf(denials, past, caused)
}

func toldOf(denials, past, caused []string) string {
	if len(denials) > 0 {
		return strings.Join(slices.Concat(denials, past), " ")
	}
	// Both are in the order of the rules' codes.
	warnings := slices.Concat(past, caused)
	slices.Sort(warnings)
	return cmp.Or(strings.Join(warnings, " "), "allow")
}

// transitions are the verdicts of all changes in one cluster.
type transitions struct {
	knowledge
	cluster *mesh.Fleet
	states  []state
	objects []*mesh.Namespace // of the states
	create  []policy.Verdict
	update  [][]policy.Verdict // by old, then new state
}

func everyTransition(t *testing.T, k knowledge) *transitions {
	t.Helper()
	all := &transitions{knowledge: k, cluster: fleet(t, k.fleet...), states: states()}
	for _, s := range all.states {
		all.objects = append(all.objects, s.namespace())
	}
	judge := policy.New(settings())
	for _, to := range all.objects {
		all.create = append(all.create, judge.Namespace(policy.NamespaceChange{New: to, Fleet: all.cluster, Now: now}))
	}
	for _, from := range all.objects {
		var row []policy.Verdict
		for _, to := range all.objects {
			row = append(row, judge.Namespace(policy.NamespaceChange{Old: from, New: to, Fleet: all.cluster, Now: now}))
		}
		all.update = append(all.update, row)
	}
	return all
}

func TestEveryTransitionOfTheThreeLabels(t *testing.T) {
	golden := []string{goldenHeader}
	for _, k := range everyKnowledge() {
		all := everyTransition(t, k)
		t.Run("is judged as the rules say, "+k.name, all.checkVerdicts)
		t.Run("is refused with commands that are admitted and repair what they say, "+k.name, all.checkCommands)
		golden = append(golden, all.golden())
	}
	t.Run("is the one in the golden file", func(t *testing.T) { checkFile(t, "transitions.golden", strings.Join(golden, "")) })
}

func (all *transitions) checkVerdicts(t *testing.T) {
	for j, to := range all.states {
		if got, want := outcome(all.create[j]), all.expected(nil, to); got != want {
			t.Errorf("creation with %v: %s, want %s", to, got, want)
		}
		for i, from := range all.states {
			if got, want := outcome(all.update[i][j]), all.expected(&from, to); got != want {
				t.Errorf("from %v to %v: %s, want %s", from, to, got, want)
			}
		}
	}
}

func (all *transitions) checkCommands(t *testing.T) {
	denials, commands := 0, 0
	for i, row := range all.update {
		for j, verdict := range row {
			denials += len(verdict.Denials)
			for _, finding := range verdict.Denials {
				if len(commandsForAll(finding.Ways)) == 0 {
					t.Errorf("no command: %s", finding.Message())
				}
			}
			commands += checkCommands(t, all.cluster, all.objects[i], all.objects[j], verdict)
		}
	}
	t.Logf("%d denials with %d commands", denials, commands)
}

const goldenHeader = `# What is answered to every change of the three labels istio-discovery, istio.io/rev and istio-injection; "-" is absent.
# mesh-1 and mesh-2 discover istio-discovery=<their name>; mesh-9 is nobody. Written by: go test ./webhook/policy -update
#
# CREATE: the answer to a namespace that is created in this state, then what is filled in.
# UPDATE: one row a stored state, one column a new state, by number: . allowed, w allowed with warnings, D denied.
`

func (all *transitions) golden() string {
	var out strings.Builder
	judge := policy.New(settings())
	fmt.Fprintf(&out, "\n## %s\n\nCREATE\n nr  discovery/rev/injection\n", all.name)
	for i, s := range all.states {
		line := fmt.Sprintf(" %2d  %v  %s", i, s, outcome(all.create[i]))
		if fill := judge.Fill(policy.FillChange{New: all.objects[i], Fleet: all.cluster}); fill.Answer != policy.LeaveAlone {
			line += ", fills in istio.io/rev=" + fill.Revision
		}
		out.WriteString(line + "\n")
	}
	n := len(all.states)
	fmt.Fprintf(&out, "\nUPDATE%22s%s\n%28s%s\n", "", numbers(n, 10), "", numbers(n, 1))
	for i, s := range all.states {
		fmt.Fprintf(&out, " %2d  %v ", i, s)
		for _, verdict := range all.update[i] {
			out.WriteByte(mark(verdict))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// numbers is one line of the columns' numbers: the digits of that power of ten.
func numbers(n, power int) string {
	digits := make([]byte, n)
	for i := range digits {
		digits[i] = byte('0' + i/power%10)
	}
	return string(digits)
}

func mark(verdict policy.Verdict) byte {
	switch {
	case verdict.Answer != policy.Allowed:
		return 'D'
	case len(verdict.Warnings) > 0:
		return 'w'
	default:
		return '.'
	}
}
