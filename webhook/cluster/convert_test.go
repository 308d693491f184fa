package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// istio returns an Istio as the API server stores it.
func istio(change func(u *unstructured.Unstructured)) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "Istio",
		"metadata": map[string]any{
			"name": "mesh-1", "uid": "u", "resourceVersion": "7", "generation": int64(1),
			"annotations": map[string]any{sail.AllowOverlapAnnotation: "mesh-2", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
		},
		"spec": map[string]any{
			"namespace": "istio-system-1",
			"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": []any{
				map[string]any{"matchLabels": map[string]any{"mesh": "a"}},
			}}},
		},
	}}
	if change != nil {
		change(u)
	}
	return u
}

func set(value any, path ...string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
			panic(err)
		}
	}
}

func TestOnlyWhatIsJudgedMakesACachedMeshAnother(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*unstructured.Unstructured)
		changes int
	}{
		{"nothing", nil, 0},
		{"resourceVersion", set("8", "metadata", "resourceVersion"), 0},
		{"generation", set(int64(2), "metadata", "generation"), 0},
		{"managedFields", set([]any{map[string]any{"manager": "x"}}, "metadata", "managedFields"), 0},
		{"labels", set("b", "metadata", "labels", "a"), 0},
		{"somebody else's annotation", set("{1}", "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"), 0},
		{"conditions in the status", set([]any{map[string]any{"type": "Ready"}}, "status", "conditions"), 0},
		{"a field that is not read", set("v", "spec", "values", "pilot", "image"), 0},
		{"active revision in the status, which follows from the spec", set("mesh-1-v2", "status", "activeRevisionName"), 0},
		{"overlap annotation", set("mesh-3", "metadata", "annotations", sail.AllowOverlapAnnotation), 1},
		{"deletion", set("2026-01-01T00:00:00Z", "metadata", "deletionTimestamp"), 1},
		{"selectors", set([]any{}, "spec", "values", "meshConfig", "discoverySelectors"), 1},
		{"a value of another type", set("none", "spec", "values", "meshConfig"), 1},
	} {
		changes := 0
		s := store.New(cachedControlPlane(sail.KindIstio), func() { changes++ })
		if err := s.Add(istio(nil)); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(istio(test.change)); err != nil {
			t.Fatal(err)
		}
		if got := changes - 1; got != test.changes {
			t.Errorf("%s: counted %d changes, want %d", test.name, got, test.changes)
		}
	}
}

func TestControlPlaneOfSurprisingTypesIsKept(t *testing.T) {
	for _, test := range []struct {
		name   string
		object *unstructured.Unstructured
	}{
		{"values are a string", istio(set("x", "spec", "values"))},
		{"a selector is a number", istio(set([]any{int64(3)}, "spec", "values", "meshConfig", "discoverySelectors"))},
		{"the spec is a list", istio(set([]any{}, "spec"))},
	} {
		got := controlPlane(sail.KindIstio)(test.object)
		if got.Metadata.Name != "mesh-1" || got.Kind != sail.KindIstio || got.Malformed == nil {
			t.Errorf("%s: got %s %q, malformed %v; want Istio mesh-1 and a reason", test.name, got.Kind, got.Metadata.Name, got.Malformed)
		}
		fleet := mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{got}})
		if found := fleet.DiscoveredBy(map[string]string{"any": "label"}); len(found) != 1 {
			t.Errorf("%s: it does not count as discovering everything", test.name)
		}
	}
}

func TestLiveAndCachedControlPlane(t *testing.T) {
	live, cached := controlPlane(sail.KindIstio)(istio(nil)), cachedControlPlane(sail.KindIstio)(istio(nil))
	if live.Metadata.ResourceVersion != "7" || cached.Metadata.ResourceVersion != "" {
		t.Errorf("resourceVersion %q live, %q cached; want it live only", live.Metadata.ResourceVersion, cached.Metadata.ResourceVersion)
	}
	if diff := cmp.Diff(live.Metadata.AllowedOverlap(), cached.Metadata.AllowedOverlap()); diff != "" {
		t.Errorf("declared overlap (-live +cached):\n%s", diff)
	}
	if diff := cmp.Diff(live.Spec, cached.Spec); diff != "" {
		t.Errorf("spec (-live +cached):\n%s", diff)
	}
}

func TestTagIsRead(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "IstioRevisionTag",
		"metadata": map[string]any{"name": "stable", "resourceVersion": "3"},
		"spec":     map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "mesh-1"}},
	}}
	want := &sail.Tag{Metadata: sail.Meta{Name: "stable"}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: "Istio", Name: "mesh-1"}}}
	if diff := cmp.Diff(want, cachedTag(u)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	u.Object["spec"] = "x"
	if got := cachedTag(u); got.Malformed == nil || got.Metadata.Name != "stable" {
		t.Errorf("malformed: got %q, %v", got.Metadata.Name, got.Malformed)
	}
}
