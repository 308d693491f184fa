package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/webhook/sail"
)

// meshesPerPage bounds the memory that a list takes while it is read: an object may have a megabyte.
const meshesPerPage = 100

// pages calls page with the options of one page after the other; it returns where the next one begins, "" for none. If the
// moment of the first page has expired before the last was read, restart is called, and everything is read in one page.
func pages(size int64, page func(metav1.ListOptions) (next string, err error), restart func()) error {
	options := metav1.ListOptions{Limit: size}
	for {
		next, err := page(options)
		switch {
		case apierrors.IsResourceExpired(err) && options.Continue != "":
			restart()
			options = metav1.ListOptions{}
		case err != nil:
			return err
		case next == "":
			return nil
		default:
			options.Continue = next
		}
	}
}

// slim lists Istios or IstioRevisions and keeps only what is judged of each, while it reads. The usual form of such
// objects, maps of maps, takes ten times the memory.
type slim struct {
	client   rest.Interface
	resource string
	kind     string
	// watches is the same resource; its events are of the usual form.
	watches dynamic.ResourceInterface
}

// page returns one page of a list.
func (s *slim) page(ctx context.Context, options metav1.ListOptions) (*slimList, error) {
	result := s.client.Get().Resource(s.resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx)
	// Error, unlike Raw, says what the API server did.
	if err := result.Error(); err != nil {
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	found, err := decodeSlim(raw, s.kind)
	if err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", s.resource, err)
	}
	return found, nil
}

// errNoItems is for what is no list.
var errNoItems = errors.New("it has no items")

// decodeSlim reads a list. Of an item with a field of a surprising type the other fields are read, as of an object; what has
// no name, or is no object, is an error: a mesh may be missing then.
func decodeSlim(raw []byte, kind string) (*slimList, error) {
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
	found := &slimList{ListMeta: page.Metadata, Items: make([]runtime.Object, len(page.Items))}
	for i, item := range page.Items {
		cp, err := sail.DecodeControlPlane(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		if cp.Metadata.Name == "" {
			return nil, fmt.Errorf("item %d has no name", i)
		}
		cp.Kind = kind
		found.Items[i] = newSlimObject(cp)
	}
	return found, nil
}

// list returns everything that there is, as of some moment after the call began.
func (s *slim) list(ctx context.Context) (*slimList, error) {
	var all slimList
	err := pages(meshesPerPage, func(options metav1.ListOptions) (string, error) {
		page, err := s.page(ctx, options)
		if err != nil {
			return "", err
		}
		all.ListMeta = metav1.ListMeta{ResourceVersion: page.ResourceVersion}
		all.Items = append(all.Items, page.Items...)
		return page.Continue, nil
	}, func() { all = slimList{} })
	return &all, err
}

// named returns the object of that name, if there is one.
func (s *slim) named(ctx context.Context, name string) ([]*sail.ControlPlane, error) {
	page, err := s.page(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return nil, err
	}
	return page.controlPlanes(), nil
}

// ListWithContext is list, except for a reader that wants to know only whether the resource is there. Pages have to be of
// the present, so the other options, which ask for a list of any age or of a certain one, are not followed.
func (s *slim) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.Limit == 1 {
		return s.page(ctx, options)
	}
	return s.list(ctx)
}

// WatchWithContext watches.
func (s *slim) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return s.watches.Watch(ctx, options)
}

// slimObject is an object of which only what is judged was read. It is never written, so a copy is the object itself.
type slimObject struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	controlPlane *sail.ControlPlane
}

func newSlimObject(cp *sail.ControlPlane) *slimObject {
	return &slimObject{
		ObjectMeta:   metav1.ObjectMeta{Name: cp.Metadata.Name, UID: types.UID(cp.Metadata.UID), ResourceVersion: cp.Metadata.ResourceVersion},
		controlPlane: cp,
	}
}

// DeepCopyObject returns the object itself.
func (o *slimObject) DeepCopyObject() runtime.Object { return o }

// slimList is a list of slimObjects.
type slimList struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []runtime.Object
}

// DeepCopyObject returns the list itself.
func (l *slimList) DeepCopyObject() runtime.Object { return l }

func (l *slimList) controlPlanes() []*sail.ControlPlane {
	found := make([]*sail.ControlPlane, 0, len(l.Items))
	for _, item := range l.Items {
		if object, ok := item.(*slimObject); ok {
			found = append(found, object.controlPlane)
		}
	}
	return found
}
