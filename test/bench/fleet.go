package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// selectorKeys are the label keys of the four selectors that each mesh has. The first two are discovery labels by default.
func selectorKeys() []string { return []string{"istio-discovery", "mesh", "tenant", "team"} }

// writers is how many objects are written at once where time is not measured.
const writers = 16

func istios() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: "istios"}
}

// clients talk to one API server, without a limit of their own.
type clients struct {
	kube    *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
}

func newClients(config *rest.Config) (*clients, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	untyped, err := dynamic.NewForConfig(config)
	return &clients{kube: kube, dynamic: untyped}, err
}

// meshName is that of mesh number i, from 1.
func meshName(i int) string { return fmt.Sprintf("mesh-%d", i) }

func istio(name string) *unstructured.Unstructured {
	selectors := make([]any, 0, len(selectorKeys()))
	for _, key := range selectorKeys() {
		selectors = append(selectors, map[string]any{"matchLabels": map[string]any{key: name}})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "Istio", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"namespace": "istio-system-" + name, "version": "v1.30.3",
			"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": selectors}},
		},
	}}
}

// setMeshes brings the cluster from one number of meshes to another.
func (c *clients) setMeshes(ctx context.Context, from, to int) error {
	return each(from+1, to, func(i int) error {
		_, err := c.dynamic.Resource(istios()).Create(ctx, istio(meshName(i)), metav1.CreateOptions{})
		return err
	}, func(i int) error {
		return c.dynamic.Resource(istios()).Delete(ctx, meshName(i), metav1.DeleteOptions{})
	}, from)
}

// each makes what is missing from first to last, or removes what is over.
func each(first, last int, create, remove func(int) error, have int) error {
	group := errgroup.Group{}
	group.SetLimit(writers)
	for i := first; i <= last; i++ {
		group.Go(func() error { return create(i) })
	}
	for i := last + 1; i <= have; i++ {
		group.Go(func() error { return remove(i) })
	}
	return group.Wait()
}

// addNamespaces brings the cluster from one number of namespaces to a greater one. They are spread over so many meshes,
// and look like those of a real cluster: six labels and an annotation.
func (c *clients) addNamespaces(ctx context.Context, from, to, meshes int) error {
	return each(from+1, to, func(i int) error {
		mesh := meshName(i%meshes + 1)
		_, err := c.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("tenant-%d", i),
			Labels: map[string]string{
				"istio-discovery": mesh, "istio.io/rev": mesh, "app.kubernetes.io/part-of": "shop",
				"pod-security.kubernetes.io/enforce": "restricted", "cost-center": fmt.Sprint(i % 50),
			},
			Annotations: map[string]string{"example.com/owner": "somebody@example.com"},
		}}, metav1.CreateOptions{})
		return err
	}, nil, 0)
}
