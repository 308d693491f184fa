// Package stress tests that no race, no outage and no bad input gets a wrong answer out of meshfence: several replicas and
// API servers under load, with faults. Each test has a short form, of fewer parts too, for every run of the tests, and a long one, which
// STRESS=long chooses; `make stress` runs those and closes with a table of what was counted.
package stress

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

// long says that the long forms are to be run.
func long() bool { return os.Getenv("STRESS") == "long" }

// choose returns a number for the short and one for the long form.
func choose(short, inLong int) int {
	if long() {
		return inLong
	}
	return short
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	theTable, theClusters = &table{}, map[string]*suite{}
	status := m.Run()
	for _, s := range theClusters {
		if err := s.stop(); err != nil {
			fmt.Println(err)
			status = max(status, 1)
		}
	}
	theTable.print()
	os.Exit(status)
}

// theClusters are shared: a test that needs one gets the one that another test has started, and install brings it back
// into its first state. They are stopped after the last test.
var theClusters map[string]*suite

// theTable is written by tests that have ended, and printed after the last.
var theTable *table

// table is what was counted, by test.
type table struct {
	mu   sync.Mutex
	rows map[string][]string
}

// count adds a line to the table and to the test's log.
func count(t *testing.T, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	theTable.mu.Lock()
	defer theTable.mu.Unlock()
	if theTable.rows == nil {
		theTable.rows = map[string][]string{}
	}
	theTable.rows[t.Name()] = append(theTable.rows[t.Name()], line)
}

func (c *table) print() {
	for _, name := range slices.Sorted(maps.Keys(c.rows)) {
		fmt.Println(name)
		for _, line := range c.rows[name] {
			fmt.Println("    " + line)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// suite is a cluster with replicas of meshfence behind a balancer.
type suite struct {
	*harness.Cluster
	balancer *harness.Balancer
	replicas []*harness.Process
	// second is a further API server, if somebody has asked for it.
	second *harness.APIServer
	// faulty is a meshfence with test points.
	faulty string
}

// start returns a cluster as it comes.
func start(t *testing.T) *suite {
	t.Helper()
	return startAs(t, "as it comes")
}

// startRacing returns a cluster with two API servers, each of which has several connections to meshfence, so that all
// replicas are asked: with HTTP/2 each would have one, and ask one replica. The second one has no cache: it answers a
// consistent read at once, which takes the first one up to a tenth of a second.
func startRacing(t *testing.T) (s *suite, servers []*rest.Config) {
	t.Helper()
	t.Setenv("DISABLE_HTTP2", "true")
	s = startAs(t, "without HTTP/2")
	if s.second == nil {
		var err error
		s.second, err = s.StartAPIServer(t.Context(), "", map[string]string{"watch-cache": "false"})
		must(t, err)
	}
	return s, []*rest.Config{s.Config, s.second.Config}
}

func startAs(t *testing.T, what string) *suite {
	t.Helper()
	if s, there := theClusters[what]; there {
		return s
	}
	cluster, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	theClusters[what] = &suite{Cluster: cluster}
	return theClusters[what]
}

// stop ends everything.
func (s *suite) stop() error {
	var err error
	if s.second != nil {
		err = s.second.Stop()
	}
	return errors.Join(err, s.Stop())
}

// buildFaulty builds a meshfence that has test points. The one that people install has none.
func (s *suite) buildFaulty(t *testing.T) string {
	t.Helper()
	if s.faulty == "" {
		root, err := harness.Root()
		must(t, err)
		binary := filepath.Join(s.Dir(), "meshfence-with-test-points")
		build := exec.Command("go", "build", "-tags", "meshfence_testpoints", "-o", binary, "./cmd/meshfence")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s.faulty = binary
	}
	return s.faulty
}

// install brings the cluster into its first state, and installs meshfence with so many replicas behind a balancer.
// Servers are the API servers that the replicas talk to, in turn.
func (s *suite) install(t *testing.T, replicas int, options harness.ProcessOptions, servers ...*rest.Config) {
	t.Helper()
	s.uninstall(t)
	t.Cleanup(func() { s.uninstall(t) })
	must(t, s.Reset(t.Context()))
	must(t, s.InstallWorkload(t.Context()))
	var err error
	s.balancer, err = s.StartBalancer()
	must(t, err)
	for i := range replicas {
		if len(servers) > 0 {
			options.APIServer = servers[i%len(servers)]
		}
		s.addReplica(t, options)
	}
	must(t, s.InstallWebhooks(t.Context()))
}

// addReplica starts a replica and puts it behind the balancer.
func (s *suite) addReplica(t *testing.T, options harness.ProcessOptions) *harness.Process {
	t.Helper()
	process, err := s.StartReplica(t.Context(), options)
	if process != nil {
		s.replicas = append(s.replicas, process)
	}
	if err != nil {
		t.Fatalf("%v; meshfence printed:\n%s", err, s.MeshfenceLog())
	}
	s.balancer.Add(process)
	return process
}

// dropReplica forgets a replica that has ended.
func (s *suite) dropReplica(process *harness.Process) {
	s.balancer.Remove(process)
	s.replicas = slices.DeleteFunc(s.replicas, func(p *harness.Process) bool { return p == process })
}

// uninstall ends the replicas and the balancer.
func (s *suite) uninstall(t *testing.T) {
	t.Helper()
	for _, process := range s.replicas {
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
	}
	s.replicas = nil
	if s.balancer != nil {
		if err := s.balancer.Stop(); err != nil {
			t.Error(err)
		}
		s.balancer = nil
	}
}

// newClient connects as the administrator.
func (s *suite) newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: s.Client.Scheme()})
	must(t, err)
	return c
}

// since returns a duration as people read it.
func since(start time.Time) time.Duration { return time.Since(start).Round(time.Millisecond) }
