package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source is a repository with what the Makefile reads, and one file of Go.
type source struct {
	t    *testing.T
	root string
}

func (s *source) run(program string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), program, args...)
	cmd.Dir = s.root
	// What git and make hand down to what they run would name the repository and the version of this test's own run.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "GIT_") || slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "VERSION", "COMMIT", "DATE"}, name)
	})
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func (s *source) write(path, text string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// fill copies what is needed of this repository.
func (s *source) fill() {
	s.t.Helper()
	for _, pattern := range []string{"Makefile", ".gitignore", "deploy/build/source.sh", "test/controlplane/build.mk", "test/controlplane/*/go.mod", "test/tools/*/go.mod"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(files) == 0 {
			s.t.Fatalf("%s: %q, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				s.t.Fatal(err)
			}
			s.write(strings.TrimPrefix(filepath.ToSlash(file), "../../"), string(text))
		}
	}
	if err := os.Chmod(filepath.Join(s.root, "deploy/build/source.sh"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.write("cmd/meshfence/main.go", "package main\n")
}

// commit makes the folder a repository with one commit.
func (s *source) commit(tag string) {
	s.t.Helper()
	s.run("git", "init", "-q")
	s.run("git", "add", "-A")
	s.run("git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "all")
	if tag != "" {
		s.run("git", "tag", tag)
	}
}

// stamps returns the version and commit that the binary would have, and those that the image would have.
func (s *source) stamps(args ...string) []string {
	s.t.Helper()
	text := s.run("make", append([]string{"--no-print-directory", "-n", "build", "image"}, args...)...)
	found := regexp.MustCompile(`main\.version=(\S+) -X main\.commit=(\S+)[\s\S]* -version '([^']*)' -commit '([^']*)'`).FindStringSubmatch(text)
	if found == nil {
		s.t.Fatalf("make would run\n%s", text)
	}
	return found[1:]
}

// Only a source that is exactly a commit has that commit and the version of its tag.
func TestWhatIsNoCommitIsMarked(t *testing.T) {
	for name, test := range map[string]struct {
		tag   string
		spoil func(*source)
		args  []string
		// version and commit are the binary's; HEAD stands for the commit.
		version, commit string
	}{
		"a tag":                    {"v1.2.3", nil, nil, "v1.2.3", "HEAD"},
		"no tag":                   {"", nil, nil, "dev", "HEAD"},
		"a version that is told":   {"", nil, []string{"VERSION=v1.2.3"}, "v1.2.3", "HEAD"},
		"a file more":              {"v1.2.3", func(s *source) { s.write("cmd/meshfence/zz_evil.go", "package main\n") }, nil, "v1.2.3-dirty", "HEAD-dirty"},
		"a file more, and no tag":  {"", func(s *source) { s.write("cmd/meshfence/zz_evil.go", "package main\n") }, nil, "dev-dirty", "HEAD-dirty"},
		"a file more, and told":    {"", func(s *source) { s.write("cmd/meshfence/zz_evil.go", "package main\n") }, []string{"VERSION=v1.2.3"}, "v1.2.3-dirty", "HEAD-dirty"},
		"marked already":           {"", func(s *source) { s.write("cmd/meshfence/main.go", "package other\n") }, []string{"VERSION=v1.2.3-dirty"}, "v1.2.3-dirty", "HEAD-dirty"},
		"a file that was changed":  {"v1.2.3", func(s *source) { s.write("cmd/meshfence/main.go", "package other\n") }, nil, "v1.2.3-dirty", "HEAD-dirty"},
		"a built file":             {"v1.2.3", func(s *source) { s.write("bin/meshfence", "") }, nil, "v1.2.3", "HEAD"},
		"an editor's file":         {"v1.2.3", func(s *source) { s.write("cmd/meshfence/.main.go.swp", "") }, nil, "v1.2.3", "HEAD"},
		"untracked are not shown":  {"v1.2.3", func(s *source) { s.run("git", "config", "status.showUntrackedFiles", "no"); s.write("cmd/zz.go", "") }, nil, "v1.2.3-dirty", "HEAD-dirty"},
		"a file that is excluded":  {"v1.2.3", func(s *source) { s.write(".git/info/exclude", "zz*\n"); s.write("cmd/zz.go", "") }, nil, "v1.2.3-dirty", "HEAD-dirty"},
		"a file that is not seen":  {"v1.2.3", func(s *source) { s.run("git", "update-index", "--assume-unchanged", "cmd/meshfence/main.go") }, nil, "v1.2.3-dirty", "HEAD-dirty"},
		"unpacked, no repository":  {"", func(s *source) { s.run("rm", "-rf", ".git") }, nil, "dev-dirty", "unknown"},
		"unpacked, and told":       {"", func(s *source) { s.run("rm", "-rf", ".git") }, []string{"VERSION=v1.2.3"}, "v1.2.3-dirty", "unknown"},
		"inside of another's tree": {"v9.9.9", func(s *source) { s.root = filepath.Join(s.root, "vendored"); s.fill() }, nil, "dev-dirty", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &source{t, t.TempDir()}
			s.fill()
			s.commit(test.tag)
			head := strings.TrimSpace(s.run("git", "rev-parse", "HEAD"))
			if test.spoil != nil {
				test.spoil(s)
			}
			want := []string{test.version, strings.Replace(test.commit, "HEAD", head[:12], 1), test.version, ""}
			if test.commit == "HEAD" {
				want[3] = head
			}
			if got := s.stamps(test.args...); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("the binary and the image have %q, want %q", got, want)
			}
		})
	}
}
