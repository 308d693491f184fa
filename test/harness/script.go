package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// script is the state of one case while it runs, and its commands.
type script struct {
	ctx          context.Context
	cluster      *Cluster
	startsItself bool

	installed bool           // the webhook configurations are there
	running   ProcessOptions // how meshfence was started last
	identity  []string       // kubectl flags for the next command, from `as` on a line of its own
	status    int            // the exit status of the last `meshfence check` and its like
	diagnosis string
}

// params describes the script to testscript.
func (s *script) params(file string) testscript.Params {
	deadline, _ := s.ctx.Deadline()
	return testscript.Params{
		Files:              []string{file},
		Setup:              s.setup,
		Condition:          s.condition,
		Deadline:           deadline,
		RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"kubectl":    s.kubectl,
			"as":         s.as,
			"eventually": s.eventually,
			"meshfence":  s.meshfence,
			"crds":       s.crds,
			"capture":    s.capture,
			"status":     s.checkLook,
			"operate":    s.operate,
		},
	}
}

// setup cleans the cluster and, unless the script will start meshfence itself, starts it.
func (s *script) setup(env *testscript.Env) error {
	env.Setenv("KUBECONFIG", s.cluster.Kubeconfig)
	env.Setenv("KUBECACHEDIR", s.cluster.kubectlCache())
	env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
	env.Setenv("PATH", filepath.Dir(s.cluster.Kubectl)+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Defer(func() {
		if t, ok := env.T().(*caseT); ok && t.hasFailed() {
			s.diagnosis = s.cluster.diagnose()
		}
	})
	if err := s.cluster.Reset(s.ctx); err != nil {
		return fmt.Errorf("clean the cluster: %w", err)
	}
	if err := s.cluster.InstallWorkload(s.ctx); err != nil {
		return err
	}
	if s.startsItself {
		return nil
	}
	return s.start(ProcessOptions{})
}

func (s *script) condition(condition string) (bool, error) {
	if set, ok := strings.CutPrefix(condition, "crds:"); ok && (set == string(Slim) || set == string(Real)) {
		return s.cluster.CRDs == CRDSet(set), nil
	}
	return false, errors.New("unknown; there are [crds:slim] and [crds:real]")
}

// start brings meshfence into the state "running with these options", and the webhook configurations into the cluster.
func (s *script) start(options ProcessOptions) error {
	if s.cluster.meshfence != nil {
		if options.Config == s.running.Config && slices.Equal(options.Args, s.running.Args) {
			return nil
		}
		if err := s.cluster.StopMeshfence(); err != nil {
			return err
		}
	}
	if _, err := s.cluster.StartMeshfence(s.ctx, options); err != nil {
		return err
	}
	s.running = options
	if s.installed {
		return nil
	}
	s.installed = true
	return s.cluster.InstallWebhooks(s.ctx)
}

// kubectl runs the real kubectl: kubectl ARG...
func (s *script) kubectl(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(s.cluster.Kubectl, append(s.takeIdentity(), args...)...)
	checkStatus(ts, "kubectl", neg, err)
}

// takeIdentity returns the flags left by `as` on a line of its own, once.
func (s *script) takeIdentity() []string {
	flags := s.identity
	s.identity = nil
	return slices.Clone(flags)
}

// checkStatus fails the script unless the command succeeded, or failed when it was to.
func checkStatus(ts *testscript.TestScript, command string, neg bool, err error) {
	switch {
	case err == nil && neg:
		ts.Fatalf("%s succeeded, and the script expects it to be refused", command)
	case err != nil && !neg:
		ts.Fatalf("%s failed: %v", command, err)
	}
}

// as runs the next kubectl as another user: as USER [GROUP...] [kubectl ARG... | eventually ...]
func (s *script) as(ts *testscript.TestScript, neg bool, args []string) {
	who := args
	var command []string
	if i := slices.IndexFunc(args, func(arg string) bool { return arg == "kubectl" || arg == "eventually" || arg == "meshfence" }); i >= 0 {
		who, command = args[:i], args[i:]
	}
	if len(who) == 0 {
		ts.Fatalf("usage: as USER [GROUP...] [kubectl ...]")
	}
	s.identity = impersonate(who)
	switch {
	case len(command) == 0 && neg:
		ts.Fatalf("put the ! before the kubectl command")
	case len(command) == 0:
	case command[0] == "kubectl":
		s.kubectl(ts, neg, command[1:])
	case command[0] == "meshfence":
		s.meshfence(ts, neg, command[1:])
	default:
		s.eventually(ts, neg, command[1:])
	}
}

// impersonate returns kubectl's flags for a user and groups.
func impersonate(who []string) []string {
	flags := []string{"--as", who[0]}
	for _, group := range who[1:] {
		flags = append(flags, "--as-group", group)
	}
	return flags
}

// capture keeps what a command prints in a variable: capture NAME COMMAND...
func (s *script) capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: capture NAME COMMAND")
	}
	run, err := s.command(ts, args[1:])
	ts.Check(err)
	stdout, stderr, err := run()
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	checkStatus(ts, args[1], false, err)
	ts.Setenv(args[0], strings.TrimRight(stdout, "\n"))
}

// meshfence controls the process: meshfence start [FILE] | stop | kill | log | metrics
func (s *script) meshfence(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: meshfence start [FILE] | stop | kill | log | metrics | check | explain | map | rules ARG...")
	}
	if slices.Contains(looks(), args[0]) {
		s.look(ts, neg, args)
		return
	}
	if neg && args[0] != "start" {
		ts.Fatalf("only meshfence start can be expected to fail")
	}
	switch args[0] {
	case "start":
		s.meshfenceStart(ts, neg, args[1:])
	case "stop":
		ts.Check(s.cluster.StopMeshfence())
	case "kill":
		ts.Check(s.cluster.KillMeshfence())
	case "log", "metrics":
		out, err := s.ask(args[0])
		fmt.Fprint(ts.Stdout(), out)
		ts.Check(err)
	default:
		ts.Fatalf("meshfence %s: there is start, stop, kill, log, metrics, %s", args[0], strings.Join(looks(), ", "))
	}
}

// looks are the commands of meshfence that look at what exists.
func looks() []string { return []string{"check", "explain", "map", "rules"} }

// look runs one of them as its own process, by the case's kubeconfig: [as USER] meshfence check ARG...
func (s *script) look(ts *testscript.TestScript, neg bool, args []string) {
	stdout, stderr, err := run(exec.CommandContext(s.ctx, s.cluster.options.Binary, slices.Concat(args, s.takeIdentity())...), scriptEnv(ts), ts.MkAbs("."))
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	s.status = 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		s.status = exit.ExitCode()
	}
	checkStatus(ts, "meshfence "+args[0], neg, err)
}

// checkLook compares the exit status of the last look: status N
func (s *script) checkLook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: status N")
	}
	if got := strconv.Itoa(s.status); got != args[0] {
		ts.Fatalf("the exit status of meshfence was %s, not %s", got, args[0])
	}
}

// meshfenceStart starts meshfence; when it is expected to fail, what it printed is left as stderr.
func (s *script) meshfenceStart(ts *testscript.TestScript, neg bool, args []string) {
	options, err := processOptions(args)
	ts.Check(err)
	if options.Config != "" {
		options.Config = ts.MkAbs(options.Config)
		ts.ReadFile(options.Config)
	}
	began := len(s.cluster.MeshfenceLog())
	err = s.start(options)
	if neg {
		fmt.Fprint(ts.Stderr(), s.cluster.MeshfenceLog()[began:])
	}
	checkStatus(ts, "meshfence start", neg, err)
}

// processOptions reads the arguments of `meshfence start`: a file, with or without --config before it, and flags as
// --name=value for the process.
func processOptions(args []string) (ProcessOptions, error) {
	var options ProcessOptions
	for i := 0; i < len(args); i++ {
		arg := args[i]
		file, isConfig := strings.CutPrefix(arg, "--config=")
		switch {
		case isConfig:
		case arg == "--config" && i+1 < len(args):
			i++
			file = args[i]
		case strings.HasPrefix(arg, "-"):
			options.Args = append(options.Args, arg)
			continue
		}
		if options.Config != "" {
			return options, errors.New("meshfence start: more than one configuration file")
		}
		options.Config = file
	}
	return options, nil
}

// ask returns meshfence's log of this case, or its metrics.
func (s *script) ask(what string) (string, error) {
	if what == "log" {
		return s.cluster.MeshfenceLog(), nil
	}
	if s.cluster.meshfence == nil {
		return "", errors.New("meshfence is not running")
	}
	return s.cluster.meshfence.Metrics(s.ctx)
}

// operate does once what the Sail operator and the istiods would have done by now: operate
func (s *script) operate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: operate")
	}
	ts.Check(s.cluster.Operate(s.ctx))
}

// crds removes or installs the Sail operator's definitions: crds remove | install
func (s *script) crds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "remove" && args[0] != "install" {
		ts.Fatalf("usage: crds remove | install")
	}
	if args[0] == "remove" {
		ts.Check(s.cluster.RemoveCRDs(s.ctx))
	} else {
		ts.Check(s.cluster.InstallCRDs(s.ctx))
	}
	ts.Check(s.cluster.ForgetDiscovery())
}

// diagnose tells what is needed to see why a case has failed: the objects that meshfence judges by, and what
// it logged.
func (c *Cluster) diagnose() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	const logLines = 25
	var out strings.Builder
	for _, args := range [][]string{
		{"get", "istios,istiorevisions,istiorevisiontags", "-o", "custom-columns=" +
			"KIND:.kind,NAME:.metadata.name,NAMESPACE:.spec.namespace,TARGET:.spec.targetRef.name," +
			"STRATEGY:.spec.updateStrategy.type,SELECTORS:.spec.values.meshConfig.discoverySelectors"},
		{"get", "namespaces", "--show-labels"},
	} {
		fmt.Fprintf(&out, "--- kubectl %s\n", strings.Join(args[:2], " "))
		stdout, stderr, _ := c.runKubectl(ctx, c.kubectlEnv(), c.dir, args)
		out.WriteString(stdout + stderr)
	}
	fmt.Fprintf(&out, "--- what meshfence logged of its own last\n%s\n", lastLines(withoutNoise(c.MeshfenceLog()), logLines))
	if c.meshfence == nil {
		out.WriteString("--- meshfence is not running\n")
	}
	return out.String()
}

// withoutNoise drops the lines of meshfence's log in which the libraries say that all is well.
func withoutNoise(log string) string {
	var kept strings.Builder
	for line := range strings.Lines(log) {
		var entry struct{ Level, Logger string }
		isNoise := json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "info" && entry.Logger != ""
		if !isNoise {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
