package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/config"
)

// output runs a command line and returns everything that it printed.
func output(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &out, &errs)
	return out.String(), errs.String(), status
}

func TestAWrongCommandLineIsExplained(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown command", []string{"frobnicate"}, "meshfence: unknown command \"frobnicate\" for \"meshfence\"\nRun 'meshfence --help' for usage.\n"},
		{"mistyped command", []string{"srve"}, "meshfence: unknown command \"srve\" for \"meshfence\"\n\nDid you mean this?\n\tserve\nRun 'meshfence --help' for usage.\n"},
		{"unknown flag", []string{"serve", "--port=1"}, "meshfence: unknown flag: --port\nRun 'meshfence serve --help' for usage.\n"},
		{"argument of serve", []string{"serve", "now"}, "meshfence: unknown command \"now\" for \"meshfence serve\"\nRun 'meshfence serve --help' for usage.\n"},
		{"argument of version", []string{"version", "now"}, "meshfence: unknown command \"now\" for \"meshfence version\"\nRun 'meshfence version --help' for usage.\n"},
		{"flag without value", []string{"serve", "--config"}, "meshfence: flag needs an argument: --config\nRun 'meshfence serve --help' for usage.\n"},
		{"address without port", []string{"serve", "--bind-address", "localhost"}, "meshfence: --bind-address \"localhost\" is not HOST:PORT, for example 127.0.0.1:9443, [::1]:9443 or :9443\nRun 'meshfence serve --help' for usage.\n"},
		{"port 0", []string{"serve", "--bind-address", ":0"}, "meshfence: --bind-address \":0\" needs a port from 1 to 65535\nRun 'meshfence serve --help' for usage.\n"},
		{"port too large", []string{"serve", "--health-bind-address", ":65536"}, "meshfence: --health-bind-address \":65536\" needs a port from 1 to 65535\nRun 'meshfence serve --help' for usage.\n"},
		{"port by name", []string{"serve", "--metrics-bind-address", ":http"}, "meshfence: --metrics-bind-address \":http\" needs a port from 1 to 65535\nRun 'meshfence serve --help' for usage.\n"},
		{"log format", []string{"serve", "--log-format", "xml"}, "meshfence: --log-format \"xml\" is not one of auto, json, console\nRun 'meshfence serve --help' for usage.\n"},
		{"log level", []string{"serve", "--log-level", "panic"}, "meshfence: --log-level \"panic\" is not one of error, info, debug\nRun 'meshfence serve --help' for usage.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := output(t, test.args...)
			if diff := cmp.Diff(test.want, stderr); diff != "" || stdout != "" || status != 2 {
				t.Errorf("status %d, standard output %q, standard error (-want +got):\n%s", status, stdout, diff)
			}
		})
	}
}

// One signal ends a command that looks, also while it reads what may never end.
func TestASignalEndsACommandThatReads(t *testing.T) {
	program := exec.Command(os.Args[0], "check", "-f", "-")
	program.Env = append(os.Environ(), asProgram+"=1")
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	program.Stderr = &stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	killed := time.AfterFunc(limit, func() { _ = program.Process.Kill() })
	defer killed.Stop()
	// More than a pipe holds: when it is written, the program reads.
	if _, err := stdin.Write(bytes.Repeat([]byte("# comment\n"), 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait() // with status 2
	if want := "meshfence: ended by a signal\n"; program.ProcessState.ExitCode() != 2 || stderr.String() != want {
		t.Errorf("%v, %q, want status 2 and %q", program.ProcessState, stderr.String(), want)
	}
}

func TestAStartThatFailsSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("KUBECONFIG", filepath.Join(dir, "none"))
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no configuration file", []string{"--config", filepath.Join(dir, "none")},
			"meshfence: --config open DIR/none: no such file or directory; without --config the defaults are used\n"},
		{"one problem in the configuration", []string{"--config", file("one.yaml", "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\nmode: off\n")},
			"meshfence: correct the configuration file DIR/one.yaml ('meshfence serve --help' shows the fields): " +
				"line 3: mode: Unsupported value: \"off\": supported values: \"enforce\", \"warn\"\n"},
		{"several problems in the configuration", []string{"--config", file("two.yaml", "apiVersion: meshfence.io/v1alpha1\nmode: off\n")},
			"meshfence: correct the configuration file DIR/two.yaml ('meshfence serve --help' shows the fields):\n  kind: Required value: a configuration file must have it\n" +
				"  line 2: mode: Unsupported value: \"off\": supported values: \"enforce\", \"warn\"\n"},
		{"no cluster", nil,
			"meshfence: no API server to talk to: not in a cluster, and there is no kubeconfig; set KUBECONFIG or use --kubeconfig FILE\n"},
		{"no kubeconfig file", []string{"--kubeconfig", filepath.Join(dir, "none")},
			"meshfence: kubeconfig: stat DIR/none: no such file or directory; correct it, or use --kubeconfig FILE for another\n"},
		{"a broken kubeconfig file", []string{"--kubeconfig", file("broken", "clusters: x\n")},
			"meshfence: kubeconfig: error loading config file \"DIR/broken\": json: cannot unmarshal string into Go struct field Config.clusters of type []v1.NamedCluster; " +
				"correct it, or use --kubeconfig FILE for another\n"},
		{"a broken certificate", []string{"--kubeconfig", file("good", kubeconfig("http://127.0.0.1:1")), "--cert-dir", filepath.Dir(file("tls.crt", "")), "--log-level", "error"},
			"meshfence: --cert-dir DIR: no usable serving certificate: tls: failed to find any PEM data in certificate input; tls.crt and tls.key must be a PEM certificate and its private key\n"},
	} {
		file("tls.key", "")
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := output(t, append([]string{"serve"}, test.args...)...)
			if diff := cmp.Diff(test.want, strings.ReplaceAll(stderr, dir, "DIR")); diff != "" || stdout != "" || status != 1 {
				t.Errorf("status %d, standard output %q, standard error (-want +got):\n%s", status, stdout, diff)
			}
		})
	}
}

func kubeconfig(server string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a}}]\nclusters: [{name: a, cluster: {server: '" + server + "'}}]\n"
}

func TestHelp(t *testing.T) {
	bare, stderr, status := output(t)
	asked, _, _ := output(t, "--help")
	if bare != asked || stderr != "" || status != 0 {
		t.Errorf("without a command: status %d, standard error %q, and not the same as --help:\n%s", status, stderr, bare)
	}
	for _, args := range [][]string{nil, {"serve", "--help"}, {"version", "--help"}} {
		help, _, _ := output(t, args...)
		for line := range strings.Lines(help) {
			if len(strings.TrimSuffix(line, "\n")) > helpWidth || strings.TrimRight(line, " \t\n") == "" && line != "\n" {
				t.Errorf("%q: awkward line %q", args, line)
			}
		}
	}
}

// The configuration that the help of serve shows is a valid one, and says what the defaults are.
func TestHelpShowsTheDefaultConfiguration(t *testing.T) {
	help, _, _ := output(t, "serve", "--help")
	block := regexp.MustCompile(`(?m)(^  \S.*\n|^  -.*\n)+`).FindString(help)
	shown, err := config.Load([]byte(block), nil)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, block)
	}
	if diff := cmp.Diff(config.Default(), shown); diff != "" {
		t.Errorf("(-default +shown):\n%s", diff)
	}
}

func TestVersion(t *testing.T) {
	stdout, stderr, status := output(t, "version")
	want := regexp.MustCompile(`\Ameshfence \S+\n  commit    \S+\n  date      \S+\n  go        go\S+\n  platform  \w+/\w+\n\z`)
	if !want.MatchString(stdout) || stderr != "" || status != 0 {
		t.Errorf("status %d, standard error %q, standard output:\n%s", status, stderr, stdout)
	}
}

func TestWhatTheGoCommandRecordedStandsInForTheLinkersValues(t *testing.T) {
	info := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: module}, Settings: settings}
	}
	for _, test := range []struct {
		name string
		info *debug.BuildInfo
		want release
	}{
		{"nothing is known", nil, release{version: "dev", commit: "unknown", date: "unknown"}},
		{"go build", info("(devel)", debug.BuildSetting{Key: "vcs.revision", Value: "abc"}, debug.BuildSetting{Key: "vcs.time", Value: "2026-08-01T00:00:00Z"}),
			release{version: "dev", commit: "abc", date: "2026-08-01T00:00:00Z"}},
		{"go install", info("v1.2.3"), release{version: "v1.2.3", commit: "unknown", date: "unknown"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.goVersion, test.want.platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
			if diff := cmp.Diff(test.want, thisRelease(test.info), cmp.AllowUnexported(release{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwnNamespace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "namespace")
	if got := ownNamespace(file); got != "meshfence-system" {
		t.Errorf("outside a pod: got %q", got)
	}
	if err := os.WriteFile(file, []byte("guards\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ownNamespace(file); got != "guards" {
		t.Errorf("in a pod: got %q", got)
	}
}

func TestThePluginIsCalledByItsNameInKubectl(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/meshfence": "meshfence", "kubectl-meshfence": "kubectl meshfence", "/opt/kubectl-meshfence.exe": "kubectl meshfence", "oc-meshfence": "oc meshfence", "other": "meshfence",
	} {
		if got := displayName(program); got != want {
			t.Errorf("%s: %q, want %q", program, got, want)
		}
	}
}
