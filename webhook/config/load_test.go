package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/config"
)

// codes stands for the catalogue of rules that the program hands in.
var codes = []string{"MF101", "MF110", "MF203"}

// header begins every file whose fault is elsewhere.
const header = "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\n"

func TestLoadFillsInDefaults(t *testing.T) {
	want := &config.Configuration{
		Mode:                   "enforce",
		Rules:                  map[string]config.Action{},
		DiscoveryLabels:        []string{"istio-discovery", "mesh"},
		ExemptNamespaces:       config.Globs{"kube-system", "kube-public", "kube-node-lease", "openshift", "openshift-*"},
		ExemptUsers:            config.Globs{"system:apiserver", "system:kube-controller-manager", "system:serviceaccount:kube-system:namespace-controller"},
		ControlPlaneNamespaces: config.Globs{"istio-system*"},
		FillFrom:               []config.FillSource{"MeshMap", "Tag", "ActiveRevision"},
		MeshMap:                config.MeshMap{Name: "mesh-map"},
	}
	got, err := config.Load([]byte(header), codes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a file without optional fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, config.Default()); diff != "" {
		t.Errorf("Default (-want +got):\n%s", diff)
	}
}

func TestLoadTakesEveryField(t *testing.T) {
	got, err := config.Load([]byte(`---
apiVersion: meshfence.io/v1alpha1
kind: Configuration
mode: warn
rules:
  MF101: warn
  MF110: off # unquoted, which older YAML takes for a boolean
  MF203: "deny"
discoveryLabels: [example.com/mesh]
exemptNamespaces: []
exemptUsers:
- 'https://issuer.example#*'
controlPlaneNamespaces: ["*-mesh"]
fillFrom: [ActiveRevision]
meshMap:
  name: revisions
`), codes)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Configuration{
		Mode:                   config.ModeWarn,
		Rules:                  map[string]config.Action{"MF101": config.ActionWarn, "MF110": config.ActionOff, "MF203": config.ActionDeny},
		DiscoveryLabels:        []string{"example.com/mesh"},
		ExemptNamespaces:       config.Globs{},
		ExemptUsers:            config.Globs{"https://issuer.example#*"},
		ControlPlaneNamespaces: config.Globs{"*-mesh"},
		FillFrom:               []config.FillSource{config.FillFromActiveRevision},
		MeshMap:                config.MeshMap{Name: "revisions"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEmptyListIsNotTheDefault(t *testing.T) {
	got, err := config.Load([]byte(header+"discoveryLabels: []\nexemptNamespaces: []\nexemptUsers: []\ncontrolPlaneNamespaces: []\nfillFrom: []\n"), codes)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.DiscoveryLabels, want.FillFrom = []string{}, []config.FillSource{}
	want.ExemptNamespaces, want.ExemptUsers, want.ControlPlaneNamespaces = config.Globs{}, config.Globs{}, config.Globs{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadFollowsAnchors(t *testing.T) {
	got, err := config.Load([]byte(header+"exemptNamespaces: &names [a, b]\ncontrolPlaneNamespaces: *names\n"), codes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Globs{"a", "b"}, got.ControlPlaneNamespaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultsAreNotShared(t *testing.T) {
	first := config.Default()
	first.ExemptUsers[0], first.FillFrom[0], first.DiscoveryLabels[0] = "x", "x", "x"
	first.Rules["MF101"] = config.ActionOff
	if diff := cmp.Diff(mustLoad(t, header), config.Default()); diff != "" {
		t.Errorf("a change of one default changed the next (-want +got):\n%s", diff)
	}
}

func mustLoad(t *testing.T, text string) *config.Configuration {
	t.Helper()
	c, err := config.Load([]byte(text), codes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	const fields = `(fields here: apiVersion, kind, mode, rules, discoveryLabels, exemptNamespaces, exemptUsers, controlPlaneNamespaces, fillFrom, meshMap)`
	const list = `must be a list of strings (write [] for an empty one, or leave the field out for its default)`
	const label = `must be a label key: up to 63 letters, digits, '-', '_' and '.', optionally after a domain and '/'`
	const namespace = `must be a namespace name of lower-case letters, digits and '-', in which '*' stands for any characters`
	const user = `must be a user name, without space around it, in which '*' stands for any characters`
	const configMap = `must be the name of a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit`
	for _, test := range []struct {
		name string
		file string
		want string // one problem a line
	}{
		{"an empty file", "", `(top level): Invalid value: the file is empty; it must have at least apiVersion: meshfence.io/v1alpha1 and kind: Configuration`},
		{"only comments", "# mode: warn\n", `(top level): Invalid value: the file is empty; it must have at least apiVersion: meshfence.io/v1alpha1 and kind: Configuration`},
		{"only null", "null\n", `line 1: (top level): Invalid value: must be a mapping (name: value), is empty (null)`},
		{"not YAML", "mode: [warn\n", "(top level): Invalid value: this is not YAML: yaml: line 1: did not find expected ',' or ']'"},
		{"not a mapping", "- mode\n", `line 1: (top level): Invalid value: must be a mapping (name: value), is a list`},
		{"a word only", "enforce\n", `line 1: (top level): Invalid value: must be a mapping (name: value), is the string "enforce"`},
		{"two documents", header + "---\n" + header, `line 3: (top level): Invalid value: a second YAML document begins here; the file must have only one`},
		{"rubbish after the document", header + "---\n[", "(top level): Invalid value: this is not YAML: yaml: line 4: did not find expected node content"},
		{"no apiVersion nor kind", "mode: warn\n", "apiVersion: Required value: a configuration file must have it\nkind: Required value: a configuration file must have it"},
		{"another apiVersion", "apiVersion: v1\nkind: Configuration\n", `line 1: apiVersion: Unsupported value: "v1": supported values: "meshfence.io/v1alpha1"`},
		{"another kind", "apiVersion: meshfence.io/v1alpha1\nkind: ConfigMap\n", `line 2: kind: Unsupported value: "ConfigMap": supported values: "Configuration"`},
		{"an unknown field", header + "discoveryLabel: [a]\n", `line 3: discoveryLabel: Invalid value: there is no such field; did you mean "discoveryLabels"? ` + fields},
		{"a field in another case", header + "Mode: warn\n", `line 3: Mode: Invalid value: there is no such field; did you mean "mode"? ` + fields},
		{"an unknown inner field", header + "meshMap:\n  nmae: a\n", `line 4: meshMap.nmae: Invalid value: there is no such field; did you mean "name"? (fields here: name)`},
		{"a merge key", header + "<<: {mode: warn}\n", `line 3: (top level): Invalid value: every key must be a string, one is merge <<`},
		{"a key that is a number", header + "rules: {101: deny}\n", `line 3: rules: Invalid value: every key must be a string, one is the number 101`},
		{"a duplicate field", header + "mode: warn\nmode: warn\n", `line 4: mode: Invalid value: is here a second time; the first is in line 3`},
		{"a duplicate rule", header + "rules:\n  MF101: deny\n  MF101: off\n", `line 5: rules[MF101]: Invalid value: is here a second time; the first is in line 4`},
		{"a bad mode", header + "mode: Enforce\n", `line 3: mode: Unsupported value: "Enforce": supported values: "enforce", "warn"`},
		{"a mode of another type", header + "mode: true\n", `line 3: mode: Invalid value: must be a string, is the boolean true`},
		{"a mode without a value", header + "mode:\n", `line 3: mode: Invalid value: must be a string, is empty (null)`},
		{"an unknown rule", header + "rules:\n  MF999: off\n", `line 4: rules[MF999]: Invalid value: there is no rule with this code; did you mean "MF101"?`},
		{"a rule in lower case", header + "rules: {mf203: off}\n", `line 3: rules[mf203]: Invalid value: there is no rule with this code; did you mean "MF203"?`},
		{"a bad action", header + "rules: {MF110: false}\n", `line 3: rules[MF110]: Invalid value: must be a string, is the boolean false`},
		{"an unknown action", header + "rules: {MF110: ignore}\n", `line 3: rules[MF110]: Unsupported value: "ignore": supported values: "deny", "warn", "off"`},
		{"an unknown rule with an unknown action", header + "rules: {MF204: no}\n", "line 3: rules[MF204]: Invalid value: there is no rule with this code; did you mean \"MF203\"?\n" +
			`line 3: rules[MF204]: Unsupported value: "no": supported values: "deny", "warn", "off"`},
		{"rules as a list", header + "rules: [MF110]\n", `line 3: rules: Invalid value: must be a mapping (name: value), is a list`},
		{"rules without a value", header + "rules:\n", `line 3: rules: Invalid value: must be a mapping (name: value), is empty (null)`},
		{"a list that is a word", header + "discoveryLabels: mesh\n", `line 3: discoveryLabels: Invalid value: ` + list + `, is the string "mesh"`},
		{"a list without a value", header + "exemptUsers:\n", `line 3: exemptUsers: Invalid value: ` + list + `, is empty (null)`},
		{"a list of other things", header + "discoveryLabels: [1, 1.5, {a: b}, [c], 2001-01-01]\n", "line 3: discoveryLabels[0]: Invalid value: must be a string, is the number 1\n" +
			"line 3: discoveryLabels[1]: Invalid value: must be a string, is the number 1.5\n" +
			"line 3: discoveryLabels[2]: Invalid value: must be a string, is a mapping\n" +
			"line 3: discoveryLabels[3]: Invalid value: must be a string, is a list\n" +
			"line 3: discoveryLabels[4]: Invalid value: must be a string, is timestamp 2001-01-01"},
		{"bad label keys", header + "discoveryLabels: [a b, '', mesh, -x]\n", "line 3: discoveryLabels[0]: Invalid value: \"a b\": " + label + "\n" +
			"line 3: discoveryLabels[1]: Invalid value: \"\": " + label + "\n" +
			"line 3: discoveryLabels[3]: Invalid value: \"-x\": " + label},
		{"duplicates in lists", header + "discoveryLabels: [mesh, a, mesh]\nexemptUsers:\n- a\n- a\n", "line 3: discoveryLabels[2]: Duplicate value: \"mesh\"\n" +
			"line 6: exemptUsers[1]: Duplicate value: \"a\""},
		{"globs of another language", header + "exemptNamespaces: ['kube-?', 'a/b', '']\ncontrolPlaneNamespaces: [Istio]\n", "line 3: exemptNamespaces[0]: Invalid value: \"kube-?\": " + namespace + "\n" +
			"line 3: exemptNamespaces[1]: Invalid value: \"a/b\": " + namespace + "\n" +
			"line 3: exemptNamespaces[2]: Invalid value: \"\": " + namespace + "\n" +
			"line 4: controlPlaneNamespaces[0]: Invalid value: \"Istio\": " + namespace},
		{"bad user globs", header + "exemptUsers: ['', ' a', \"b\\tc\"]\n", "line 3: exemptUsers[0]: Invalid value: \"\": " + user + "\n" +
			"line 3: exemptUsers[1]: Invalid value: \" a\": " + user + "\n" +
			"line 3: exemptUsers[2]: Invalid value: \"b\\tc\": " + user},
		{"a fill source twice", header + "fillFrom: [MeshMap, MeshMap]\n", `line 3: fillFrom[1]: Duplicate value: "MeshMap"`},
		{"an unknown fill source", header + "fillFrom: [meshMap]\n", `line 3: fillFrom[0]: Unsupported value: "meshMap": supported values: "MeshMap", "Tag", "ActiveRevision"`},
		{"a bad ConfigMap name", header + "meshMap: {name: Mesh_Map}\n", `line 3: meshMap.name: Invalid value: "Mesh_Map": ` + configMap},
		{"a mesh map that is not judged", header + "meshMap: {name: kube-root-ca.crt}\n", `line 3: meshMap.name: Invalid value: "kube-root-ca.crt": changes of this ConfigMap are not judged, because programs write it; choose another name`},
		{"a mesh map that is a word", header + "meshMap: mesh-map\n", `line 3: meshMap: Invalid value: must be a mapping (name: value), is the string "mesh-map"`},
		{"many mistakes, in the order of the lines", "meshMap: {name: A}\nfillFrom: [x]\nmode: x\nkind: y\n", "apiVersion: Required value: a configuration file must have it\n" +
			"line 1: meshMap.name: Invalid value: \"A\": " + configMap + "\n" +
			"line 2: fillFrom[0]: Unsupported value: \"x\": supported values: \"MeshMap\", \"Tag\", \"ActiveRevision\"\n" +
			"line 3: mode: Unsupported value: \"x\": supported values: \"enforce\", \"warn\"\n" +
			"line 4: kind: Unsupported value: \"y\": supported values: \"Configuration\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.Load([]byte(test.file), codes)
			if got != nil {
				t.Errorf("got a configuration besides the error: %+v", got)
			}
			if diff := cmp.Diff(test.want, strings.Join(problems(t, err), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// problems returns the lines of an error that must be an InvalidError, after a look at its other forms.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	if got, want := invalid.Error(), strings.Join(invalid.Lines(), "; "); got != want {
		t.Errorf("Error is %q, want the lines on one: %q", got, want)
	}
	if len(invalid.ErrorList()) != len(invalid.Problems) {
		t.Errorf("ErrorList has %d of %d problems", len(invalid.ErrorList()), len(invalid.Problems))
	}
	return invalid.Lines()
}

func TestAWrongFileDoesNotFloodTheLog(t *testing.T) {
	_, err := config.Load([]byte(header+"exemptUsers: ["+strings.Repeat("'', ", 1000)+"]\n"), codes)
	lines := problems(t, err)
	if len(lines) != 21 || lines[20] != "and 980 more" {
		t.Errorf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestLoadWithoutRules(t *testing.T) {
	_, err := config.Load([]byte(header+"rules: {MF101: deny}\n"), nil)
	want := "line 3: rules[MF101]: Invalid value: there is no rule with this code"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzLoad checks that no text makes Load panic, and that what it accepts holds only values that the program knows.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"", header, header + "mode: warn\nrules: {MF110: off}\n", header + "fillFrom: &a [MeshMap]\n", "a: &a [*a]\n", "---\n---\n",
		header + "exemptUsers: ['*']\nmeshMap: {name: x}\n", "{", "? [a]\n: b\n", header + "<<: *x\n", "\xff\xfe",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Load(data, codes)
		if (c == nil) == (err == nil) {
			t.Fatalf("want either a configuration or an error, got %v and %v", c, err)
		}
		if err != nil {
			problems(t, err)
			return
		}
		if c.Mode != config.ModeEnforce && c.Mode != config.ModeWarn {
			t.Errorf("accepted mode %q", c.Mode)
		}
		for code, action := range c.Rules {
			if !strings.Contains("deny warn off", string(action)) || action == "" || !strings.Contains(strings.Join(codes, " "), code) {
				t.Errorf("accepted rule %q: %q", code, action)
			}
		}
		if len(c.FillFrom) > 3 || c.MeshMap.Name == "" {
			t.Errorf("accepted fillFrom %q, meshMap.name %q", c.FillFrom, c.MeshMap.Name)
		}
	})
}
