package policy

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var updateIndex = flag.Bool("update-index", false, "write the index in docs/rules.md anew")

const (
	docsFile   = "../../docs/rules.md"
	casesGlob  = "../../test/cases/*.txtar"
	auditDir   = "../../audit/observed"
	indexBegin = "<!-- The index is generated from the catalogue: make generate -->\n"
	indexEnd   = "<!-- End of the index -->\n"
)

// TestCatalogue proves that catalogue, code, tests and docs agree: every rule has one function in a file of its own, a
// table whose texts are in testdata, a case on a real API server and a section in docs/rules.md; and none of these is left over.
func TestCatalogue(t *testing.T) {
	docs := read(t, docsFile)
	cases := allCases(t)
	entries := catalogueEntries()
	for i, e := range entries {
		t.Run(string(e.Code), func(t *testing.T) {
			if i > 0 && entries[i-1].Code >= e.Code {
				t.Errorf("comes after %s", entries[i-1].Code)
			}
			e.checkFunction(t)
			e.checkTable(t)
			e.checkCase(t, cases)
			e.checkSection(t, docs)
		})
	}
	audited := auditEntries()
	for _, e := range audited {
		t.Run(string(e.Code), func(t *testing.T) {
			e.checkAudited(t)
			e.checkCase(t, cases)
			e.checkSection(t, docs)
		})
	}
	all := slices.Concat(entries, audited)
	t.Run("nothing left over", func(t *testing.T) { checkLeftovers(t, all, docs) })
	t.Run("index", func(t *testing.T) { checkIndex(t, all, docs) })
}

// auditEntries are the rules whose functions are in package audit/observed, which this one does not import.
func auditEntries() []listed {
	var list []listed
	for _, r := range AuditRules() {
		list = append(list, listed{Rule: r})
	}
	return list
}

// checkAudited: a function, a table and texts as the other rules have them, in the package of these rules; and docs/rules.md shows what the texts say.
func (e listed) checkAudited(t *testing.T) {
	t.Helper()
	function := "func " + strings.ToLower(e.Name[:1]) + e.Name[1:] + "(v *view) "
	if text := read(t, filepath.Join(auditDir, e.file())); !strings.Contains(strings.ToLower(text), strings.ToLower(function)) {
		t.Errorf("%s has no %s", e.file(), function)
	}
	if table := read(t, filepath.Join(auditDir, e.testFile())); !strings.Contains(table, "runObservedCases(t, ") {
		t.Errorf("%s runs no table", e.testFile())
	}
	texts := read(t, filepath.Join(auditDir, e.golden()))
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^(deny|warn) %s %s\b`, e.Code, e.Name)).MatchString(texts) {
		t.Errorf("%s has no finding %s %s", e.golden(), e.Code, e.Name)
	}
	_, shown, _ := strings.Cut(read(t, docsFile), fmt.Sprintf("\n## %s %s\n", e.Code, e.Name))
	_, shown, _ = strings.Cut(shown, "$ meshfence check\n")
	shown, _, _ = strings.Cut(shown, "\n```")
	for line := range strings.Lines(shown) {
		if !strings.Contains(texts, strings.Join(strings.Fields(line), " ")) && !strings.Contains(texts, strings.TrimSpace(line)) {
			t.Errorf("docs/rules.md shows a line that is in none of its texts: %s", line)
		}
	}
}

// listed is a rule and its functions.
type listed struct {
	Rule
	functions []uintptr
}

func catalogueEntries() []listed {
	return slices.Concat(entriesOf(meshRules), entriesOf(namespaceRules), entriesOf(tagRules), entriesOf(mapRules), entriesOf(acceptRules))
}

func entriesOf[T any](rules []rule[T]) []listed {
	list := make([]listed, 0, len(rules))
	for _, r := range rules {
		e := listed{Rule: r.Rule}
		for _, function := range []any{r.state, r.change, r.removal} {
			if v := reflect.ValueOf(function); !v.IsNil() {
				e.functions = append(e.functions, v.Pointer())
			}
		}
		list = append(list, e)
	}
	return list
}

// base is what the names of the rule's files begin with, for example mf101_invalid_selector, so that a listing of the package
// is the catalogue.
func (e listed) base() string {
	words := regexp.MustCompile(`([A-Z])([A-Z][a-z])`).ReplaceAllString(e.Name, "${1}_$2") // MTLSMissing: MTLS_Missing
	words = regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(words, "${1}_$2")
	return strings.ToLower(string(e.Code) + "_" + words)
}

func (e listed) file() string { return e.base() + ".go" }

func (e listed) testFile() string { return e.base() + "_test.go" }

// golden is the file with the texts of the rule's table.
func (e listed) golden() string {
	return "testdata/findings/" + strings.ToLower(string(e.Code)) + ".golden"
}

// checkFunction: one function, in the rule's own file, whose name says the offence.
func (e listed) checkFunction(t *testing.T) {
	t.Helper()
	if len(e.functions) != 1 {
		t.Fatalf("%d of state, change and removal are set, want one", len(e.functions))
	}
	f := runtime.FuncForPC(e.functions[0])
	path, _ := f.FileLine(e.functions[0])
	if got := filepath.Base(path); got != e.file() {
		t.Errorf("its function is in %s, want %s", got, e.file())
	}
	want := strings.ToLower(e.Name[:1]) + e.Name[1:]
	if got := f.Name()[strings.LastIndex(f.Name(), ".")+1:]; !strings.EqualFold(got, want) {
		t.Errorf("its function is called %s, want %s", got, want)
	}
}

// checkTable: a test file of its own that runs a table, with a text of the rule.
func (e listed) checkTable(t *testing.T) {
	t.Helper()
	if table := read(t, e.testFile()); !regexp.MustCompile(`(?m)^\trun\w+Cases\(t, `).MatchString(table) {
		t.Errorf("%s runs no table", e.testFile())
	}
	shown := regexp.MustCompile(fmt.Sprintf(`(?m)^(deny|warn) %s %s\b`, e.Code, e.Name))
	if !shown.MatchString(read(t, e.golden())) {
		t.Errorf("%s has no finding %s %s", e.golden(), e.Code, e.Name)
	}
}

// checkCase: a case expects what kubectl prints for it.
func (e listed) checkCase(t *testing.T, cases string) {
	t.Helper()
	shown := regexp.MustCompile(`(?m)^(\[[^]]+\] )?(stderr|stdout|eventually (-timeout \S+ )?-stderr) .*\b` + string(e.Code) + " " + e.Name + `\b`)
	if !shown.MatchString(cases) {
		t.Errorf("no case in test/cases expects '%s %s' on stderr or stdout", e.Code, e.Name)
	}
}

// checkSection: a section that says what is wrong, what comes of it, how to fix it with commands, and the source.
func (e listed) checkSection(t *testing.T, docs string) {
	t.Helper()
	_, section, found := strings.Cut(docs, fmt.Sprintf("\n## %s %s\n\nDefault: %s. Judged on: ", e.Code, e.Name, e.Action))
	if !found {
		t.Errorf("docs/rules.md has no section of the form\n## %s %s\n\nDefault: %s. Judged on: …", e.Code, e.Name, e.Action)
		return
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, part := range []string{
		"**What is wrong.** ", "**What happens if it gets through.** ", "**What it says.**", "\n```console\n$ ", string(e.Code) + " " + e.Name + ": ",
		"**How to fix it.**", "\n```console\n", "**Source.** ",
	} {
		if !strings.Contains(section, part) {
			t.Errorf("its section in docs/rules.md lacks %q", part)
		}
	}
	for line := range strings.Lines(section) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "Warning: ")
		if ok && !strings.HasPrefix(text, string(e.Code)+" remedy: ") && length(text) > oneWarning {
			t.Errorf("its section in docs/rules.md shows a warning that nobody gets: it has %d characters", length(text))
		}
	}
}

func checkLeftovers(t *testing.T, entries []listed, docs string) {
	t.Helper()
	known, bases := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		known[string(e.Code)] = true
		bases[e.base()] = true
	}
	files, err := filepath.Glob("mf[0-9][0-9][0-9]*.go")
	audited, auditErr := filepath.Glob(filepath.Join(auditDir, "mf[0-9][0-9][0-9]*.go"))
	if err != nil || auditErr != nil {
		t.Fatal(err, auditErr)
	}
	files = append(files, audited...)
	for _, file := range files {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".go"), "_test"), "_random")
		if !bases[base] {
			t.Errorf("%s is named for no rule of the catalogue", file)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (MF\d+) `).FindAllStringSubmatch(docs, -1) {
		if !known[heading[1]] {
			t.Errorf("docs/rules.md has a section about %s, which is not in the catalogue", heading[1])
		}
	}
}

func checkIndex(t *testing.T, entries []listed, docs string) {
	t.Helper()
	before, rest, ok := strings.Cut(docs, indexBegin)
	old, after, ended := strings.Cut(rest, indexEnd)
	if !ok || !ended {
		t.Fatalf("docs/rules.md has no index between %q and %q", indexBegin, indexEnd)
	}
	want := index(entries)
	if *updateIndex {
		if err := os.WriteFile(docsFile, []byte(before+indexBegin+want+indexEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != want {
		t.Error("the index in docs/rules.md is not that of the catalogue; run: make generate")
	}
}

func index(entries []listed) string {
	var b bytes.Buffer
	b.WriteString("\n| code | name | default |\n| --- | --- | --- |\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "| [%s](#%s-%s) | %s | %s |\n", e.Code, strings.ToLower(string(e.Code)), strings.ToLower(e.Name), e.Name, e.Action)
	}
	b.WriteString("\n")
	return b.String()
}

func allCases(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(casesGlob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", casesGlob, err)
	}
	var all strings.Builder
	for _, file := range files {
		all.WriteString(read(t, file))
	}
	return all.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
