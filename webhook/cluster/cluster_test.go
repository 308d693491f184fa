package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// newCluster returns a Cluster whose API server nobody reaches.
func newCluster(t *testing.T, registry prometheus.Registerer) *Cluster {
	t.Helper()
	c, err := New(&rest.Config{Host: "http://127.0.0.1:1"}, Options{Namespace: "meshfence-system", OnlySail: true, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// metric returns a metric's value.
func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func configMap(data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "mesh-map", "namespace": "meshfence-system"}, "data": data,
	}}
}

func TestReadySaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		c.meshMap.OnChange(c.markDirty)
		ready := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := fmt.Sprint(c.Ready(nil)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if c.Synced() != (want == "<nil>") {
				t.Errorf("%s: Synced is %t", want, c.Synced())
			}
		}
		synced := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if meshes := c.Fleet().Meshes(); len(meshes) != 0 {
			t.Errorf("the first fleet has the meshes %v", meshes)
		}
		ready("not synced yet: istiorevisions, istiorevisiontags, istios, namespaces, the mesh map meshfence-system/mesh-map")
		synced(c.istios.Replace([]any{istio(nil)}, ""))
		synced(c.namespaces.Replace(nil, ""))
		synced(c.tags.Replace(nil, ""))
		ready("not synced yet: istiorevisions, the mesh map meshfence-system/mesh-map")
		synced(c.revisions.Replace(nil, ""))
		synced(c.meshMap.Replace(nil, ""))
		ready("not synced yet: the fleet is being built")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.buildFleets(ctx)
		ready("<nil>")
		if meshes := c.Fleet().Meshes(); len(meshes) != 1 {
			t.Errorf("the fleet has the meshes %v, want one", meshes)
		}
	})
}

func TestFleetIsBuiltOnlyWhenSomethingInItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		c := newCluster(t, registry)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.meshMap.OnChange(func() { c.mapChanged(ctx) })
		for _, err := range []error{
			c.istios.Replace([]any{istio(nil)}, ""), c.revisions.Replace(nil, ""), c.tags.Replace(nil, ""), c.meshMap.Replace(nil, ""), c.namespaces.Replace(nil, ""),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		go c.buildFleets(ctx)
		for _, step := range []struct {
			name   string
			err    func() error
			builds float64
		}{
			{"all is read", func() error { return nil }, 1},
			{"a status", func() error { return c.istios.Update(istio(set("x", "status", "state"))) }, 1},
			{"a namespace", func() error { return c.namespaces.Add(object("a", "")) }, 1},
			{"a bad entry of the mesh map", func() error { return c.meshMap.Add(configMap(map[string]any{"a": ""})) }, 1},
			{"a good entry of the mesh map", func() error { return c.meshMap.Update(configMap(map[string]any{"a": "", "b": "c"})) }, 2},
			{"the mesh map goes", func() error { return c.meshMap.Delete(configMap(nil)) }, 3},
			{"a selector", func() error {
				return c.istios.Update(istio(set([]any{}, "spec", "values", "meshConfig", "discoverySelectors")))
			}, 4},
			{"the mesh goes", func() error { return c.istios.Delete(istio(nil)) }, 5},
		} {
			if err := step.err(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := metric(t, registry, "meshfence_fleet_builds_total"); got != step.builds {
				t.Errorf("%s: %v fleets were built so far, want %v", step.name, got, step.builds)
			}
		}
	})
}

func TestBadEntriesOfTheMeshMapAreToldOncePerChange(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newCluster(t, registry)
	var lines []string
	ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	c.meshMap.OnChange(func() { c.mapChanged(ctx) })
	for _, step := range []struct {
		name string
		data map[string]any
		bad  float64
		told int
	}{
		{"valid", map[string]any{"mesh-1": "mesh-1"}, 0, 0},
		{"two bad entries", map[string]any{"mesh-1": "mesh-1", "mesh-2": "", "mesh-3": "a b"}, 2, 2},
		{"another entry changes", map[string]any{"mesh-1": "stable", "mesh-2": "", "mesh-3": "a b"}, 2, 2},
		{"one is repaired", map[string]any{"mesh-1": "stable", "mesh-2": "x", "mesh-3": "a b"}, 1, 3},
		{"all are", map[string]any{"mesh-1": "stable", "mesh-2": "x", "mesh-3": "y"}, 0, 3},
	} {
		if err := c.meshMap.Update(configMap(step.data)); err != nil {
			t.Fatal(err)
		}
		if got := metric(t, registry, "meshfence_mesh_map_bad_entries"); got != step.bad || len(lines) != step.told {
			t.Errorf("%s: %v bad entries, want %v; %d log lines so far, want %d:\n%s", step.name, got, step.bad, len(lines), step.told, strings.Join(lines, "\n"))
		}
	}
	want := `"level"=0 "msg"="ignored an entry of the mesh map" "namespace"="meshfence-system" "configMap"="mesh-map" ` +
		`"problem"="data[mesh-2]: Required value: a mesh map entry is <mesh name>: <revision or tag>, neither empty"`
	if diff := cmp.Diff(want, lines[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	newCluster(t, registry)
	if _, err := New(&rest.Config{}, Options{OnlySail: true, Registerer: registry}); err == nil {
		t.Error("no error for a second registration")
	}
}

func TestUnusableConfigurationIsAnError(t *testing.T) {
	if _, err := New(&rest.Config{Host: ":::"}, Options{OnlySail: true}); err == nil {
		t.Error("no error")
	}
}
