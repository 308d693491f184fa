package files_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/audit/manifest"
	"github.com/meshfence/meshfence/audit/manifest/files"
)

func namespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + name + "\n"
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// told is what was read, in short: names, then problems and notices, with paths below the folder.
func told(folder string, r manifest.Result) []string {
	lines := []string{}
	for i := range r.Documents {
		lines = append(lines, r.Documents[i].Name+" at "+r.Documents[i].Place().String())
	}
	for _, note := range r.Problems {
		lines = append(lines, "problem "+note.String())
	}
	for _, note := range r.Notices {
		lines = append(lines, "notice "+note.String())
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], folder+"/", "")
	}
	return lines
}

func TestAFolderIsReadWithAllBelowIt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": namespace("b"), "a/x.yml": namespace("x"), "a/y.json": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "y"}}`,
		"README.md": "no manifest", ".git/c.yaml": namespace("c"), "k/kustomization.yaml": "resources: [d.yaml]\n", "k/d.yaml": namespace("d"),
	} {
		write(t, filepath.Join(dir, name), text)
	}
	must(t, os.Symlink(dir, filepath.Join(dir, "a", "loop")))
	must(t, os.Symlink(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "link.yaml")))
	want := []string{
		"x at a/x.yml:4:3", "y at a/y.json:1:56", "b at b.yaml:4:3", "d at k/d.yaml:4:3",
		"notice .git: skipped, as it is a hidden folder",
		"notice a/loop: skipped, as it is a symbolic link to a folder; name it to have it read",
		"notice k/kustomization.yaml: the folder is read as it lies; to check what is built of it: kubectl kustomize k | meshfence check -f -",
		"notice link.yaml: skipped, as it is a symbolic link to b.yaml, which is read",
	}
	got := told(dir, files.Read([]string{dir}, files.Options{}))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// links makes links, by their path in a folder and what they lead to.
func links(t *testing.T, dir string, all map[string]string) {
	t.Helper()
	for path, target := range all {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		must(t, os.Symlink(target, filepath.Join(dir, path)))
	}
}

func TestLinks(t *testing.T) {
	const nothing = "problem d: it has no file that ends in .yaml, .yml or .json besides what is skipped"
	for _, test := range []struct {
		name         string
		files, links map[string]string
		path         string
		want         []string
	}{
		{
			name:  "a mounted ConfigMap",
			files: map[string]string{"d/..2026_01_02/a.yaml": namespace("a"), "d/..2026_01_02/b.yaml": namespace("b")},
			links: map[string]string{"d/..data": "..2026_01_02", "d/a.yaml": "..data/a.yaml", "d/b.yaml": "..data/b.yaml"},
			want:  []string{"a at d/a.yaml:4:3", "b at d/b.yaml:4:3"},
		},
		{
			name: "a folder of a mounted ConfigMap", files: map[string]string{"d/..2026_01_02/sub/a.yaml": namespace("a")},
			links: map[string]string{"d/..data": "..2026_01_02", "d/sub": "..data/sub"},
			want:  []string{nothing, "notice d/sub: skipped, as it is a symbolic link to a folder; name it to have it read"},
		},
		{
			name: "a link to a folder, named itself", files: map[string]string{"real/a.yaml": namespace("a"), "real/sub/b.yaml": namespace("b")},
			links: map[string]string{"d": "real"}, want: []string{"a at d/a.yaml:4:3", "b at d/sub/b.yaml:4:3"},
		},
		{
			name: "a link of a folder that is a link", files: map[string]string{"real/.x/a.yaml": namespace("a")},
			links: map[string]string{"d": "real", "real/a.yaml": ".x/a.yaml"},
			want:  []string{"a at d/a.yaml:4:3", "notice d/.x: skipped, as it is a hidden folder"},
		},
		{
			name: "a link to a file, named itself", files: map[string]string{"real/a.yaml": namespace("a")}, path: "d/x",
			links: map[string]string{"d/x": "../real/a.yaml"}, want: []string{"a at d/x:4:3"},
		},
		{
			name: "to another ending in the same folder", files: map[string]string{"d/a.txt": namespace("a")},
			links: map[string]string{"d/a.yaml": "a.txt"}, want: []string{"a at d/a.yaml:4:3"},
		},
		{
			name: "out of the folder", files: map[string]string{"a.yaml": namespace("a")}, links: map[string]string{"d/a.yaml": "../a.yaml"},
			want: []string{nothing, "notice d/a.yaml: skipped, as it is a symbolic link to a file outside of d; name it to have it read"},
		},
		{
			name: "to nothing", links: map[string]string{"d/a.yaml": "none"},
			want: []string{nothing, "notice d/a.yaml: skipped, as it is a symbolic link that leads nowhere"},
		},
		{
			name: "that are no manifests", files: map[string]string{"d/b.yaml": namespace("b")}, links: map[string]string{"d/a.md": "../a.md", "d/c.md": "b.yaml"},
			want: []string{"b at d/b.yaml:4:3"},
		},
		{
			name: "hidden folders only", files: map[string]string{"d/.git/a.yaml": namespace("a")},
			want: []string{nothing, "notice d/.git: skipped, as it is a hidden folder"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range test.files {
				write(t, filepath.Join(dir, path), text)
			}
			links(t, dir, test.links)
			got := told(dir, files.Read([]string{filepath.Join(dir, cmp.Or(test.path, "d"))}, files.Options{}))
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A folder may be named by a relative path, and the links in it lead to relative or absolute ones.
func TestLinksInARelativeFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "d/.x/a.yaml"), namespace("a"))
	write(t, filepath.Join(dir, "d/.x/b.yaml"), namespace("b"))
	links(t, dir, map[string]string{"d/a.yaml": filepath.Join(dir, "d/.x/a.yaml"), "d/b.yaml": ".x/b.yaml"})
	t.Chdir(dir)
	want := []string{"a at d/a.yaml:4:3", "b at d/b.yaml:4:3", "notice d/.x: skipped, as it is a hidden folder"}
	if diff := gocmp.Diff(want, told(dir, files.Read([]string{"d"}, files.Options{}))); diff != "" {
		t.Error(diff)
	}
}

// Each is told, none holds anything up, and what is good beside it is read.
func TestWhatCannotBeReadIsTold(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	write(t, good, namespace("good"))
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, syscall.Mkfifo(path("pipe.yaml"), 0o600))
	must(t, os.Mkdir(path("empty"), 0o755))
	must(t, os.Mkdir(path("with-pipe"), 0o755))
	must(t, syscall.Mkfifo(path("with-pipe/p.yaml"), 0o600))
	must(t, os.Mkdir(path("with-link-to-pipe"), 0o755))
	must(t, syscall.Mkfifo(path("with-link-to-pipe/p"), 0o600))
	must(t, os.Symlink("p", path("with-link-to-pipe/p.yaml")))
	must(t, os.Symlink(path("round"), path("round")))
	must(t, os.Symlink(good, path("to-good")))
	huge, err := os.Create(path("huge.yaml"))
	must(t, err)
	must(t, huge.Truncate(100<<20))
	must(t, huge.Close())
	write(t, path("no-yaml.yaml"), "a: [b\n")
	for name, want := range map[string]string{
		"missing.yaml":      "problem missing.yaml: it cannot be read: no such file or directory",
		"pipe.yaml":         "problem pipe.yaml: it is no regular file; for a pipe use -f - and standard input",
		"empty":             "problem empty: it has no file that ends in .yaml, .yml or .json",
		"with-pipe":         "problem with-pipe/p.yaml: it is no regular file",
		"with-link-to-pipe": "problem with-link-to-pipe/p.yaml: it is no regular file",
		"round":             "problem round: it cannot be read: too many levels of symbolic links",
		"huge.yaml":         "problem huge.yaml: it is larger than 10 MiB",
		"no-yaml.yaml":      "problem no-yaml.yaml:1: it cannot be read: did not find expected ',' or ']'",
		"to-good":           "good at to-good:4:3",
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan []string, 1)
			go func() { done <- told(dir, files.Read([]string{path(name), good}, files.Options{})) }()
			select {
			case got := <-done:
				wants := []string{"good at good.yaml:4:3", want}
				if strings.HasPrefix(want, "good") {
					wants = []string{want, "good at good.yaml:4:3"}
				}
				if diff := gocmp.Diff(wants, got); diff != "" {
					t.Error(diff)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it does not end")
			}
		})
	}
}

// All files together have 32 MiB to spare for aliases, besides ten times their size. The first ones get it, so that each run tells the same.
func TestAliasesAreCountedForAllFiles(t *testing.T) {
	dir := t.TempDir()
	bomb := "---\n" + namespace("bomb") + "x: &x \"" + strings.Repeat("x", 10_000) + "\"\ny: [" + strings.TrimSuffix(strings.Repeat("*x, ", 1000), ", ") + "]\n"
	for i := range 5 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), bomb)
	}
	write(t, filepath.Join(dir, "good.yaml"), namespace("good"))
	const problem = ".yaml:2:1: it cannot be read: its aliases make more of the text than 10 times its size and 32 MiB"
	want := []string{"bomb at 0.yaml:5:3", "bomb at 1.yaml:5:3", "bomb at 2.yaml:5:3", "good at good.yaml:4:3", "problem 3" + problem, "problem 4" + problem}
	for range 5 {
		if diff := gocmp.Diff(want, told(dir, files.Read([]string{dir}, files.Options{}))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestNoPermissionIsTold(t *testing.T) {
	if os.Getuid() == 0 { // who may read everything
		t.Log("run as another user than root to see that a file without permission is told")
		return
	}
	path := filepath.Join(t.TempDir(), "secret.yaml")
	write(t, path, namespace("a"))
	must(t, os.Chmod(path, 0))
	if got := told(filepath.Dir(path), files.Read([]string{path}, files.Options{})); gocmp.Diff([]string{"problem secret.yaml: it cannot be read: permission denied"}, got) != "" {
		t.Error(got)
	}
}

func TestStandardInput(t *testing.T) {
	for _, test := range []struct{ name, want string }{{"", "a at -:4:3"}, {"chart.yaml", "a at chart.yaml:4:3"}} {
		got := told("", files.Read([]string{files.Stdin}, files.Options{Stdin: strings.NewReader(namespace("a")), StdinName: test.name}))
		if diff := gocmp.Diff([]string{test.want}, got); diff != "" {
			t.Error(diff)
		}
	}
	twice := files.Read([]string{files.Stdin, files.Stdin}, files.Options{Stdin: strings.NewReader(namespace("a"))})
	if diff := gocmp.Diff([]string{"a at -:4:3", "problem -: standard input can be read only once"}, told("", twice)); diff != "" {
		t.Error(diff)
	}
	endless := files.Read([]string{files.Stdin}, files.Options{Stdin: endless{}})
	if diff := gocmp.Diff([]string{"problem -: it is larger than 64 MiB"}, told("", endless)); diff != "" {
		t.Error(diff)
	}
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte("#\n"), len(p)/2+1)), nil
}

// Ten thousand namespaces in a thousand files.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		var text strings.Builder
		for j := range 10 {
			fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: app-%d-%d\n  labels:\n    istio-discovery: mesh-%d\n    istio.io/rev: mesh-%d\n    team: a\n", i, j, i%100, i%100)
		}
		write(b, filepath.Join(dir, fmt.Sprintf("%02d", i%20), fmt.Sprintf("%d.yaml", i)), text.String())
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := files.Read([]string{dir}, files.Options{}); len(r.Documents) != 10000 || len(r.Problems) > 0 {
			b.Fatal(len(r.Documents), r.Problems)
		}
	}
}
