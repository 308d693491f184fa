package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// configMaps is an API server that has ConfigMaps, which never change, and nothing else.
type configMaps struct {
	// stored is the data of each, by name.
	stored map[string]map[string]any
	// held, if there is a channel for a name, holds up the answer to a list of that name until it is closed.
	held map[string]chan struct{}

	mu sync.Mutex
	// watched are the names that a watch is open for.
	watched map[string]int
}

func (s *configMaps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, isList := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Query().Get("watch") != "":
		w.(http.Flusher).Flush()
		s.count(name, +1)
		defer s.count(name, -1)
		<-r.Context().Done()
	case isList:
		if held := s.held[name]; held != nil {
			<-held
		}
		items := []any{}
		if data, ok := s.stored[name]; ok {
			items = append(items, named(name, data))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "metadata": map[string]any{"resourceVersion": "5"}, "items": items})
	default:
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		data, ok := s.stored[name]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"NotFound","code":404}`))
			return
		}
		_ = json.NewEncoder(w).Encode(named(name, data))
	}
}

func (s *configMaps) count(name string, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched[name] += change
	if s.watched[name] == 0 {
		delete(s.watched, name)
	}
}

// watches returns the names that a watch is open for.
func (s *configMaps) watches() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.watched)
}

func named(name string, data map[string]any) map[string]any {
	object := configMap(data).Object
	object["metadata"].(map[string]any)["name"] = name
	return object
}

// mapBench is a Cluster that knows everything but the mesh map, and reads that from a server.
type mapBench struct {
	*Cluster
	api      *configMaps
	registry *prometheus.Registry

	mu  sync.Mutex
	log []string
}

func newMapBench(t *testing.T, stored map[string]map[string]any, held map[string]chan struct{}) *mapBench {
	t.Helper()
	b := &mapBench{api: &configMaps{stored: stored, held: held, watched: map[string]int{}}, registry: prometheus.NewRegistry()}
	server := httptest.NewServer(b.api)
	t.Cleanup(server.Close)
	var err error
	if b.Cluster, err = New(&rest.Config{Host: server.URL}, Options{OnlySail: true, Namespace: "meshfence-system", Registerer: b.registry}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{b.istios.Replace(nil, ""), b.revisions.Replace(nil, ""), b.tags.Replace(nil, ""), b.namespaces.Replace(nil, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// start follows the mesh map until the test ends.
func (b *mapBench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(logr.NewContext(context.Background(), funcr.New(func(_, args string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.log = append(b.log, args)
	}, funcr.Options{})))
	b.meshMap.OnChange(func() { b.mapChanged(ctx) })
	var group sync.WaitGroup
	group.Go(func() { b.followMap(ctx) })
	group.Go(func() { b.buildFleets(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
}

// mapped returns the entries of the fleet's mesh map, of the names that these tests use.
func (b *mapBench) mapped() map[string]string {
	fleet, entries := b.Fleet(), map[string]string{}
	for _, name := range []string{"a", "mesh-1", "mesh-2"} {
		if revision, ok := fleet.Mapped(name); ok {
			entries[name] = revision
		}
	}
	return entries
}

// lines returns what was logged about entries of a mesh map.
func (b *mapBench) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, line := range b.log {
		if strings.Contains(line, "ignored an entry") {
			found = append(found, line)
		}
	}
	return found
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	poll := func(context.Context) (bool, error) { return condition(), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, poll); err != nil {
		t.Fatalf("not within ten seconds: %s", what)
	}
}

func (b *mapBench) wantFleet(t *testing.T, when string, want map[string]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s: the fleet has the map %v", when, want), func() bool { return maps.Equal(b.mapped(), want) })
}

func TestAnotherMeshMapReplacesTheOldOneWhenItHasBeenRead(t *testing.T) {
	held := make(chan struct{})
	b := newMapBench(t, map[string]map[string]any{
		"mesh-map": {"mesh-1": "old", "mesh-2": "old"}, "other": {"mesh-1": "new"},
	}, map[string]chan struct{}{"other": held})
	b.start(t)
	before := map[string]string{"mesh-1": "old", "mesh-2": "old"}
	b.wantFleet(t, "at the start", before)
	eventually(t, "the first name is watched", func() bool { return b.api.watches()["mesh-map"] == 1 })

	b.Reconfigure("other", nil)
	eventually(t, "the first name is watched no longer", func() bool { return len(b.api.watches()) == 0 })
	if got := b.mapped(); !maps.Equal(got, before) || b.Ready(nil) != nil || !b.Synced() {
		t.Errorf("before the other one is read: the fleet has the map %v, ready: %v, synced: %t", got, b.Ready(nil), b.Synced())
	}
	live, err := b.liveMap(t.Context())
	if diff := cmp.Diff(map[string]string{"mesh-1": "new"}, live); diff != "" || err != nil {
		t.Errorf("a live read: %v (-want +got):\n%s", err, diff)
	}
	builds := metric(t, b.registry, "meshfence_fleet_builds_total")
	close(held)
	b.wantFleet(t, "the other one has been read", map[string]string{"mesh-1": "new"})
	if got := metric(t, b.registry, "meshfence_fleet_builds_total") - builds; got != 1 {
		t.Errorf("%v fleets were built, want one: there is nothing between the old map and the new one", got)
	}
	eventually(t, "the other name alone is watched", func() bool { return maps.Equal(b.api.watches(), map[string]int{"other": 1}) })

	b.Reconfigure("nobody-made-it", nil)
	b.wantFleet(t, "a name that nothing has", map[string]string{})
	if live, err := b.liveMap(t.Context()); live != nil || err != nil {
		t.Errorf("a live read of a name that nothing has: %v, %v", live, err)
	}
	b.Reconfigure("", nil)
	b.wantFleet(t, "the default name", before)
	eventually(t, "the default name alone is watched", func() bool { return maps.Equal(b.api.watches(), map[string]int{"mesh-map": 1}) })
}

func TestTheLastOfManyNamesIsRead(t *testing.T) {
	b := newMapBench(t, map[string]map[string]any{"mesh-map": {"a": "0"}, "last": {"a": "9"}, "other": {"a": "5"}}, nil)
	b.Reconfigure("other", nil)
	b.start(t)
	b.wantFleet(t, "a name that was changed before the start", map[string]string{"a": "5"})
	for range 20 {
		b.Reconfigure("mesh-map", nil)
		b.Reconfigure("other", nil)
	}
	b.Reconfigure("last", nil)
	b.wantFleet(t, "after many changes", map[string]string{"a": "9"})
	eventually(t, "the last name alone is watched", func() bool { return maps.Equal(b.api.watches(), map[string]int{"last": 1}) })
}

func TestTheSameNameIsNotReadAgain(t *testing.T) {
	b := newMapBench(t, map[string]map[string]any{"mesh-map": {"a": "0"}}, nil)
	b.meshMap.OnChange(b.markDirty)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.readMap(t.Context(), "mesh-map")
	}()
	for _, label := range []string{"team", "squad"} {
		b.Reconfigure("mesh-map", []string{label})
		eventually(t, "a change of something else has been noticed", func() bool { return len(b.renamed) == 0 })
	}
	b.Reconfigure("other", nil)
	eventually(t, "the first name is no longer read", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
}

func TestBadEntriesAreToldOfEachMeshMap(t *testing.T) {
	bad := map[string]any{"mesh-1": ""}
	b := newMapBench(t, map[string]map[string]any{"mesh-map": bad, "other": bad}, nil)
	b.start(t)
	eventually(t, "the first is told of", func() bool { return len(b.lines()) == 1 && strings.Contains(b.lines()[0], `"configMap"="mesh-map"`) })
	b.Reconfigure("other", nil)
	eventually(t, "the second is told of", func() bool { return len(b.lines()) == 2 && strings.Contains(b.lines()[1], `"configMap"="other"`) })
}

func TestReadySaysWhichMeshMapIsMissing(t *testing.T) {
	c := newCluster(t, nil)
	c.Reconfigure("other", nil)
	if got := fmt.Sprint(c.Ready(nil)); !strings.HasSuffix(got, "the mesh map meshfence-system/other") {
		t.Errorf("got %q", got)
	}
}
