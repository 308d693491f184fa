package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runKubectl runs kubectl once; err tells how it ended.
func (c *Cluster) runKubectl(
	ctx context.Context, env []string, dir string, args []string,
) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, c.Kubectl, args...)
	if c.env == nil { // attached: Ctrl-C at the terminal must not cut a request off whose objects are to be removed
		cmd.SysProcAttr = ownProcessGroup()
	}
	return run(cmd, env, dir)
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

// UserEnv is the environment of a shell in which the cluster is used, as its administrator. kubectl and helm are those of the
// tests, and oc is kubectl by another name: it is built of the same packages, and `oc apply`, `label`, `delete` and `rollout status` are
// kubectl's commands.
func (c *Cluster) UserEnv() ([]string, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	own := filepath.Join(c.dir, "path")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(c.Kubectl, filepath.Join(own, "oc")); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	path := []string{own, filepath.Dir(c.Kubectl), filepath.Join(root, "bin", "tools"), os.Getenv("PATH")}
	helm := filepath.Join(c.dir, "helm")
	return []string{
		"PATH=" + strings.Join(path, string(os.PathListSeparator)), "KUBECONFIG=" + c.Kubeconfig, "HOME=" + c.dir, "TMPDIR=" + c.dir,
		"HELM_CACHE_HOME=" + helm, "HELM_CONFIG_HOME=" + helm, "HELM_DATA_HOME=" + helm,
	}, nil
}
