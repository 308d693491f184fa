package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// A mesh's states, each of which can be created, changed into any other, and deleted.
func meshStates() []meshState {
	const base = "Istio mesh-1; in istio-system-1; version v1.30.3"
	const own = "; selects istio-discovery=mesh-1"
	return []meshState{
		{"absent", ""},
		{"in place", base + own},
		{"by version", base + own + "; RevisionBased"},
		{"by version, older", strings.Replace(base, "v1.30.3", "v1.29.6", 1) + own + "; RevisionBased"},
		{"by team", base + "; selects team=a"},
		{"by both", base + own + " | team=a"},
		{"remote", base + own + "; profile remote"},
		{"external", base + own + "; with {pilot: {env: {EXTERNAL_ISTIOD: 'true'}}}"},
		{"ambient", base + own + "; ambient"},
		{"one API", base + own + "; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}"},
		{"own bundle", base + own + "; bundle own-root"},
		{"not mounted", base + own + "; env-bundle own-root"},
		{"unread", base + own + "; with {pilot: {configMap: false}}"},
	}
}

type meshState struct{ name, line string }

// besides is what else the cluster has.
func besides() []string {
	return []string{
		"Istio mesh-2; in istio-system-2; version v1.30.3; selects istio-discovery=mesh-2; with {pilot: {env: {ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true'}}}",
		"IstioRevisionTag stable; targets Istio mesh-1", "IstioRevisionTag canary; targets IstioRevision mesh-1-v1-30-3",
	}
}

// residents are the namespaces: each a way to be in mesh-1 or to be mistaken about it.
func residents(t *testing.T) []mesh.Namespace {
	return apps(t,
		"by-canary: istio-discovery=mesh-1 istio.io/rev=canary", "by-name: istio-discovery=mesh-1 istio.io/rev=mesh-1", "by-tag: istio-discovery=mesh-1 istio.io/rev=stable",
		"idle: istio-discovery=mesh-1", "other: istio-discovery=mesh-2 istio.io/rev=mesh-2", "team: team=a istio.io/rev=mesh-1", "wrong: istio-discovery=mesh-2 istio.io/rev=mesh-1")
}

const meshGoldenHeader = `# What is answered to every change of the Istio mesh-1: its state before and after, then what denies and what warns.
# Which states there are, beside what, and with which namespaces: meshtransitions_test.go. Written by: go test ./webhook/policy -update
`

func TestEveryTransitionOfAMesh(t *testing.T) {
	golden := []string{meshGoldenHeader}
	for _, from := range meshStates() {
		for _, to := range meshStates() {
			if from.line == "" && to.line == "" {
				continue
			}
			c := meshCase{others: besides(), from: from.line, to: to.line, namespaces: residents(t)}
			if from.line == "" {
				c.create, c.to = c.to, ""
			}
			verdict := c.judge(t)
			change := fmt.Sprintf("%-17s -> %-17s", from.name, to.name)
			golden = append(golden, change+"  "+withMisplaced(verdict)+"\n")
			checkTransition(t, change, from, to, verdict)
		}
	}
	checkFile(t, "meshtransitions.golden", strings.Join(golden, ""))
}

// withMisplaced is outcome with the namespaces that MF118 names.
func withMisplaced(verdict policy.Verdict) string {
	text := outcome(verdict)
	for _, f := range verdict.Findings() {
		if f.Rule.Code == "MF118" {
			text += fmt.Sprintf(" %v", f.Subjects)
		}
	}
	return text
}

// checkTransition is the oracle: what must be told of a change, whatever else is.
func checkTransition(t *testing.T, change string, from, to meshState, verdict policy.Verdict) {
	t.Helper()
	codes := codesOf(verdict)
	if from.line == to.line && len(codes) > 0 {
		t.Errorf("%s: an unchanged mesh is told %v", change, codes)
	}
	for code, state := range map[policy.Code]string{"MF119": "one API", "MF120": "not mounted"} {
		if want := to.name == state && from.name != state; slices.Contains(codes, code) != want || want && verdict.Answer == policy.Allowed {
			t.Errorf("%s: %s %s", change, code, outcome(verdict))
		}
	}
	wrong := newlyWrong(t, from, to)
	if len(wrong) > 0 && verdict.Answer == policy.Allowed && !slices.ContainsFunc(verdict.Warnings, func(f policy.Finding) bool {
		return slices.Contains([]policy.Code{"MF111", "MF112", "MF113", "MF118"}, f.Rule.Code)
	}) {
		t.Errorf("%s: %s, but nothing is said of %v", change, outcome(verdict), wrong)
	}
	if misplaced := slices.Contains(codes, "MF118"); misplaced && len(wrong) == 0 {
		t.Errorf("%s: MF118, but no namespace comes to break a rule or loses its injector", change)
	}
	if from.line != "" && to.line != "" && verdict.Answer == policy.Allowed {
		for _, f := range verdict.Warnings {
			if f.Rule.Code == "MF118" && len(newlyRefused(t, from, to, f.Subjects)) > 0 {
				t.Errorf("%s: admitted, but %v were right before", change, newlyRefused(t, from, to, f.Subjects))
			}
		}
	}
}

// newlyWrong are the namespaces that come to break MF202 or MF205, or that nothing injects any more, judged one by one.
func newlyWrong(t *testing.T, from, to meshState) map[string]string {
	found := map[string]string{}
	before, after := clusterWith(t, from), clusterWith(t, to)
	for _, ns := range residents(t) {
		was, is := wrongs(&ns, before), wrongs(&ns, after)
		for _, code := range is {
			if !slices.Contains(was, code) {
				found[ns.Name] = string(code)
			}
		}
		if len(before.Injecting(ns.Labels)) > 0 && len(after.Injecting(ns.Labels)) == 0 {
			found[ns.Name] = "not injected"
		}
	}
	return found
}

// newlyRefused are those of them, among these, that broke no such rule before.
func newlyRefused(t *testing.T, from, to meshState, among []string) []string {
	wrong := newlyWrong(t, from, to)
	maps.DeleteFunc(wrong, func(name, _ string) bool { return !slices.Contains(among, name) })
	for _, ns := range residents(t) {
		if len(wrongs(&ns, clusterWith(t, from))) > 0 {
			delete(wrong, ns.Name)
		}
	}
	return slices.Sorted(maps.Keys(wrong))
}

func clusterWith(t *testing.T, s meshState) *mesh.Fleet {
	if s.line == "" {
		return fleet(t, besides()...)
	}
	return fleet(t, append(besides(), s.line)...)
}

// TestTheOperatorMayCopyWhatWasAdmitted: once a change of an Istio is admitted, the operator's write of the same values into its IstioRevision is
// no request that a person could correct. What would be refused for it has to be refused at the Istio; and that is judged as if the operator had
// done so already.
func TestTheOperatorMayCopyWhatWasAdmitted(t *testing.T) {
	for _, from := range meshStates() {
		for _, to := range meshStates() {
			stored, copied := copyOf(t, from), copyOf(t, to)
			if stored == "" || copied == "" {
				continue
			}
			older := "IstioRevision mesh-1-v1-28-0; of mesh-1; in istio-system-1; version v1.28.0; selects istio-discovery=mesh-1"
			for _, others := range [][]string{besides(), append(besides(), older), append(besides(), "IstioRevisionTag default; targets Istio mesh-1")} {
				others = append(others, stored)
				c := meshCase{others: others, from: from.line, to: to.line, namespaces: residents(t)}
				verdict := c.judge(t)
				name, _, _ := strings.Cut(copied, ";")
				was, _, _ := strings.Cut(stored, ";")
				if c.others = others[:len(others)-1]; was == name {
					if alone := c.judge(t); beforeTheCopy(alone) != beforeTheCopy(verdict) {
						t.Errorf("%s -> %s: %s, but without the operator's copy %s", from.name, to.name, withMisplaced(verdict), withMisplaced(alone))
					}
				}
				if verdict.Answer != policy.Allowed {
					continue
				}
				c.from, c.to = stored, copied
				if was != name {
					c.from, c.to, c.create = "", "", copied
				}
				c.others = append(slices.Clone(others), to.line)
				if verdict := c.judge(t); verdict.Answer != policy.Allowed {
					t.Errorf("%s -> %s: admitted, but the operator's copy is not: %s\n%v", from.name, to.name, outcome(verdict), verdict.Denials)
				}
			}
		}
	}
}

// beforeTheCopy is withMisplaced without the warning that tells to wait for the operator.
func beforeTheCopy(verdict policy.Verdict) string {
	verdict.Warnings = slices.DeleteFunc(slices.Clone(verdict.Warnings), func(f policy.Finding) bool { return f.Rule.Code == "MF103" })
	return withMisplaced(verdict)
}

// copyOf is the IstioRevision that the operator makes of an Istio, "" for none.
func copyOf(t *testing.T, state meshState) string {
	t.Helper()
	if state.line == "" {
		return ""
	}
	_, properties, _ := strings.Cut(state.line, "; ")
	name := mesh.NewFleet(objects(t, state.line)).Meshes()[0].ActiveRevision
	return "IstioRevision " + name + "; of mesh-1; " + strings.Replace(properties, "; RevisionBased", "", 1)
}
