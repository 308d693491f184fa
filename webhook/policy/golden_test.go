package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goldenFolder holds one file a rule with the whole text that the rows of its tests lead to: the name of the test, that of the
// row, and the findings. go test ./webhook/policy -update writes the files; the change is then read as a diff.
const goldenFolder = "testdata/findings"

// goldenFindings are the texts in goldenFolder, and those of this run.
var goldenFindings goldenTexts

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goldenFindings.finish(code == 0 && everythingRan()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// everythingRan reports whether no flag kept a test from running.
func everythingRan() bool {
	return !slices.ContainsFunc([]string{"test.run", "test.skip", "test.list"}, func(name string) bool {
		return flag.Lookup(name).Value.String() != ""
	})
}

// goldenTexts are the texts of rows, by the full name of the row, in which words are separated by spaces.
type goldenTexts struct {
	loaded  bool
	stored  rowTexts
	current rowTexts // of the rows that ran
}

// compare compares the text of the row that runs with the stored one. A row that is told nothing has none.
func (g *goldenTexts) compare(t *testing.T, got string) {
	t.Helper()
	if err := g.load(); err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(t.Name(), "_", " ")
	if got != "" && !ofARule.MatchString(name) {
		t.Fatal("the name of the test must begin with that of a rule, such as TestMF201, which tells the file of its text")
	}
	g.current.put(name, got)
	if *update {
		return
	}
	if diff := cmp.Diff(strings.Split(g.stored.text[name], "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the text differs from that in %s (-want +got):\n%s", goldenFolder, diff)
	}
}

// finish writes the files if -update asks for it. complete says that every test ran, and none failed: then a text whose row did
// not run is left over. It is an error, or gone after an update.
func (g *goldenTexts) finish(complete bool) error {
	if err := g.load(); err != nil {
		return err
	}
	if *update {
		return g.write(complete)
	}
	left := slices.DeleteFunc(slices.Clone(g.stored.names), func(name string) bool { return !complete || g.current.has(name) })
	if len(left) > 0 {
		return fmt.Errorf("%s has texts of rows that do not exist:\n%s", goldenFolder, strings.Join(left, "\n"))
	}
	return nil
}

func (g *goldenTexts) load() error {
	if g.loaded {
		return nil
	}
	g.loaded = true
	files, err := goldenFiles()
	for _, file := range files {
		content, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr)
		g.stored.parse(string(content))
	}
	return err
}

func goldenFiles() ([]string, error) { return filepath.Glob(filepath.Join(goldenFolder, "*.golden")) }

// write writes the texts of all rows that ran. Those of others stay, unless the run was complete.
func (g *goldenTexts) write(complete bool) error {
	var all rowTexts
	if !complete {
		all.add(g.stored)
	}
	all.add(g.current)
	old, err := goldenFiles()
	for _, file := range old {
		err = errors.Join(err, os.Remove(file))
	}
	for file, content := range all.files() {
		err = errors.Join(err, os.WriteFile(file, []byte(content), 0o644))
	}
	return err
}

// rowTexts are texts by name, in the order in which they came.
type rowTexts struct {
	names []string
	text  map[string]string
}

func (n *rowTexts) has(name string) bool {
	_, ok := n.text[name]
	return ok
}

func (n *rowTexts) put(name, text string) {
	if n.text == nil {
		n.text = map[string]string{}
	}
	if !n.has(name) {
		n.names = append(n.names, name)
	}
	n.text[name] = text
}

func (n *rowTexts) add(other rowTexts) {
	for _, name := range other.names {
		n.put(name, other.text[name])
	}
}

// ofARule matches the name of a test of a rule.
var ofARule = regexp.MustCompile(`^TestMF\d\d\d`)

const (
	testHeading = "# "
	rowHeading  = "## "
)

// files are the contents of the files, by path: each test once, with its rows.
func (n *rowTexts) files() map[string]string {
	sections := map[string][]string{} // the names of a test's rows
	var tests []string
	for _, name := range n.names {
		test, _, _ := strings.Cut(name, "/")
		if n.text[name] == "" {
			continue
		}
		if sections[test] == nil {
			tests = append(tests, test)
		}
		sections[test] = append(sections[test], name)
	}
	files := map[string]string{}
	for _, test := range tests {
		rule := strings.ToLower(strings.TrimPrefix(ofARule.FindString(test), "Test"))
		files[filepath.Join(goldenFolder, rule+".golden")] += n.section(test, sections[test])
	}
	for file, content := range files {
		files[file] = strings.TrimPrefix(content, "\n")
	}
	return files
}

func (n *rowTexts) section(test string, names []string) string {
	var b strings.Builder
	b.WriteString("\n" + testHeading + test + "\n")
	for _, name := range names {
		if _, row, ok := strings.Cut(name, "/"); ok {
			b.WriteString("\n" + rowHeading + row + "\n")
		}
		b.WriteString("\n" + n.text[name])
	}
	return b.String()
}

// parse reads what files writes. Lines of texts do not begin as headings do.
func (n *rowTexts) parse(content string) {
	var test, name, text string
	put := func() {
		if text = strings.Trim(text, "\n"); text != "" {
			n.put(name, text+"\n")
		}
		text = ""
	}
	for line := range strings.Lines(content) {
		if row, ok := strings.CutPrefix(line, rowHeading); ok {
			put()
			name = test + "/" + strings.TrimSuffix(row, "\n")
		} else if title, ok := strings.CutPrefix(line, testHeading); ok {
			put()
			test = strings.TrimSuffix(title, "\n")
			name = test
		} else {
			text += line
		}
	}
	put()
}
