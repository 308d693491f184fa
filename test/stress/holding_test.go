package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// TestHoldingUp has clients leave changes of meshes behind that are not stored, in every way that there is, and more than they may:
// others are held up by what overlaps alone, and for as long as they are told.
func TestHoldingUp(t *testing.T) {
	s, _ := startRacing(t)
	t.Run("a change is repeated and given up each time", s.repeatedChange)
	t.Run("what would discover everything is refused elsewhere", s.everythingInFlight)
	t.Run("an UPDATE is refused elsewhere", s.updateRefusedElsewhere)
	t.Run("objects of the size that etcd stores, and larger", s.sizes)
	t.Run("the ledger is deleted, emptied and filled by hand", s.ledgerByHand)
	if !long() {
		return
	}
	t.Run("creations are repeated and refused elsewhere each time", s.repeatedCreation)
	t.Run("two users have 15 changes in flight each", s.twoUsers)
	t.Run("a user is over the bound, also as another one's impersonator", s.overTheBound)
	t.Run("very many large dry runs of one user", s.dryRuns)
}

// holding is how long a claim counts in these tests. The real time is two minutes.
const holding = 5 * time.Second

// leeway is for the time between a claim and the moment at which another replica sees it first, on a busy machine, and the whole
// seconds that times are told in.
const leeway = 4 * time.Second

// holdingOptions are those of a meshfence whose claims do not count for long.
func (s *suite) holdingOptions(t *testing.T) harness.ProcessOptions {
	t.Helper()
	return harness.ProcessOptions{Binary: s.buildFaulty(t), Env: []string{"MESHFENCE_TEST_LIFETIME=" + holding.String()}}
}

// userIstios are the Istios as a user sees them who may do everything.
func (s *suite) userIstios(t *testing.T, user string) dynamic.ResourceInterface {
	t.Helper()
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	return istiosOf(t, config)
}

// claimKeys are the keys of the ledger's entries.
func (s *suite) claimKeys(t *testing.T) []string {
	t.Helper()
	ledger := &corev1.ConfigMap{}
	must(t, client.IgnoreNotFound(s.Client.Get(t.Context(), client.ObjectKey{Namespace: harness.Namespace, Name: "meshfence-claims"}, ledger)))
	return slices.Sorted(maps.Keys(ledger.Data))
}

// newClaim waits for a claim that was not among these.
func (s *suite) newClaim(t *testing.T, before []string) {
	t.Helper()
	s.eventually(t, "the change is claimed", func() bool {
		return slices.ContainsFunc(s.claimKeys(t), func(key string) bool { return !slices.Contains(before, key) })
	})
}

// isClaimed reports whether a claim is written within three seconds that was not among these.
func (s *suite) isClaimed(t *testing.T, before []string) bool {
	t.Helper()
	return wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 3*time.Second, true, func(context.Context) (bool, error) {
		return slices.ContainsFunc(s.claimKeys(t), func(key string) bool { return !slices.Contains(before, key) }), nil
	}) == nil
}

// told is what is said of a change in flight: whose, and until when it can be.
var told = regexp.MustCompile(`This conflicts with a request that (?:creates|changes) Istio "([^"]*)", admitted at \S+ and not stored yet\. Try again: ` +
	`that request has ended by (\S+) at the latest`)

// lostUntil is what is said of a ledger that is gone.
var lostUntil = regexp.MustCompile(`the ledger of changes in flight was deleted or replaced; (meshfence) waits until (\S+),`)

// untilAdmitted tries a change again and again until it is admitted, and returns how long that took. Each refusal must be what
// the pattern says, of what it says, and no request may be refused that has begun after the time that the first one was told.
func (s *suite) untilAdmitted(t *testing.T, pattern *regexp.Regexp, of string, change func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	var end time.Time
	for {
		asked := time.Now()
		err := change()
		if err == nil {
			break
		}
		found := pattern.FindStringSubmatch(err.Error())
		if len(found) < 3 || found[1] != of {
			t.Fatalf("%v; want to be told to wait for %s", err, of)
		}
		until, err := time.Parse(time.RFC3339, found[2])
		must(t, err)
		if end.IsZero() {
			end = until
		}
		if asked.After(end.Add(leeway)) {
			t.Fatalf("refused at %v, but told to wait until %v at first, and until %v now", asked, end, until)
		}
	}
	if end.IsZero() {
		t.Errorf("nothing was held up by %s, so nothing was tested", of)
	}
	return since(begin)
}

// giveUp begins a request that another webhook is asked about, waits until it is claimed, and goes away.
func (n *neighbour) giveUp(t *testing.T, request func(context.Context) error) {
	t.Helper()
	before := n.claimKeys(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- request(ctx) }()
	n.waitAsked(t)
	n.newClaim(t, before)
	cancel()
	if err := <-answer; err == nil {
		t.Fatal("a request that was given up was stored")
	}
	select { // or it would take the answer to another request
	case <-n.gone:
	case <-time.After(30 * time.Second):
		t.Fatal("the API server has not given it up")
	}
}

// refuse has another webhook refuse a request that meshfence has admitted.
func (n *neighbour) refuse(t *testing.T, request func() error) {
	t.Helper()
	before := n.claimKeys(t)
	answer := make(chan error, 1)
	go func() { answer <- request() }()
	n.waitAsked(t)
	n.newClaim(t, before)
	n.answer <- false
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "the neighbour says no") {
		t.Fatalf("%v; want the refusal of the other webhook", err)
	}
}

// refusedByMeshfence has another webhook allow a request that meshfence refuses, and returns the refusal.
func (n *neighbour) refusedByMeshfence(t *testing.T, request func() error) error {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- request() }()
	n.waitAsked(t)
	n.answer <- true
	err := <-answer
	if err == nil {
		t.Fatal("it was stored")
	}
	return err
}

func create(ctx context.Context, istios dynamic.ResourceInterface, name string, list []metav1.LabelSelector) error {
	_, err := istios.Create(ctx, stressed(name, list, 0), metav1.CreateOptions{})
	return err
}

// createNeighbouring creates a mesh that the other webhook is asked about.
func createNeighbouring(ctx context.Context, istios dynamic.ResourceInterface, name string, list []metav1.LabelSelector) error {
	_, err := istios.Create(ctx, neighbouring(stressed(name, list, 0)), metav1.CreateOptions{})
	return err
}

// repeatedChange has a client with a short timeout repeat the same patch of one mesh.
func (s *suite) repeatedChange(t *testing.T) {
	s.install(t, 2, s.holdingOptions(t))
	n := s.startNeighbour(t)
	tenant, others := s.userIstios(t, "tenant"), istiosOf(t, s.Config)
	n.answer <- true
	must(t, createNeighbouring(t.Context(), others, "mine", selecting("mine")))
	n.waitAsked(t)
	must(t, create(t.Context(), others, "other", selecting("other")))
	wanted, times := append(selecting("mine"), selecting("wanted")...), choose(8, 50)
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": wanted}}}})
	must(t, err)
	take := func() error {
		return patchSelectors(t, others, "other", append(selecting("other"), selecting("wanted")...), metav1.DryRunAll)
	}
	for i := range times {
		n.giveUp(t, func(ctx context.Context) error {
			_, err := tenant.Patch(ctx, "mine", types.MergePatchType, text, metav1.PatchOptions{})
			return err
		})
		// What does not overlap is stored, and its claim closed by what is written next.
		must(t, patchSelectors(t, others, "other", append(selecting("other"), selecting(fmt.Sprint("more-", i))...)))
		if claims := s.claimKeys(t); len(claims) > 2 {
			t.Fatalf("%d claims after %d tries of one change", len(claims), i+1)
		}
	}
	held := s.untilAdmitted(t, told, "mine", take)
	n.answer <- true // the same user can do it in the end
	must(t, patchSelectors(t, tenant, "mine", wanted))
	n.waitAsked(t)
	count(t, "the same change of one mesh, given up %d times: one claim at a time; what overlaps was held up for %v after the last, with claims of %v", times, held, holding)
}

// repeatedCreation has a client create a mesh again and again, each of which is another one for the API server.
func (s *suite) repeatedCreation(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	tenant, others := s.userIstios(t, "tenant"), istiosOf(t, s.Config)
	const bound = 10
	for range bound { // not given up by the client: meshfence would take back the claim of a request that goes before it has answered
		n.refuse(t, func() error {
			return createNeighbouring(t.Context(), tenant, "again", selecting("again"))
		})
	}
	for range choose(2, 40) {
		if err := n.refusedByMeshfence(t, func() error {
			return createNeighbouring(t.Context(), tenant, "again", selecting("again"))
		}); !apierrors.IsTooManyRequests(err) || !strings.Contains(err.Error(), `10 changes of Istio "again" were admitted and are not stored`) {
			t.Fatalf("%v; want to be told that there are too many", err)
		}
	}
	must(t, create(t.Context(), others, "other", selecting("other")))
	if err := create(t.Context(), others, "overlaps", selecting("again")); classify(err) != inFlight {
		t.Errorf("%v; want to be told of the creation in flight", err)
	}
	// With claims that end sooner: the claims of before end too, counted from when these replicas see them.
	s.replaceReplicas(t, s.holdingOptions(t))
	held := s.soon(t, holding+time.Minute, "the user can do it in the end", func() bool {
		n.answer <- true
		err := createNeighbouring(t.Context(), tenant, "again", selecting("again"))
		n.waitAsked(t)
		if outcome := classify(err); outcome != done && outcome != tooMany && outcome != busy { // busy, as replicas were replaced
			t.Fatal(err)
		}
		return err == nil
	})
	count(t, "%d creations of one mesh, refused elsewhere: the next was told to wait, others went on; it was stored after %v, with claims of %v", bound, held, holding)
}

// replaceReplicas kills all replicas and starts as many others.
func (s *suite) replaceReplicas(t *testing.T, options harness.ProcessOptions) {
	t.Helper()
	for _, process := range slices.Clone(s.replicas) {
		must(t, process.Kill())
		s.dropReplica(process)
		s.addReplica(t, options)
	}
	s.balancer.Disconnect()
}

// everythingInFlight has a mesh that discovers everything admitted, as the first one, and refused elsewhere.
func (s *suite) everythingInFlight(t *testing.T) {
	s.install(t, 2, s.holdingOptions(t))
	n := s.startNeighbour(t)
	tenant, others := s.userIstios(t, "tenant"), istiosOf(t, s.Config)
	everything := []metav1.LabelSelector{{}}
	n.refuse(t, func() error { return createNeighbouring(t.Context(), tenant, "everything", everything) })
	held := s.untilAdmitted(t, told, "everything", func() error { return create(t.Context(), others, "first", selecting("first")) })
	// As soon as there is another mesh it is refused at once, and holds up nothing.
	before := s.claimKeys(t)
	for range 3 {
		if err := n.refusedByMeshfence(t, func() error {
			return createNeighbouring(t.Context(), tenant, "everything", everything)
		}); classify(err) != denied {
			t.Fatalf("%v; want a denial", err)
		}
	}
	if after := s.claimKeys(t); !slices.Equal(before, after) {
		t.Errorf("claims %v, before the denials %v", after, before)
	}
	must(t, create(t.Context(), others, "second", selecting("second")))
	// What changes to it in flight is refused too, by what is stored.
	if err := patchSelectors(t, tenant, "first", everything); classify(err) != denied {
		t.Errorf("%v; want a denial", err)
	}
	must(t, create(t.Context(), others, "third", selecting("third")))
	count(t, "a first mesh that discovers everything, refused elsewhere: others were held up for %v, with claims of %v; as a second one, not at all", held, holding)
}

// updateRefusedElsewhere has an UPDATE refused by another webhook. Its claim ends when the object is stored in another version.
func (s *suite) updateRefusedElsewhere(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	istios := istiosOf(t, s.Config)
	n.answer <- true
	must(t, createNeighbouring(t.Context(), istios, "mine", selecting("mine")))
	n.waitAsked(t)
	n.refuse(t, func() error {
		return patchSelectors(t, istios, "mine", append(selecting("mine"), selecting("wanted")...))
	})
	if err := create(t.Context(), istios, "other", selecting("wanted")); classify(err) != inFlight {
		t.Fatalf("%v; want to be told of the change in flight", err)
	}
	n.answer <- true
	_, err := istios.Patch(t.Context(), "mine", types.MergePatchType, []byte(`{"metadata":{"labels":{"any":"label"}}}`), metav1.PatchOptions{})
	must(t, err)
	n.waitAsked(t)
	must(t, create(t.Context(), istios, "other", selecting("wanted")))
	count(t, "a change that another webhook refused held up what overlaps until its mesh was stored again")
}

// roomInEtcd is how large an object may be, in bytes; docs/limits.md.
const roomInEtcd = 3<<19 - 4<<10

// sizes creates objects around the size of what etcd stores, with fields that are not judged, and larger ones with labels and with
// annotations, and gives one a status of that size. What is not stored is refused before it is claimed, and holds up nothing.
func (s *suite) sizes(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	istios := istiosOf(t, s.Config)
	must(t, create(t.Context(), istios, "beside", selecting("beside")))
	for i, size := range []int{roomInEtcd - 200, roomInEtcd + 200, 3<<19 - 300, 3 << 19, 2 << 20, 5 << 19} {
		name := fmt.Sprint("large-", i)
		_, err := istios.Create(t.Context(), padded(t, istios, name, size), metav1.CreateOptions{})
		if fits := size <= roomInEtcd; fits && err != nil || !fits && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "that etcd has room for")) {
			t.Errorf("%d bytes: %.300v", size, err)
		}
		if err != nil {
			must(t, create(t.Context(), istios, fmt.Sprint("after-", i), selecting(name)))
		}
	}
	before := s.claimKeys(t)
	values := make(map[string]string)
	for i := range 15000 {
		values[fmt.Sprintf("%s-%06d", strings.Repeat("k", 50), i)] = strings.Repeat("v", 60)
	}
	labelled, annotated := stressed("labelled", selecting("labelled"), 0), stressed("annotated", selecting("labelled"), 0)
	labelled.SetLabels(values)
	annotated.SetAnnotations(values)
	for _, object := range []*unstructured.Unstructured{labelled, annotated} {
		if _, err := istios.Create(t.Context(), object, metav1.CreateOptions{}); err == nil {
			t.Errorf("%s is stored", object.GetName())
		}
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{"state": strings.Repeat("x", 2<<20)}})
	must(t, err)
	if _, err := istios.Patch(t.Context(), "beside", types.MergePatchType, status, metav1.PatchOptions{}, "status"); err == nil {
		t.Error("the status is stored")
	}
	if after := s.claimKeys(t); !slices.Equal(before, after) {
		t.Errorf("claims %v, before %v", after, before)
	}
	must(t, create(t.Context(), istios, "last", selecting("labelled")))
	count(t, "objects of up to %d bytes were stored; larger ones, with labels, annotations or a status too, were refused and held up nothing", roomInEtcd-200)
}

// padded returns a mesh that has so many bytes when it is judged, by a field that is not.
func padded(t *testing.T, istios dynamic.ResourceInterface, name string, size int) *unstructured.Unstructured {
	t.Helper()
	with := func(padding int) *unstructured.Unstructured {
		object := stressed(name, selecting(name), 0)
		must(t, unstructured.SetNestedField(object.Object, strings.Repeat("x", padding), "spec", "values", "pilot", "env", "PADDING"))
		return object
	}
	const some = 1000
	judged, err := istios.Create(t.Context(), with(some), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	must(t, err)
	text, err := judged.MarshalJSON()
	must(t, err)
	return with(some + size - len(text))
}

// twoUsers has two users leave 15 changes each, of meshes of their own.
func (s *suite) twoUsers(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	others := istiosOf(t, s.Config)
	for i := range 15 {
		for _, user := range []string{"jane", "joe"} {
			name := fmt.Sprint(user, "-", i)
			istios := s.userIstios(t, user)
			n.refuse(t, func() error { return createNeighbouring(t.Context(), istios, name, selecting(name)) })
		}
	}
	for i := range 15 {
		must(t, create(t.Context(), others, fmt.Sprint("other-", i), selecting(fmt.Sprint("other-", i))))
		if err := create(t.Context(), others, "overlaps", selecting(fmt.Sprint("joe-", i))); classify(err) != inFlight || !strings.Contains(err.Error(), fmt.Sprintf(`"joe-%d"`, i)) {
			t.Errorf("%v; want to be told of the creation of joe-%d", err, i)
		}
	}
	// Each can do it after all, in another way.
	must(t, create(t.Context(), s.userIstios(t, "jane"), "jane-0", selecting("jane-0")))
	count(t, "two users with 15 changes in flight each: 15 other meshes were stored, what overlaps was told of the very one")
}

// overTheBound fills one user's share of the ledger with selectors that cannot be compressed.
func (s *suite) overTheBound(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	random := rand.New(rand.NewPCG(1, 2))
	list := func() (list []metav1.LabelSelector) {
		for range 450 {
			list = append(list, selecting(fmt.Sprintf("%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64()))...)
		}
		return list
	}
	// The same person sends them all, and may impersonate others: what counts is who the request is made as.
	as := func(user string, number int) func() error {
		istios, selectors := s.userIstios(t, user), list()
		return func() error {
			return createNeighbouring(t.Context(), istios, fmt.Sprintf("%s-%d", user, number), selectors)
		}
	}
	fit := 0
	for ; fit < 20; fit++ {
		before := s.claimKeys(t)
		answer, request := make(chan error, 1), as("jane", fit)
		go func() { answer <- request() }()
		n.waitAsked(t)
		if s.isClaimed(t, before) {
			n.answer <- false
			if err := <-answer; err == nil {
				t.Fatal("it is stored, although the neighbour refused it")
			}
			continue
		}
		// The API server shows one refusal of several: with the neighbour's yes it is meshfence's.
		n.answer <- true
		if err := <-answer; !apierrors.IsTooManyRequests(err) {
			t.Fatalf("%v; want to be told that there are too many", err)
		}
		break
	}
	if fit < 2 || fit == 20 {
		t.Fatalf("%d changes of one user fit", fit)
	}
	n.refuse(t, as("joe", 0)) // who has room
	must(t, create(t.Context(), istiosOf(t, s.Config), "other", selecting("other")))
	count(t, "%d changes of 450 random selectors fill one user's share; others' are admitted, also those that the same person makes as another user", fit)
}

// dryRuns has one user send very many large changes that are refused, as dry runs, which leave nothing. Others are answered meanwhile.
func (s *suite) dryRuns(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	tenant, others := s.userIstios(t, "tenant"), istiosOf(t, s.Config)
	for _, name := range []string{"taken", "quick"} {
		must(t, create(t.Context(), others, name, selecting(name)))
	}
	before := s.claimKeys(t)
	for _, selectors := range []int{choose(300, 3000), choose(1000, 9000)} { // in the long form bodies of more than 256 KiB too
		list := selecting("taken")
		for i := range selectors {
			list = append(list, selecting(fmt.Sprintf("its-own-%06d", i))...)
		}
		ctx, cancel := context.WithCancel(t.Context())
		outcomes := make(chan outcome, 60)
		var sending errgroup.Group
		for range cap(outcomes) {
			sending.Go(func() error {
				for {
					_, err := tenant.Create(ctx, stressed("refused", list, 0), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
					if ctx.Err() != nil {
						return nil
					}
					select {
					case outcomes <- classify(err):
					default: // there are enough
					}
				}
			})
		}
		took := make([]time.Duration, choose(10, 100))
		var failed error
		for i := range took {
			begin := time.Now()
			if err := patchSelectors(t, others, "quick", append(selecting("quick"), selecting(fmt.Sprint("more-", i))...)); err != nil {
				failed = err
			}
			took[i] = since(begin)
		}
		counts := map[outcome]int{}
		for range cap(outcomes) {
			counts[<-outcomes]++
		}
		cancel()
		must(t, sending.Wait())
		slices.Sort(took)
		count(t, "60 clients of one user with dry runs of %d selectors, without end: %v; changes by another meanwhile: p50 %v, p99 %v, at most %v",
			selectors, counts, took[len(took)/2], took[(len(took)-1)*99/100], took[len(took)-1])
		if failed != nil {
			t.Error(failed)
		}
		if counts[denied] == 0 {
			t.Error("none was judged")
		}
	}
	must(t, create(t.Context(), others, "last", selecting("last"))) // which closes the claims of changes that are stored
	if after := s.claimKeys(t); len(after) > len(before)+1 {
		t.Errorf("dry runs have left claims: %v, before %v", after, before)
	}
}

// ledgerByHand damages the ledger while a change is in flight, with one replica that has judged it and one that has only watched.
func (s *suite) ledgerByHand(t *testing.T) {
	s.install(t, 1, s.holdingOptions(t))
	judging := s.replicas[0]
	n := s.startNeighbour(t)
	istios := istiosOf(t, s.Config)
	must(t, create(t.Context(), istios, "before", selecting("before")))
	watching := s.addReplica(t, s.holdingOptions(t))
	s.balancer.Remove(watching)
	claims := client.ObjectKey{Namespace: harness.Namespace, Name: "meshfence-claims"}
	admin := s.newClient(t, s.Config)
	for i, asked := range []*harness.Process{judging, watching, judging} {
		name := fmt.Sprint("value-", i)
		answer := make(chan error, 1)
		keys := s.claimKeys(t)
		go func() {
			answer <- createNeighbouring(t.Context(), istios, fmt.Sprint("slow-", i), selecting(name))
		}()
		n.waitAsked(t)
		n.newClaim(t, keys)
		must(t, admin.Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: claims.Namespace, Name: claims.Name}}))
		if err := create(t.Context(), istios, "too-early", selecting(name)); err == nil || !lostUntil.MatchString(err.Error()) {
			t.Errorf("%v; want to be told that the ledger is gone", err)
		}
		n.answer <- true
		must(t, <-answer)
		s.balancer.Remove(judging)
		s.balancer.Remove(watching)
		s.balancer.Disconnect()
		s.balancer.Add(asked)
		held := s.untilAdmitted(t, lostUntil, "meshfence", func() error {
			return create(t.Context(), istios, fmt.Sprint("after-", i), selecting(fmt.Sprint("after-", i)))
		})
		if err := create(t.Context(), istios, fmt.Sprint("overlaps-", i), selecting(name)); classify(err) != denied {
			t.Errorf("%v; want a denial because of what is stored", err)
		}
		count(t, "the ledger was deleted: changes were refused for %v, with claims of %v", held, holding)
	}
	// Emptied: what was in flight is missed, as the docs say, but nothing else goes wrong.
	must(t, admin.Patch(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: claims.Namespace, Name: claims.Name}},
		client.RawPatch(types.MergePatchType, []byte(`{"data":null,"binaryData":{"k":"AAECAw=="}}`))))
	must(t, create(t.Context(), istios, "after-emptied", selecting("after-emptied")))
	if err := create(t.Context(), istios, "overlaps", selecting("after-emptied")); classify(err) != denied {
		t.Errorf("%v; want a denial because of what is stored", err)
	}
}
