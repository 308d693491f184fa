package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the Markdown files of the repository, relative to its root.
func documents(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CHANGELOG.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "test/*/README.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range found {
			all = append(all, strings.TrimPrefix(filepath.ToSlash(file), "../"))
		}
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors are those of a document's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := strings.ToLower(regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(heading[1], "$1"))
		plain = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(plain, "")
		all[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return all
}

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced = regexp.MustCompile("(?ms)^```.*?^```")
)

// Every link within the repository leads to a file that is there, and to a heading of it.
func TestLinks(t *testing.T) {
	links := 0
	for _, document := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, document), ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			file := document
			if target != "" {
				file = path.Join(path.Dir(document), target)
			}
			if _, err := os.Stat(filepath.Join("..", file)); err != nil {
				t.Errorf("%s: %s: %v", document, match[1], err)
			} else if anchor != "" && !anchors(read(t, file))[anchor] {
				t.Errorf("%s: %s has no heading #%s", document, file, anchor)
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links", links)
	}
}

// docs/README.md leads to every document.
func TestTheIndexIsWhole(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, document := range documents(t) {
		if name, ok := strings.CutPrefix(document, "docs/"); ok && name != "README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

// The dependencies of every module are kept up to date.
func TestEveryModuleIsUpdated(t *testing.T) {
	var modules []string
	for _, pattern := range []string{"go.mod", "deploy/*/go.mod", "test/*/go.mod", "test/*/*/go.mod"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			modules = append(modules, path.Clean("/"+strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "..")))
		}
	}
	var updated []string
	for _, match := range regexp.MustCompile(`package-ecosystem: gomod, directory: ([^,]+),`).FindAllStringSubmatch(read(t, ".github/dependabot.yml"), -1) {
		updated = append(updated, match[1])
	}
	slices.Sort(modules)
	slices.Sort(updated)
	if !slices.Equal(modules, updated) {
		t.Errorf("modules %v, and updated are %v", modules, updated)
	}
}

// The policy that docs/which-tool.md shows is the one that a case applies.
func TestThePolicyThatIsShownIsTried(t *testing.T) {
	_, shown, _ := strings.Cut(read(t, "docs/which-tool.md"), "```yaml\n")
	shown, _, _ = strings.Cut(shown, "```")
	if tried := read(t, "test/cases/admission-policy.txtar"); shown == "" || !strings.Contains(tried, "-- policy.yaml --\n"+shown) {
		t.Error("test/cases/admission-policy.txtar applies another one")
	}
}
