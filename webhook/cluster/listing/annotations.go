package listing

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// fewObjects is how many objects are asked for one by one; of more all of their namespace, or of the cluster, are listed.
const fewObjects = 10

// annotationsPerPage bounds the memory that a list takes while it is read: an object may have 256 KiB of them.
const annotationsPerPage = 50

// Annotations reads the annotations of objects.
type Annotations struct {
	client metadata.Interface
	counts func(resource string, object metav1.Object) bool
}

// NewAnnotations returns one for the cluster that cfg leads to. An object of a resource of which counts says no has none.
func NewAnnotations(cfg *rest.Config, counts func(resource string, object metav1.Object) bool) (*Annotations, error) {
	client, err := metadata.NewForConfig(cfg)
	return &Annotations{client, counts}, err
}

// Of returns the annotations of objects of a resource in a namespace, "" for a resource without namespaces, by name. Only the right to list them is needed. Objects
// that are not there any more have none.
func (a *Annotations) Of(ctx context.Context, resource schema.GroupVersionResource, namespace string, names []string) (map[string]map[string]string, error) {
	of := make(map[string]map[string]string, len(names))
	for _, name := range names {
		of[name] = nil
	}
	selectors := []string{""}
	if len(names) <= fewObjects {
		selectors = nil
		for _, name := range names {
			selectors = append(selectors, fields.OneTermEqualSelector("metadata.name", name).String())
		}
	}
	pages := pager.New(func(ctx context.Context, page metav1.ListOptions) (runtime.Object, error) {
		return a.client.Resource(resource).Namespace(namespace).List(ctx, page)
	})
	pages.PageSize, pages.PageBufferSize = annotationsPerPage, 1
	for _, selector := range selectors {
		err := pages.EachListItem(ctx, metav1.ListOptions{FieldSelector: selector}, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err != nil {
				return err
			}
			if _, asked := of[object.GetName()]; asked && a.counts(resource.Resource, object) {
				of[object.GetName()] = object.GetAnnotations()
			}
			return nil
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("list the annotations of %s: %w", resource.Resource, err)
		}
	}
	return of, nil
}
