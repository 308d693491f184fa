package harness

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runKubectl runs kubectl once; err tells how it ended.
func (c *Cluster) runKubectl(
	ctx context.Context, env []string, dir string, args []string,
) (stdout, stderr string, err error) {
	return run(exec.CommandContext(ctx, c.Kubectl, args...), env, dir)
}

// run runs a command and returns what it printed.
func run(cmd *exec.Cmd, env []string, dir string) (stdout, stderr string, err error) {
	var out, errors strings.Builder
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// kubectlEnv is the environment that kubectl needs for this cluster, outside of a script.
func (c *Cluster) kubectlEnv() []string {
	return []string{
		"PATH=" + filepath.Dir(c.Kubectl) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"KUBECONFIG=" + c.Kubeconfig,
		"KUBECACHEDIR=" + c.kubectlCache(),
		"HOME=" + c.dir,
		"TMPDIR=" + c.dir,
	}
}

// RunKubectl runs kubectl as the administrator, in dir. err is an *exec.ExitError when kubectl says that it failed.
func (c *Cluster) RunKubectl(ctx context.Context, dir string, args ...string) (stdout, stderr string, err error) {
	return c.runKubectl(ctx, c.kubectlEnv(), dir, args)
}
