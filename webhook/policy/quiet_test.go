package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// labelsOf are the labels that the rules about a namespace as it stands are judged of, by docs/rules.md: those that decide who
// discovers it, those that decide what injects it, or both.
func labelsOf(code policy.Code) []string {
	discovery := []string{"istio-discovery", "mesh", "team", "env"}
	injection := []string{mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel, "maistra.io/ignore-namespace"}
	switch code {
	case "MF201", "MF212":
		return discovery
	case "MF204", "MF208", "MF211":
		return injection
	case "MF202", "MF203", "MF205", "MF206", "MF213":
		return slices.Concat(discovery, injection)
	default:
		return nil // about a change
	}
}

// What is wrong with a namespace is told by every change of the labels that it is judged of, and by no other one.
func TestWhatWasWrongBeforeIsToldByAChangeOfWhatItIsJudgedOfAndByNoOther(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	judge := policy.New(settings())
	told, silent := 0, 0
	for range 60 {
		cluster := fleet(t, randomFleet(random)...)
		used := cluster.SelectorKeys()
		for range 60 {
			from := randomNamespace(random, everyLabel())
			to := maps.Clone(from)
			for range random.IntN(3) {
				one := randomNamespace(random, everyLabel())
				for _, c := range everyLabel() {
					if random.IntN(4) == 0 {
						if to[c.key] = one[c.key]; one[c.key] == "" {
							delete(to, c.key)
						}
					}
				}
			}
			to["colour"] = "blue" // is judged of nothing
			stands := judge.Namespace(policy.NamespaceChange{New: &mesh.Namespace{Name: "app", Labels: to}, Fleet: cluster, Now: now})
			got := judge.Namespace(policy.NamespaceChange{
				Old: &mesh.Namespace{Name: "app", Labels: from}, New: &mesh.Namespace{Name: "app", Labels: to}, Fleet: cluster, Now: now,
			})
			said := slices.Concat(got.Denials, got.Warnings, got.Untold)
			for _, f := range slices.Concat(stands.Denials, stands.Warnings, stands.Untold) {
				labels := labelsOf(f.Rule.Code)
				if labels == nil {
					continue
				}
				changed := slices.ContainsFunc(labels, func(key string) bool {
					if key == "team" && !slices.Contains(used, key) {
						return false
					}
					before, was := from[key]
					after, is := to[key]
					return was != is || before != after
				})
				is := slices.ContainsFunc(said, func(s policy.Finding) bool {
					return s.Rule == f.Rule && s.Field == f.Field && slices.Equal(s.Subjects, f.Subjects)
				})
				if is != changed {
					t.Fatalf("from %q to %q: told %v, want %v: %s", labelText(from), labelText(to), is, changed, f.Message())
				}
				if is {
					told++
				} else {
					silent++
				}
			}
		}
	}
	if told < 1000 || silent < 1000 {
		t.Errorf("%d findings were told, %d were not: that shows nothing", told, silent)
	}
}

// A mesh that breaks nearly every rule is applied again and again, and changed in one field.
func TestAMeshIsToldOnlyOfWhatAChangeIsAbout(t *testing.T) {
	const broken = "Istio mesh-1; in istio-system-2; profile ambient; version v1.21.0; injects-by-default; selects raw team in b | team=a"
	others := []string{
		"Istio mesh-2; in istio-system-2; profile ambient; version v1.30.0; selects istio-discovery=mesh-2",
		"Istio gateway; in gateway; bundle gateway", "IstioRevisionTag mesh-1; targets Istio mesh-2",
	}
	created := meshCase{others: others, create: broken}.judge(t)
	if got := fmt.Sprint(codesOf(created)); got != "[MF101 MF102 MF105 MF106 MF108 MF109 MF110 MF115]" {
		t.Fatalf("it breaks %s", got)
	}
	for change, want := range map[string]string{
		"":                                      "[]",
		"; values-profile demo":                 "[]",
		"; bundle own":                          "[MF115]",
		"; overlaps nobody":                     "[MF102 MF115]",
		"; selects raw team in b | team=c":      "[MF101 MF102 MF115]",
		"; selects raw team in b | team=a | {}": "[MF101 MF102 MF115]",
		"; version v1.22.0":                     "[MF110]",
		"; profile openshift-ambient":           "[]",
		"; profile default; ambient":            "[MF109]",
		"; in istio-system-1":                   "[]",
		"; RevisionBased":                       "[MF108]",
		"; RevisionBased; version v1.22.0":      "[MF108 MF110]",
	} {
		t.Run("changed by "+change, func(t *testing.T) {
			verdict := meshCase{others: others, from: broken, to: broken + change}.judge(t)
			if got := fmt.Sprint(codesOf(verdict)); got != want || verdict.Answer != policy.Allowed {
				t.Errorf("%s, want warnings %s", outcome(verdict), want)
			}
		})
	}
}

// codesOf are the codes of what a verdict holds, told or not, each once, in order.
func codesOf(verdict policy.Verdict) []policy.Code {
	var all []policy.Code
	for _, f := range slices.Concat(verdict.Denials, verdict.Warnings, verdict.Untold) {
		all = append(all, f.Rule.Code)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A refusal says what is wrong, and what was wrong before and stays so although the request is about it. What would have come
// of the request is told only if the refusal is overridden.
func TestARefusalDoesNotWarnOfWhatItPrevents(t *testing.T) {
	others := []string{"Istio mesh-2; in istio-system-2; version v1.30.0; selects istio-discovery=mesh-2"}
	const fine = "Istio mesh-1; in istio-system-1; version v1.30.0; selects istio-discovery=mesh-1"
	namespaces := apps(t, "istio-system-1: istio-discovery=mesh-1", "app: istio-discovery=mesh-2", "old: istio-discovery=mesh-1")
	for name, test := range map[string]struct {
		c            meshCase
		told, untold string
	}{
		"a new mesh":                       {meshCase{create: "Istio mesh-1; in istio-system-1; version v1.20.0; selects istio-discovery=mesh-2"}, "deny MF103", "[MF104 MF110 MF114]"},
		"a change":                         {meshCase{from: fine, to: "Istio mesh-1; in istio-system-1; version v1.20.0; selects istio-discovery=mesh-2"}, "deny MF103", "[MF104 MF110 MF114]"},
		"what was there, left alone":       {meshCase{from: fine + "; version v1.20.0", to: fine + "; version v1.20.0; selects istio-discovery=mesh-2"}, "deny MF103", "[MF104 MF114]"},
		"what was there, changed as well":  {meshCase{from: fine + "; version v1.20.0", to: fine + "; version v1.21.0; selects istio-discovery=mesh-2"}, "deny MF103 warn MF110", "[MF104 MF114]"},
		"an admitted change tells it all":  {meshCase{from: fine, to: "Istio mesh-1; in istio-system-1; version v1.20.0; selects istio-discovery=mesh-9"}, "warn MF104 warn MF110 warn MF114", "[]"},
		"a deletion that the rules forbid": {meshCase{from: fine, actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF112": policy.Deny}}, namespaces: apps(t, "app: istio-discovery=mesh-1 istio.io/rev=mesh-1")}, "deny MF112", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := test.c
			if c.others = others; c.namespaces == nil {
				c.namespaces = namespaces
			}
			verdict := c.judge(t)
			if got := outcome(verdict); got != test.told {
				t.Errorf("told %s, want %s", got, test.told)
			}
			if got := fmt.Sprint(codesOf(policy.Verdict{Untold: verdict.Untold})); got != test.untold {
				t.Errorf("not told %s, want %s", got, test.untold)
			}
			rights := map[policy.Code]policy.Right{"MF103": policy.Granted, "MF112": policy.Granted}
			overridden := policy.ReadOverride("MF103,MF112").Apply(verdict, "jane", rights)
			if got, want := codesOf(policy.Verdict{Warnings: overridden.Warnings}), codesOf(verdict); !slices.Equal(got, want) {
				t.Errorf("overridden, told %v, want %v", got, want)
			}
			if refused := policy.ReadOverride("MF103,MF112").Apply(verdict, "jane", nil); verdict.Answer != policy.Allowed && len(refused.Untold) != len(verdict.Untold) {
				t.Errorf("without the right, not told %v", refused.Untold)
			}
		})
	}
}
