// Package tools tests what make does with the tools that are pinned in the folders here.
package tools

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness"
)

// entry is an invented vulnerability of a module that the program certainly uses, in the form of Go's database (https://go.dev/doc/security/vuln/database).
const entry = `{"schema_version":"1.3.1","id":"GO-2099-0001","modified":"2099-01-01T00:00:00Z","published":"2099-01-01T00:00:00Z","details":"invented",
"affected":[{"package":{"name":"sigs.k8s.io/yaml","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],"ecosystem_specific":{"imports":[{"path":"sigs.k8s.io/yaml"}]}}],
"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2099-0001"}}`

// A vulnerability that the program calls fails the check, none passes it, and where no database answers that is said.
func TestVulnerabilitiesAreLookedUp(t *testing.T) {
	known := database(t, map[string]string{
		"index/db.json": `{"modified":"2099-01-01T00:00:00Z"}`, "index/modules.json": `[{"path":"sigs.k8s.io/yaml","vulns":[{"id":"GO-2099-0001","modified":"2099-01-01T00:00:00Z"}]}]`,
		"ID/GO-2099-0001.json": entry,
	})
	if !json.Valid([]byte(entry)) {
		t.Fatal("the entry is no JSON")
	}
	none := database(t, map[string]string{"index/db.json": `{"modified":"2099-01-01T00:00:00Z"}`, "index/modules.json": `[]`})
	silent := httptest.NewServer(http.NotFoundHandler())
	silent.Close()
	for name, test := range map[string]struct {
		database string
		passes   bool
		says     string
	}{
		"one is known": {known, false, "Vulnerability #1: GO-2099-0001"},
		"none is":      {none, true, ""},
		"no database":  {silent.URL, true, "vuln-check: nothing was checked"},
	} {
		root, err := harness.Root()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "vuln-check", "VULNDB="+test.database)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if (err == nil) != test.passes || !strings.Contains(string(out), test.says) || (test.says == "" && len(out) > 0) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// make writes and removes only below its folder, whatever that is called.
func TestMakeRemovesNothingElsewhere(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "my work", "repo")
	for _, name := range []string{"Makefile", "deploy", "test/controlplane", "test/tools"} {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, filepath.FromSlash(name)), target); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []string{"e2e", "stress", "clean", "package", "image", "plugin", "generate-check"} {
		cmd := exec.CommandContext(t.Context(), "make", "-n", target, "KUBEBUILDER_ASSETS=assets", "E2E_PACKAGES=./none", "UNIT_PACKAGES=./none", "VERSION=dev")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("make -n %s: %v\n%s", target, err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "rm -") && strings.Contains(line, filepath.Dir(filepath.Dir(dir))) {
				t.Errorf("make %s: %s", target, line)
			}
		}
	}
}

// database writes the files of a database and returns its address.
func database(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}
