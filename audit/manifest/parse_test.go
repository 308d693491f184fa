package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit/manifest"
)

func texts[T fmt.Stringer](all []T) []string {
	lines := []string{}
	for _, one := range all {
		lines = append(lines, one.String())
	}
	return lines
}

func names(r manifest.Result) []string {
	all := []string{}
	for _, d := range r.Documents {
		all = append(all, d.Kind+" "+d.Name)
	}
	return all
}

const good = "apiVersion: v1\nkind: Namespace\nmetadata: {name: good}\n"

const unread = "the object ends before this, and what follows is not read; put --- on a line of its own between them"

// What cannot be read is told with its line, and what follows it is read all the same.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		name, text                   string
		documents, problems, notices []string
	}{
		{"nothing", "", nil, nil, nil},
		{"comments only", "# a\n# b\n", nil, nil, nil},
		{"no YAML", "apiVersion: v1\nkind: [Namespace\n---\n" + good, []string{"Namespace good"}, []string{`f.yaml:2: it cannot be read: did not find expected ',' or ']'`}, nil},
		{"a tab", "apiVersion: v1\nkind: Namespace\nmetadata:\n\tname: a\n---\n" + good, []string{"Namespace good"}, []string{`f.yaml:4: it cannot be read: found character that cannot start any token`}, nil},
		{"in the second document", good + "---\na: b\nc\n", []string{"Namespace good"}, []string{`f.yaml:6: it cannot be read: could not find expected ':'`}, nil},
		{"a key twice", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  name: b\n", nil, []string{`f.yaml:5: it cannot be read: key "name" already set in map`}, nil},
		{"a scalar", "just text\n---\n" + good, []string{"Namespace good"}, []string{"f.yaml:1:1: it cannot be read as a Kubernetes object: it is no mapping"}, nil},
		{"a list", "- a\n- b\n", nil, []string{"f.yaml:1:1: it cannot be read as a Kubernetes object: it is no mapping"}, nil},
		{"a name that is a number", "apiVersion: v1\nkind: Namespace\nmetadata: {name: 5}\n", nil, []string{"f.yaml:1:1: it cannot be read as a Kubernetes object: metadata.name is a number"}, nil},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", nil, []string{"f.yaml:1:1: it has an apiVersion and no kind"}, nil},
		{"no apiVersion", "kind: Namespace\nmetadata: {name: a}\n", nil, []string{"f.yaml:1:1: it has a kind and no apiVersion"}, nil},
		{"no name", "apiVersion: v1\nkind: Namespace\n", nil, []string{"f.yaml:1:1: this Namespace has no metadata.name"}, nil},
		{"another document than an object", "image: {tag: latest}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is no Kubernetes object: it has no apiVersion and no kind"}},
		{"a generated name", "apiVersion: v1\nkind: Namespace\nmetadata: {generateName: a-}\n", nil, nil, []string{"f.yaml:1:1: skipped, as the API server chooses the name of this Namespace (generateName)"}},
		{"a template", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n{{- if .Values.x }}\n  labels: {a: b}\n{{- end }}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in a name", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: '{{ .Release.Name }}'\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in a label", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {istio.io/rev: \"{{ .Values.rev }}\"}}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in the key of a label", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {'{{ .Values.key }}': b}}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in place of the labels", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: '{{ .Values.labels }}'}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in a selector", "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: a}\nspec: {values: {meshConfig: {discoverySelectors: [{matchLabels: {a: '{{ .Values.a }}'}}]}}}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template of another program in an Istio", "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: a, annotations: {a: '{{ b }}'}}\nspec: {values: {sidecarInjectorWebhook: {templates: {a: '{{ .b }}'}}}}\n", []string{"Istio a"}, nil, nil},
		{"a template in the mesh map", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mesh-map}\ndata: {mesh-1: '{{ .Values.rev }}'}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in a mesh configuration", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |\n    {{ .Values.mesh }}\n    a: b\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in flow style", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {a: {{ .Values.a }}, \"b\": {{ .b }}}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template behind a quoted key", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    \"istio.io/rev\": {{ .Values.a }}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template in quotes with quotes", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: \"{{ include \"name\" . }}\"\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a template behind a block scalar", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: |\n    b\n  {{- if .Values.c }}\n  y: z\n  {{- end }}\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is a template; check what helm template makes of it"}},
		{"a mistake beside braces in a block scalar", "apiVersion: v1\nkind: Namespace\nmetadata:\n  annotations:\n    note: |-  # a\n      {{ .Values.x }}\n\n      # {{ b }}\n  labels:\n\ta: b\n", nil, []string{"f.yaml:10: it cannot be read: found character that cannot start any token"}, nil},
		{"a mistake beside braces in a block scalar of a list", "a:\n- b: >\n    {{ c }}\n- |\n  {{ d }}\n- |\n {{ e }}\n\t- f\n", nil, []string{"f.yaml:8: it cannot be read: found a tab character where an indentation space is expected"}, nil},
		{"a mistake beside braces in a comment", "apiVersion: v1 # {{ a }}\n# {{ b }}\nkind: [Namespace\n", nil, []string{"f.yaml:3: it cannot be read: did not find expected ',' or ']'"}, nil},
		{"a mistake beside braces in quotes of two lines", "apiVersion: v1\nkind: [\"a\n  {{ b }} \\\" {{ c }}\", 'd '' {{ e }}'\n", nil, []string{"f.yaml:3: it cannot be read: did not find expected ',' or ']'"}, nil},
		{"braces in a text", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {a: '{{ value }}'}\ndata:\n  x: |\n    a\n    {{ value }}\n", []string{"ConfigMap a"}, nil, nil},
		{"a mistake beside braces in quotes", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '{{ value }}'\n y: z\n", nil, []string{"f.yaml:5: it cannot be read: did not find expected key"}, nil},
		{"binary", "apiVersion: v1\x00\n", nil, []string{"f.yaml: it is no text in UTF-8; if it is UTF-16, convert it"}, nil},
		{"UTF-16", "\xff\xfea\x00", nil, []string{"f.yaml: it is no text in UTF-8; if it is UTF-16, convert it"}, nil},
		{"a List of nothing", "apiVersion: v1\nkind: List\nitems: []\n", nil, nil, nil},
		{"a List with a bad item", "apiVersion: v1\nkind: List\nitems:\n- 5\n- {apiVersion: v1, kind: Namespace, metadata: {name: good}}\n", []string{"Namespace good"}, []string{"f.yaml:4:3: it cannot be read as a Kubernetes object: it is no mapping"}, nil},
		{"null in a List", "apiVersion: v1\nkind: List\nitems:\n- null\n- {apiVersion: v1, kind: Namespace, metadata: {name: good}}\n", []string{"Namespace good"}, nil, []string{"f.yaml:4:3: skipped, as this item of a List is null; kubectl refuses it"}},
		{"null in a typed List", "apiVersion: v1\nkind: NamespaceList\nitems: [null, {metadata: {name: good}}]\n", []string{"Namespace good"}, nil, []string{"f.yaml:3:9: skipped, as this item of a List is null; kubectl refuses it"}},
		{"a List whose items are null", "apiVersion: v1\nkind: List\nitems: null\n", nil, nil, nil},
		{"a List whose items are a text", "apiVersion: v1\nkind: List\nitems: a\n", nil, []string{"f.yaml:1:1: it cannot be read as a List: its items are no list"}, nil},
		{"a capital letter", "apiVersion: v1\nKind: Namespace\nmetadata: {name: a}\n", nil, []string{"f.yaml:1:1: it has an apiVersion and no kind"}, nil},
		{"two keys that differ by a capital letter", "apiVersion: v1\nkind: Namespace\nmetadata: {name: good, Name: a}\nMetadata: {name: b}\n", []string{"Namespace good"}, nil, nil},
		{"Chart.yaml", "apiVersion: v2\nname: meshes\nversion: 1.0.0\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is no Kubernetes object: it has no kind and no metadata"}},
		{"a kind of something else", "kind: pipeline\nsteps: []\n", nil, nil, []string{"f.yaml:1:1: skipped, as it is no Kubernetes object: it has no apiVersion and no metadata"}},
		{"text behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"good"}}` + "\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"b\",}}\n", []string{"Namespace good", "Namespace b"}, nil, nil},
		{"YAML behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}` + "\n" + good, []string{"Namespace a", "Namespace good"}, nil, nil},
		{"a cut-off object behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"good"}}` + "\n{\"apiVersion\":\n", []string{"Namespace good"}, []string{"f.yaml:2: it cannot be read: did not find expected node content"}, nil},
		{"a bracket behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"good"}}` + "\n}\n", []string{"Namespace good"}, []string{"f.yaml:2:1: it cannot be read: did not find expected node content"}, nil},
		{"a comment behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"good"}}` + "\n# comment\n", []string{"Namespace good"}, nil, nil},
		{"surrogates in JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"good","annotations":{"a":"\ud83d\ude80"}}}`, []string{"Namespace good"}, nil, nil},
		{"a mistake behind what YAML takes for the end of a line", "apiVersion: v1 # a\u2028# b\nkind: [Namespace\nmetadata: {}\n", nil, []string{`f.yaml:2: it cannot be read: did not find expected ',' or ']'`}, nil},
		{"two objects in flow style", "# a\n{apiVersion: v1, kind: Namespace, metadata: {name: good}}\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n", []string{"Namespace good"}, []string{"f.yaml:3: " + unread}, nil},
		{"text behind an object in flow style", "{apiVersion: v1, kind: Namespace, metadata: {name: good}} }\n", []string{"Namespace good"}, []string{"f.yaml:1: " + unread}, nil},
		{"a comment behind an object in flow style", "--- # a\n{apiVersion: v1, kind: Namespace, metadata: {name: good}} # b\n\n# c\n", []string{"Namespace good"}, nil, nil},
		{"text behind an object that is indented", "  apiVersion: v1\n  kind: Namespace\n  metadata: {name: good}\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n", []string{"Namespace good"}, []string{"f.yaml:4: " + unread}, nil},
		{"a separator behind what YAML takes for the end of a line", good + "a: b\u2028---\u2028apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n", []string{"Namespace good"}, []string{"f.yaml:4:10: " + unread}, nil},
		{"only carriage returns", strings.ReplaceAll(good+"---\n"+good, "\n", "\r"), []string{"Namespace good"}, []string{"f.yaml:1:59: " + unread}, nil},
		{"a key in quotes", "\"apiVersion\": v1\nkind: Namespace\nmetadata: {name: good}\n", []string{"Namespace good"}, nil, nil},
		{"a key twice beside a merged one", "apiVersion: v1\nkind: Namespace\nmetadata:\n  annotations: &l {x: y}\n  labels: {<<: *l, x: z}\n  name: a\n  name: b\n", nil, []string{`f.yaml:7: it cannot be read: key "name" already set in map`}, nil},
		{"a key twice in JSON", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\n\"metadata\":{\"name\":\"a\", \"n\\u0061me\":\"b\"}}", nil, []string{`f.yaml:2:25: it cannot be read: key "name" already set in map`}, nil},
		{"a tab behind the separator", "---\t{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\t{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n---\t# comment\n" + good, []string{"Namespace a", "Namespace b", "Namespace good"}, nil, nil},
		{"a List that holds itself", "apiVersion: v1\nkind: List\nitems: &i\n- apiVersion: v1\n  kind: List\n  items: *i\n", nil, []string{"f.yaml:1:1: it cannot be read: its aliases make more of the text than 10 times its size and 32 MiB"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := manifest.Parse("f.yaml", []byte(test.text))
			for what, pair := range map[string][2][]string{"documents": {test.documents, names(r)}, "problems": {test.problems, texts(r.Problems)}, "notices": {test.notices, texts(r.Notices)}} {
				if diff := cmp.Diff(append([]string{}, pair[0]...), pair[1]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

// What is not judged may be anything: files of other programs lie in the same folders.
func TestWhatIsNotJudgedIsNoProblem(t *testing.T) {
	reader := manifest.Reader{Judged: func(_, kind, _, _ string) bool { return kind == "Namespace" }}
	for text, want := range map[string]string{
		"apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes: []\n":                                         "",
		"apiVersion: v1\nkind: Config\nmetadata: {name: 5}\n":                                                    "",
		"apiVersion: v1\nkind: Secret\nmetadata: {generateName: a-}\n":                                           "",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n":                             "",
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n- {apiVersion: v1, kind: Namespace}": "problem f.yaml:5:3: this Namespace has no metadata.name",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: 5}\n":                                                 "problem f.yaml:1:1: it cannot be read as a Kubernetes object: metadata.name is a number",
	} {
		r := reader.Parse("f.yaml", []byte(text+"\n---\n"+good))
		got := strings.Join(append(texts(r.Problems), texts(r.Notices)...), "\n")
		if want = strings.TrimPrefix(want, "problem "); got != want || len(r.Documents) != 1 || r.Documents[0].Name != "good" {
			t.Errorf("%q: %v, %q, want %q", text, names(r), got, want)
		}
	}
}

// Ten anchors, each of ten of the one before, are ten thousand million values.
func TestAnAliasBombIsToldAtOnce(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	began := time.Now()
	r := manifest.Parse("f.yaml", []byte(bomb.String()+"---\n"+good))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if diff := cmp.Diff([]string{"f.yaml:1:1: it cannot be read: its aliases make more of the text than 10 times its size and 32 MiB"}, texts(r.Problems)); diff != "" || len(r.Documents) != 1 {
		t.Errorf("%d documents, problems (-want +got):\n%s", len(r.Documents), diff)
	}
}

// A large text, each time that an alias stands for it, is as bad as many values.
func TestAliasesOfALargeTextAreToldAtOnce(t *testing.T) {
	bomb := "a: &a \"" + strings.Repeat("x", 100_000) + "\"\nb: [" + strings.TrimSuffix(strings.Repeat("*a, ", 1000), ", ") + "]\n---\n" + good
	r := manifest.Parse("f.yaml", []byte(bomb))
	if diff := cmp.Diff([]string{"f.yaml:1:1: it cannot be read: its aliases make more of the text than 10 times its size and 32 MiB"}, texts(r.Problems)); diff != "" || len(r.Documents) != 1 {
		t.Errorf("%d documents, problems (-want +got):\n%s", len(r.Documents), diff)
	}
}

// noTime is many times what the texts take, with the race detector on a busy machine; where each document costs time in proportion to the whole text they take hours.
const noTime = 20 * time.Second

// Ten thousand namespaces in one line, as jq -c writes them, and as many separators as a file may have.
func TestLongTextsTakeNoTime(t *testing.T) {
	var line strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&line, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"app-%d","annotations":{"a":%q}}} `, i, strings.Repeat("ä", 200))
	}
	for _, test := range []struct {
		name, text string
		documents  int
	}{
		{"JSON in one line", line.String(), 10_000},
		{"empty objects", strings.Repeat("{}", 200_000), 0},
		{"separators", strings.Repeat("---\n", 10<<20/4), 0},
		{"comments", strings.Repeat("---\n# a\n", 10<<20/8), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			r := manifest.Parse("f.yaml", []byte(test.text))
			if took := time.Since(began); len(r.Documents) != test.documents || len(r.Problems) > 0 || took > noTime {
				t.Errorf("%d documents, %d problems in %v", len(r.Documents), len(r.Problems), took)
			}
		})
	}
	d := manifest.Parse("f.yaml", []byte(line.String())).Documents
	if last := d[len(d)-1].Place(); last.Line != 1 || last.Column != strings.Count(line.String(), "")-1-len(`"name":"app-9999","annotations":{"a":""}}} `)-200+1 {
		t.Errorf("the last is at %s", last)
	}
}

// bombs are documents that each become a megabyte, of a text of ten thousand characters.
func bombs(n int) string {
	document := "apiVersion: v1\nkind: Bomb\nmetadata: {name: a}\nx: &x \"" + strings.Repeat("x", 10_000) + "\"\ny: [" + strings.TrimSuffix(strings.Repeat("*x, ", 100), ", ") + "]\n"
	return strings.Repeat(document+"---\n", n)
}

// What aliases may add is counted for all documents of a text together, not for each.
func TestAliasesAreCountedForTheWholeText(t *testing.T) {
	for _, test := range []struct {
		name                string
		documents, spare    int
		read                int
		spared, overdrawn   bool
		firstProblem, count int
	}{
		{"with nothing to spare", 50, 0, 5, false, true, 5*6 + 1, 45},
		{"with something to spare", 10, 32 << 20, 10, true, false, 0, 0},
		{"with too little to spare", 50, 10 << 20, 15, true, true, 15*6 + 1, 35},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := manifest.Reader{Spare: test.spare}.Parse("f.yaml", []byte(bombs(test.documents)))
			if len(r.Documents) != test.read || r.Spared > 0 != test.spared || r.Overdrawn != test.overdrawn || len(r.Problems) != test.count {
				t.Fatalf("%d documents, %d spared, overdrawn %t, %d problems", len(r.Documents), r.Spared, r.Overdrawn, len(r.Problems))
			}
			if test.count > 0 && r.Problems[0].String() != fmt.Sprintf("f.yaml:%d:1: it cannot be read: its aliases make more of the text than 10 times its size and 32 MiB", test.firstProblem) {
				t.Error(r.Problems[0])
			}
		})
	}
}

// A text without aliases may be as large as it is, and one with a few, too.
func TestAliasesThatAddLittleAreNoProblem(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {a: b}, annotations: *l}\ndata: {a: '*', b: [" + strings.Repeat("1,", 10_000) + "1]}\n"
	if r := (manifest.Reader{}).Parse("f.yaml", []byte(text)); len(r.Documents) != 1 || len(r.Problems) > 0 || r.Spared > 0 {
		t.Errorf("%d documents, %v", len(r.Documents), r.Problems)
	}
}

// All items of a List share one text, which is read once however many places are asked for.
func TestThePlacesOfALongListTakeNoTime(t *testing.T) {
	var list strings.Builder
	list.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for i := range 5000 {
		fmt.Fprintf(&list, "- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: app-%d\n", i)
	}
	r := manifest.Parse("f.yaml", []byte(list.String()))
	began := time.Now()
	for i := range r.Documents {
		if place := r.Documents[i].Place(); place.Line != 7+4*i || place.Column != 5 {
			t.Fatalf("item %d is at %s", i, place)
		}
	}
	if took := time.Since(began); len(r.Documents) != 5000 || took > 5*time.Second {
		t.Errorf("%d places took %v", len(r.Documents), took)
	}
}

func TestOddPathsHaveThePlaceOfTheObject(t *testing.T) {
	d := manifest.Parse("f.yaml", []byte(good)).Documents[0]
	for _, path := range []string{"[", "]", "[]", "[-1]", "metadata[-1]", "metadata.", "..", "a[b", "metadata[name]["} {
		if place := d.FieldPlace(path); place.Line < 1 {
			t.Errorf("%q: %s", path, place)
		}
	}
}

const merging = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  a: &l {x: y}\n  b: &m {x: w}\n"

// kubectl reads YAML 1.1, and so does this: the objects are the same.
func TestObjectsAreWhatKubectlSends(t *testing.T) {
	for _, text := range []string{
		good, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: yes, b: 0777, c: 1_000, d: ~, e: 1e3, f: 'no', g: 2001-01-01, i: 0x1F}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {5: a, true: b}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    a\n    b\n  y: >-\n    a\n    b\n",
		merging + "  labels: {<<: *l, x: z}\n", merging + "  labels: {x: z, <<: *l}\n", merging + "  labels: {x: z, <<: [*m, *l]}\n",
	} {
		want, err := yaml.YAMLToJSON([]byte(text))
		r := manifest.Parse("f.yaml", []byte(text))
		if err != nil || len(r.Documents) != 1 {
			if err == nil || len(r.Problems) != 1 {
				t.Errorf("%q: %v, %+v", text, err, r)
			}
			continue
		}
		if diff := cmp.Diff(string(want), string(r.Documents[0].Object)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestOfTheSameObjectTheLastCounts(t *testing.T) {
	read := func(file, label string) []manifest.Document {
		return manifest.Parse(file, []byte("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {x: "+label+"}\n")).Documents
	}
	kept, notices := manifest.Last(append(append(read("one.yaml", "1"), manifest.Parse("b.yaml", []byte(good)).Documents...), read("two.yaml", "2")...))
	if len(kept) != 2 || kept[0].Name != "good" || kept[1].Place().File != "two.yaml" {
		t.Errorf("kept %v", kept)
	}
	if diff := cmp.Diff([]string{`one.yaml:4:3: Namespace "a" comes again at two.yaml:4:3, and only that counts`}, texts(notices)); diff != "" {
		t.Error(diff)
	}
}

// Whatever a text is, reading it ends, and an object's name stands where it is said to stand.
func FuzzParse(f *testing.F) {
	for _, text := range []string{good, good + "---\n" + good, "{\"apiVersion\": \"v1\",\t\"kind\": \"List\", \"items\": [{}]}", "a: &a [*a]\n", "--- |\n ---\n x", "\ufeff{}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10000 {
			return
		}
		r := manifest.Parse("f", []byte(text))
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1 // a carriage return alone ends a line of YAML too
		for i := range r.Documents {
			d := &r.Documents[i]
			if !json.Valid(d.Object) {
				t.Fatalf("%q is no JSON", d.Object)
			}
			for _, path := range []string{"", "metadata.labels[a]", "spec.x[0].y"} {
				if place := d.FieldPlace(path); place.Line < 1 || place.Line > lines || place.Column < 1 {
					t.Fatalf("%s of %q stands at %s, of %d lines", path, text, place, lines)
				}
			}
		}
		for _, note := range append(r.Problems, r.Notices...) {
			if note.Line > lines || note.Text == "" || strings.Contains(note.Text, "\n") {
				t.Fatalf("%q: %s", text, note)
			}
		}
	})
}
