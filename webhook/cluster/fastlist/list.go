package fastlist

import (
	"context"
	"fmt"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// perPage makes a page more than half a megabyte, for which an API server works about ten milliseconds.
const perPage = 1000

// Lister lists namespaces.
type Lister struct {
	// Client is for the API group of the namespaces.
	Client rest.Interface
	// Keep makes of a namespace's metadata what the list holds. It gets the name, the labels and the deletion timestamp; they
	// are valid until it returns, so it copies what it keeps.
	Keep func(*metav1.ObjectMeta) runtime.Object
}

// List returns all namespaces, as of some moment after the call began. Pages have to be of the present, so the options, which
// ask for a list of any age or of a certain one, are not followed. It is a cache.ListWithContextFunc.
func (l *Lister) List(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) { return l.page(ctx, options) }))
	pages.PageSize = perPage
	list, _, err := pages.List(ctx, metav1.ListOptions{})
	return list, err
}

// page reads one page while it comes. Every API server has its own resources in protobuf.
func (l *Lister) page(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	request := l.Client.Get().Resource("namespaces").VersionedParams(&options, metav1.ParameterCodec).SetHeader("Accept", runtime.ContentTypeProtobuf)
	body, err := request.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was read, or there is another error
	list := &metainternalversion.List{}
	err = (&reader{}).read(body, func(begin metav1.ListMeta) { list.ListMeta = begin },
		func(meta *metav1.ObjectMeta) { list.Items = append(list.Items, l.Keep(meta)) })
	if err != nil {
		return nil, fmt.Errorf("read the list of namespaces: %w", err)
	}
	return list, nil
}
