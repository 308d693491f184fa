package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/webhook/sail"
)

// numberKey is the annotation by which a stored change is found in the history.
const numberKey = "stress/operation"

// region is a set of namespaces: bit i stands for those with the labels of the universe's i-th set.
type region uint64

// universe returns every label set over two keys that selectors of this test can tell apart: without the key, with one of
// five values, with another one.
func universe() []labels.Set {
	var all []labels.Set
	values := []string{"", "v0", "v1", "v2", "v3", "v4", "other"}
	for _, first := range values {
		for _, second := range values {
			set := labels.Set{}
			if first != "" {
				set["first"] = first
			}
			if second != "" {
				set["second"] = second
			}
			all = append(all, set)
		}
	}
	return all
}

// randomSelectors returns one or two selectors. Most are narrow, so that several meshes fit into the universe.
func randomSelectors(random *rand.Rand) []metav1.LabelSelector {
	value := func() string { return fmt.Sprint("v", random.IntN(5)) }
	key := func() string { return []string{"first", "second"}[random.IntN(2)] }
	var list []metav1.LabelSelector
	for range 1 + random.IntN(2) {
		both := metav1.LabelSelector{MatchLabels: map[string]string{"first": value(), "second": value()}}
		switch k := key(); random.IntN(20) {
		case 0:
			list = append(list, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: k, Operator: "NotIn", Values: []string{value(), value()}}}})
		case 1:
			list = append(list, metav1.LabelSelector{MatchLabels: map[string]string{k: value()}})
		case 2:
			both.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: k, Operator: "Exists"}}
			list = append(list, both)
		case 3:
			list = append(list, metav1.LabelSelector{
				MatchLabels:      map[string]string{"first": value()},
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "second", Operator: "DoesNotExist"}},
			})
		default:
			list = append(list, both)
		}
	}
	return list
}

// grown adds selectors for a part of what the first one selects already, so that the region stays: mostly none, and up to
// 10,000.
func grown(random *rand.Rand, list []metav1.LabelSelector, operation int) []metav1.LabelSelector {
	more := 0
	switch roll := random.IntN(1000); {
	case roll < 4:
		more = 10000
	case roll < 30:
		more = 700 + random.IntN(3000)
	case roll < 150:
		more = 1 + random.IntN(300)
	}
	for i := range more {
		narrower := *list[0].DeepCopy()
		narrower.MatchExpressions = append(narrower.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: narrowKey, Operator: "In", Values: []string{fmt.Sprintf("%d-%d", operation, i)},
		})
		list = append(list, narrower)
	}
	return list
}

// narrowKey is asked for by the selectors that grown adds.
const narrowKey = "third"

// covered is the region of selectors, by apimachinery's own matching: the product's is what is tested.
func covered(list []metav1.LabelSelector) region {
	var r region
	for i := range list {
		selector, err := metav1.LabelSelectorAsSelector(&list[i])
		if err != nil {
			panic(err) // this test makes them
		}
		for bit, set := range universe() {
			if selector.Matches(set) {
				r |= 1 << bit
			}
		}
	}
	return r
}

// stressed returns an Istio with a control-plane namespace of its own.
func stressed(name string, list []metav1.LabelSelector, operation int) *unstructured.Unstructured {
	text, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	var items []any
	if err := json.Unmarshal(text, &items); err != nil {
		panic(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": sail.GroupVersion.String(), "kind": sail.KindIstio,
		"metadata": map[string]any{"name": name, "annotations": map[string]any{numberKey: strconv.Itoa(operation)}},
		"spec": map[string]any{
			"namespace": "istio-system-" + name, "version": "v1.30.3",
			"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": items}},
		},
	}}
}

// stored is one object at one moment.
type stored struct {
	uid    types.UID
	region region
}

// event is one change of what is stored.
type event struct {
	kind      watch.EventType
	name      string
	uid       types.UID
	version   string
	operation int // the last one that wrote the object
	region    region
}

// history is every revision of the meshes that the API server's watches have shown, from before the first.
type history struct {
	mu     sync.Mutex
	events []event
	there  map[string]bool
	ended  chan struct{}
	stop   context.CancelFunc
	err    error
}

// record watches the meshes, of which there are none yet.
func record(t *testing.T, config *rest.Config) *history {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	h := &history{there: map[string]bool{}, ended: make(chan struct{}), stop: stop}
	var group errgroup.Group
	for _, kind := range bothKinds(t, config) {
		there, version, err := kind.list(t.Context())
		must(t, err)
		if len(there) > 0 {
			t.Fatalf("%d meshes are there already", len(there))
		}
		group.Go(func() (err error) {
			for ctx.Err() == nil && err == nil {
				version, err = h.follow(ctx, &kind, version)
			}
			return err
		})
	}
	go func() {
		defer close(h.ended)
		h.err = group.Wait()
	}()
	t.Cleanup(func() { stop(); <-h.ended })
	return h
}

func istiosOf(t *testing.T, config *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	all, err := dynamic.NewForConfig(config)
	must(t, err)
	return all.Resource(sail.GroupVersion.WithResource("istios"))
}

// follow records one watch until it ends, and returns where the next one has to begin.
func (h *history) follow(ctx context.Context, kind *watched, version string) (string, error) {
	options := kind.options
	options.ResourceVersion = version
	w, err := kind.resource.Watch(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			return version, nil
		}
		return version, err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		object, ok := e.Object.(*unstructured.Unstructured)
		if ctx.Err() != nil {
			return version, nil // the end of it is no event
		}
		if !ok || e.Type == watch.Error {
			return version, fmt.Errorf("the watch ended with %v", e.Object)
		}
		version = object.GetResourceVersion()
		h.add(e.Type, kind.read(object))
	}
	return version, nil
}

func (h *history) add(kind watch.EventType, object *unstructured.Unstructured) {
	operation, _ := strconv.Atoi(object.GetAnnotations()[numberKey])
	e := event{kind: kind, name: object.GetName(), uid: object.GetUID(), version: object.GetResourceVersion(), operation: operation, region: regionOf(object)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	h.there[e.name] = true
	if kind == watch.Deleted {
		delete(h.there, e.name)
	}
}

// names returns what is stored, as far as the watch has shown.
func (h *history) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.there))
}

func regionOf(object *unstructured.Unstructured) region {
	items, _, _ := unstructured.NestedSlice(object.Object, "spec", "values", "meshConfig", "discoverySelectors")
	var list []metav1.LabelSelector
	for _, item := range items {
		var s metav1.LabelSelector
		fields, _ := item.(map[string]any)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &s); err != nil {
			panic(err)
		}
		if slices.ContainsFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Key == narrowKey }) {
			continue
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return ^region(0)
	}
	return covered(list)
}

// finish waits until the watch has shown what is stored now, and returns all events.
func (h *history) finish(t *testing.T, config *rest.Config) []event {
	t.Helper()
	want := map[string]string{}
	for _, kind := range bothKinds(t, config) {
		there, _, err := kind.list(t.Context())
		must(t, err)
		for i := range there {
			want[there[i].GetName()] = there[i].GetResourceVersion()
		}
	}
	var events []event
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		h.mu.Lock()
		events = slices.Clone(h.events)
		h.mu.Unlock()
		slices.SortStableFunc(events, byVersion)
		versions := map[string]string{}
		for _, e := range events {
			versions[e.name] = e.version
			if e.kind == watch.Deleted {
				delete(versions, e.name)
			}
		}
		return fmt.Sprint(versions) == fmt.Sprint(want), nil
	})
	if err != nil {
		t.Fatalf("the watch has not shown everything: %v", err)
	}
	h.stop()
	<-h.ended
	must(t, h.err)
	return events
}

// worlds returns what was stored before the first event and after each one.
func worlds(events []event) []map[string]stored {
	all := []map[string]stored{{}}
	for _, e := range events {
		next := map[string]stored{}
		for name, s := range all[len(all)-1] {
			next[name] = s
		}
		if e.kind == watch.Deleted {
			delete(next, e.name)
		} else {
			next[e.name] = stored{uid: e.uid, region: e.region}
		}
		all = append(all, next)
	}
	return all
}

// clashing returns the names of stored objects other than that one that share namespaces with the region.
func clashing(world map[string]stored, name string, r region) []string {
	var names []string
	for other, s := range world {
		if other != name && s.region&r != 0 {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	return names
}

// overlaps counts the events that made two stored meshes overlap, and describes the first ones.
func overlaps(events []event) (count int, first []string) {
	all := worlds(events)
	for i, e := range events {
		if e.kind == watch.Deleted {
			continue
		}
		before := clashing(all[i], e.name, all[i][e.name].region)
		for _, other := range clashing(all[i+1], e.name, e.region) {
			if !slices.Contains(before, other) {
				count++
				if len(first) < 5 {
					first = append(first, fmt.Sprintf("resourceVersion %s: %s %s, and overlaps with %s", e.version, e.kind, e.name, other))
				}
			}
		}
	}
	return count, first
}
