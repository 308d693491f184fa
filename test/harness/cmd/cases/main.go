// Command cases runs the case scripts of a folder against a real API server with meshfence in front of it, one line a
// case. It is what `make cases DIR=path` runs. See test/cases/README.md.
//
// CRDS chooses the CustomResourceDefinitions of the Sail operator: slim, real or both; without it the real ones are
// used if they are there. The exit status is 1 if a case failed or there is none, and 2 if the cases could not be run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: cases DIR (see test/cases/README.md)")
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	log.SetLogger(logr.Discard()) // of envtest, which would complain that none is set
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	counts, err := runAll(ctx, os.Stdout, flag.Arg(0), os.Getenv("CRDS"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
	}
	switch {
	case err != nil && !errors.Is(err, harness.ErrNoCases):
		os.Exit(2)
	case err != nil || counts.failed > 0:
		os.Exit(1)
	}
}

// counts says how many cases ended in which way.
type counts struct{ passed, failed, skipped int }

func (c *counts) add(status harness.Status) {
	switch status {
	case harness.Passed:
		c.passed++
	case harness.Skipped:
		c.skipped++
	default:
		c.failed++
	}
}

func (c *counts) String() string {
	line := fmt.Sprintf("%d passed, %d failed", c.passed, c.failed)
	if c.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return line
}

// runAll runs the folder's cases with each of the sets that want asks for.
func runAll(ctx context.Context, out io.Writer, dir, want string) (*counts, error) {
	total := &counts{}
	files, err := harness.Cases(dir)
	if err != nil {
		return total, err
	}
	sets, err := harness.ChooseCRDSets(want, harness.Real)
	if err != nil {
		return total, err
	}
	for _, set := range sets {
		prefix := ""
		if len(sets) > 1 {
			prefix = string(set) + "/"
		}
		if err := runSet(ctx, out, set, files, prefix, total); err != nil {
			return total, err
		}
	}
	fmt.Fprintln(out, total)
	return total, nil
}

// runSet starts a cluster with one set of definitions and runs the cases there.
func runSet(
	ctx context.Context, out io.Writer, set harness.CRDSet, files []string, prefix string, total *counts,
) (err error) {
	cluster, err := harness.Start(ctx, harness.Options{CRDs: set})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	for _, file := range files {
		result := cluster.RunCase(ctx, file)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted during %s", filepath.Base(file))
		}
		total.add(result.Status)
		report(out, prefix, &result)
	}
	return nil
}

// report prints one line for a case, and for one that failed all that helps to understand it.
func report(out io.Writer, prefix string, result *harness.Result) {
	word := map[harness.Status]string{harness.Passed: "ok  ", harness.Failed: "FAIL", harness.Skipped: "skip"}[result.Status]
	fmt.Fprintf(out, "%s %s%s (%.1fs)\n", word, prefix, result.Name, result.Took.Seconds())
	if result.Status != harness.Failed {
		return
	}
	for line := range strings.Lines(strings.TrimRight(result.Output, "\n") + "\n") {
		fmt.Fprint(out, "     ", line)
	}
}
