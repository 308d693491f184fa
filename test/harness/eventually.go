package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// eventuallyTimeout is the limit when a script names none.
	eventuallyTimeout = 10 * time.Second
	// eventuallyPause is the time between two tries.
	eventuallyPause = 100 * time.Millisecond
)

const (
	eventuallyUsage = "usage: eventually [-timeout DURATION] [-stdout PATTERN] [-stderr PATTERN] [!] COMMAND"
	commandUsage    = "the command can be kubectl, as USER [GROUP...] kubectl, meshfence log, metrics, check, explain, map or rules, or exec"
)

// attempt is what `eventually` tries again and again.
type attempt struct {
	timeout        time.Duration
	stdout, stderr *regexp.Regexp // nil: anything
	fails          bool           // the command is expected to fail
	command        []string
}

// parseAttempt reads the arguments of `eventually`.
func parseAttempt(args []string) (attempt, error) {
	a := attempt{timeout: eventuallyTimeout}
	for len(args) > 1 && args[0][:min(1, len(args[0]))] == "-" {
		var err error
		switch args[0] {
		case "-timeout":
			a.timeout, err = time.ParseDuration(args[1])
		case "-stdout":
			a.stdout, err = regexp.Compile("(?m)" + args[1])
		case "-stderr":
			a.stderr, err = regexp.Compile("(?m)" + args[1])
		default:
			err = errors.New(eventuallyUsage)
		}
		if err != nil {
			return a, err
		}
		args = args[2:]
	}
	if len(args) > 0 && args[0] == "!" {
		a.fails, args = true, args[1:]
	}
	if len(args) == 0 {
		return a, errors.New(eventuallyUsage)
	}
	a.command = args
	return a, nil
}

// satisfied reports whether one try went as expected.
func (a *attempt) satisfied(stdout, stderr string, err error) bool {
	return (err != nil) == a.fails &&
		(a.stdout == nil || a.stdout.MatchString(stdout)) &&
		(a.stderr == nil || a.stderr.MatchString(stderr))
}

// eventually repeats a command until it does what is expected of it, and leaves what the last try printed.
func (s *script) eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("put the ! behind eventually: eventually ! kubectl ...")
	}
	a, err := parseAttempt(args)
	ts.Check(err)
	try, err := s.command(ts, a.command)
	ts.Check(err)
	var stdout, stderr string
	tries := 0
	waitErr := wait.PollUntilContextTimeout(s.ctx, eventuallyPause, a.timeout, true, func(context.Context) (bool, error) {
		tries++
		stdout, stderr, err = try()
		return a.satisfied(stdout, stderr, err), nil
	})
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	if waitErr != nil {
		ts.Fatalf("not within %s, in %d tries; above is what the last one printed, which %s", a.timeout, tries, outcome(err))
	}
}

func outcome(err error) string {
	if err != nil {
		return "failed: " + err.Error()
	}
	return "succeeded"
}

// command returns a function that runs a script's command once and changes nothing of the script's state.
func (s *script) command(ts *testscript.TestScript, words []string) (func() (stdout, stderr string, err error), error) {
	identity := s.takeIdentity()
	env := scriptEnv(ts)
	dir := ts.MkAbs(".")
	switch {
	case words[0] == "kubectl":
		args := slices.Concat(identity, words[1:])
		return func() (string, string, error) { return s.cluster.runKubectl(s.ctx, env, dir, args) }, nil
	case words[0] == "exec" && len(words) > 1:
		return func() (string, string, error) {
			return run(exec.CommandContext(s.ctx, words[1], words[2:]...), env, dir)
		}, nil
	case words[0] == "meshfence" && len(words) > 1 && slices.Contains(looks(), words[1]):
		return func() (string, string, error) {
			return run(exec.CommandContext(s.ctx, s.cluster.options.Binary, slices.Concat(words[1:], identity)...), env, dir)
		}, nil
	case words[0] == "meshfence" && len(words) == 2 && (words[1] == "log" || words[1] == "metrics"):
		return func() (string, string, error) { out, err := s.ask(words[1]); return out, "", err }, nil
	case words[0] == "as":
		for i, word := range words {
			if word == "kubectl" && i > 1 {
				s.identity = impersonate(words[1:i])
				return s.command(ts, words[i:])
			}
		}
	}
	return nil, errors.New(commandUsage)
}

// scriptEnv is the part of a script's environment that its commands need.
func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "KUBECONFIG", "KUBECACHEDIR", "WORK"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}
