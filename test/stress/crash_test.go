package stress

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/test/harness"
)

// waiting is what is said of a change in flight, with what is waited for and until when.
var waiting = regexp.MustCompile(`A request that creates Istio "([^"]*)" was allowed at \S+ and is not stored yet\. Try again: ` +
	`this one waits until that is stored, at the latest until (\S+)`)

// selecting are the selectors of a mesh with this value.
func selecting(value string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{"istio-discovery": value}}}
}

func TestLedger(t *testing.T) {
	s := start(t)
	second, err := s.StartAPIServer(t.Context(), "", nil)
	must(t, err)
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("if a replica is killed between two steps, then nothing overlaps and nothing is blocked for long", s.crashes)
	t.Run("of two creates at once that are at odds exactly one wins", func(t *testing.T) { s.pairs(t, second.Config) })
	t.Run("if two meshes of one file overlap, then the second is refused every time", s.apply)
	t.Run("if the ledger is damaged, then nothing is admitted until the command that is told has been run", s.damage)
}

// repair is the command that a refusal because of a damaged ledger names.
var repair = regexp.MustCompile(`kubectl (patch configmap meshfence-claims -n \S+ --type=json -p) '([^']*)'`)

// damage puts what is no claim into the ledger, in every way that a ConfigMap takes it.
func (s *suite) damage(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	istios := istiosOf(t, s.Config)
	_, err := istios.Create(t.Context(), stressed("before", selecting("before"), 0), metav1.CreateOptions{})
	must(t, err)
	garbage := map[string]any{"a": "", "b.c-d_E": "x", "f": `{"object": {"kind": "Pod"}}`}
	patch, err := json.Marshal(map[string]any{"data": garbage})
	must(t, err)
	_, stderr, err := s.RunKubectl(t.Context(), s.Dir(), "patch", "configmap", "meshfence-claims", "-n", harness.Namespace, "--type=merge", "-p", string(patch))
	if err != nil {
		t.Fatal(stderr)
	}
	create := func() error {
		_, err := istios.Create(t.Context(), stressed("after", selecting("after"), 0), metav1.CreateOptions{})
		return err
	}
	for range garbage {
		err := create()
		if err == nil || !strings.Contains(err.Error(), "meshfence cannot judge this request yet: the entry ") {
			t.Fatalf("%v; want to be told of the damaged entry", err)
		}
		command := repair.FindStringSubmatch(err.Error())
		if command == nil {
			t.Fatalf("%v; want a command that repairs it", err)
		}
		if _, stderr, err := s.RunKubectl(t.Context(), s.Dir(), append(strings.Fields(command[1]), command[2])...); err != nil {
			t.Fatalf("%s: %s", command[0], stderr)
		}
	}
	must(t, create())
	count(t, "a ledger with %d damaged entries: repaired with the commands that %d refusals named", len(garbage), len(garbage))
}

// claimLifetime is that of the crash test's replicas: the real one is five minutes.
const claimLifetime = 4 * time.Second

func (s *suite) crashes(t *testing.T) {
	options := harness.ProcessOptions{Binary: s.buildFaulty(t), Env: []string{"MESHFENCE_TEST_LIFETIME=" + claimLifetime.String()}}
	s.install(t, 1, options)
	healthy := s.replicas[0]
	h := record(t, s.Config)
	istios := istiosOf(t, s.Config)
	for i, point := range []string{"before-read", "after-read", "after-list", "before-write", "after-write"} {
		s.balancer.Remove(healthy)
		s.balancer.Disconnect()
		crashing := options
		crashing.Env = append([]string{"MESHFENCE_TEST_CRASH=" + point}, options.Env...)
		victim := s.addReplica(t, crashing)
		value, first, other := fmt.Sprint("value-", i), fmt.Sprint("first-", i), fmt.Sprint("other-", i)
		if _, err := istios.Create(t.Context(), stressed(first, selecting(value), 0), metav1.CreateOptions{}); err == nil {
			t.Fatalf("%s: the request that the replica did not answer was stored", point)
		}
		killed := time.Now()
		<-victim.Ended()
		must(t, victim.Kill())
		s.dropReplica(victim)
		s.balancer.Add(healthy)
		// Whoever was not answered may try again, and waits for nobody.
		dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		if _, err := istios.Create(t.Context(), stressed(first, selecting(value), 0), dryRun); err != nil {
			t.Errorf("%s: the same request again: %v", point, err)
		}
		said := ""
		for tries := 0; ; tries++ {
			_, err := istios.Create(t.Context(), stressed(other, selecting(value), 0), metav1.CreateOptions{})
			if err == nil {
				break
			}
			found := waiting.FindStringSubmatch(err.Error())
			if len(found) == 0 || found[1] != first || !apierrors.IsConflict(err) {
				t.Fatalf("%s: %v; want to be told to wait for %s", point, err, first)
			}
			said = found[2]
			if time.Since(killed) > 2*claimLifetime {
				t.Fatalf("%s: still blocked after %v: %v", point, since(killed), err)
			}
		}
		blocked := time.Since(killed)
		if isClaimed := point == "after-write"; (said != "") != isClaimed || blocked > claimLifetime+time.Second || isClaimed && blocked < claimLifetime/2 {
			t.Errorf("%s: blocked for %v, and told to wait until %q", point, blocked, said)
		}
		count(t, "killed %s: a mesh that overlaps was blocked for %v", point, blocked.Round(time.Millisecond))
	}
	if n, first := overlaps(h.finish(t, s.Config)); n > 0 {
		t.Errorf("%d overlaps: %s", n, first)
	}
}

// pairs creates two overlapping meshes at once, each through an API server of its own.
func (s *suite) pairs(t *testing.T, second *rest.Config) {
	s.install(t, 2, harness.ProcessOptions{}, s.Config, second)
	must(t, s.eventuallyOn(t, []*rest.Config{s.Config, second}))
	left, right := istiosOf(t, s.Config), istiosOf(t, second)
	toldToWait := 0
	rounds := choose(15, 500)
	for round := range rounds {
		names := [2]string{fmt.Sprint("left-", round), fmt.Sprint("right-", round)}
		var errs [2]error
		var group errgroup.Group
		for i, istios := range []dynamic.ResourceInterface{left, right} {
			group.Go(func() error {
				_, errs[i] = istios.Create(t.Context(), stressed(names[i], selecting(fmt.Sprint("value-", round)), 0), metav1.CreateOptions{})
				return nil
			})
		}
		must(t, group.Wait())
		winner, loser := 0, 1
		if errs[0] != nil {
			winner, loser = 1, 0
		}
		if errs[winner] != nil || errs[loser] == nil {
			t.Fatalf("round %d: %v and %v; want exactly one to win", round, errs[0], errs[1])
		}
		outcome := classify(errs[loser])
		if outcome != denied && outcome != inFlight || !strings.Contains(errs[loser].Error(), fmt.Sprintf("Istio %q", names[winner])) {
			t.Fatalf("round %d: %v; want it to name %s", round, errs[loser], names[winner])
		}
		if outcome == inFlight {
			toldToWait++
		}
		must(t, left.Delete(t.Context(), names[winner], metav1.DeleteOptions{}))
	}
	count(t, "%d pairs of conflicting creates: one won each time, %d losers were told to try again, the others of a stored mesh", rounds, toldToWait)
}

// apply has kubectl apply files with many pairs of meshes that overlap.
func (s *suite) apply(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	const pairs = 20
	runs := choose(1, 50)
	for run := range runs {
		var file strings.Builder
		for i := range pairs {
			for _, name := range []string{"first", "second"} {
				text, err := stressed(fmt.Sprintf("%s-%d", name, i), selecting(fmt.Sprintf("value-%d-%d", run, i)), 0).MarshalJSON()
				must(t, err)
				fmt.Fprintf(&file, "---\n%s\n", text)
			}
		}
		must(t, os.WriteFile(filepath.Join(s.Dir(), "pairs.yaml"), []byte(file.String()), 0o600))
		stdout, stderr, err := s.RunKubectl(t.Context(), s.Dir(), "apply", "-f", "pairs.yaml")
		if err == nil {
			t.Fatalf("run %d: kubectl apply succeeded:\n%s", run, stdout)
		}
		for i := range pairs {
			created := strings.Contains(stdout, fmt.Sprintf("istio.sailoperator.io/first-%d created\n", i))
			refused := strings.Contains(stderr, fmt.Sprintf(`Istio "second-%d" spec.values.meshConfig.discoverySelectors[0]`, i)) &&
				!strings.Contains(stdout, fmt.Sprintf("second-%d created", i))
			if !created || !refused {
				t.Fatalf("run %d, pair %d: the first was created: %t, the second refused: %t\n%s\n%s", run, i, created, refused, stdout, stderr)
			}
		}
		must(t, s.Client.DeleteAllOf(t.Context(), stressed("", nil, 0)))
	}
	count(t, "kubectl apply -f of two overlapping meshes: the second was refused %d times of %d", runs*pairs, runs*pairs)
}
