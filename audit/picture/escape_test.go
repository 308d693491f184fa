package picture_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit/picture"
)

// wellFormed are the checks of every format: how a text of it may look whatever the names are.
var wellFormed = map[picture.Format]func(t *testing.T, text string){
	picture.Tree:    func(*testing.T, string) {},
	picture.Wide:    func(*testing.T, string) {},
	picture.JSON:    jsonParses,
	picture.YAML:    yamlParses,
	picture.Mermaid: everyLine(mermaidLine),
	picture.Dot:     everyLine(dotLine),
	picture.SVG:     xmlParses,
	picture.HTML:    htmlParses,
}

func jsonParses(t *testing.T, text string) {
	var m any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

// xmlParses reads a picture as XML, in which an entity or a character that XML does not know is an error.
func xmlParses(t *testing.T, text string) {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
			return
		}
		if start, is := token.(xml.StartElement); is && !slices.Contains(svgElements, start.Name.Local) {
			t.Errorf("the element %s is none of a picture", start.Name.Local)
		}
	}
}

// svgElements are all that a picture is made of.
var svgElements = []string{"svg", "title", "desc", "style", "defs", "g", "path", "circle", "rect", "text", "use"}

// htmlParses reads a page with the rules of XML relaxed for HTML, and counts what only the page itself may bring.
func htmlParses(t *testing.T, text string) {
	for tag, want := range map[string]int{"script": 1, "/script": 1, "style": 1, "/style": 1, "meta": 4, "h1": 1, "/table": 2, "/html": 1} {
		if got := len(regexp.MustCompile("<"+tag+"[ >]").FindAllString(text, -1)); got != want {
			t.Errorf("%d of %s, not %d", got, tag, want)
		}
	}
	withoutScript := regexp.MustCompile(`(?s)<(script|style)>.*?</(script|style)>`).ReplaceAllString(text, "")
	decoder := xml.NewDecoder(strings.NewReader(withoutScript))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, []string{"meta", "input"}, xml.HTMLEntity
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%v in\n%s", err, text)
			return
		}
	}
}

func yamlParses(t *testing.T, text string) {
	var m any
	if err := yaml.UnmarshalStrict([]byte(text), &m); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

// mermaidLine is a line of a flowchart. Between quotes stand letters, digits, entities by number, and what has no meaning there.
var mermaidLine = regexp.MustCompile(`^(flowchart LR|  accTitle: [a-z0-9 ,:()]+|  end|    direction TB|  subgraph \w+\[TEXT\]|    \w+\[TEXT\](:::\w+)?|` +
	`  \w+ == TEXT ==> \w+|  \w+ -\. TEXT \.- \w+|  classDef \w+ [\w:#, -]+|  linkStyle [\d,]+ [\w:#, -]+)$`)

// dotLine is a line of a graph. Between quotes stands no quote without a backslash in front, and no entity but those for &, < and >.
var dotLine = regexp.MustCompile(`^(digraph meshes \{|  label=TEXT; labelloc=t; rankdir=LR; fontname=TEXT;|  (node|edge) \[[\w=, ]*fontname=TEXT\];|` +
	`  subgraph \w+ \{|    label=TEXT;|  ( )?}|}|    \w+ \[label=TEXT(, \w+=(\w+|TEXT))*\];|  \w+ -> \w+ \[label=TEXT(, \w+=(\w+|TEXT))*\];)$`)

var (
	mermaidText = regexp.MustCompile(`"(?:[\pL\p{Nd} _./=,:()-]|#\d+;|<br/>)*"`)
	dotText     = regexp.MustCompile(`"(?:[^"\\&<>]|\\[\\"n]|&(?:amp|lt|gt);)*"`)
)

// everyLine checks that each line is one of a kind, once its texts are replaced by the word TEXT.
func everyLine(kind *regexp.Regexp) func(*testing.T, string) {
	text := mermaidText
	if kind == dotLine {
		text = dotText
	}
	return func(t *testing.T, all string) {
		for line := range strings.Lines(all) {
			line = strings.TrimSuffix(line, "\n")
			if bare := text.ReplaceAllString(line, "TEXT"); !kind.MatchString(bare) {
				t.Errorf("not a line of this format: %s\n%s", line, bare)
			}
		}
	}
}

func TestEveryFormatIsWellFormedWhateverTheNames(t *testing.T) {
	for name, m := range maps() {
		for _, format := range picture.Formats() {
			t.Run(name+"/"+string(format), func(t *testing.T) { wellFormed[format](t, draw(t, m, format, picture.Options{})) })
		}
	}
}

func FuzzEveryFormatIsWellFormed(f *testing.F) {
	for i, name := range nastyNames() {
		f.Add(name, nastyNames()[len(nastyNames())-1-i])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, format := range picture.Formats() {
			wellFormed[format](t, draw(t, named([]string{a, b, "mesh-1"}), format, picture.Options{MaxNamespaces: 3}))
		}
	})
}

// TestProgramsGetTheNamesAsTheyAre reads the documents back.
func TestProgramsGetTheNamesAsTheyAre(t *testing.T) {
	m := three()
	m.Meshes[0].Namespaces[0].Name = "\x1b[31m\u0085\u202e<script>\U000e0001\"日本"
	var fromJSON, fromYAML picture.Map
	if err := json.Unmarshal([]byte(draw(t, m, picture.JSON, picture.Options{})), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(draw(t, m, picture.YAML, picture.Options{})), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("JSON and YAML differ (-json +yaml):\n%s", diff)
	}
	if got := draw(t, &fromJSON, picture.JSON, picture.Options{}); got != draw(t, m, picture.JSON, picture.Options{}) {
		t.Errorf("what was read back is another map:\n%s", got)
	}
}
