package istiod_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/istiod"
)

func TestAPathIntoAMeshConfigurationHasItsLine(t *testing.T) {
	const selectors = "rootNamespace: x\ndiscoverySelectors:\n- matchLabels: {example.com/a: b}\n- matchExpressions:\n  - key: a\n    operator: in\n"
	for name, test := range map[string]struct{ text, path, want string }{
		"an item":                             {selectors, "data.mesh: discoverySelectors[1]", "data.mesh: line 4: discoverySelectors[1]"},
		"a field of it":                       {selectors, "data.mesh: discoverySelectors[1].matchExpressions[0].operator", "data.mesh: line 6: discoverySelectors[1].matchExpressions[0].operator"},
		"a label":                             {selectors, "data.mesh: discoverySelectors[0].matchLabels[example.com/a]", "data.mesh: line 3: discoverySelectors[0].matchLabels[example.com/a]"},
		"the list":                            {selectors, "data.mesh: discoverySelectors", "data.mesh: line 2: discoverySelectors"},
		"JSON":                                {"{\"rootNamespace\": \"x\",\n\"discoverySelectors\": [\n{}]}", "data.mesh: discoverySelectors[0]", "data.mesh: line 3: discoverySelectors[0]"},
		"the name of the definition":          {"\ndiscovery_selectors: [{}]", "data.mesh: discoverySelectors[0]", "data.mesh: line 2: discoverySelectors[0]"},
		"a key twice, of which the last wins": {"discoverySelectors: [{}]\ndiscoverySelectors: [{a: b}]", "data.mesh: discoverySelectors[0]", "data.mesh: line 2: discoverySelectors[0]"},
		"an alias":                            {"a: &a\n- {}\ndiscoverySelectors: *a", "data.mesh: discoverySelectors[0]", "data.mesh: line 2: discoverySelectors[0]"},
		"a merged list":                       {"a: &a\n  discoverySelectors: [{}]\n<<: *a", "data.mesh: discoverySelectors[0]", "data.mesh: line 2: discoverySelectors[0]"},
		"what is not there":                   {"rootNamespace: x", "data.mesh: discoverySelectors", "data.mesh: discoverySelectors"},
		"what does not parse":                 {"a: [", "data.mesh: discoverySelectors", "data.mesh: discoverySelectors"},
		"an empty text":                       {"", "data.mesh: discoverySelectors", "data.mesh: discoverySelectors"},
		"a line that is known":                {"a: [", "data.mesh: line 1", "data.mesh: line 1"},
		"another field":                       {selectors, "metadata.namespace", "metadata.namespace"},
		"a field of the chart":                {selectors, "global.trustBundleName", "global.trustBundleName"},
		"a text that is too long to look at":  {selectors + strings.Repeat("#\n", 1<<17), "data.mesh: discoverySelectors", "data.mesh: discoverySelectors"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(map[string]any{"data": map[string]any{"mesh": test.text}})
			if err != nil {
				t.Fatal(err)
			}
			if got := istiod.Lines(raw)(test.path); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	for _, raw := range []string{"", "null", "[]", `{"data": 1}`, `{"data": {"mesh": 1}}`, "{}"} {
		if got := istiod.Lines([]byte(raw))("data.mesh: discoverySelectors"); got != "data.mesh: discoverySelectors" {
			t.Errorf("%s: %q", raw, got)
		}
	}
}

func TestWhyATextDoesNotParseIsSaidWithItsLine(t *testing.T) {
	for text, want := range map[string]struct {
		line    int
		problem string
	}{
		"a: b\nc: [":                                       {2, "line 2: did not find expected node content"},
		"a: b\n\tc: d":                                     {2, "line 2: found a tab character that violates indentation"},
		"a: b\ndiscoverySelectors: all":                    {2, "discoverySelectors: found a string where istiod reads an array"},
		"discoverySelectors:\n- {}\n- 1":                   {3, "discoverySelectors: found a number where istiod reads an object"},
		"discoverySelectors:\n- matchLabels:\n    a: true": {3, "discoverySelectors.matchLabels: found a bool where istiod reads a string"},
		"discoverySelectors:\n- matchExpressions:\n  - {key: a, operator: In, values: {b: c}}": {3, "discoverySelectors.matchExpressions.values: found an object where istiod reads an array"},
		"\nrootNamespace: [a]":          {2, "rootNamespace: found an array where istiod reads a string"},
		"root_namespace: [a]":           {1, "rootNamespace: found an array where istiod reads a string"},
		"- a":                           {1, "it is an array, and no fields"},
		"all":                           {1, "it is a string, and no fields"},
		"a: *b":                         {0, "unknown anchor 'b' referenced"},
		"a: &a [*a]":                    {0, "its aliases make more than 10 times its size of it"},
		"a: \x01":                       {0, "control characters are not allowed"},
		"discoverySelectors: &a [[*a]]": {0, "its aliases make more than 10 times its size of it"},
	} {
		t.Run(text, func(t *testing.T) {
			_, err := istiod.ParseMeshConfig(text)
			wrong := (*istiod.TextError)(nil)
			if !errors.As(err, &wrong) {
				t.Fatal(err)
			}
			if wrong.Line() != want.line || wrong.Problem != want.problem {
				t.Errorf("line %d: %q, want line %d: %q", wrong.Line(), wrong.Problem, want.line, want.problem)
			}
		})
	}
}
