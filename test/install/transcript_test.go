package install

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// TestTranscripts replays how docs/install.md installs meshfence where nothing else is needed. The other transcripts there are replayed where a
// test has what they begin with; those with cert-manager in test/foreign.
func TestTranscripts(t *testing.T) {
	w := start(t, nil)
	w.replay("helm")
	w.replay("second")
	w.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "other")
	w.helm("uninstall", "other", "--namespace", "other-system")
	w.replay("remove-with-helm")
	w.gone("meshfence")
	w.replay("remove-the-rest")
	w.replay("kubectl")
	w.eventually("meshfence judges", w.guarded)
}

// replay replays a transcript, and returns what it printed.
func (w *world) replay(name string) string {
	w.t.Helper()
	printed, err := transcript.Replay(w.t.Context(), w.Cluster, name)
	w.do("replay "+name, err)
	return printed
}

// No console of docs/install.md is left out, and no command stands outside of one.
func TestEveryTranscriptIsReplayed(t *testing.T) {
	all, err := transcript.Read(filepath.Join("docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	replayed := map[string]bool{}
	for _, folder := range []string{"install", "foreign"} {
		files, err := filepath.Glob(filepath.Join(mustRoot(t), "test", folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range replays(parsed) {
				replayed[name] = true
			}
		}
	}
	var missed []string
	for _, console := range all {
		if !replayed[console.Name] {
			missed = append(missed, console.Name)
		}
	}
	slices.Sort(missed)
	if len(missed) > 0 || len(all) < 10 {
		t.Errorf("of %d transcripts in docs/install.md no test replays %q", len(all), missed)
	}
}

// replays returns the transcripts that a Go file replays: the strings with which it calls a function or a method of the name replay.
func replays(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		var called string
		switch function := call.Fun.(type) {
		case *ast.Ident:
			called = function.Name
		case *ast.SelectorExpr:
			called = function.Sel.Name
		}
		if argument, ok := call.Args[0].(*ast.BasicLit); ok && called == "replay" {
			if name, err := strconv.Unquote(argument.Value); err == nil {
				names = append(names, name)
			}
		}
		return true
	})
	return names
}

// A comment, a string or another function replays nothing.
func TestReplays(t *testing.T) {
	const source = `package p

// replay("comment")
func f(w world, replay func(string)) {
	w.replay("method")
	replay("function")
	println("replay(\"text\")", w.replay("value"))
	w.display("other") // w.replay("end of a line")
	w.replay(variable)
}
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"method", "function", "value"}, replays(file)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
