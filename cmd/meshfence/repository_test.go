package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeFiles makes files below a folder; a name that ends in a slash is a folder.
func makeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Code scanning and workflows know files by their path from the root of the repository, wherever the command runs.
func TestFilesAreNamedByTheirRepository(t *testing.T) {
	base := t.TempDir()
	makeFiles(t, base, map[string]string{
		"repo/.git/": "", "repo/sub/a.yaml": meshes + "---\n" + crossed, "repo/module/.git": "gitdir: elsewhere", "repo/module/b.yaml": meshes + "---\n" + crossed,
		"plain/c.yaml": meshes + "---\n" + crossed, `plain/back\slash.yaml`: meshes + "---\n" + crossed,
	})
	for name, test := range map[string]struct {
		folder string
		args   []string
		want   string
	}{
		"at the root":                          {"repo", []string{"-f", "sub"}, "sub/a.yaml"},
		"in a folder of it":                    {"repo/sub", []string{"-f", "."}, "sub/a.yaml"},
		"from beside it":                       {"plain", []string{"-f", "../repo/sub"}, "sub/a.yaml"},
		"absolute":                             {"plain", []string{"-f", filepath.Join(base, "repo/sub/a.yaml")}, "sub/a.yaml"},
		"in a submodule":                       {"repo", []string{"-f", "module"}, "b.yaml"},
		"without a repository":                 {"plain", []string{"-f", "c.yaml"}, "c.yaml"},
		"without one, absolute":                {"plain", []string{"-f", filepath.Join(base, "plain/c.yaml")}, "c.yaml"},
		"without one, from beside it":          {"repo", []string{"-f", "../plain/c.yaml"}, "plain/c.yaml"},
		"without one, absolute from elsewhere": {"repo", []string{"-f", filepath.Join(base, "plain/c.yaml")}, strings.TrimPrefix(filepath.ToSlash(base), "/") + "/plain/c.yaml"},
		"a backslash":                          {"plain", []string{"-f", `back\slash.yaml`}, "back%5Cslash.yaml"},
		"standard input":                       {"repo/sub", []string{"-f", "-"}, "stdin"},
		"standard input with a name":           {"repo/sub", []string{"-f", "-", "--stdin-name", "charts/x.yaml"}, "charts/x.yaml"},
		"standard input with a name elsewhere": {"repo/sub", []string{"-f", "-", "--stdin-name", "/../charts/x.yaml"}, "charts/x.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(filepath.Join(base, test.folder))
			written := func(format string) string {
				root := newRootCommand(register)
				var out bytes.Buffer
				root.SetArgs(append([]string{"check", "-o", format}, test.args...))
				root.SetIn(strings.NewReader(meshes + "---\n" + crossed))
				root.SetOut(&out)
				root.SetErr(&out)
				_ = root.ExecuteContext(context.Background()) // there is a finding
				return out.String()
			}
			var log struct {
				Runs []struct {
					Results []struct {
						Locations []struct {
							PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(written("sarif")), &log); err != nil {
				t.Fatal(err)
			}
			if got := log.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI; got != test.want {
				t.Errorf("SARIF: %q, want %q", got, test.want)
			}
			if got, want := written("github"), "file="+strings.ReplaceAll(test.want, "%5C", `\`)+","; !strings.Contains(got, want) {
				t.Errorf("it lacks %q: %s", want, got)
			}
		})
	}
}
