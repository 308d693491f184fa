package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Every other mesh of the races is an istiod that the Sail operator did not install: a ConfigMap in a namespace of its own.
const (
	istiodPrefix = "istiod-"
	planePrefix  = "plane-"
	// planes is how many namespaces there are for them.
	planes = names / 2
)

// isIstiod reports whether a mesh of that name is a ConfigMap.
func isIstiod(name string) bool { return strings.HasPrefix(name, istiodPrefix) }

// randomName is that of a mesh of one of both kinds.
func randomName(n int) string {
	if n < planes {
		return fmt.Sprint(istiodPrefix, n)
	}
	return fmt.Sprint("mesh-", n)
}

// makePlanes makes the namespaces for istiods.
func (s *suite) makePlanes(t *testing.T) {
	t.Helper()
	for n := range planes {
		err := s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(planePrefix, n)}})
		if !apierrors.IsAlreadyExists(err) {
			must(t, err)
		}
	}
}

// planeOf is the namespace of an istiod.
func planeOf(name string) string { return planePrefix + strings.TrimPrefix(name, istiodPrefix) }

// asConfigMap is what an Istio of stressed would be as the ConfigMap of an istiod.
func asConfigMap(istio *unstructured.Unstructured) *unstructured.Unstructured {
	items, _, err := unstructured.NestedSlice(istio.Object, "spec", "values", "meshConfig", "discoverySelectors")
	if err != nil {
		panic(err) // this test makes them
	}
	text, err := json.Marshal(map[string]any{"discoverySelectors": items})
	if err != nil {
		panic(err)
	}
	name := istio.GetName()
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{
			"name": "istio-" + name, "namespace": planeOf(name), "labels": map[string]any{"istio.io/rev": name},
			"annotations": map[string]any{numberKey: istio.GetAnnotations()[numberKey]},
		},
		"data": map[string]any{"mesh": string(text)},
	}}
}

// asIstio is the opposite, for the history.
func asIstio(configMap *unstructured.Unstructured) *unstructured.Unstructured {
	text, _, _ := unstructured.NestedString(configMap.Object, "data", "mesh")
	var mesh map[string]any
	if err := json.Unmarshal([]byte(text), &mesh); err != nil {
		panic(err)
	}
	istio := stressed(strings.TrimPrefix(configMap.GetName(), "istio-"), nil, 0)
	istio.SetAnnotations(configMap.GetAnnotations())
	istio.SetUID(configMap.GetUID())
	istio.SetResourceVersion(configMap.GetResourceVersion())
	_ = unstructured.SetNestedField(istio.Object, mesh["discoverySelectors"], "spec", "values", "meshConfig", "discoverySelectors")
	return istio
}

// configMapsOf are the ConfigMaps of istiods, of all namespaces.
func configMapsOf(t *testing.T, config *rest.Config) dynamic.NamespaceableResourceInterface {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	all, err := dynamic.NewForConfig(config)
	must(t, err)
	return all.Resource(corev1.SchemeGroupVersion.WithResource("configmaps"))
}

// ofIstiods selects them.
var ofIstiods = metav1.ListOptions{LabelSelector: "istio.io/rev"}

// removeIstiods deletes all of them.
func (s *suite) removeIstiods(t *testing.T) {
	t.Helper()
	configMaps := configMapsOf(t, s.Config)
	list, err := configMaps.List(t.Context(), ofIstiods)
	must(t, err)
	for i := range list.Items {
		must(t, configMaps.Namespace(list.Items[i].GetNamespace()).Delete(t.Context(), list.Items[i].GetName(), metav1.DeleteOptions{}))
	}
}

// byVersion orders events of several watches as they were stored: all resources share one etcd.
func byVersion(a, b event) int {
	left, _ := strconv.ParseInt(a.version, 10, 64)
	right, _ := strconv.ParseInt(b.version, 10, 64)
	return int(left - right)
}

// meshesOf has the requests of a client about meshes of both kinds.
type meshesOf struct {
	istios     dynamic.ResourceInterface
	configMaps dynamic.NamespaceableResourceInterface
}

// of is where a mesh of a name is, and what it is called there.
func (m meshesOf) of(name string) (dynamic.ResourceInterface, string) {
	if isIstiod(name) {
		return m.configMaps.Namespace(planeOf(name)), "istio-" + name
	}
	return m.istios, name
}

// object is the object of a mesh, made of an Istio.
func (m meshesOf) object(istio *unstructured.Unstructured) *unstructured.Unstructured {
	if isIstiod(istio.GetName()) {
		return asConfigMap(istio)
	}
	return istio
}

// watched is what a history follows: a kind of meshes, and how its objects are read.
type watched struct {
	resource dynamic.ResourceInterface
	options  metav1.ListOptions
	read     func(*unstructured.Unstructured) *unstructured.Unstructured
}

func bothKinds(t *testing.T, config *rest.Config) []watched {
	t.Helper()
	same := func(object *unstructured.Unstructured) *unstructured.Unstructured { return object }
	return []watched{{istiosOf(t, config), metav1.ListOptions{}, same}, {configMapsOf(t, config), ofIstiods, asIstio}}
}

// list returns what there is of a kind, and the version of the list.
func (w *watched) list(ctx context.Context) ([]unstructured.Unstructured, string, error) {
	list, err := w.resource.List(ctx, w.options)
	if err != nil {
		return nil, "", err
	}
	for i := range list.Items {
		list.Items[i] = *w.read(&list.Items[i])
	}
	return list.Items, list.GetResourceVersion(), nil
}
