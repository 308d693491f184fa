package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/audit/manifest"
)

// Each position was counted by hand. The documents are named by kind and name, with the paths that are asked for.
func TestPositions(t *testing.T) {
	for _, test := range []struct {
		name, text string
		object     int
		path, want string
	}{
		{"block style", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    istio.io/rev: x\n", 0, "metadata.labels[istio.io/rev]", "6:5"},
		{"the object", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n", 0, "", "4:3"},
		{"a field that is not there", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n", 0, "metadata.labels[x]", "4:3"},
		{"a comment before it", "# one\n\n# two\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", 0, "", "6:12"},
		{"flow style", `{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {x: y}}}`, 0, "metadata.labels[x]", "1:64"},
		{"JSON in one line", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a","labels":{"x":"y"}}}`, 0, "metadata.labels[x]", "1:72"},
		{"JSON with tabs", "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Namespace\",\n\t\"metadata\": {\n\t\t\"name\": \"a\"\n\t}\n}\n", 0, "", "5:3"},
		{"two JSON values in one line", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}`, 1, "", "1:114"},
		{"JSON values in lines", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}}\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"b\"}}\n", 1, "", "2:51"},
		{"JSON with surrogates", `{"apiVersion":"v1","kind":"Namespace","metadata":{"annotations":{"a":"\ud83d\ude80"},"name":"a"}}`, 0, "", "1:86"},
		{"an item of a List in JSON", "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\",\n\t\"labels\": {\"é\": null, \"x\": [1, true, {}, []], \"y\":\"z\"}}}]}", 0, "metadata.labels[y]", "3:48"},
		{"YAML behind JSON", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}} {apiVersion: v1, kind: Namespace, metadata: {name: b}}`, 1, "", "1:109"},
		{"a tab behind the separator", "# a\n---\t{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n", 0, "", "2:50"},
		{"the second document", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n", 1, "", "8:3"},
		{"a separator with a comment", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n--- # next\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n", 1, "", "8:3"},
		{"content behind the separator", "--- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n--- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n", 1, "", "2:50"},
		{"empty documents", "---\n---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n---\n", 0, "", "8:3"},
		{"the end of a document", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n...\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n", 1, "", "8:3"},
		{"three dashes in a block scalar", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    one\n    ---\n    two\n  y: z\n", 0, "data[y]", "9:3"},
		{"CRLF", "apiVersion: v1\r\nkind: Namespace\r\nmetadata:\r\n  name: a\r\n  labels:\r\n    x: y\r\n---\r\napiVersion: v1\r\nkind: Namespace\r\nmetadata:\r\n  name: b\r\n", 1, "", "11:3"},
		{"what YAML takes for the end of a line", "apiVersion: v1\nkind: Namespace\n# a\u2028# b\u0085# c\u2029# d\r# e\r\nmetadata:\n  labels: {x: y}\n  name: a\n", 0, "metadata.labels[x]", "5:12"},
		{"a field on such a line", "apiVersion: v1\nkind: Namespace\u2028metadata:\u2028  name: a\n", 0, "", "2:29"},
		{"U+2028 in JSON", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\n\"metadata\":{\"annotations\":{\"a\":\"\u2028\"},\"name\":\"a\"}}", 0, "", "2:37"},
		{"a byte order mark", "\ufeffapiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", 0, "", "3:12"},
		{"letters of several bytes", "apiVersion: v1\nkind: Namespace\nmetadata: {annotations: {ä: \"ö…\"}, name: a}\n", 0, "", "3:36"},
		{"an item of a List", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: a\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: b\n    labels: {x: y}\n", 1, "metadata.labels[x]", "12:14"},
		{"an item of a typed List", "apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata:\n    name: a\n", 0, "", "5:5"},
		{"a List in a List", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n", 0, "", "7:50"},
		{"an item of a list", "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: a}\nspec:\n  values:\n    meshConfig:\n      discoverySelectors:\n      - matchLabels: {a: b}\n      - matchExpressions:\n        - key: x\n          operator: in\n", 0, "spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].operator", "11:11"},
		{"a whole item", "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: a}\nspec:\n  values:\n    meshConfig:\n      discoverySelectors:\n      - matchLabels: {a: b}\n      - matchExpressions:\n        - key: x\n", 0, "spec.values.meshConfig.discoverySelectors[1]", "9:9"},
		{"an alias", "apiVersion: v1\nkind: Namespace\nmetadata:\n  annotations: &l {x: y}\n  labels: *l\n  name: a\n", 0, "metadata.labels[x]", "4:20"},
		{"a merged key", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  annotations: &l\n    x: y\n  labels:\n    <<: *l\n    z: w\n", 0, "metadata.labels[x]", "6:5"},
		{"a key that overrides a merged one", merging + "  labels:\n    <<: *l\n    x: z\n", 0, "metadata.labels[x]", "9:5"},
		{"a key that a merged one overrides", merging + "  labels:\n    x: z\n    <<: *l\n", 0, "metadata.labels[x]", "5:10"},
		{"the first of several merged", merging + "  labels:\n    x: z\n    <<: [*m, *l]\n", 0, "metadata.labels[x]", "6:10"},
		{"a quoted key", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    \"istio.io/rev\": x\n", 0, "metadata.labels[istio.io/rev]", "6:5"},
		{"a key with an explicit mark", "apiVersion: v1\nkind: Namespace\nmetadata:\n  ? name\n  : a\n", 0, "", "4:5"},
		{"in a literal text", meshText("|-\n    rootNamespace: x\n    discoverySelectors:\n    - matchExpressions:\n      - {key: a, operator: in}\n"), 0, "data.mesh: discoverySelectors[0].matchExpressions[0].operator", "9:18"},
		{"a list in a literal text", meshText("|\n    rootNamespace: x\n    discoverySelectors: [{}]\n"), 0, "data.mesh: discoverySelectors", "7:5"},
		{"with its line in the text", meshText("|\n    rootNamespace: x\n    discoverySelectors: [{}]\n"), 0, "data.mesh: line 2: discoverySelectors[0]", "7:26"},
		{"a line in the text, of which no more is known", meshText("|\n    rootNamespace: x\n    a: [\n"), 0, "data.mesh: line 2", "7:5"},
		{"what the text has not", meshText("|\n    rootNamespace: x\n"), 0, "data.mesh: discoverySelectors", "5:3"},
		{"a text that cannot be read", meshText("|\n    a: [\n"), 0, "data.mesh: discoverySelectors", "5:3"},
		{"under the name of the definition", meshText("|\n    discovery_selectors: [{}]\n"), 0, "data.mesh: discoverySelectors[0]", "6:27"},
		{"empty lines before and in the text", meshText("|\n\n\n    # a\n\n    discoverySelectors:\n\n    - matchLabels:\n        a: b\n"), 0, "data.mesh: discoverySelectors[0].matchLabels[a]", "13:9"},
		{"an indentation that is told", meshText("|2-\n      discoverySelectors:\n      - {}\n"), 0, "data.mesh: discoverySelectors[0]", "7:9"},
		{"a comment behind the indicator", meshText("|- # the mesh | of us\n    discoverySelectors: [{}]\n"), 0, "data.mesh: discoverySelectors[0]", "6:26"},
		{"an anchor before the text", meshText("&text\n    !!str |\n    discoverySelectors: [{}]\n"), 0, "data.mesh: discoverySelectors[0]", "7:26"},
		{"an alias for the text", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  other: &text |\n    discoverySelectors: [{}]\n  mesh: *text\n", 0, "data.mesh: discoverySelectors[0]", "6:26"},
		{"a folded text", meshText(">-\n    discoverySelectors:\n\n    - matchLabels: {a:\n    b}\n\n    - matchLabels:\n        {c: d}\n"), 0, "data.mesh: discoverySelectors[1].matchLabels[c]", "12:10"},
		{"a folded text in one line", meshText(">\n    {rootNamespace: x,\n    discoverySelectors: [\n    {}, {}]}\n"), 0, "data.mesh: discoverySelectors[1]", "8:9"},
		{"a text in CRLF", strings.ReplaceAll(meshText("|-\n    rootNamespace: x\n    discoverySelectors: [{}]\n"), "\n", "\r\n"), 0, "data.mesh: discoverySelectors[0]", "7:26"},
		{"a text in double quotes", meshText(`"rootNamespace: x\ndiscoverySelectors: [{}]"`), 0, "data.mesh: discoverySelectors[0]", "5:9"},
		{"a text in single quotes", meshText("'discoverySelectors: [{}]'"), 0, "data.mesh: discoverySelectors[0]", "5:9"},
		{"a text in quotes that has not the field", meshText("'rootNamespace: x'"), 0, "data.mesh: discoverySelectors[0]", "5:3"},
		{"a text in JSON", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"istio"},"data":{"mesh":"discoverySelectors: [{}]"}}`, 0, "data.mesh: discoverySelectors[0]", "1:82"},
		{"JSON in a literal text", meshText("|\n    {\"rootNamespace\": \"x\",\n     \"discoverySelectors\": [{}]}\n"), 0, "data.mesh: discoverySelectors[0]", "7:29"},
		{"letters of several bytes in the text", meshText("|\n    # ä…\n    {é: ö, discoverySelectors: [{}]}\n"), 0, "data.mesh: discoverySelectors[0]", "7:33"},
		{"in the second document", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" + meshText("|\n    discoverySelectors: [{}]\n"), 1, "data.mesh: discoverySelectors[0]", "10:26"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := manifest.Parse("f.yaml", []byte(test.text))
			if len(r.Problems) > 0 || len(r.Documents) <= test.object {
				t.Fatalf("%d documents, problems %v, notices %v", len(r.Documents), r.Problems, r.Notices)
			}
			place := r.Documents[test.object].FieldPlace(test.path)
			if got := fmt.Sprintf("%d:%d", place.Line, place.Column); got != test.want {
				t.Errorf("%s, want %s in\n%s", got, test.want, test.text)
			}
		})
	}
}

// meshText is a ConfigMap whose text begins in column 9 of line 5.
func meshText(text string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: " + text
}

// helm template says above each document which file of the chart it comes from.
func TestTheSourceOfAChartIsKept(t *testing.T) {
	r := manifest.Parse("-", []byte("---\n# Source: meshes/templates/a.yaml\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n# Source: later.yaml\n"))
	var got []string
	for i := range r.Documents {
		got = append(got, r.Documents[i].Place().String())
	}
	if want := "-:6:3 (meshes/templates/a.yaml) -:11:3"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
