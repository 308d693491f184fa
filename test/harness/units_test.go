package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/wait"
)

// watchdogTestDir names the environment variable that makes the test binary a program with a watchdog.
const watchdogTestDir = "HARNESS_WATCHDOG_TEST_DIR"

// watchdogTestMain starts a process that would last a minute, says its number and waits to be killed.
func watchdogTestMain(dir string) {
	watchdog, err := startWatchdog(dir)
	if err != nil {
		panic(err)
	}
	sleeper := exec.Command("sleep", "60")
	sleeper.SysProcAttr = ownProcessGroup()
	if err := sleeper.Start(); err != nil {
		panic(err)
	}
	if _, err := watchdog.watch(sleeper.Process.Pid); err != nil {
		panic(err)
	}
	fmt.Println(sleeper.Process.Pid)
	_ = sleeper.Wait()
}

func TestIfTheHarnessIsKilledNothingIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	harness := exec.Command(os.Args[0])
	harness.Env = append(os.Environ(), watchdogTestDir+"="+dir)
	stdout, err := harness.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(harness.Process.Kill(), ignoreExit(harness.Wait())); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(t.Context(), pollInterval, 10*time.Second, true, gone(pid, dir))
	if err != nil {
		t.Errorf("process %d or folder %s is still there: %v", pid, dir, err)
	}
}

// ignoreExit drops the error that says how a process ended.
func ignoreExit(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil
	}
	return err
}

// gone reports whether a process has ended and a folder was removed. A process that nobody has waited for yet is a
// zombie, which has ended.
func gone(pid int, dir string) wait.ConditionWithContextFunc {
	return func(ctx context.Context) (bool, error) {
		state, err := exec.CommandContext(ctx, "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		ended := err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
		_, err = os.Stat(dir)
		return ended && os.IsNotExist(err), nil
	}
}

func TestAScriptStartsMeshfenceIfItsFirstLineAboutItSaysSo(t *testing.T) {
	for script, want := range map[string]bool{
		"":                                  false,
		"kubectl get ns\n":                  false,
		"kubectl get ns\nmeshfence start\n": true,
		"# meshfence start\nmeshfence stop\nmeshfence start\n": false,
		"meshfence start config.yaml\n":                        true,
		"! meshfence start config.yaml\n":                      true,
		"[crds:real] meshfence start\n":                        true,
		"[!crds:real] ! meshfence start\n":                     true,
		"meshfence kill\nmeshfence start\n":                    false,
		"kubectl get ns meshfence start\n":                     false,
	} {
		if got := startsMeshfence(script); got != want {
			t.Errorf("startsMeshfence(%q) = %v", script, got)
		}
	}
}

func TestArgumentsOfMeshfenceStart(t *testing.T) {
	for args, want := range map[string]ProcessOptions{
		"":                               {},
		"config.yaml":                    {Config: "config.yaml"},
		"--config config.yaml":           {Config: "config.yaml"},
		"--config=config.yaml":           {Config: "config.yaml"},
		"--log-level=debug config.yaml":  {Config: "config.yaml", Args: []string{"--log-level=debug"}},
		"--log-level=debug --config c.y": {Config: "c.y", Args: []string{"--log-level=debug"}},
	} {
		got, err := processOptions(strings.Fields(args))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("processOptions(%q) (-want +got):\n%s", args, diff)
		}
	}
	if _, err := processOptions([]string{"a.yaml", "b.yaml"}); err == nil {
		t.Error("no error for two files")
	}
}

func TestArgumentsOfEventually(t *testing.T) {
	for args, want := range map[string]string{
		"kubectl get ns":                          "10s false <nil> <nil> [kubectl get ns]",
		"! kubectl get ns":                        "10s true <nil> <nil> [kubectl get ns]",
		"-timeout 2s -stdout a -stderr b kubectl": "2s false (?m)a (?m)b [kubectl]",
		"-stdout a ! kubectl -o yaml":             "10s true (?m)a <nil> [kubectl -o yaml]",
	} {
		a, err := parseAttempt(strings.Fields(args))
		if err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(a.timeout, a.fails, " ", a.stdout, " ", a.stderr, " ", a.command); got != want {
			t.Errorf("parseAttempt(%q) = %s, want %s", args, got, want)
		}
	}
	for _, args := range []string{"", "!", "-timeout x kubectl", "-timeout 2s", "-stdout ( kubectl", "-what a kubectl"} {
		if _, err := parseAttempt(strings.Fields(args)); err == nil {
			t.Errorf("no error for eventually %s", args)
		}
	}
}

func TestManifestsAreDecodedStrictly(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	const good = "# a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n\n---\n" +
		"apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: b}\n"
	objects, err := decodeManifests(scheme, []byte(good))
	if err != nil || len(objects) != 1 || objects[0].GetName() != "a" {
		t.Errorf("decodeManifests = %v, %v; want the namespace alone", objects, err)
	}
	for _, bad := range []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, lables: {b: c}}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nmetadata: {name: b}\n",
		"apiVersion: v1\n",
		"a: [",
	} {
		if objects, err := decodeManifests(scheme, []byte(bad)); err == nil {
			t.Errorf("no error for %q: %v", bad, objects)
		}
	}
}

func TestWhatIsNotRunningCannotBeStopped(t *testing.T) {
	c := &Cluster{}
	if c.StopMeshfence() == nil || c.KillMeshfence() == nil {
		t.Error("no error although meshfence is not running")
	}
}

func TestAMeshfenceThatBreaksDownFailsTheCase(t *testing.T) {
	log := filepath.Join(t.TempDir(), "meshfence.log")
	if err := os.WriteFile(log, []byte("Observed a panic in webhook: nil map\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := &Process{cmd: exec.Command("sh", "-c", "exit 3"), ended: make(chan struct{})}
	if err := ignoreExit(ended.cmd.Run()); err != nil {
		t.Fatal(err)
	}
	close(ended.ended)
	for name, test := range map[string]struct {
		cluster *Cluster
		want    string
	}{
		"it is not running":  {&Cluster{}, ""},
		"it is running":      {&Cluster{meshfence: &Process{ended: make(chan struct{})}}, ""},
		"it ended by itself": {&Cluster{meshfence: ended}, "meshfence ended by itself: exit status 3"},
		"it panicked":        {&Cluster{logs: []string{log}}, "meshfence panicked, see its log"},
	} {
		if got := test.cluster.breakdown(); got != test.want {
			t.Errorf("if %s: %q, want %q", name, got, test.want)
		}
	}
}

func TestRequestsAreComparedWithTheRoles(t *testing.T) {
	granted := []Grant{
		{Resource: "namespaces", Verb: "list"}, {Resource: "pods", Verb: "list"},
		{Namespace: "own", Resource: "configmaps", Verb: "get"}, {Namespace: "own", Resource: "configmaps", Name: "ledger", Verb: "update"},
	}
	const line = `{"verb":%q,"requestURI":%q,"userAgent":%q,"objectRef":{"resource":%q,"namespace":%q,"name":%q}}` + "\n"
	lines := []string{
		fmt.Sprintf(line, "list", "/1", "meshfence/v1", "namespaces", "", ""),
		fmt.Sprintf(line, "update", "/2", "meshfence/v1", "configmaps", "own", "ledger"),
		fmt.Sprintf(line, "update", "/3", "meshfence/v1", "configmaps", "own", "other"),
		fmt.Sprintf(line, "get", "/4", "meshfence/v1", "configmaps", "other", "x"),
		fmt.Sprintf(line, "delete", "/5", "a test", "namespaces", "", "x"),
		`{"verb":"get","requestURI":"/apis","userAgent":"meshfence/v1"}` + "\n",
		`{"verb":"get","requestURI":"/metrics","userAgent":"meshfence/v1"}` + "\n",
		`{"verb":"get","requestURI":"/cut`,
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "some.audit")
	if err := os.WriteFile(log, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	used := map[Grant]bool{}
	const missing = "meshfence asked for what its roles do not grant: "
	want := missing + "update configmaps other in own (update /3)\n" + missing + "get configmaps x in other (get /4)\n" +
		missing + "get /metrics (get /metrics)"
	if err := readAudit(log, granted, used); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if err := leave(dir, used); err != nil {
		t.Fatal(err)
	}
	kept, err := readUsed(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[Grant]bool{granted[0]: true, granted[3]: true}, kept); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
}

func TestRuleIn(t *testing.T) {
	for message, want := range map[string]string{
		"spec.profile: MF103 OverlappingSelectors: its selector": "MF103 OverlappingSelectors",
		"MF203 UnknownRevision: no revision; MF204 Other: x":     "MF203 UnknownRevision",
		"failed calling webhook":                                 "",
		"meshfence explain rule MF103":                           "",
		`labels "EMF103 Thing"`:                                  "",
	} {
		if got := RuleIn(message); got != want {
			t.Errorf("RuleIn(%q) = %q, want %q", message, got, want)
		}
	}
}
