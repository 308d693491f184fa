package foreign

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// goldens are the reports of audit/report in a format, also those with texts that would break out of it.
func goldens(t *testing.T, format string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "audit", "report", "testdata", "*."+format))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files of %s: %v", len(files), format, err)
	}
	return files
}

// sarifSchema is the published schema of SARIF 2.1.0, which comes with go-sarif as a constant of its own.
func sarifSchema(t *testing.T) string {
	t.Helper()
	const of = "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	found, err := build.Import(of, ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(found.Dir, "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	literal, ok := file.Scope.Lookup("schema").Decl.(*ast.ValueSpec).Values[0].(*ast.BasicLit)
	if !ok {
		t.Fatalf("%s has no schema", found.Dir)
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// validator returns a function that compares a text in JSON or YAML with a schema.
func validator(t *testing.T, name, schema string) func(text []byte) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return func(text []byte) error {
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		return compiled.Validate(value)
	}
}

func TestReportsAreWhatTheirSchemasSay(t *testing.T) {
	ours, err := os.ReadFile(filepath.Join("..", "..", "docs", "check.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	published := validator(t, "sarif.json", sarifSchema(t))
	own := validator(t, "check.schema.json", string(ours))
	for format, validate := range map[string]func([]byte) error{"sarif": published, "json": own, "yaml": own} {
		for _, file := range goldens(t, format) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(text); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		if validate([]byte(`{"version": "2.1.0", "runs": 5, "more": 1}`)) == nil {
			t.Errorf("%s: the schema takes anything", format)
		}
	}
	for _, file := range goldens(t, "sarif") {
		if log, err := sarif.Open(file); err != nil || len(log.Runs) != 1 || len(log.Runs[0].Tool.Driver.Rules) != 3 {
			t.Errorf("%s is read as %+v: %v", file, log, err)
		}
	}
}
