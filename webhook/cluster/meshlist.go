package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/meshfence/meshfence/webhook/sail"
)

// meshesPerPage bounds the memory that a list takes while it is read: an object may have a megabyte.
const meshesPerPage = 100

// readPages reads a list in pages of that size, all of one moment and of the present.
func readPages(ctx context.Context, size int64, page func(context.Context, metav1.ListOptions) (runtime.Object, error)) (runtime.Object, error) {
	pages := pager.New(page)
	pages.PageSize = size
	list, _, err := pages.List(ctx, metav1.ListOptions{})
	return list, err
}

// meshLister lists Istios or IstioRevisions and keeps only what is judged of each, while it reads. The usual form of such
// objects, maps of maps, takes ten times the memory.
type meshLister struct {
	client   rest.Interface
	resource string
	kind     string
	// watches is the same resource; its events are of the usual form.
	watches dynamic.ResourceInterface
}

// page returns one page of a list.
func (l *meshLister) page(ctx context.Context, options metav1.ListOptions) (*metainternalversion.List, error) {
	result := l.client.Get().Resource(l.resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx)
	// Error, unlike Raw, says what the API server did.
	if err := result.Error(); err != nil {
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	found, err := decodeMeshes(raw, l.kind)
	if err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", l.resource, err)
	}
	return found, nil
}

// errNoItems is for what is no list.
var errNoItems = errors.New("it has no items")

// decodeMeshes reads a list. Of an item with a field of a surprising type the other fields are read, as of an object; what has
// no name, or is no object, is an error: a mesh may be missing then.
func decodeMeshes(raw []byte, kind string) (*metainternalversion.List, error) {
	var page struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return nil, err
	}
	if page.Items == nil {
		return nil, errNoItems
	}
	found := &metainternalversion.List{ListMeta: page.Metadata, Items: make([]runtime.Object, len(page.Items))}
	for i, item := range page.Items {
		cp, err := sail.DecodeControlPlane(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		if cp.Metadata.Name == "" {
			return nil, fmt.Errorf("item %d has no name", i)
		}
		cp.Kind = kind
		found.Items[i] = newMeshObject(cp)
	}
	return found, nil
}

// list returns everything that there is, as of some moment after the call began.
func (l *meshLister) list(ctx context.Context) (runtime.Object, error) {
	return readPages(ctx, meshesPerPage, func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return l.page(ctx, options)
	})
}

// all returns the meshes that there are, as of some moment after the call began.
func (l *meshLister) all(ctx context.Context) ([]*sail.ControlPlane, error) {
	list, err := l.list(ctx)
	if err != nil {
		return nil, err
	}
	return controlPlanes(list)
}

// named returns the object of that name, if there is one.
func (l *meshLister) named(ctx context.Context, name string) ([]*sail.ControlPlane, error) {
	list, err := l.page(ctx, metav1.ListOptions{FieldSelector: metav1.ObjectNameField + "=" + name})
	if err != nil {
		return nil, err
	}
	return controlPlanes(list)
}

// ListWithContext is list, except for a reader that wants to know only whether the resource is there. Pages have to be of
// the present, so the other options, which ask for a list of any age or of a certain one, are not followed.
func (l *meshLister) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.Limit == 1 {
		return l.page(ctx, options)
	}
	return l.list(ctx)
}

// WatchWithContext watches.
func (l *meshLister) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return l.watches.Watch(ctx, options)
}

// meshObject is an object of which only what is judged was read. It is never written, so a copy is the object itself.
type meshObject struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	controlPlane *sail.ControlPlane
}

func newMeshObject(cp *sail.ControlPlane) *meshObject {
	return &meshObject{
		ObjectMeta:   metav1.ObjectMeta{Name: cp.Metadata.Name, UID: types.UID(cp.Metadata.UID), ResourceVersion: cp.Metadata.ResourceVersion},
		controlPlane: cp,
	}
}

// DeepCopyObject returns the object itself.
func (o *meshObject) DeepCopyObject() runtime.Object { return o }

// controlPlanes returns what a list of meshObjects holds.
func controlPlanes(list runtime.Object) ([]*sail.ControlPlane, error) {
	var found []*sail.ControlPlane
	err := meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(*meshObject)
		if !ok {
			return fmt.Errorf("a list of meshes with a %T", item)
		}
		found = append(found, object.controlPlane)
		return nil
	})
	return found, err
}
