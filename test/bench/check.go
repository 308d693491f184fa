package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/meshfence/meshfence/test/harness"
)

// checks is how often a check is run; one before them fills the file cache.
const checks = 5

// namespacesAFile is how many namespaces a file has.
const namespacesAFile = 10

// compareChecks measures `meshfence check`: of files, and of the small cluster once it is as large as the other was.
func (b *bench) compareChecks(ctx context.Context, r *report) error {
	namespaces := b.plan.namespaces[len(b.plan.namespaces)-2]
	progress("checking files with %d namespaces", namespaces)
	root, err := harness.Root()
	if err != nil {
		return err
	}
	binary := filepath.Join(root, "bin", "meshfence")
	folder := filepath.Join(b.small.Dir(), "manifests")
	if err := writeManifests(folder, namespaces); err != nil {
		return err
	}
	// All of them are right, so the status is 0, and the summary says how many were looked at.
	says := fmt.Sprintf("%d Namespaces", namespaces)
	rows, err := checkRows(ctx, exec.Command(binary, "check", "-f", folder), fmt.Sprintf("check -f, %d namespaces of %d meshes in %d files", namespaces, fullMeshes, namespaces/namespacesAFile), says, 2)
	if err != nil {
		return err
	}
	progress("checking a cluster of %d namespaces and %d meshes", namespaces, fullMeshes)
	if err := b.small.Operate(ctx); err != nil {
		return err
	}
	live := exec.Command(binary, "check", "--kubeconfig", b.small.Kubeconfig)
	liveRows, err := checkRows(ctx, live, fmt.Sprintf("check, a cluster of %d namespaces and %d meshes, with root certificates and injectors", namespaces, fullMeshes), "100 Istios", 3)
	r.Rows = append(r.Rows, append(rows, liveRows...)...)
	return err
}

// writeManifests writes the meshes into one file, and the namespaces into others.
func writeManifests(folder string, namespaces int) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	for i := 1; i <= fullMeshes; i++ {
		raw, err := istio(meshName(i)).MarshalJSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "---\n%s\n", bytes.TrimSpace(raw))
	}
	if err := os.WriteFile(filepath.Join(folder, "meshes.yaml"), []byte(text.String()), 0o600); err != nil {
		return err
	}
	for first := 1; first <= namespaces; first += namespacesAFile {
		text.Reset()
		for i := first; i < first+namespacesAFile; i++ {
			mesh := meshName(i%fullMeshes + 1)
			fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: tenant-%d\n  labels:\n    istio-discovery: %s\n    istio.io/rev: %s\n    cost-center: \"%d\"\n", i, mesh, mesh, i%50)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("tenants-%d.yaml", first)), []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// checkRows runs a check several times, and looks at what it says. The memory is the greatest that the process ever had.
func checkRows(ctx context.Context, command *exec.Cmd, name, says string, target float64) ([]row, error) {
	var seconds, memory []float64
	for i := range checks + 1 {
		cmd := exec.CommandContext(ctx, command.Path, command.Args[1:]...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		begin := time.Now()
		err := cmd.Run()
		took := time.Since(begin)
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
			return nil, fmt.Errorf("%s: %w: %s", name, err, stderr.String())
		}
		if !strings.Contains(stdout.String(), says) {
			return nil, fmt.Errorf("%s does not say %q: %.300s", name, says, stdout.String())
		}
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return nil, errors.New("this system does not say how much memory a process had")
		}
		if i > 0 {
			seconds, memory = append(seconds, took.Seconds()), append(memory, float64(usage.Maxrss)/1024)
		}
	}
	return []row{
		{Name: name, Unit: "s", Figure: newFigure(seconds), Target: target},
		{Name: name + ", at most resident", Unit: "MiB", Figure: newFigure(memory), Target: 200},
	}, nil
}
