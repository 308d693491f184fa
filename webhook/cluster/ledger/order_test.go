package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// kubernetes is an API server with its storage. Nothing in it happens by itself: each request to it is a step, and the
// schedule says whose step is next. So there is no lock.
type kubernetes struct {
	schedule *schedule
	objects  map[string]*sail.ControlPlane
	ledger   Page
	revision int
	// replicas are told of what is stored, by a watch that is as fast as can be.
	replicas []*Ledger
}

func (k *kubernetes) next() string {
	k.revision++
	return fmt.Sprint(k.revision)
}

// meshes are what is stored.
func (k *kubernetes) meshes() mesh.Objects {
	var objects mesh.Objects
	for _, cp := range k.objects {
		objects.Istios = append(objects.Istios, cp)
	}
	return objects
}

// replica is how one meshfence sees the API server.
type replica struct {
	*kubernetes
	actor int
	// loses returns whether the answer to its next write gets lost; nil if none does.
	loses func() bool
}

// Recent returns what a watch has told of at some moment, which others have had time to change.
func (r *replica) Recent() (Page, bool) {
	r.schedule.step(r.actor, "sees the ledger")
	seen := r.ledger
	r.schedule.step(r.actor, "begins")
	return seen, seen.Version != ""
}

func (r *replica) Read(context.Context) (Page, error) {
	r.schedule.step(r.actor, "reads the ledger")
	return r.ledger, nil
}

func (r *replica) Live(context.Context, string) (mesh.Objects, error) {
	r.schedule.step(r.actor, "lists the meshes")
	listed := r.meshes()
	r.schedule.step(r.actor, "gets the list")
	return listed, nil
}

func (r *replica) Write(_ context.Context, read Page, entries map[string]string) (types.UID, error) {
	r.schedule.step(r.actor, "writes the ledger")
	if read.Version != r.ledger.Version {
		return "", ErrConflict
	}
	r.ledger = Page{UID: "ledger", Version: r.next(), Entries: entries}
	if r.loses != nil && r.loses() {
		return "", errLost
	}
	return r.ledger.UID, nil
}

var errLost = errors.New("the answer was lost")

// schedule decides the order of the steps. A run is told by its choices: which of those who can go on does.
type schedule struct {
	mu      sync.Mutex // of waiting and ended: those who pause before another try go on at the same time
	waiting map[int]chan struct{}
	ended   int
	steps   []string
	// plan, if there is one, says whose steps come first; who cannot take a step is passed over.
	plan []int
	// choices are made in advance; taken and options are those that were made, and how many there were each time.
	choices []int
	random  *rand.Rand
	// lossy has answers to writes of the ledger get lost.
	lossy          bool
	taken, options []int
}

// step waits until it is the actor's turn.
func (s *schedule) step(actor int, what string) {
	turn := make(chan struct{})
	s.mu.Lock()
	s.waiting[actor] = turn
	s.mu.Unlock()
	<-turn
	s.steps = append(s.steps, fmt.Sprintf("%c %s", 'A'+actor, what))
}

// run lets the actors take their steps one at a time until all have ended.
func (s *schedule) run(actors []func()) {
	s.waiting = map[int]chan struct{}{}
	// Waiting one after the other for them to get to their first steps keeps the order of a run the same each time.
	for _, actor := range actors {
		go func() {
			actor()
			s.mu.Lock()
			s.ended++
			s.mu.Unlock()
		}()
		synctest.Wait()
	}
	for {
		ready, ended := s.look(len(actors))
		if ended == len(actors) {
			return
		}
		if len(ready) == 0 { // all pause before another try
			<-time.After(time.Millisecond)
		} else {
			s.let(ready)
		}
		synctest.Wait()
	}
}

// look returns the actors who can take a step, and how many have ended.
func (s *schedule) look(actors int) (ready []int, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for actor := range actors {
		if s.waiting[actor] != nil {
			ready = append(ready, actor)
		}
	}
	return ready, s.ended
}

// let lets one of the actors take its step.
func (s *schedule) let(ready []int) {
	for len(s.plan) > 0 && !slices.Contains(ready, s.plan[0]) {
		s.plan = s.plan[1:]
	}
	choice := 0
	if len(s.plan) > 0 {
		choice = slices.Index(ready, s.plan[0])
		s.plan = s.plan[1:]
	} else if s.random != nil {
		choice = s.random.IntN(len(ready))
	} else if depth := len(s.taken); depth < len(s.choices) {
		choice = s.choices[depth]
	}
	s.taken, s.options = append(s.taken, choice), append(s.options, len(ready))
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.waiting[ready[choice]])
	delete(s.waiting, ready[choice])
}

// following returns the choices of the run after this one, nil after the last.
func (s *schedule) following() []int {
	for i := len(s.taken) - 1; i >= 0; i-- {
		if s.taken[i]+1 < s.options[i] {
			return append(slices.Clone(s.taken[:i]), s.taken[i]+1)
		}
	}
	return nil
}

// istio discovers the namespaces with one of these values.
func istio(name, uid, version, values string) *sail.ControlPlane {
	cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: name, UID: uid, ResourceVersion: version}}
	cp.Spec.Namespace = "istio-system-" + name
	for _, value := range strings.Fields(values) {
		cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors,
			&metav1.LabelSelector{MatchLabels: map[string]string{"mesh": value}})
	}
	return cp
}

// overlapping returns the first two meshes that overlap, or "".
func overlapping(objects mesh.Objects) string {
	for _, pair := range overlaps(objects) {
		return pair
	}
	return ""
}

// overlaps returns all pairs of meshes that overlap.
func overlaps(objects mesh.Objects) (pairs []string) {
	meshes := mesh.NewFleet(objects).Meshes()
	for i, a := range meshes {
		for _, b := range meshes[:i] {
			if mesh.Compare(a, time.Time{}).Overlaps(b) {
				pairs = append(pairs, fmt.Sprintf("%s and %s", b, a))
			}
		}
	}
	return pairs
}

// right reports whether a change is right in every world as the webhook judges it, which excuses an overlap of two meshes that
// overlapped before.
func right(state State, updated *sail.ControlPlane) bool {
	before := overlaps(state.Stored)
	for _, world := range Worlds(state.Stored, state.Claims) {
		for _, pair := range overlaps(world.With(updated)) {
			if !slices.Contains(before, pair) {
				return false
			}
		}
	}
	return true
}

// grown adds so many selectors to a mesh, which no other mesh has.
func grown(cp *sail.ControlPlane, more int) *sail.ControlPlane {
	for i := range more {
		value := fmt.Sprintf("%s-of-its-own-%s-%d", cp.Metadata.Name, strings.Repeat("x", 30), i)
		cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors,
			&metav1.LabelSelector{MatchLabels: map[string]string{"mesh": value}})
	}
	return cp
}

// request is what a client does, through an API server that asks its own replica.
type request struct {
	verb, name, values string
	// more is how many selectors the mesh has besides, which no other mesh has.
	more int
}

// do executes the request as the API server does: an UPDATE is judged again if the object has changed meanwhile.
func (r *replica) do(what request, report func(outcome string)) {
	ledger := r.replicas[r.actor]
	uid := fmt.Sprintf("uid-%d", r.actor)
	for {
		change := Change{New: grown(istio(what.name, uid, "", what.values), what.more)}
		switch what.verb {
		case "delete":
			r.schedule.step(r.actor, "deletes")
			delete(r.objects, what.name)
			return
		case "update":
			r.schedule.step(r.actor, "reads "+what.name)
			old := r.objects[what.name]
			if old == nil {
				return
			}
			change = Change{Old: old, New: grown(istio(what.name, old.Metadata.UID, old.Metadata.ResourceVersion, what.values), what.more)}
		}
		allowed := false
		if err := ledger.Admit(context.Background(), change, func(state State) bool {
			allowed = right(state, change.New)
			return allowed
		}); err != nil {
			report(err.Error())
			return
		}
		if !allowed {
			report("refused")
			return
		}
		r.schedule.step(r.actor, "stores "+what.name)
		if stored := r.objects[what.name]; what.verb == "create" && stored != nil {
			return
		} else if what.verb == "update" && (stored == nil || stored.Metadata.ResourceVersion != change.Old.Metadata.ResourceVersion) {
			continue
		}
		change.New.Metadata.ResourceVersion = r.next()
		r.objects[what.name] = change.New
		for _, other := range r.replicas {
			other.Stored(change.New.Metadata.UID)
		}
		report("stored")
		return
	}
}

// concurrent runs requests in the order that the schedule says. It returns what is wrong, or "", and the outcomes.
//
// With a ledger that there is from the beginning the replicas have known it for long, and rely on what they have seen of it.
func concurrent(s *schedule, known bool, before []*sail.ControlPlane, requests []request) (problem string, outcomes []string) {
	k := &kubernetes{schedule: s, objects: map[string]*sail.ControlPlane{}, revision: 100}
	if known {
		k.ledger = Page{UID: "ledger", Version: "99"}
	}
	for _, cp := range before {
		k.objects[cp.Metadata.Name] = cp
	}
	outcomes = make([]string, len(requests))
	var actors []func()
	for i, what := range requests {
		r := &replica{kubernetes: k, actor: i}
		l := New(r, r, Counters{Written: func() {}, Conflict: func() {}, Open: func(int) {}})
		l.uid = k.ledger.UID
		l.background = func(func()) {} // a conflict is one here, so that there is nothing to take back
		if s.lossy && i > 0 {
			r.loses = func() bool { return s.random.IntN(2) == 0 }
			l.background = func(takeBack func()) { takeBack() } // as steps of this request
		}
		k.replicas = append(k.replicas, l)
		actors = append(actors, func() {
			r.do(what, func(outcome string) {
				outcomes[i] = outcome
				if both := overlapping(k.meshes()); both != "" && problem == "" {
					problem = both + " are stored and overlap"
				}
			})
		})
	}
	s.run(actors)
	if problem == "" && s.lossy {
		problem = k.left(outcomes)
	}
	return problem, outcomes
}

// left returns what is wrong with the claims that are left when all requests have ended: a request that was not stored and
// whose replica had no answer to its write must have left none.
func (k *kubernetes) left(outcomes []string) string {
	for _, key := range slices.Sorted(maps.Keys(k.ledger.Entries)) {
		claim, err := decode(k.ledger.Entries[key])
		if err != nil {
			return err.Error()
		}
		for i, outcome := range outcomes {
			if claim.OldVersion == "" && claim.Object.Metadata.UID == fmt.Sprintf("uid-%d", i) && outcome != "stored" && strings.Contains(outcome, errLost.Error()) {
				return fmt.Sprintf("the claim of request %c is left, which failed: %s", 'A'+i, outcome)
			}
		}
	}
	return ""
}

// scenario is a state and requests in flight together, of which exactly one may be stored if it says so.
type scenario struct {
	before     []*sail.ControlPlane
	requests   []request
	exactlyOne bool
}

func scenarios() map[string]scenario {
	ab := []*sail.ControlPlane{istio("a", "uid-a", "1", "x"), istio("b", "uid-b", "2", "y")}
	return map[string]scenario{
		"two creates": {nil, []request{{verb: "create", name: "a", values: "x y"}, {verb: "create", name: "b", values: "y z"}}, true},
		"a create and an update": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{verb: "update", name: "a", values: "x y"}, {verb: "create", name: "b", values: "y"}}, true,
		},
		"two updates that take the same": {ab, []request{{verb: "update", name: "a", values: "x z"}, {verb: "update", name: "b", values: "y z"}}, true},
		"two updates that swap":          {ab, []request{{verb: "update", name: "a", values: "y"}, {verb: "update", name: "b", values: "x"}}, false},
		"a shrinking update and a create of what it leaves": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x y")}, []request{{verb: "update", name: "a", values: "x"}, {verb: "create", name: "b", values: "y"}}, false,
		},
		"two creates of one name and one beside them": {
			nil, []request{{verb: "create", name: "a", values: "x"}, {verb: "create", name: "a", values: "y"}, {verb: "create", name: "b", values: "y"}}, false,
		},
		"two updates of one object and a create beside them": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{verb: "update", name: "a", values: "y"}, {verb: "update", name: "a", values: "z"}, {verb: "create", name: "b", values: "y"}}, false,
		},
		"two creates of one name, a delete and one beside them": {
			nil, []request{{verb: "create", name: "a", values: "x"}, {verb: "create", name: "a", values: "y"}, {verb: "delete", name: "a"}, {verb: "create", name: "b", values: "y"}}, false,
		},
		"a delete and two creates": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{verb: "delete", name: "a"}, {verb: "create", name: "b", values: "x"}, {verb: "create", name: "a", values: "x"}}, false,
		},
		"three creates in a ring": {
			nil, []request{{verb: "create", name: "a", values: "x y"}, {verb: "create", name: "b", values: "y z"}, {verb: "create", name: "c", values: "z x"}}, true,
		},
	}
}

// Two creates or updates, with a delete or without, are run in all orders, of which there are fewer than limit; of more of
// them so many orders are chosen at random.
const (
	limit = 20000
	runs  = 200
)

func fewOrders(requests []request) bool {
	return len(slices.DeleteFunc(slices.Clone(requests), func(r request) bool { return r.verb == "delete" })) <= 2
}

func TestInEveryOrderOfStepsNoTwoOverlappingMeshesAreStored(t *testing.T) {
	for name, scenario := range scenarios() {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, with a ledger from the beginning %t", name, known), func(t *testing.T) {
				inEveryOrder(t, known, scenario)
			})
		}
	}
}

// Claims of every size: those that are stored as they are, those that are compressed, and those of the largest meshes. Fewer
// orders of those, chosen at random.
func TestWhateverTheSizeOfClaimsNoTwoOverlappingMeshesAreStored(t *testing.T) {
	for _, size := range []struct{ more, orders int }{{5, 40}, {50, 15}, {700, 4}, {10000, 1}} {
		for name, scenario := range scenarios() {
			t.Run(fmt.Sprintf("%s, with %d selectors more", name, size.more), func(t *testing.T) {
				scenario.requests = slices.Clone(scenario.requests)
				scenario.requests[len(scenario.requests)-1].more = size.more
				inOrders(t, true, scenario, size.orders)
			})
		}
	}
}

func TestIfAnswersToWritesGetLostThenNoTwoOverlappingMeshesAreStoredAndNoClaimStays(t *testing.T) {
	for name, scenario := range scenarios() {
		t.Run(name, func(t *testing.T) { inOrders(t, true, scenario, runs, func(s *schedule) { s.lossy = true }) })
	}
}

func inEveryOrder(t *testing.T, known bool, scenario scenario) {
	most := 0
	if !fewOrders(scenario.requests) {
		most = runs
	}
	inOrders(t, known, scenario, most)
}

// inOrders runs so many orders, chosen at random; all that there are, up to limit, if most is 0.
func inOrders(t *testing.T, known bool, scenario scenario, most int, prepare ...func(*schedule)) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		s := &schedule{}
		count := 0
		for ; s != nil && count < cmp.Or(most, limit); count++ {
			if most > 0 {
				s.random = random
			}
			for _, change := range prepare {
				change(s)
			}
			problem, outcomes := concurrent(s, known, scenario.before, scenario.requests)
			stored := len(slices.DeleteFunc(slices.Clone(outcomes), func(o string) bool { return o != "stored" }))
			if problem == "" && scenario.exactlyOne && stored > 1 {
				problem = fmt.Sprintf("%d requests were stored", stored)
			}
			if problem != "" {
				t.Fatalf("%s, in the order:\n%s", problem, strings.Join(s.steps, "\n"))
			}
			choices := s.following()
			if choices == nil && s.random == nil {
				s = nil
			} else {
				s = &schedule{choices: choices}
			}
		}
		if t.Logf("%d orders", count); count == limit {
			t.Error("there are more")
		}
	})
}

// A claim of a CREATE must not be closed because there is an object of its name: that one may go.
func TestAnotherObjectOfTheSameNameClosesNoClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a, b, c, d = 0, 1, 2, 3
		s := &schedule{plan: []int{a, a, a, a, a, b, b, b, b, b, b, c, c, c, c, d, a, c}}
		problem, outcomes := concurrent(s, true, nil, []request{{verb: "create", name: "a", values: "x"}, {verb: "create", name: "a", values: "y"}, {verb: "create", name: "b", values: "x"}, {verb: "delete", name: "a"}})
		if diff := gocmp.Diff([]string{"stored", "stored", "refused", ""}, outcomes); problem != "" || diff != "" {
			t.Errorf("%s (-want +got):\n%s\nin the order:\n%s", problem, diff, strings.Join(s.steps, "\n"))
		}
	})
}

func TestWithoutTheLedgerTheSameOrdersStoreOverlappingMeshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		overlaps, count := 0, 0
		for s := (&schedule{}); s != nil; count++ {
			k := &kubernetes{schedule: s, objects: map[string]*sail.ControlPlane{}}
			var actors []func()
			for i, what := range []request{{verb: "create", name: "a", values: "x y"}, {verb: "create", name: "b", values: "y z"}} {
				r := &replica{kubernetes: k, actor: i}
				actors = append(actors, func() {
					created := istio(what.name, what.name, "", what.values)
					stored, _ := r.Live(t.Context(), "")
					if overlapping(stored.With(created)) == "" {
						s.step(r.actor, "stores")
						k.objects[what.name] = created
					}
				})
			}
			s.run(actors)
			if overlapping(k.meshes()) != "" {
				overlaps++
			}
			choices := s.following()
			if s = nil; choices != nil {
				s = &schedule{choices: choices}
			}
		}
		if overlaps == 0 {
			t.Errorf("none of %d orders did, so the tests of the ledger prove nothing", count)
		}
	})
}

func TestTooManyConflictsAreAnErrorInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(never{}, never{}, Counters{Written: func() {}, Conflict: func() {}, Open: func(int) {}})
		start := time.Now()
		err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, func(State) bool { return true })
		if !errors.Is(err, errBusy) || time.Since(start) > admitTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// never is a ledger that somebody else always has written first.
type never struct{}

func (never) Recent() (Page, bool)                               { return Page{}, false }
func (never) Read(context.Context) (Page, error)                 { return Page{}, nil }
func (never) Live(context.Context, string) (mesh.Objects, error) { return mesh.Objects{}, nil }
func (never) Write(context.Context, Page, map[string]string) (types.UID, error) {
	return "", ErrConflict
}
