// Package fleet tests what meshfence knows of a cluster, and what it writes there, against a real API server. It runs with
// the rights that deploy/ grants, and no others.
package fleet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook/cluster"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// The limits within which a change must be known. On an idle machine it takes milliseconds.
const (
	soon            = 2 * time.Second
	definitionsSoon = 5 * time.Second
	heals           = 10 * time.Second
	starts          = 10 * time.Second
)

const ownNamespace = "meshfence-system"

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

// suite is an API server on which nothing but the definitions is installed, except what a test installs.
type suite struct {
	*harness.Cluster
}

func TestFleet(t *testing.T) {
	sets, err := harness.ChooseCRDSets(os.Getenv("CRDS"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		t.Run(string(set), func(t *testing.T) { runSuite(t, set) })
	}
}

func runSuite(t *testing.T, set harness.CRDSet) {
	started, err := harness.Start(t.Context(), harness.Options{CRDs: set})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := &suite{started}
	tests := map[string]func(*testing.T){
		"if the definitions come, go and come again, then so do the meshes":      s.definitions,
		"if objects change, then the fleet does, and only then":                  s.objects,
		"if a mesh cannot be read, then it discovers everything":                 s.malformed,
		"if entries of the mesh map are bad, then the others count":              s.meshMap,
		"if a mesh is stored, then a live read has it":                           s.live,
		"if a list has several pages, then a live read has all":                  s.pages,
		"if a key is ensured, then it is written once, and nothing else changes": s.ensure,
		"if the fleet uses a key, then it is asked about, as long as it does":    s.upkeep,
		"if another configuration is in use, then its map and labels count":      s.reconfigured,
		"if there are very many keys, then every label is asked about":           s.manyKeys,
		"if a mesh goes by names, then only these are asked about":               s.names,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			s.must(t, s.Reset(t.Context()))
			s.must(t, s.InstallWorkload(t.Context()))
			tests[name](t)
		})
	}
}

func (s *suite) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition.
func eventually(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	poll := func(context.Context) (bool, error) { return condition(), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, limit, true, poll); err != nil {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

// replica is one of meshfence's replicas, as far as this package goes.
type replica struct {
	*cluster.Cluster
	registry *prometheus.Registry
}

// newReplica starts a replica as meshfence's service account. It ends with the test.
func (s *suite) newReplica(t *testing.T, change func(*cluster.Options)) *replica {
	t.Helper()
	r := &replica{registry: prometheus.NewRegistry()}
	options := cluster.Options{Namespace: ownNamespace, DiscoveryLabels: []string{"istio-discovery", "mesh"}, Registerer: r.registry}
	if change != nil {
		change(&options)
	}
	config := rest.CopyConfig(s.Config)
	config.Impersonate.UserName = "system:serviceaccount:" + ownNamespace + ":meshfence"
	config.Impersonate.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + ownNamespace, "system:authenticated"}
	var err error
	r.Cluster, err = cluster.New(config, options)
	s.must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, starts, "synced", r.Synced)
	s.must(t, r.Ready(nil))
	return r
}

// metric returns a metric's value.
func (r *replica) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
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

func (r *replica) builds(t *testing.T) float64 { return r.metric(t, "meshfence_fleet_builds_total") }

func (r *replica) writes(t *testing.T) float64 {
	return r.metric(t, "meshfence_webhook_configuration_writes_total")
}

// wantMeshes waits for the fleet to have these meshes.
func (r *replica) wantMeshes(t *testing.T, limit time.Duration, when string, names ...string) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("%s: the fleet has the meshes %q", when, names), func() bool {
		var got []string
		for _, m := range r.Fleet().Meshes() {
			got = append(got, m.Name)
		}
		return slices.Equal(got, names)
	})
}

// istio returns an Istio that discovers the namespaces with key=name.
func istio(name, key string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": sail.GroupVersion.String(), "kind": sail.KindIstio, "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"namespace": "istio-system-" + name, "version": "v1.30.3",
			"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": []any{
				map[string]any{"matchLabels": map[string]any{key: name}},
			}}},
		},
	}}
}

// revision returns an IstioRevision that nobody owns.
func revision(name, key string) *unstructured.Unstructured {
	u := istio(name, key)
	u.SetKind(sail.KindIstioRevision)
	values := u.Object["spec"].(map[string]any)["values"].(map[string]any)
	values["revision"] = name
	values["global"] = map[string]any{"istioNamespace": "istio-system-" + name}
	return u
}

func tag(name, target string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": sail.GroupVersion.String(), "kind": sail.KindIstioRevisionTag, "metadata": map[string]any{"name": name},
		"spec": map[string]any{"targetRef": map[string]any{"kind": sail.KindIstio, "name": target}},
	}}
}

// patch is a JSON merge patch.
func patch(body string) client.Patch {
	return client.RawPatch("application/merge-patch+json", []byte(body))
}

func (s *suite) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		s.must(t, s.Client.Create(t.Context(), object))
	}
}

func (s *suite) definitions(t *testing.T) {
	s.must(t, s.RemoveCRDs(t.Context()))
	r := s.newReplica(t, nil)
	r.wantMeshes(t, 0, "without definitions")
	objects, err := r.Live(t.Context())
	s.must(t, err)
	if diff := cmp.Diff(mesh.Objects{}, objects); diff != "" {
		t.Errorf("live, without definitions (-want +got):\n%s", diff)
	}

	s.must(t, s.InstallCRDs(t.Context()))
	s.create(t, istio("a", "mesh"), revision("b", "mesh"), tag("stable", "a"))
	r.wantMeshes(t, definitionsSoon, "the definitions came", "a", "b")
	eventually(t, definitionsSoon, "the tag is known", func() bool { return r.Fleet().Revision("stable") != nil })

	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "istios.sailoperator.io"}}
	s.must(t, s.Client.Delete(t.Context(), definition))
	r.wantMeshes(t, definitionsSoon, "one definition went", "b")
	eventually(t, definitionsSoon, "a live read has no Istio", func() bool {
		objects, err := r.Live(t.Context())
		return err == nil && len(objects.Istios) == 0 && len(objects.Revisions) == 1
	})
	if !r.Synced() {
		t.Error("no longer synced")
	}

	s.must(t, s.RemoveCRDs(t.Context()))
	r.wantMeshes(t, definitionsSoon, "all went")
	s.must(t, s.InstallCRDs(t.Context()))
	s.create(t, istio("c", "mesh"))
	r.wantMeshes(t, definitionsSoon, "they came again", "c")
}

func (s *suite) objects(t *testing.T) {
	ctx := t.Context()
	r := s.newReplica(t, nil)
	a := istio("a", "mesh")
	s.create(t, a)
	r.wantMeshes(t, soon, "created", "a")
	if !r.Fleet().Mesh(mesh.Ref{Kind: sail.KindIstio, Name: "a"}).Has("a") {
		t.Error("the mesh does not have its revision")
	}

	builds := r.builds(t)
	s.must(t, s.Client.Status().Patch(ctx, a, patch(`{"status":{"state":"Healthy","activeRevisionName":"a"}}`)))
	s.must(t, s.Client.Patch(ctx, a, patch(`{"metadata":{"annotations":{"somebody":"else"},"labels":{"a":"b"}}}`)))
	s.must(t, s.Client.Patch(ctx, a, patch(`{"spec":{"values":{"pilot":{"autoscaleEnabled":false}}}}`)))
	// The watch delivers in order: when this is seen, the changes before it have been seen too.
	s.create(t, istio("b", "mesh"))
	r.wantMeshes(t, soon, "a second one", "a", "b")
	if got := r.builds(t) - builds; got != 1 {
		t.Errorf("%v fleets were built, want one: for the second mesh, not for the first one's status", got)
	}

	s.must(t, s.Client.Patch(ctx, a, patch(`{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"other":"x"}}]}}}}`)))
	eventually(t, soon, "the new selector is known", func() bool { return slices.Contains(r.Fleet().SelectorKeys(), "other") })
	s.must(t, s.Client.Delete(ctx, a))
	r.wantMeshes(t, soon, "deleted", "b")

	builds = r.builds(t)
	s.namespaces(t, r)
	if got := r.builds(t) - builds; got != 0 {
		t.Errorf("%v fleets were built because of a namespace", got)
	}
}

// namespaces follows one namespace through its life.
func (s *suite) namespaces(t *testing.T, r *replica) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: map[string]string{"mesh": "b"}, Annotations: map[string]string{"x": "y"}}}
	find := func() *mesh.Namespace {
		all, err := r.Namespaces(t.Context(), func() []string { return nil })
		if err != nil {
			t.Fatal(err)
		}
		i, found := slices.BinarySearchFunc(all, "app", func(n mesh.Namespace, name string) int { return strings.Compare(n.Name, name) })
		if !found {
			return nil
		}
		return &all[i]
	}
	s.create(t, namespace)
	eventually(t, soon, "the namespace is known", func() bool { return find() != nil })
	want := &mesh.Namespace{Name: "app", Labels: map[string]string{"mesh": "b", mesh.NameLabel: "app"}}
	if diff := cmp.Diff(want, find()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.must(t, s.Client.Patch(t.Context(), namespace, patch(`{"metadata":{"labels":{"mesh":null}},"spec":{"finalizers":["kubernetes"]}}`)))
	eventually(t, soon, "the label is gone", func() bool { return find() != nil && find().Labels["mesh"] == "" })
	s.must(t, s.Client.Delete(t.Context(), namespace))
	eventually(t, heals, "the namespace is gone", func() bool { return find() == nil })
}

func (s *suite) malformed(t *testing.T) {
	ctx := t.Context()
	r := s.newReplica(t, nil)
	s.create(t, istio("good", "mesh"))
	name := client.ObjectKey{Name: "istios.sailoperator.io"}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	s.must(t, s.Client.Get(ctx, name, definition))
	anything := true
	for i := range definition.Spec.Versions {
		definition.Spec.Versions[i].Schema = &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &anything},
		}
	}
	s.must(t, s.Client.Update(ctx, definition))

	for name, spec := range map[string]any{
		"number": int64(3),
		"values": map[string]any{"namespace": "x", "values": []any{"x"}},
		"item":   map[string]any{"namespace": "y", "values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": []any{"mesh"}}}},
	} {
		object := istio(name, "mesh")
		object.Object["spec"] = spec
		eventually(t, heals, "the API server takes the malformed Istio "+name, func() bool { return s.Client.Create(ctx, object.DeepCopy()) == nil })
	}
	r.wantMeshes(t, definitionsSoon, "malformed ones among them", "good", "item", "number", "values")
	for _, m := range r.Fleet().Meshes() {
		source, _ := m.Discovers(map[string]string{"any": "label"})
		if good := m.Name == "good"; (m.Malformed == nil) != good || (source == nil) != good {
			t.Errorf("%s: malformed: %v; discovers everything: %t", m.Name, m.Malformed, source != nil)
		}
	}
	objects, err := r.Live(ctx)
	s.must(t, err)
	if len(objects.Istios) != 4 {
		t.Errorf("a live read has %d Istios, want 4", len(objects.Istios))
	}
}

func (s *suite) meshMap(t *testing.T) {
	ctx := t.Context()
	r := s.newReplica(t, nil)
	meshMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: cluster.DefaultMeshMap}}
	s.must(t, client.IgnoreNotFound(s.Client.Delete(ctx, meshMap.DeepCopy())))
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "another"}, Data: map[string]string{"other": "other"}}
	meshMap.Data = map[string]string{"mesh-1": "mesh-1-v1", "mesh-2": "not a label value", "mesh-3": "", "mesh-4": "stable\n"}
	s.create(t, other, meshMap)
	wantMap := func(when string, bad float64, want map[string]string) {
		t.Helper()
		eventually(t, soon, fmt.Sprintf("%s: the fleet has the entries %v, and %v are counted as bad", when, want, bad), func() bool {
			for _, name := range []string{"mesh-1", "mesh-2", "mesh-3", "mesh-4", "other"} {
				if got, _ := r.Fleet().Mapped(name); got != want[name] {
					return false
				}
			}
			return r.metric(t, "meshfence_mesh_map_bad_entries") == bad
		})
		objects, err := r.Live(ctx)
		s.must(t, err)
		if len(objects.Map) != len(want) || !maps.Equal(objects.Map, want) {
			t.Errorf("%s: a live read has the entries %v, want %v", when, objects.Map, want)
		}
	}
	wantMap("two bad entries", 2, map[string]string{"mesh-1": "mesh-1-v1", "mesh-4": "stable"})
	s.must(t, s.Client.Patch(ctx, meshMap, patch(`{"data":{"mesh-2":"mesh-2","mesh-4":null}}`)))
	wantMap("one repaired", 1, map[string]string{"mesh-1": "mesh-1-v1", "mesh-2": "mesh-2"})
	s.must(t, s.Client.Delete(ctx, meshMap))
	wantMap("deleted", 0, map[string]string{})
	again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: cluster.DefaultMeshMap}, Data: map[string]string{"mesh-1": "x"}}
	s.create(t, again)
	wantMap("created again", 0, map[string]string{"mesh-1": "x"})
}

func (s *suite) live(t *testing.T) {
	r := s.newReplica(t, nil)
	for i := range 30 {
		object := istio(fmt.Sprintf("mesh-%d", i), "mesh")
		s.create(t, object)
		objects, err := r.Live(t.Context())
		s.must(t, err)
		found := slices.IndexFunc(objects.Istios, func(cp *sail.ControlPlane) bool { return cp.Metadata.Name == object.GetName() })
		if found < 0 || objects.Istios[found].Metadata.ResourceVersion != object.GetResourceVersion() {
			t.Fatalf("%s was stored as %s, but the live read after that has not got it", object.GetName(), object.GetResourceVersion())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if objects, err := r.Live(ctx); err == nil || objects.Istios != nil {
		t.Errorf("after its context has ended: %d Istios, %v; want none and an error", len(objects.Istios), err)
	}
}

func (s *suite) pages(t *testing.T) {
	const count = 1100 // more than two pages of 500
	r := s.newReplica(t, nil)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i := range count {
		group.Go(func() error { return s.Client.Create(ctx, tag(fmt.Sprintf("tag-%04d", i), "a")) })
	}
	s.must(t, group.Wait())
	objects, err := r.Live(t.Context())
	s.must(t, err)
	names := map[string]bool{}
	for _, tag := range objects.Tags {
		names[tag.Metadata.Name] = true
	}
	if len(objects.Tags) != count || len(names) != count {
		t.Errorf("got %d tags with %d names, want %d", len(objects.Tags), len(names), count)
	}
	eventually(t, soon, "the fleet has all tags", func() bool { return len(r.Fleet().RevisionNames()) == count })
}
