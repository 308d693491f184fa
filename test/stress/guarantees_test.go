package stress

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness"
)

// TestTheNamedTestsExist looks for all tests that docs/guarantees.md names: the function, and the text of a subtest.
func TestTheNamedTestsExist(t *testing.T) {
	root, err := harness.Root()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	must(t, err)
	named := regexp.MustCompile("`([a-z/]+)`:\\s+(Test\\w+)(?:/([^\\s|]*[^\\s|.,]))?").FindAllStringSubmatch(string(text), -1)
	if all := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1); len(named) != len(all) || len(all) == 0 {
		t.Errorf("%d tests are named with their folder, of %d", len(named), len(all))
	}
	for _, match := range named {
		sources := sourcesOf(t, filepath.Join(root, match[1]))
		if !strings.Contains(sources, "\nfunc "+match[2]+"(t *testing.T)") {
			t.Errorf("%s has no test %s", match[1], match[2])
		}
		if name := strings.ReplaceAll(match[3], "_", " "); !strings.Contains(sources, `"`+name+`"`) && name != "" {
			t.Errorf("%s has no subtest %q", match[1], name)
		}
	}
}

// sourcesOf returns the tests of a folder.
func sourcesOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	must(t, err)
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		all.Write(content)
	}
	return all.String()
}
