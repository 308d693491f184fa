package conditions

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

var (
	validatingResource = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")
	validatingGroup    = validatingResource.GroupResource()
)

// stored is a webhook configuration with a condition of ours between those of others.
func stored(keys ...string) *unstructured.Unstructured { return storedAs(sets.New(keys...)) }

func storedAs(keys keySet) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": "meshfence", "resourceVersion": "7", "labels": map[string]any{"a": "b"}},
		"webhooks": []any{
			map[string]any{"name": "istio.validate.meshfence.io", "futureField": "x"},
			map[string]any{"name": "namespace.validate.meshfence.io", "matchConditions": []any{
				map[string]any{"name": "a-person-s-own", "expression": "true"},
				map[string]any{"name": match.ConditionName, "expression": match.ValidateExpression(scopeOf(keys))},
			}},
		},
	}}
}

// bench is an Updater with one configuration, and what it stands on.
type bench struct {
	*Updater
	api *fake.FakeDynamicClient
	// cached and live are the keys of the meshes that the cache and the API server have.
	cached, live []string
}

func newBench(t *testing.T, objects ...runtime.Object) *bench {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{validatingResource: "ValidatingWebhookConfigurationList"}
	b := &bench{api: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...)}
	b.Updater = &Updater{
		configured:  []string{"istio-discovery"},
		fleet:       func() *mesh.Fleet { return mesh.NewFleet(meshes(b.cached)) },
		live:        func(context.Context) (mesh.Objects, error) { return meshes(b.live), nil },
		synced:      func() bool { return true },
		limiter:     rate.NewLimiter(rate.Inf, 1),
		narrowEvery: time.Hour, pending: map[string]int{},
		wake: make(chan struct{}, 1), writing: make(chan struct{}, 1),
	}
	b.configurations = []*configuration{{
		name: "meshfence", seen: store.New(conditionsOf, b.WakeUp),
		writer: writer{client: b.api.Resource(validatingResource), language: languages["validate"], writes: prometheus.NewCounter(prometheus.CounterOpts{Name: "w", Help: "h"})},
	}}
	b.watch(t)
	return b
}

// watch brings the last-seen state up to date, as the reflector does.
func (b *bench) watch(t *testing.T) {
	t.Helper()
	var objects []any
	object, err := b.api.Tracker().Get(validatingResource, "", "meshfence")
	if err == nil {
		objects = append(objects, object)
	} else if !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if err := b.configurations[0].seen.Replace(objects, ""); err != nil {
		t.Fatal(err)
	}
}

// requests returns the verbs of the requests since the last call.
func (b *bench) requests() string {
	var verbs []string
	for _, action := range b.api.Actions() {
		verbs = append(verbs, action.GetVerb())
	}
	b.api.ClearActions()
	return strings.Join(verbs, " ")
}

// wantStored compares the whole configuration.
func (b *bench) wantStored(t *testing.T, when string, keys ...string) {
	t.Helper()
	got, err := b.api.Tracker().Get(validatingResource, "", "meshfence")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored(keys...).Object, got.(*unstructured.Unstructured).Object); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
	b.watch(t)
}

func (b *bench) wantRequests(t *testing.T, when, want string) {
	t.Helper()
	if got := b.requests(); got != want {
		t.Errorf("%s: made the requests %q, want %q", when, got, want)
	}
}

// meshes have one selector each, of one of the keys; a key NAME=value is for the value, any other for x. Their control planes are
// where no namespace can be.
func meshes(keys []string) mesh.Objects {
	var objects mesh.Objects
	for _, key := range keys {
		cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: key}}
		cp.Spec.Namespace = "not.a.namespace"
		key, value, found := strings.Cut(key, "=")
		if !found {
			value = "x"
		}
		cp.Spec.Values.MeshConfig.DiscoverySelectors = []*metav1.LabelSelector{{MatchLabels: map[string]string{key: value}}}
		objects.Istios = append(objects.Istios, cp)
	}
	return objects
}

// of asks about label keys only.
func of(keys ...string) match.Scope { return match.Scope{Keys: keys} }

func TestEnsureAddsAKeyOnceAndTouchesNothingElse(t *testing.T) {
	b := newBench(t, stored("istio-discovery", "other"))
	if err := b.Ensure(t.Context(), of("new")); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a new key", "get patch")
	b.wantStored(t, "a new key", "istio-discovery", "other", "new")
	if err := b.Ensure(t.Context(), of("other", "new")); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "keys that are there", "")
}

// Without the test of the version, a change that a person makes between the read and the write would move the places that
// the patch names.
func TestPatchIsBoundToTheVersionThatWasRead(t *testing.T) {
	want := []operation{
		{Op: "test", Path: "/metadata/resourceVersion", Value: "7"},
		{Op: "replace", Path: "/webhooks/1/matchConditions/1/expression", Value: "new"},
	}
	if diff := cmp.Diff(want, patch(stored("mesh"), func(string) string { return "new" })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := patch(stored("mesh"), func(stored string) string { return stored }); got != nil {
		t.Errorf("nothing to change: got %v", got)
	}
}

// The patch that goes to the API server has that test too, and so is of no effect if the configuration has changed since.
func TestEveryWriteIsBoundToTheVersionThatWasRead(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	if err := b.Ensure(t.Context(), of("new")); err != nil {
		t.Fatal(err)
	}
	var written []operation
	for _, action := range b.api.Actions() {
		if patched, ok := action.(clienttesting.PatchAction); ok {
			if patched.GetPatchType() != types.JSONPatchType {
				t.Fatalf("a patch of the type %s", patched.GetPatchType())
			}
			if err := json.Unmarshal(patched.GetPatch(), &written); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []operation{
		{Op: "test", Path: "/metadata/resourceVersion", Value: "7"},
		{Op: "replace", Path: "/webhooks/1/matchConditions/1/expression", Value: match.ValidateExpression(of("istio-discovery", "new"))},
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnsureWritesNothingThatAnotherReplicaHasWritten(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	if err := b.api.Tracker().Update(validatingResource, stored("istio-discovery", "new"), ""); err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context(), of("new")); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "before the watch tells of it", "get")
}

func TestWithoutConfigurationNothingIsWritten(t *testing.T) {
	b := newBench(t)
	if err := b.Ensure(t.Context(), of("new")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.widen(t.Context()), b.narrow(t.Context())); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "no configuration", "")
}

func TestWriteIsTriedAgainIfSomebodyWasFaster(t *testing.T) {
	for name, outdated := range map[string]error{
		"conflict":         apierrors.NewConflict(validatingGroup, "meshfence", errors.New("changed")),
		"failed JSON test": apierrors.NewGenericServerResponse(422, "patch", validatingGroup, "meshfence", "testing value failed", 0, false),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, stored("istio-discovery"))
			failures := 3
			b.api.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
				failures--
				return failures >= 0, nil, outdated
			})
			if err := b.Ensure(t.Context(), of("new")); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b.wantRequests(t, name, "get patch get patch get patch get patch")
			b.wantStored(t, name, "istio-discovery", "new")

			failures = 1000
			start := time.Now()
			if err := b.Ensure(t.Context(), of("newer")); !errors.Is(err, outdated) {
				t.Errorf("%s, for ever: got %v, want the last answer", name, err)
			}
			if got, took := strings.Count(b.requests(), "patch"), time.Since(start); got > 10 || took > 5*time.Second {
				t.Errorf("%s, for ever: tried %d times in %v", name, got, took)
			}
		})
	}
}

func TestOtherFailuresAreHandedOn(t *testing.T) {
	forbidden := apierrors.NewForbidden(validatingGroup, "meshfence", errors.New("no"))
	for _, verb := range []string{"get", "patch"} {
		b := newBench(t, stored("istio-discovery"))
		b.api.PrependReactor(verb, "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
		if err := b.Ensure(t.Context(), of("new")); !errors.Is(err, forbidden) {
			t.Errorf("%s: got %v, want %v", verb, err, forbidden)
		}
	}
}

func TestEnsureWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	b.writing <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Ensure(ctx, of("new")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestOneWriteServesAllWhoWait(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	b.writing <- struct{}{}
	done := make(chan error)
	for _, key := range []string{"a", "b", "c"} {
		go func() { done <- b.Ensure(t.Context(), of(key)) }()
	}
	// All three have asked before the first may write.
	asked := func(context.Context) (bool, error) {
		return b.inUse().HasAll("a", "b", "c"), nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, asked); err != nil {
		t.Fatal(err)
	}
	<-b.writing
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := strings.Count(b.requests(), "patch"); got != 1 {
		t.Errorf("wrote %d times, want once", got)
	}
	b.wantStored(t, "all", "istio-discovery", "a", "b", "c")
}

func TestKeysOfTheFleetAreAddedAtOnce(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	b.cached = []string{"mesh"}
	if err := b.widen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a mesh with a new key", "get patch")
	b.wantStored(t, "a mesh with a new key", "istio-discovery", "mesh")
	if err := b.widen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "nothing new", "")
	b.synced = func() bool { return false }
	b.cached = []string{"mesh", "newer"}
	if err := b.widen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "not synced", "")
}

func TestKeyIsTakenAwayAtTheSecondPassWithoutUse(t *testing.T) {
	b := newBench(t, stored("istio-discovery", "cached", "live", "unused"))
	b.cached, b.live = []string{"cached"}, []string{"live"}
	pass := func(when, requests string, keys ...string) {
		t.Helper()
		if err := b.narrow(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wantRequests(t, when, requests)
		b.wantStored(t, when, keys...)
	}
	pass("the first pass", "", "istio-discovery", "cached", "live", "unused")
	pass("the second pass", "get patch", "istio-discovery", "cached", "live")
	pass("the third pass", "", "istio-discovery", "cached", "live")
	if err := b.Ensure(t.Context(), of("ensured")); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a key is ensured", "get patch")
	b.wantStored(t, "a key is ensured", "istio-discovery", "cached", "live", "ensured")
	pass("the pass in which it is first seen unused", "", "istio-discovery", "cached", "live", "ensured")
	pass("the pass after that", "get patch", "istio-discovery", "cached", "live")
}

// Names come and go as keys do.
func TestNamesOfNamespacesAreAskedAboutWhileASelectorHasThem(t *testing.T) {
	const shop = oneName + "shop"
	b := newBench(t, stored("istio-discovery"))
	b.cached, b.live = []string{shop}, []string{shop}
	if err := b.widen(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a mesh that selects by name", "get patch")
	b.wantStored(t, "a mesh that selects by name", "istio-discovery", shop)
	if err := b.Ensure(t.Context(), match.Scope{Names: []string{"shop"}}); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a name that is there", "")
	if err := b.Ensure(t.Context(), match.Scope{Names: []string{"cart"}}); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a new name", "get patch")
	b.wantStored(t, "a new name", "istio-discovery", shop, oneName+"cart")
	b.cached = nil
	for range 2 {
		if err := b.narrow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.wantStored(t, "the cache no longer has the mesh, but the API server does", "istio-discovery", shop)
	b.live = nil
	for range 2 {
		if err := b.narrow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.wantStored(t, "the mesh is gone", "istio-discovery")
	if err := b.Ensure(t.Context(), match.Scope{AnyName: true}); err != nil {
		t.Fatal(err)
	}
	b.requests()
	b.wantStored(t, "any name", "istio-discovery", anyName)
	if err := b.Ensure(t.Context(), match.Scope{Names: []string{"shop"}}); err != nil {
		t.Fatal(err)
	}
	b.wantRequests(t, "a name, while all are asked about", "")
}

func TestAnotherDiscoveryLabelIsAskedAboutSoonAndTheOldOneNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, stored("istio-discovery"))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Run(ctx)
		}()
		synctest.Wait() // It has looked, and found nothing to do.
		b.requests()
		began := time.Now()
		b.Configure([]string{"team"})
		synctest.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v of the clock", took)
		}
		b.wantRequests(t, "another discovery label", "get patch")
		b.wantStored(t, "another discovery label", "istio-discovery", "team")
		stop()
		<-ended
		for range 2 {
			if err := b.narrow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b.wantStored(t, "after two passes", "team")
	})
}

func TestADiscoveryLabelThatASelectorUsesStays(t *testing.T) {
	b := newBench(t, stored("istio-discovery"))
	b.cached = []string{"istio-discovery"}
	b.Configure(nil)
	for range 3 {
		if err := b.narrow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.wantRequests(t, "no discovery labels", "")
}

func TestKeyThatIsUsedAgainStays(t *testing.T) {
	b := newBench(t, stored("istio-discovery", "mesh"))
	for i, live := range [][]string{nil, {"mesh"}, nil, {"mesh"}} {
		b.live = live
		if err := b.narrow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.requests(); got != "" {
			t.Errorf("pass %d: made the requests %q", i, got)
		}
	}
}

func TestNothingIsTakenAwayWhenTheMeshesCannotBeRead(t *testing.T) {
	b := newBench(t, stored("istio-discovery", "mesh"))
	down := errors.New("down")
	b.Updater.live = func(context.Context) (mesh.Objects, error) { return mesh.Objects{}, down }
	for range 3 {
		if err := b.narrow(t.Context()); !errors.Is(err, down) {
			t.Errorf("got %v, want %v", err, down)
		}
	}
	b.wantRequests(t, "no live read", "")
}
