package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshfence/meshfence/audit/report"
	"github.com/meshfence/meshfence/audit/terminal"
	"github.com/meshfence/meshfence/webhook/config"
)

// helpWidth is the longest line of a help text, in characters.
const helpWidth = 100

// run executes the command line and returns the exit status. Errors are printed here and nowhere else.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand(register)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := execute(ctx, root, args)
	var failed *failure
	var chosen outcome
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &chosen):
		return int(chosen)
	case errors.As(err, &failed):
		tellError(stderr, failed.text())
		return statusFailed
	}
	tellError(stderr, strings.TrimSpace(err.Error()))
	fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", command.CommandPath())
	return statusUsage
}

// tell prints a line to standard error. All that comes from files or a cluster goes through here, or through tellError: it is shown by terminals, and
// in the logs of continuous integration.
func tell(stderr io.Writer, text string) { fmt.Fprintln(stderr, terminal.Line(text)) }

// tellError prints why a command ends, which may be several lines.
func tellError(stderr io.Writer, text string) {
	fmt.Fprintln(stderr, terminal.Lines("meshfence: "+text))
}

// leaveAfter is how long a command that was told to end may take to do it.
const leaveAfter = time.Second

// execute runs the command line. A command that looks and prints has nothing to bring to an end, and may wait for what knows no context, such as standard
// input, or a file on a server that does not answer: when ctx has ended, it is left behind.
func execute(ctx context.Context, root *cobra.Command, args []string) (*cobra.Command, error) {
	command, _, err := root.Find(args)
	if err != nil || !slices.Contains([]string{"check", "explain", "map"}, command.Name()) {
		return root.ExecuteContextC(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	select {
	case err = <-ended:
		return command, err
	case <-ctx.Done():
	}
	select {
	case err = <-ended:
		return command, err
	case <-time.After(leaveAfter):
		tellError(root.ErrOrStderr(), "ended by a signal")
		return command, outcome(report.StatusUnjudged)
	}
}

func newRootCommand(register registerFunc) *cobra.Command {
	root := &cobra.Command{
		Use:         "meshfence",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: displayName(os.Args[0])},
		Short:       "Keep several Istio control planes in one cluster apart",
		Long: `meshfence keeps several Istio control planes in one Kubernetes or OpenShift cluster
apart. The API server asks it about every Istio resource and every mesh label on
a namespace before they are stored. It refuses what would put one namespace into
two meshes, or inject a namespace with the sidecar of a mesh that does not
discover it, and it fills in the istio.io/rev label that a person forgot.`,
		Example: `  meshfence check                 judge a cluster as it stands, without installing anything
  meshfence serve --help          the flags of the webhook server`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetUsageFunc(usage)
	root.AddCommand(newServeCommand(register), newCheckCommand(), newExplainCommand(), newMapCommand(), newRulesCommand(), newSelftestCommand(), newVersionCommand())
	return root
}

// displayName is what a person types: kubectl runs a program of the name kubectl-meshfence as its plugin, and oc does too.
func displayName(program string) string {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	for _, client := range []string{"kubectl", "oc"} {
		if name == client+"-meshfence" {
			return client + " meshfence"
		}
	}
	return "meshfence"
}

// outcome is the exit status of a command that has said everything itself.
type outcome int

// Error returns the status in words; it is never printed.
func (o outcome) Error() string { return fmt.Sprintf("exit status %d", int(o)) }

// failure is an error in the work of a command, as opposed to one in how it was called.
type failure struct{ err error }

// Error returns what went wrong.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// text returns the error as a person reads it: on one line, or with the problems of a configuration file one a line.
func (f *failure) text() string {
	var invalid *config.InvalidError
	if !errors.As(f.err, &invalid) || len(invalid.Problems) == 1 {
		return f.Error()
	}
	return strings.Replace(f.Error(), " "+invalid.Error(), "\n  "+strings.Join(invalid.Lines(), "\n  "), 1)
}
