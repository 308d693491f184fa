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

	"github.com/meshfence/meshfence/test/harness"
)

// mapFile is where the page with the map is left, below the top folder of the repository.
const mapFile = "bin/map.html"

// look shows the half of meshfence that looks: the map, a page with it, why a namespace is where it is, and what is wrong.
func look(ctx context.Context, p *player) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	env, err := p.cluster.UserEnv()
	if err != nil {
		return err
	}
	if err := p.cluster.Operate(ctx); err != nil {
		return err
	}
	fmt.Fprint(p.out, "\nWhat there is now, without a request (no operator runs here: its work is written as it would have)\n")
	for _, args := range [][]string{{"map"}, {"explain", "namespace", "app-ns-2", "istio.io/rev=mesh-1"}, {"check"}} {
		fmt.Fprintf(p.out, "   $ meshfence %s\n", strings.Join(args, " "))
		text, err := runLook(ctx, root, env, args)
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			fmt.Fprint(p.out, "     "+line)
		}
	}
	page, err := runLook(ctx, root, env, []string{"map", "-o", "html"})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, mapFile), []byte(page), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "The map as a page for a browser: %s\n", mapFile)
	return nil
}

// runLook returns what a command prints. Exit status 1 is an answer too: there are findings, or a change would be refused.
func runLook(ctx context.Context, root string, env, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, replayLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "meshfence"), args...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return "", fmt.Errorf("meshfence %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}
