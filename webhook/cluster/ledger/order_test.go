package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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
	return r.ledger.UID, nil
}

// schedule decides the order of the steps. A run is told by its choices: which of those who can go on does.
type schedule struct {
	mu      sync.Mutex // of waiting and ended: those who pause before another try go on at the same time
	waiting map[int]chan struct{}
	ended   int
	steps   []string
	// plan, if there is one, says whose steps come first; who cannot take a step is passed over.
	plan []int
	// choices are made in advance; taken and options are those that were made, and how many there were each time.
	choices        []int
	random         *rand.Rand
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

// overlapping returns two meshes that overlap, or "".
func overlapping(objects mesh.Objects) string {
	meshes := mesh.NewFleet(objects).Meshes()
	for i, a := range meshes {
		for _, b := range meshes[:i] {
			if mesh.Compare(a, 0).Overlaps(b) {
				return fmt.Sprintf("%s and %s", b, a)
			}
		}
	}
	return ""
}

// request is what a client does, through an API server that asks its own replica.
type request struct {
	verb, name, values string
}

// do executes the request as the API server does: an UPDATE is judged again if the object has changed meanwhile.
func (r *replica) do(what request, report func(outcome string)) {
	ledger := r.replicas[r.actor]
	uid := fmt.Sprintf("uid-%d", r.actor)
	for {
		change := Change{New: istio(what.name, uid, "", what.values)}
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
			change = Change{Old: old, New: istio(what.name, old.Metadata.UID, old.Metadata.ResourceVersion, what.values)}
		}
		allowed := false
		if err := ledger.Admit(context.Background(), change, func(state State) bool {
			allowed = true
			for _, world := range Worlds(state.Stored, state.Claims) {
				allowed = allowed && overlapping(world.With(change.New)) == ""
			}
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
	return problem, outcomes
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
		"two creates": {nil, []request{{"create", "a", "x y"}, {"create", "b", "y z"}}, true},
		"a create and an update": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{"update", "a", "x y"}, {"create", "b", "y"}}, true,
		},
		"two updates that take the same": {ab, []request{{"update", "a", "x z"}, {"update", "b", "y z"}}, true},
		"two updates that swap":          {ab, []request{{"update", "a", "y"}, {"update", "b", "x"}}, false},
		"a shrinking update and a create of what it leaves": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x y")}, []request{{"update", "a", "x"}, {"create", "b", "y"}}, false,
		},
		"two creates of one name and one beside them": {
			nil, []request{{"create", "a", "x"}, {"create", "a", "y"}, {"create", "b", "y"}}, false,
		},
		"two updates of one object and a create beside them": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{"update", "a", "y"}, {"update", "a", "z"}, {"create", "b", "y"}}, false,
		},
		"two creates of one name, a delete and one beside them": {
			nil, []request{{"create", "a", "x"}, {"create", "a", "y"}, {"delete", "a", ""}, {"create", "b", "y"}}, false,
		},
		"a delete and two creates": {
			[]*sail.ControlPlane{istio("a", "uid-a", "1", "x")}, []request{{"delete", "a", ""}, {"create", "b", "x"}, {"create", "a", "x"}}, false,
		},
		"three creates in a ring": {
			nil, []request{{"create", "a", "x y"}, {"create", "b", "y z"}, {"create", "c", "z x"}}, true,
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

func inEveryOrder(t *testing.T, known bool, scenario scenario) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		s := &schedule{}
		count := 0
		most := limit
		if !fewOrders(scenario.requests) {
			most = runs
		}
		for ; s != nil && count < most; count++ {
			if !fewOrders(scenario.requests) {
				s.random = random
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
		problem, outcomes := concurrent(s, true, nil, []request{{"create", "a", "x"}, {"create", "a", "y"}, {"create", "b", "x"}, {"delete", "a", ""}})
		if diff := cmp.Diff([]string{"stored", "stored", "refused", ""}, outcomes); problem != "" || diff != "" {
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
			for i, what := range []request{{"create", "a", "x y"}, {"create", "b", "y z"}} {
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
