package cluster

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// counted is a store of the objects' resourceVersions and the number of times that it said it has changed.
func counted() (s *store[string], changes *int) {
	changes = new(int)
	return newStore(metav1.Object.GetResourceVersion, func() { *changes++ }), changes
}

func object(name, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

func TestStoreTellsOfChangesOnly(t *testing.T) {
	type step struct {
		name    string
		do      func(*store[string]) error
		changes int
		values  []string
	}
	steps := []step{
		{"the first list, even an empty one", func(s *store[string]) error { return s.Replace(nil, "1") }, 1, []string{}},
		{"the same list again", func(s *store[string]) error { return s.Replace(nil, "2") }, 1, []string{}},
		{"an object appears", func(s *store[string]) error { return s.Add(object("b", "of b")) }, 2, []string{"of b"}},
		{"another one, before it by name", func(s *store[string]) error { return s.Add(object("a", "of a")) }, 3, []string{"of a", "of b"}},
		{"an update that changes nothing that is kept", func(s *store[string]) error { return s.Update(object("b", "of b")) }, 3, []string{"of a", "of b"}},
		{"an update", func(s *store[string]) error { return s.Update(object("b", "new")) }, 4, []string{"of a", "new"}},
		{"a list of the same", func(s *store[string]) error {
			return s.Replace([]any{object("b", "new"), object("a", "of a")}, "3")
		}, 4, []string{"of a", "new"}},
		{"something unknown goes", func(s *store[string]) error { return s.Delete(object("c", "")) }, 4, []string{"of a", "new"}},
		{"an object goes", func(s *store[string]) error { return s.Delete(object("a", "whatever")) }, 5, []string{"new"}},
		{"a resync", (*store[string]).Resync, 5, []string{"new"}},
		{"a list without what was there", func(s *store[string]) error { return s.Replace([]any{object("d", "of d")}, "4") }, 6, []string{"of d"}},
	}
	s, changes := counted()
	if s.hasSynced() {
		t.Error("synced before the first list")
	}
	for _, step := range steps {
		if err := step.do(s); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if *changes != step.changes || !s.hasSynced() {
			t.Errorf("%s: told of %d changes, want %d; synced %t, want true", step.name, *changes, step.changes, s.hasSynced())
		}
		if diff := cmp.Diff(step.values, s.values()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestStoreRefusesWhatIsNoObject(t *testing.T) {
	s, changes := counted()
	for name, err := range map[string]error{"add": s.Add(3), "update": s.Update(nil), "delete": s.Delete("x"), "replace": s.Replace([]any{object("a", ""), 3}, "")} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if *changes != 0 || s.hasSynced() {
		t.Errorf("told of %d changes, synced %t: want none and false", *changes, s.hasSynced())
	}
}

// A value that was handed out is never written: a reader may hold it for as long as it likes.
func TestStoreDoesNotWriteWhatItHandedOut(t *testing.T) {
	s, _ := counted()
	for _, name := range []string{"a", "b"} {
		if err := s.Add(object(name, "old")); err != nil {
			t.Fatal(err)
		}
	}
	held := s.values()
	if err := s.Update(object("a", "new")); err != nil {
		t.Fatal(err)
	}
	s.values()
	if diff := cmp.Diff([]string{"old", "old"}, held); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNamespaceKeepsNameAndLabels(t *testing.T) {
	now := metav1.Now()
	for _, test := range []struct {
		name   string
		object metav1.ObjectMeta
		want   mesh.Namespace
	}{
		{"plain", metav1.ObjectMeta{Name: "a"}, mesh.Namespace{Name: "a"}},
		{"labelled", metav1.ObjectMeta{
			Name: "a", Labels: map[string]string{mesh.NameLabel: "a", "mesh": "b"}, Annotations: map[string]string{"x": "y"},
		}, mesh.Namespace{Name: "a", Labels: map[string]string{mesh.NameLabel: "a", "mesh": "b"}}},
		{"terminating", metav1.ObjectMeta{Name: "a", DeletionTimestamp: &now}, mesh.Namespace{Name: "a", Deleting: true}},
	} {
		if diff := cmp.Diff(test.want, newTexts().namespace(&test.object, newWanting().current())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// DESIGN 10 allows a few hundred bytes a namespace. The objects are made as a decoder makes them: no string is shared.
func TestNamespaceTakesAFewHundredBytes(t *testing.T) {
	const count, limit = 20000, 600
	s := newStore(keptNamespace(newTexts(), newWanting()), func() {})
	before := heap()
	for i := range count {
		name := fmt.Sprintf("team-%d-application", i)
		if err := s.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				strings.Clone(mesh.NameLabel): strings.Clone(name), strings.Clone("istio-discovery"): fmt.Sprintf("mesh-%d", i%100),
				strings.Clone(mesh.RevisionLabel): fmt.Sprintf("mesh-%d", i%100), strings.Clone("pod-security.kubernetes.io/enforce"): strings.Clone("restricted"),
			},
			Annotations:   map[string]string{"openshift.io/description": strings.Repeat("x", 500)},
			ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 500))}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / count; each > limit {
		t.Errorf("a namespace takes %d bytes, more than %d", each, limit)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

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
		s := newStore(cachedControlPlane(sail.KindIstio), func() { changes++ })
		if err := s.Add(istio(nil)); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(istio(test.change)); err != nil {
			t.Fatal(err)
		}
		if got := changes - 1; got != test.changes {
			t.Errorf("%s: told of %d changes, want %d", test.name, got, test.changes)
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
