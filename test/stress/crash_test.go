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
var waiting = regexp.MustCompile(`This conflicts with a request that creates Istio "([^"]*)", admitted at \S+ and not stored yet\. Try again: ` +
	`that request has ended by (\S+) at the latest`)

// selecting are the selectors of a mesh with this value.
func selecting(value string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{"istio-discovery": value}}}
}

func TestLedger(t *testing.T) {
	s, servers := startRacing(t)
	t.Run("if a replica is killed between two steps, then nothing overlaps and nothing is blocked for long", s.crashes)
	t.Run("of two creates at once that are at odds exactly one wins", func(t *testing.T) { s.pairs(t, servers) })
	t.Run("if two meshes of one file overlap, then the second is refused every time", func(t *testing.T) { s.apply(t, servers) })
	t.Run("if a change waits for another webhook, then what overlaps with it is refused, whatever its size", s.slowNeighbour)
	t.Run("if another webhook refuses what was admitted, then only the user who tries it waits", s.refusingNeighbour)
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

// claimLifetime is that of the crash test's replicas: the real one is two minutes.
const claimLifetime = 3 * time.Second

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
		began := time.Now()
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
		said, lastAsked := "", killed
		for {
			asked := time.Now()
			_, err := istios.Create(t.Context(), stressed(other, selecting(value), 0), metav1.CreateOptions{})
			if err == nil {
				break
			}
			found := waiting.FindStringSubmatch(err.Error())
			if len(found) == 0 || found[1] != first || !apierrors.IsConflict(err) {
				t.Fatalf("%s: %v; want to be told to wait for %s", point, err, first)
			}
			said, lastAsked = found[2], asked
			if asked.Sub(killed) > claimLifetime+leeway {
				t.Fatalf("%s: still blocked after %v: %v", point, asked.Sub(killed), err)
			}
		}
		end := time.Now()
		blocked := end.Sub(killed)
		// Each comparison holds however long a request takes: the healthy replica has seen the claim first after the request began.
		if isClaimed := point == "after-write"; (said != "") != isClaimed || isClaimed && end.Sub(began) < claimLifetime {
			t.Errorf("%s: blocked for %v, and told to wait until %q", point, blocked, said)
		}
		if said != "" {
			until, err := time.Parse(time.RFC3339, said)
			must(t, err)
			// Times are said in whole seconds, rounded up.
			if lastAsked.After(until) || end.Before(until.Add(-time.Second)) {
				t.Errorf("%s: told to wait until %v, refused at %v and stored until %v", point, until, lastAsked, end)
			}
		}
		count(t, "killed %s: a mesh that overlaps was blocked for %v", point, blocked.Round(time.Millisecond))
	}
	if n, first := overlaps(h.finish(t, s.Config)); n > 0 {
		t.Errorf("%d overlaps: %s", n, first)
	}
}

// pairs creates two overlapping meshes at once, each through an API server of its own.
func (s *suite) pairs(t *testing.T, servers []*rest.Config) {
	s.install(t, 2, harness.ProcessOptions{}, servers...)
	must(t, s.eventuallyOn(t, servers))
	left, right := istiosOf(t, servers[0]), istiosOf(t, servers[1])
	toldToWait := 0
	rounds := choose(12, 300)
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

// apply has kubectl apply files with two meshes that overlap, several at once, so that their requests come to all replicas.
// The first mesh of each file must be stored and the second refused.
func (s *suite) apply(t *testing.T, servers []*rest.Config) {
	s.install(t, 2, harness.ProcessOptions{}, servers...)
	must(t, s.eventuallyOn(t, servers))
	var group errgroup.Group
	group.SetLimit(4)
	files := choose(24, 1000)
	begin := time.Now()
	for i := range files {
		group.Go(func() error { return s.applyPair(t, i, servers[i%len(servers)].Host) })
	}
	must(t, group.Wait())
	count(t, "kubectl apply -f of two overlapping meshes: the second was refused %d times of %d, in %v", files, files, since(begin))
}

func (s *suite) applyPair(t *testing.T, number int, server string) error {
	var file strings.Builder
	value := fmt.Sprint("value-", number)
	first, second := fmt.Sprint("first-", number), fmt.Sprint("second-", number)
	for _, name := range []string{first, second} {
		text, err := stressed(name, selecting(value), 0).MarshalJSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(&file, "---\n%s\n", text)
	}
	path := filepath.Join(s.Dir(), fmt.Sprintf("pair-%d.yaml", number))
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return err
	}
	stdout, stderr, err := s.RunKubectl(t.Context(), s.Dir(), "--server", server, "apply", "-f", path)
	// The first may not be seen as stored yet: it is refused all the same, and told to try again.
	isTold := strings.Contains(stderr, fmt.Sprintf(`Istio %q`, first)) || strings.Contains(stderr, fmt.Sprintf(`Istio %q spec.values.meshConfig.discoverySelectors[0]`, second))
	if err == nil || stdout != fmt.Sprintf("istio.sailoperator.io/%s created\n", first) || !isTold {
		return fmt.Errorf("file %d: %w; want only the first to be created, and the second refused:\n%s\n%s", number, err, stdout, stderr)
	}
	return s.Client.Delete(t.Context(), stressed(first, nil, 0))
}
