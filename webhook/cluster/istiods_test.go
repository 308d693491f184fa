package cluster

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/webhook/istiod"
)

func meshConfigOf(namespace, version, text string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "istio-a", "namespace": namespace, "uid": namespace, "resourceVersion": version, "labels": map[string]any{"istio.io/rev": "a"}},
		"data":     map[string]any{"mesh": text},
	}}
}

func TestIstiodsAreKeptByNamespaceAndName(t *testing.T) {
	c, err := New(&rest.Config{Host: "http://127.0.0.1:1"}, Options{Namespace: "meshfence-system"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(nil); err == nil || !strings.Contains(err.Error(), "the ConfigMaps of istiods") {
		t.Errorf("ready: %v", err)
	}
	shows := func(want string) {
		t.Helper()
		var names []string
		for _, cp := range c.Known().Istiods {
			names = append(names, fmt.Sprintf("%s %d", cp.Metadata.Name, len(cp.Spec.Values.MeshConfig.DiscoverySelectors)))
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	configMaps := c.istiods.configMaps.store
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error {
			return configMaps.Replace([]any{meshConfigOf("plane-1", "1", "discoverySelectors: [{}]")}, "")
		}, "plane-1/istio-a 1"},
		{func() error { return configMaps.Add(meshConfigOf("plane-2", "2", "")) }, "plane-1/istio-a 1, plane-2/istio-a 0"},
		{func() error { return configMaps.Update(meshConfigOf("plane-1", "3", "")) }, "plane-1/istio-a 0, plane-2/istio-a 0"},
		{func() error {
			return configMaps.Add(&unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "values-a", "namespace": "plane-1", "labels": map[string]any{"istio.io/rev": "a"}},
			}})
		}, "plane-1/istio-a 0, plane-2/istio-a 0"},
		{func() error { return configMaps.Delete(meshConfigOf("plane-2", "2", "")) }, "plane-1/istio-a 0"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		shows(step.want)
	}
}

// A new version of an object that says the same makes no new fleet.
func TestAVersionOfAnIstiodsObjectIsNoChange(t *testing.T) {
	changes := 0
	c, err := New(&rest.Config{Host: "http://127.0.0.1:1"}, Options{Namespace: "meshfence-system"})
	if err != nil {
		t.Fatal(err)
	}
	k := newIstiods(c.resources.objects, c.resources.names, func(string) {}, func() { changes++ }).configMaps
	for i, want := range []int{1, 1, 2} {
		text := map[bool]string{true: "rootNamespace: x", false: ""}[i == 2]
		if err := k.store.Update(meshConfigOf("plane-1", fmt.Sprint(i+1), text)); err != nil || changes != want {
			t.Errorf("after version %d: %d changes, want %d (%v)", i+1, changes, want, err)
		}
	}
	if part := k.store.Values()[0]; part.ConfigMap.Config.Mesh.RootNamespace != "x" || part.ConfigMap.ResourceVersion != "" {
		t.Errorf("kept: %+v", part.ConfigMap)
	}
	if part := (&istiod.Part{ConfigMap: k.store.Values()[0].ConfigMap}).OfVersion("uid", "7"); part.ConfigMap.ResourceVersion != "7" || k.store.Values()[0].ConfigMap.ResourceVersion != "" {
		t.Error("the version is that of the stored value")
	}
}
