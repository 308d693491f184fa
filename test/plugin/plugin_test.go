// Package plugin tests what `make plugin` makes: krew's own validator takes the manifest, krew installs the archive, and the real kubectl runs it.
package plugin

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness"
)

// suite is a folder that `make plugin` has filled, and a home for krew. The archive is that of the machine's platform: to build the others takes
// minutes each, where nothing has been built for them yet, and `make stress` does it.
type suite struct {
	root, plugins string
	env           []string
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{root: root, plugins: t.TempDir()}
	krewRoot := filepath.Join(t.TempDir(), "krew")
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	s.env = append(os.Environ(),
		"KREW_ROOT="+krewRoot, "KREW_NO_UPGRADE_CHECK=1", "HOME="+t.TempDir(), "KUBECONFIG="+os.DevNull,
		"PATH="+strings.Join([]string{filepath.Join(krewRoot, "bin"), assets, os.Getenv("PATH")}, string(os.PathListSeparator)))
	platforms := runtime.GOOS + "/" + runtime.GOARCH
	if os.Getenv("STRESS") == "long" {
		platforms = ""
	}
	// As it is run by hand: with Go's own cache, which is below the real home.
	build := exec.CommandContext(t.Context(), "go", "run", "./deploy/plugin", "-out", s.plugins, "-version", "v1.2.3", "-platforms", platforms)
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the plugin is not built: %v\n%s", err, text)
	}
	return s
}

// run runs a program, and returns what it printed and its status.
func (s *suite) run(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env, cmd.Dir = s.env, s.root
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (s *suite) tool(name string) string { return filepath.Join(s.root, "bin", "tools", name) }

func TestThePluginIsInstalledByKrewAndRunByKubectl(t *testing.T) {
	s := newSuite(t)
	manifest := filepath.Join(s.plugins, "meshfence.yaml")
	if text, status := s.run(t, s.tool("validate-krew-manifest"), "-manifest", manifest, "-skip-install"); status != 0 {
		t.Fatalf("krew does not take the manifest:\n%s", text)
	}
	archive := filepath.Join(s.plugins, "kubectl-meshfence_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz")
	if text, status := s.run(t, s.tool("krew"), "install", "--manifest", manifest, "--archive", archive); status != 0 {
		t.Fatalf("krew does not install it:\n%s", text)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"plugin", "list"}, 0, "kubectl-meshfence"},
		{[]string{"meshfence", "version"}, 0, "meshfence dev"},
		{[]string{"meshfence", "check", "-f", "test/check/testdata/manifests"}, 1, "MF202 RevisionOfAnotherMesh"},
		{[]string{"meshfence", "explain", "--help"}, 0, "kubectl meshfence explain"},
	} {
		if text, status := s.run(t, kubectl, test.args...); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("kubectl %s: status %d, want %d and %q:\n%s", strings.Join(test.args, " "), status, test.status, test.says, text)
		}
	}
}

// A manifest whose digest is not the archive's is refused: krew compares them, so that the test above is not of the name alone.
func TestAnotherArchiveIsRefused(t *testing.T) {
	s := newSuite(t)
	archive := filepath.Join(s.plugins, "kubectl-meshfence_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz")
	text, err := os.ReadFile(filepath.Join(s.plugins, "meshfence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(t.TempDir(), "meshfence.yaml")
	wrong := strings.ReplaceAll(string(text), "sha256: ", "sha256: 00")
	if err := os.WriteFile(manifest, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, status := s.run(t, s.tool("krew"), "install", "--manifest", manifest, "--archive", archive); status == 0 {
		t.Errorf("krew installs an archive with another digest:\n%s", text)
	}
}
