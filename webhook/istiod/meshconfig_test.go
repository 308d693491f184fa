package istiod_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/istiod"
)

func TestAMeshConfigurationIsReadAsIstiodReadsIt(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		// want are the selectors, or the beginning of what is wrong.
		want string
	}{
		"selectors":                            {"discoverySelectors:\n- matchLabels: {istio-discovery: mesh-1}\n- matchExpressions: [{key: a, operator: Exists}]\n", "istio-discovery=mesh-1; a"},
		"in JSON":                              {`{"discoverySelectors": [{"matchLabels": {"a": "b"}}], "trustDomain": "x"}`, "a=b"},
		"a null item, which selects all":       {"discoverySelectors: [null]", "{}"},
		"none":                                 {"rootNamespace: istio-system", ""},
		"an empty text":                        {"", ""},
		"fields that are not read":             {"defaultConfig: {proxyMetadata: {A: b}}\nextensionProviders: []", ""},
		"under the names of the definition":    {"discovery_selectors: [{matchLabels: {a: b}}]", "a=b"},
		"under both names":                     {"discovery_selectors: [{matchLabels: {a: b}}]\ndiscoverySelectors: [{matchLabels: {c: d}}]", "c=d"},
		"no YAML":                              {"discoverySelectors: [", "it does not parse"},
		"a list of another type":               {"discoverySelectors: {matchLabels: {a: b}}", "it does not parse"},
		"a value that is no text":              {"discoverySelectors: [{matchLabels: {a: true}}]", "it does not parse"},
		"an operator that does not exist":      {"discoverySelectors: [{matchExpressions: [{key: a, operator: in, values: [b]}]}]", "discoverySelectors[0].matchExpressions[0].operator"},
		"a text where there should be a value": {"rootNamespace: [a]", "it does not parse"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			config, err := istiod.ParseMeshConfig(test.text)
			if err == nil {
				selectors, wrong := config.Selectors()
				err = wrong
				var texts []string
				for _, s := range selectors {
					texts = append(texts, s.String())
				}
				got = strings.Join(texts, "; ")
			}
			if err != nil {
				got = err.Error()
			}
			if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A text that aliases would make gigabytes of is not read, and costs no more than it is large; aliases as people use them are.
func TestAliasesMakeNoMoreOfATextThanItsSizeAllows(t *testing.T) {
	deep := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		deep += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	long := "a: &a \"" + strings.Repeat("x", 40000) + "\"\nb: [" + strings.Repeat("*a,", 20000) + "]\n"
	for name, text := range map[string]string{"many aliases of a long text": long, "aliases of aliases": deep, "that no other reader reads": long + "c: \x01"} {
		if _, err := istiod.ParseMeshConfig(text); err == nil || !strings.Contains(err.Error(), "its aliases make more than 10 times its size of it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if config, err := istiod.ParseMeshConfig("x: &a {matchLabels: {a: b}}\ndiscoverySelectors: [*a]\n"); err != nil || len(config.DiscoverySelectors) != 1 {
		t.Errorf("%v, %v", config, err)
	}
}

func TestTheConfigMapOfARevision(t *testing.T) {
	for revision, want := range map[string]string{"": "istio", "default": "istio", "mesh-1": "istio-mesh-1"} {
		if got := istiod.ConfigMapName(revision); got != want {
			t.Errorf("%q: %q, want %q", revision, got, want)
		}
	}
}
