package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

const besideHeader = `# What is answered to every namespace beside a mesh that takes every namespace, and to every change of its labels.
# mesh-1 discovers istio-discovery=mesh-1, mesh-2 team=b: a namespace can ask for neither, for one, or for both. "every" has no
# selectors. Written by: go test ./webhook/policy -run TestEveryNamespaceBesideAMesh -update
#
# CREATE: the answer to a namespace that is created in this state, with the meshes that each finding is about.
# UPDATE: one row a stored state, one column a new state, by number: . allowed, w allowed with warnings, D denied.
`

// besideState is what a namespace asks for, and what injects it.
type besideState struct{ asks, revision, injection string }

func besideStates() []besideState {
	var all []besideState
	for _, asks := range []string{"", "mesh-1", "mesh-2", "both"} {
		for _, revision := range []string{"", "mesh-1", "mesh-2", "every", "nobody"} {
			for _, injection := range []string{"", "enabled"} {
				all = append(all, besideState{asks, revision, injection})
			}
		}
	}
	return all
}

func (s besideState) String() string {
	dash := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	return fmt.Sprintf("%-6s %-6s %-7s", dash(s.asks), dash(s.revision), dash(s.injection))
}

func (s besideState) namespace() *mesh.Namespace {
	all := map[string]string{mesh.NameLabel: "app"}
	if s.asks == "mesh-1" || s.asks == "both" {
		all["istio-discovery"] = "mesh-1"
	}
	if s.asks == "mesh-2" || s.asks == "both" {
		all["team"] = "b"
	}
	if s.revision != "" {
		all[mesh.RevisionLabel] = s.revision
	}
	if s.injection != "" {
		all[mesh.InjectionLabel] = s.injection
	}
	return &mesh.Namespace{Name: "app", Labels: all}
}

func besideFleets() []struct {
	name  string
	lines []string
} {
	const one, two = "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects team=b"
	const every = "Istio every; in istio-system-every"
	return []struct {
		name  string
		lines []string
	}{
		{"without a mesh that takes every namespace", []string{one, two}},
		{"beside one without selectors", []string{one, two, every}},
		{"beside one with an invalid selector", []string{one, two, every + "; selects raw team in b"}},
		{"beside one that only excludes", []string{one, two, every + "; selects colour notin (red)"}},
		{"beside one whose trust bundle has a name of its own", []string{one, two, every + "; bundle own"}},
		{"beside one that declares the overlap with mesh-1", []string{one, two, every + "; overlaps mesh-1"}},
		{"beside one that has the name default", []string{one, two, "IstioRevisionTag default; targets Istio every", every}},
		{"that one alone", []string{every}},
	}
}

// Whatever one mesh takes without being asked, only what a namespace's own labels do to it is refused.
func TestEveryNamespaceBesideAMeshThatTakesEveryNamespace(t *testing.T) {
	var out strings.Builder
	out.WriteString(besideHeader)
	judge := policy.New(settings())
	for _, f := range besideFleets() {
		cluster := fleet(t, f.lines...)
		fmt.Fprintf(&out, "\n## %s\n\nCREATE\n nr  asks   rev    injection\n", f.name)
		for i, s := range besideStates() {
			verdict := judge.Namespace(policy.NamespaceChange{New: s.namespace(), Fleet: cluster, Now: now})
			checkBeside(t, f.name, s, verdict)
			fmt.Fprintf(&out, " %2d  %v %s\n", i, s, abouts(verdict))
		}
		out.WriteString("\nUPDATE\n")
		for i, from := range besideStates() {
			fmt.Fprintf(&out, " %2d  %v ", i, from)
			for _, to := range besideStates() {
				verdict := judge.Namespace(policy.NamespaceChange{Old: from.namespace(), New: to.namespace(), Fleet: cluster, Now: now})
				checkCommands(t, cluster, from.namespace(), to.namespace(), verdict)
				if from == to && len(verdict.Findings()) > 0 {
					t.Errorf("%s: nothing changes at %v, and yet: %s", f.name, from, outcome(verdict))
				}
				out.WriteByte(mark(verdict))
			}
			out.WriteByte('\n')
		}
	}
	checkFile(t, "beside.golden", out.String())
}

// checkBeside refuses a denial that the namespace's labels are not to blame for: MF201 where it asks for one mesh or none, and
// MF202 where its revision belongs to a mesh that discovers it.
func checkBeside(t *testing.T, fleet string, s besideState, verdict policy.Verdict) {
	t.Helper()
	for _, f := range verdict.Denials {
		if f.Rule.Code == "MF201" && s.asks != "both" || f.Rule.Code == "MF202" && (s.revision == s.asks || s.asks == "both" && strings.HasPrefix(s.revision, "mesh-")) && s.injection == "" {
			t.Errorf("%s: %v is refused: %s", fleet, s, f.Message())
		}
	}
}

// abouts is a verdict in one line, with the subjects of its findings.
func abouts(verdict policy.Verdict) string {
	var words []string
	for _, f := range verdict.Findings() {
		word := f.Action.String() + " " + string(f.Rule.Code)
		if len(f.Subjects) > 0 {
			word += " [" + strings.ReplaceAll(strings.Join(f.Subjects, ", "), `Istio `, "") + "]"
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "allow"
	}
	return strings.Join(words, "; ")
}

// checkFile compares with a golden file, or writes it anew.
func checkFile(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%d lines, but %s has %d: see what changed with -update and git diff", len(gotLines), path, len(wantLines))
	}
	for i, line := range gotLines {
		if line != wantLines[i] {
			t.Errorf("%s:%d\n got %s\nwant %s", path, i+1, line, wantLines[i])
		}
	}
}
