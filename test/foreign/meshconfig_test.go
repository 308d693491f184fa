package foreign

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pkg/util/protomarshal"

	"github.com/meshfence/meshfence/webhook/istiod"
)

// said is what a mesh configuration says of what is read, as text; or that istiod does not take it.
func said(selectors []string, rootNamespace, trustDomain string) string {
	return fmt.Sprintf("selectors %s; root namespace %q; trust domain %q", strings.Join(selectors, " | "), rootNamespace, trustDomain)
}

const untaken = "istiod does not take it"

// byIstio reads a text as istiod does (ApplyMeshConfig in istio/pkg/config/mesh/mesh.go), into an empty configuration.
func byIstio(text string) string {
	read := &meshconfig.MeshConfig{}
	if err := protomarshal.ApplyYAML(text, read); err != nil {
		return untaken
	}
	var selectors []string
	for _, s := range read.DiscoverySelectors {
		var expressions []string
		for _, e := range s.GetMatchExpressions() {
			expressions = append(expressions, fmt.Sprint(e.GetKey(), e.GetOperator(), e.GetValues()))
		}
		selectors = append(selectors, fmt.Sprint(s.GetMatchLabels(), expressions))
	}
	return said(selectors, read.RootNamespace, read.TrustDomain)
}

// byMeshfence reads the same.
func byMeshfence(text string) string {
	read, err := istiod.ParseMeshConfig(text)
	if err != nil {
		return untaken
	}
	var selectors []string
	for _, s := range read.DiscoverySelectors {
		var expressions []string
		labels := map[string]string{}
		if s != nil {
			for _, e := range s.MatchExpressions {
				expressions = append(expressions, fmt.Sprint(e.Key, string(e.Operator), e.Values))
			}
			if s.MatchLabels != nil {
				labels = s.MatchLabels
			}
		}
		selectors = append(selectors, fmt.Sprint(labels, expressions))
	}
	return said(selectors, read.RootNamespace, read.TrustDomain)
}

func meshTexts() []string {
	return []string{
		"", "null", "{}", "[]", "a text", "7", "discoverySelectors:", "discoverySelectors: []", "discoverySelectors: {}", "discoverySelectors: x", "discoverySelectors: [null]", "discoverySelectors: [x]", "discoverySelectors: [[]]",
		"discoverySelectors: [{matchLabels: {a: b}}]", "discoverySelectors: [{matchLabels: {a: 1}}]", "discoverySelectors: [{matchLabels: {a: true}}]", "discoverySelectors: [{matchLabels: {a: null}}]", "discoverySelectors: [{matchLabels: null}]",
		"discoverySelectors: [{matchLabels: [a]}]", "discoverySelectors: [{matchLabel: {a: b}}]", "discoverySelectors: [{match_labels: {a: b}}]", "discoverySelectors: [{MatchLabels: {a: b}}]",
		"discoverySelectors: [{matchExpressions: [{key: a, operator: In, values: [b, c]}]}]", "discoverySelectors: [{matchExpressions: [{key: a, operator: in, values: b}]}]", "discoverySelectors: [{matchExpressions: [null]}]",
		"discoverySelectors: [{matchExpressions: [{key: 1}]}]", "discoverySelectors: [{matchExpressions: [{values: [1]}]}]", "discoverySelectors: [{matchExpressions: [{values: [null]}]}]", "discoverySelectors: [{matchExpressions: {key: a}}]",
		"discovery_selectors: [{matchLabels: {a: b}}]", "discovery_selectors: [{matchLabels: {a: b}}]\ndiscoverySelectors: [{matchLabels: {c: d}}]", "discovery_selectors: null\ndiscoverySelectors: [{matchLabels: {c: d}}]",
		"DiscoverySelectors: [{matchLabels: {a: b}}]", "rootNamespace: a\nroot_namespace: b", "root_namespace: a", "rootNamespace: 1", "rootNamespace: true", "rootNamespace: null", "rootNamespace: [a]", "trustDomain: {}", "trust_domain: x", "trustDomain: 1.5",
		"rootNamespace: a\nrootNamespace: b", "discoverySelectors: &s [{matchLabels: {a: b}}]\nx: *s", "x: &l {a: b}\ndiscoverySelectors: [{matchLabels: *l}]", "discoverySelectors: [{matchLabels: {<<: {a: b}}}]",
		"\tdiscoverySelectors: []", "discoverySelectors:\n\t- matchLabels: {}", "discoverySelectors: [", "unknown: {a: [1, {b: c}]}\nrootNamespace: x", "unknown: x\ndiscoverySelectors: [{unknown: y, matchLabels: {a: b}}]",
		"---\nrootNamespace: a\n---\nrootNamespace: b", "rootNamespace: a\n...\nrootNamespace: b", "# only a comment", "rootNamespace: \"\\u0000\"", "rootNamespace: ''", "1: 2\nrootNamespace: x", "true: x\nrootNamespace: y", "rootNamespace: !!binary aGk=", "rootNamespace: 2026-01-01",
		"{\"rootNamespace\": \"a\", \"discoverySelectors\": [{\"matchLabels\": {\"a\": \"b\"}}]}", "rootNamespace: |\n  a\n  b\n", "? rootNamespace\n: a", "rootNamespace: a # a comment", "discoverySelectors: [{}, {matchLabels: {}}]", "\ufeffrootNamespace: a",
	}
}

// FuzzMeshConfig compares how meshfence reads a mesh configuration with how Istio does. Fields of other types than those that are read here are out of its reach:
// what istiod refuses because of them is not known.
func FuzzMeshConfig(f *testing.F) {
	for _, text := range meshTexts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, line := range strings.Split(text, "\n") {
			if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(line, " ") && len(name) > 0 && !comparedField(name) {
				return
			}
		}
		if strings.ContainsAny(text, "{&*!") && !strings.HasPrefix(text, "discovery") && !strings.HasPrefix(text, "root") && !strings.HasPrefix(text, "trust") {
			return // another field may be in there, whose type decides for istiod
		}
		if diff := cmp.Diff(byIstio(text), byMeshfence(text)); diff != "" {
			t.Errorf("%q (-istio +meshfence):\n%s", text, diff)
		}
	})
}

// comparedField reports whether a name is one of what is compared, or of no field of Istio's at all.
func comparedField(name string) bool {
	switch strings.Trim(name, `"'`) {
	case "discoverySelectors", "discovery_selectors", "rootNamespace", "root_namespace", "trustDomain", "trust_domain", "unknown":
		return true
	default:
		return false
	}
}

func TestAMeshConfigurationIsReadAsIstioReadsIt(t *testing.T) {
	for _, text := range meshTexts() {
		if diff := cmp.Diff(byIstio(text), byMeshfence(text)); diff != "" {
			t.Errorf("%q (-istio +meshfence):\n%s", text, diff)
		}
	}
	seed := uint64(time.Now().UnixNano())  //nolint:gosec // any number will do
	r := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a test
	taken := 0
	const texts = 20000
	for range texts {
		text := meshText(r)
		istio, ours := byIstio(text), byMeshfence(text)
		if istio != ours {
			t.Fatalf("seed %d: %q is read by Istio as\n%s\nand by meshfence as\n%s", seed, text, istio, ours)
		}
		if istio != untaken {
			taken++
		}
	}
	if t.Logf("seed %d: %d texts, of which istiod takes %d", seed, texts, taken); taken < texts/10 || taken > texts*9/10 {
		t.Error("that shows little")
	}
}

// meshText draws a mesh configuration with the fields that are read, of right and wrong types, under their two names.
func meshText(r *rand.Rand) string {
	value := func(of ...string) string { return of[r.IntN(len(of))] }
	scalar := func() string {
		return value("a", "b", "a", "mesh-1", "a", `""`, "null", "1", "true", "1.5", "[]", "{}", "'x y'", "~", "0x10", "2026-01-01")
	}
	list := func(item func() string) string {
		items := make([]string, r.IntN(3))
		for i := range items {
			items[i] = item()
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	text := func() string { return value("a", "b", "mesh-1", "In", "NotIn", "Exists", "c", "d", scalar()) }
	selector := func() string {
		switch r.IntN(6) {
		case 0:
			return "{matchExpressions: " + list(func() string {
				return "{key: " + text() + ", operator: " + text() + ", values: " + list(text) + "}"
			}) + "}"
		case 1:
			return value("{}", "null", "x", "{matchLabels: null}", "{unknown: 1}", "{matchLabels: {}}")
		default:
			return "{matchLabels: {" + value("a", "b", "mesh") + ": " + text() + "}}"
		}
	}
	var lines []string
	for _, field := range []struct {
		names []string
		draw  func() string
	}{
		{[]string{"discoverySelectors", "discoverySelectors", "discoverySelectors", "discovery_selectors", "discoveryselectors"}, func() string { return value(list(selector), list(selector), list(selector), list(selector), scalar()) }},
		{[]string{"rootNamespace", "rootNamespace", "root_namespace"}, text},
		{[]string{"trustDomain", "trustDomain", "trust_domain"}, text},
		{[]string{"unknown"}, scalar},
	} {
		for range 1 + r.IntN(10)/9 {
			if r.IntN(3) > 0 {
				lines = append(lines, value(field.names...)+": "+field.draw())
			}
		}
	}
	return strings.Join(lines, "\n")
}
