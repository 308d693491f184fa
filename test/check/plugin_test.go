package check

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The real kubectl runs the binary as its plugin, by the name alone, with its own flags for the cluster.
func TestAsAPluginOfKubectl(t *testing.T) {
	s := newSuite(t)
	plugins := t.TempDir()
	must(t, os.Symlink(s.binary, filepath.Join(plugins, "kubectl-meshfence")))
	kubectl := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), s.Kubectl, args...)
		cmd.Env = slices.Concat(s.env, []string{"PATH=" + plugins + string(os.PathListSeparator) + os.Getenv("PATH")})
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(text), cmd.ProcessState.ExitCode()
	}
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"plugin", "list"}, 0, "kubectl-meshfence"},
		{[]string{"meshfence", "check"}, 0, "Nothing is wrong: looked at "},
		{[]string{"meshfence", "check", "--help"}, 0, "kubectl meshfence check [flags]"},
		{[]string{"meshfence", "explain", "namespace", "shp"}, 2, `there is no Namespace "shp"`},
		{[]string{"meshfence", "__complete", "expl"}, 0, "explain"},
	} {
		if text, status := kubectl(test.args...); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("kubectl %s: status %d, want %d and %q:\n%s", strings.Join(test.args, " "), status, test.status, test.says, text)
		}
	}
}
