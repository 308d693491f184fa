package webhook

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A reader follows the design from file to file, so each that it names has to be there.
func TestTheDesignNamesFilesThatAreThere(t *testing.T) {
	paths := regexp.MustCompile("`((?:audit|cmd|webhook|certs|deploy|test)(?:/[a-z0-9_.-]+)*)`").FindAllStringSubmatch(design(t), -1)
	if len(paths) < 30 {
		t.Fatalf("it names %d files and folders", len(paths))
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join("..", path[1])); err != nil {
			t.Error(err)
		}
	}
}

// The picture of the packages has the imports that there are.
func TestTheDesignShowsTheImportsThatThereAre(t *testing.T) {
	shown := regexp.MustCompile(`(?m)^  (\S+ --> \S+)$`).FindAllStringSubmatch(design(t), -1)
	arrows := map[string]bool{}
	packages := map[string]bool{}
	for _, arrow := range shown {
		arrows[arrow[1]] = true
		for _, name := range strings.Split(arrow[1], " --> ") {
			packages[name] = true
		}
	}
	there := map[string]bool{}
	for name := range packages {
		for _, imported := range importsOf(t, name) {
			if imported != "webhook/api" && imported != "webhook/spelling" {
				there[name+" --> "+imported] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(arrows))); diff != "" {
		t.Errorf("arrows (-imports +picture):\n%s", diff)
	}
}

func design(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// importsOf returns the packages of this module that the product code of a package imports, as folders.
func importsOf(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has %d files: %v", folder, len(files), err)
	}
	imported := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if in, ok := strings.CutPrefix(path, "github.com/meshfence/meshfence/"); ok {
				imported[in] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(imported))
}
