package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// element is what the definition of the common JUnit XML allows of an element, as Jenkins' xUnit plugin has it
// (src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd of jenkinsci/xunit-plugin).
type element struct {
	required, optional []string
	children           []string
	// text says that it may have text.
	text bool
}

func junitElements() map[string]element {
	result := element{optional: []string{"type", "message"}, text: true}
	return map[string]element{
		"testsuites": {optional: []string{"name", "time", "tests", "failures", "errors"}, children: []string{"testsuite"}},
		"testsuite": {
			required: []string{"name", "tests", "failures", "errors"},
			optional: []string{"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"},
			children: []string{"testsuite", "properties", "testcase", "system-out", "system-err"},
		},
		"testcase": {
			required: []string{"name"}, optional: []string{"time", "classname", "group"},
			children: []string{"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "system-err"},
		},
		"skipped": result, "error": result, "failure": result,
		"system-out": {text: true}, "system-err": {text: true},
	}
}

func TestJUnitIsWhatJenkinsTakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*junit*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range invalidJUnit(string(text)) {
			t.Errorf("%s: %s", file, problem)
		}
	}
	for _, wrong := range []string{
		`<testsuites><testcase name="a"/></testsuites>`, `<testsuites><testsuite name="a"/></testsuites>`, `<report/>`, `<testsuites>text</testsuites>`,
		`<testsuites><testsuite name="a" tests="1" failures="0" errors="0"><testcase name="a" file="b"/></testsuite></testsuites>`, `<testsuites>`,
	} {
		if len(invalidJUnit(wrong)) == 0 {
			t.Errorf("%s passes", wrong)
		}
	}
}

// invalidJUnit says what of a document the definition does not allow.
func invalidJUnit(text string) []string {
	known := junitElements()
	var problems []string
	within := []string{}
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return problems
		}
		if err != nil {
			return append(problems, err.Error())
		}
		switch token := token.(type) {
		case xml.StartElement:
			problems = append(problems, invalidElement(token, known, within)...)
			within = append(within, token.Name.Local)
		case xml.EndElement:
			within = within[:len(within)-1]
		case xml.CharData:
			if len(within) > 0 && strings.TrimSpace(string(token)) != "" && !known[within[len(within)-1]].text {
				problems = append(problems, "text in "+within[len(within)-1])
			}
		}
	}
}

func invalidElement(token xml.StartElement, known map[string]element, within []string) []string {
	var problems, has []string
	name := token.Name.Local
	e, ok := known[name]
	allowed := []string{"testsuites", "testsuite"}
	if len(within) > 0 {
		allowed = known[within[len(within)-1]].children
	}
	if !ok || !slices.Contains(allowed, name) {
		problems = append(problems, "an element "+name+" at "+strings.Join(within, "/"))
	}
	for _, attr := range token.Attr {
		has = append(has, attr.Name.Local)
		if !slices.Contains(slices.Concat(e.required, e.optional), attr.Name.Local) {
			problems = append(problems, name+" with an attribute "+attr.Name.Local)
		}
	}
	for _, attr := range e.required {
		if !slices.Contains(has, attr) {
			problems = append(problems, name+" without an attribute "+attr)
		}
	}
	return problems
}
