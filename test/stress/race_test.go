package stress

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	clients = 64
	// names is how many names there are for new meshes. Two creates of one name at once are rare so: one of them would
	// leave a claim that only its age closes.
	names = 400
)

// outcome is how a request ended.
type outcome string

// The outcomes. Those that say nothing about what is stored are not part of the check.
const (
	done     outcome = "stored"
	denied   outcome = "denied"
	exists   outcome = "exists already"
	notFound outcome = "not found"
	inFlight outcome = "told to try again, as another is in flight"
	tooMany  outcome = "told to wait, as too many of the user or object are in flight"
	tooLarge outcome = "refused, too large to be claimed"
	busy     outcome = "refused, could not be judged"
	changed  outcome = "replaced meanwhile"
	unknown  outcome = "unknown"
)

// operation is a request and its answer.
type operation struct {
	number     int
	client     int
	verb, name string
	region     region
	uid        types.UID // of what was created, or deleted
	version    string    // of what was stored; "" after a delete
	outcome    outcome
	message    string
	start, end int64
}

// TestRaces has two API servers, three replicas and many clients that create, change and delete meshes of both kinds with random
// selectors. Without the ledger the same must store overlapping meshes, or it would prove nothing.
func TestRaces(t *testing.T) {
	s, servers := startRacing(t)
	t.Run("with the ledger", func(t *testing.T) {
		s.install(t, 3, harness.ProcessOptions{}, servers...)
		events, operations := s.race(t, servers, choose(500, 10000))
		if n, first := overlaps(events); n > 0 {
			t.Errorf("%d times two meshes that overlap were stored:\n%s", n, strings.Join(first, "\n"))
		}
		if !tally(t, operations)[done] {
			t.Error("no request succeeded")
		}
		linearizable(t, events, operations)
	})
	t.Run("without the ledger", func(t *testing.T) {
		off := harness.ProcessOptions{Binary: s.buildFaulty(t), Env: []string{"MESHFENCE_TEST_LEDGER=off"}}
		s.install(t, 3, off, servers...)
		// Whether it comes to that is a matter of luck, so the short form tries several times.
		found := 0
		for round := 0; found == 0 && round < choose(10, 1); round++ {
			must(t, s.Client.DeleteAllOf(t.Context(), stressed("", nil, 0)))
			s.removeIstiods(t)
			events, operations := s.race(t, servers, choose(300, 3000))
			tally(t, operations)
			found, _ = overlaps(events)
		}
		count(t, "overlapping meshes were stored %d times", found)
		if found == 0 {
			t.Error("so the test with the ledger proves nothing")
		}
	})
}

// race makes the requests and returns the history and the answers.
func (s *suite) race(t *testing.T, servers []*rest.Config, requests int) ([]event, []operation) {
	t.Helper()
	must(t, s.eventuallyOn(t, servers))
	s.makePlanes(t)
	h := record(t, servers[0])
	operations := make([]operation, requests)
	var next atomic.Int64
	begin := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	for id := range clients {
		user := rest.CopyConfig(servers[id%len(servers)])
		user.Impersonate = rest.ImpersonationConfig{UserName: fmt.Sprint("client-", id), Groups: []string{"system:masters"}}
		meshes := meshesOf{istiosOf(t, user), configMapsOf(t, user)}
		random := rand.New(rand.NewPCG(uint64(id), uint64(requests)))
		group.Go(func() error {
			for {
				number := int(next.Add(1))
				if number > requests || ctx.Err() != nil {
					return ctx.Err()
				}
				o := &operations[number-1]
				o.number, o.client = number, id
				o.do(ctx, meshes, h, random, begin)
			}
		})
	}
	must(t, group.Wait())
	count(t, "%d requests of %d clients in %v", requests, clients, since(begin))
	return h.finish(t, servers[0]), operations
}

// eventuallyOn waits until every API server asks meshfence: WaitWebhooks does for the first one, and the others are asked
// for something that is always refused.
func (s *suite) eventuallyOn(t *testing.T, servers []*rest.Config) error {
	t.Helper()
	bad := stressed("never", []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "in"}}}}, 0)
	for _, server := range servers {
		deadline := time.Now().Add(30 * time.Second)
		for {
			_, err := istiosOf(t, server).Create(t.Context(), bad.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if apierrors.IsInvalid(err) && strings.Contains(err.Error(), "MF101") {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("an API server does not ask meshfence: %w", err)
			}
		}
	}
	return nil
}

// do makes one random request. What is changed or deleted is mostly something that there is.
func (o *operation) do(ctx context.Context, meshes meshesOf, h *history, random *rand.Rand, begin time.Time) {
	selectors := randomSelectors(random)
	o.region = covered(selectors)
	roll := random.IntN(100)
	if there := h.names(); roll < 50 || random.IntN(10) == 0 || len(there) == 0 {
		o.name = randomName(random.IntN(names))
	} else {
		o.name = there[random.IntN(len(there))]
	}
	object := meshes.object(stressed(o.name, grown(random, selectors, o.number), o.number))
	resource, name := meshes.of(o.name)
	var result *unstructured.Unstructured
	var err error
	switch {
	case roll < 50:
		o.verb, o.start = "create", time.Since(begin).Nanoseconds()
		result, err = resource.Create(ctx, object, metav1.CreateOptions{})
	case roll < 80:
		o.verb, o.start = "update", time.Since(begin).Nanoseconds()
		var patch []byte
		if patch, err = object.MarshalJSON(); err == nil {
			result, err = resource.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
	default:
		o.verb, o.start = "delete", time.Since(begin).Nanoseconds()
		var found *unstructured.Unstructured
		if found, err = resource.Get(ctx, name, metav1.GetOptions{}); err == nil {
			o.uid = found.GetUID()
			err = resource.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &o.uid}})
		}
	}
	o.end = time.Since(begin).Nanoseconds()
	if result != nil && err == nil {
		o.uid, o.version = result.GetUID(), result.GetResourceVersion()
	}
	o.outcome = classify(err)
	if err != nil {
		o.message = err.Error()
	}
}

func classify(err error) outcome {
	switch {
	case err == nil:
		return done
	case apierrors.IsNotFound(err):
		return notFound
	case strings.Contains(err.Error(), "Try again: that request has ended by"):
		return inFlight
	case apierrors.IsAlreadyExists(err):
		return exists
	case apierrors.IsInvalid(err) && harness.RuleIn(err.Error()) != "":
		return denied
	case apierrors.IsTooManyRequests(err):
		return tooMany
	case apierrors.IsInvalid(err) && strings.Contains(err.Error(), "in the ledger of changes in flight"):
		return tooLarge
	case apierrors.IsConflict(err):
		return changed
	case strings.Contains(err.Error(), "failed calling webhook"), apierrors.IsServiceUnavailable(err):
		return busy
	case errors.Is(err, context.Canceled):
		return unknown
	default:
		return unknown
	}
}

// tally counts the outcomes and returns those that there were.
func tally(t *testing.T, operations []operation) map[outcome]bool {
	t.Helper()
	counts, example := map[outcome]int{}, map[outcome]string{}
	for i := range operations {
		counts[operations[i].outcome]++
		example[operations[i].outcome] = operations[i].message
	}
	got := map[outcome]bool{}
	for _, o := range []outcome{done, denied, inFlight, tooMany, tooLarge, exists, notFound, changed, busy, unknown} {
		got[o] = counts[o] > 0
		count(t, "%6d %s", counts[o], o)
	}
	for _, o := range []outcome{busy, unknown} {
		if got[o] {
			t.Logf("%s, for example: %s", o, example[o])
		}
	}
	return got
}

// linearizable checks that there is an order of all requests, in which each has its place between its start and its end,
// such that each answer is right at that place: the model is a set of pairwise disjoint meshes.
//
// The order of the writes is known from etcd, so a state of the model is how many of them have happened, and how many of
// the answers that belong between that write and the next have been placed. Which belong there is found out before (place):
// a search without that hint would take for ever. porcupine then checks the order that comes of it.
func linearizable(t *testing.T, events []event, operations []operation) {
	t.Helper()
	all := worlds(events)
	var steps []*step
	for i := range operations {
		o := &operations[i]
		s := &step{operation: o, ordinal: ordinal(events, o), until: o.end}
		switch {
		case o.outcome == done && s.ordinal == 0 && o.verb != "update":
			t.Errorf("operation %d: %s of %s was answered with success, but is not in the history", o.number, o.verb, o.name)
		case s.ordinal > 0 && o.outcome != done && o.outcome != unknown:
			t.Errorf("operation %d: %s of %s was refused (%s), but was stored", o.number, o.verb, o.name, o.message)
		case s.ordinal > 0 && o.outcome == unknown:
			s.until = math.MaxInt64
		case s.ordinal == 0 && !slices.Contains([]outcome{done, denied, exists, notFound}, o.outcome):
			continue
		}
		steps = append(steps, s)
	}
	begin := time.Now()
	between, err := place(all, steps)
	if err != nil {
		t.Errorf("the answers are not linearizable: %v", err)
		return
	}
	var checked []porcupine.Operation
	for _, s := range steps {
		checked = append(checked, porcupine.Operation{ClientId: s.client, Input: s, Call: s.start, Return: s.until})
	}
	model := porcupine.Model{
		Init: func() any { return position{} },
		Step: func(state, input, _ any) (bool, any) { return input.(*step).take(all, between, state.(position)) },
	}
	result := porcupine.CheckOperationsTimeout(model, checked, 5*time.Minute)
	count(t, "linearizable: %s (%d answers, checked in %v)", result, len(checked), since(begin))
	if result != porcupine.Ok {
		t.Errorf("the answers are not linearizable: %s", result)
	}
}

// step is what porcupine is given of an operation.
type step struct {
	*operation
	// ordinal says that it changed what is stored, as the ordinal-th change; 0 if it changed nothing.
	ordinal int
	// until is when it had ended at the latest.
	until int64
	// writes is after how many changes its answer, if it changed nothing, has its place.
	writes int
}

// position is a state of the model.
type position struct {
	writes int
	// answers is how many of those that belong after so many writes have been placed.
	answers int
}

// place finds for each answer that changed nothing the first place where it is right, and which is neither before a change
// or an answer that was over when it began, nor after a change that began when it was over. between is how many belong
// after so many changes.
func place(all []map[string]stored, steps []*step) (between []int, err error) {
	between = make([]int, len(all))
	steps = slices.Clone(steps)
	slices.SortFunc(steps, func(a, b *step) int { return cmp.Compare(a.start, b.start) })
	for i, s := range steps {
		if s.ordinal > 0 {
			continue
		}
		first, last := 0, len(all)-1
		for _, other := range steps {
			switch {
			case other.ordinal > 0 && other.until < s.start:
				first = max(first, other.ordinal)
			case other.ordinal > 0 && other.start > s.until:
				last = min(last, other.ordinal-1)
			}
		}
		for _, before := range steps[:i] {
			if before.ordinal == 0 && before.until < s.start {
				first = max(first, before.writes)
			}
		}
		for s.writes = first; s.writes <= last && !s.right(all[s.writes]); s.writes++ {
		}
		if s.writes > last {
			return nil, fmt.Errorf("operation %d: %s of %s was answered %q, which was at no moment right (changes %d to %d): %s",
				s.number, s.verb, s.name, s.outcome, first, last, s.message)
		}
		between[s.writes]++
	}
	return between, nil
}

// right reports whether an answer that changed nothing is right when this is stored.
func (s *step) right(world map[string]stored) bool {
	found, there := world[s.name]
	switch s.outcome {
	case done: // an update that changed nothing
		return there && found.region == s.region
	case denied:
		return len(clashing(world, s.name, s.region)) > 0
	case exists:
		return there
	default: // not found
		return !there
	}
}

// take reports whether the operation can come next, and what the position is then.
func (s *step) take(all []map[string]stored, between []int, at position) (legal bool, after position) {
	world := all[at.writes]
	if s.ordinal == 0 {
		return s.writes == at.writes && s.right(world), position{at.writes, at.answers + 1}
	}
	_, there := world[s.name]
	legal = s.ordinal == at.writes+1 && at.answers == between[at.writes]
	switch s.verb {
	case "delete":
		legal = legal && there
	default:
		legal = legal && there == (s.verb == "update") && len(clashing(world, s.name, s.region)) == 0
	}
	return legal, position{writes: at.writes + 1}
}

// ordinal finds an operation among the events, counted from 1; 0 if it is not there.
func ordinal(events []event, o *operation) int {
	for i, e := range events {
		switch {
		case o.verb == "delete" && e.kind == watch.Deleted && e.uid == o.uid && o.uid != "" && o.outcome == done,
			o.verb != "delete" && e.kind != watch.Deleted && e.operation == o.number:
			return i + 1
		}
	}
	return 0
}

// The environment of this test must not bring in test points by accident.
func TestThePublishedBinaryHasNoTestPoints(t *testing.T) {
	root, err := harness.Root()
	must(t, err)
	content, err := os.ReadFile(root + "/bin/meshfence")
	must(t, err)
	if strings.Contains(string(content), "MESHFENCE_TEST_") {
		t.Error("bin/meshfence was built with the tag meshfence_testpoints")
	}
}
