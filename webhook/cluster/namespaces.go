package cluster

import (
	"context"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// namespacesPerPage makes a page more than half a megabyte, for which an API server works about ten milliseconds.
const namespacesPerPage = 1000

// namespaceSource lists and watches namespaces.
//
// It lists in pages, of which it keeps the name, the labels and the deletion while they come, and asks for the next page as
// soon as it knows where that begins, so that the API server works on it meanwhile. In one piece the list would have to be
// put together before its first byte comes, by an API server that does not send lists as it encodes them, and be held in its
// memory; a streamed one (WatchList), whose end the API server marks only about a second later, takes a second. The pages
// are of whole namespaces, which are hardly longer than their metadata, because the API server need not take those apart.
//
// Pages have to be of the present, so the options, which ask for a list of any age or of a certain one, are not followed.
type namespaceSource struct {
	client rest.Interface
	// watches are of the metadata only.
	watches metadata.ResourceInterface
	texts   *texts
	wanting *wanting
}

// listWatch returns what the reflector is given.
func (s *namespaceSource) listWatch() *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) { return s.list(ctx) },
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return s.watches.Watch(ctx, options)
		},
	}
}

// list returns all namespaces, as of some moment after the call began.
func (s *namespaceSource) list(ctx context.Context) (*slimList, error) {
	ctx, cancel := context.WithCancel(ctx)
	all, reader := &slimList{}, newNamespaceReader(s.texts, s.wanting)
	var ahead <-chan answer
	// The request for a page that nobody reads any more ends with the call. Its body is closed, as the connection, which all
	// requests share, would hold back what was not read of it.
	defer func() {
		cancel()
		drop(ahead)
	}()
	err := pages(namespacesPerPage, func(options metav1.ListOptions) (next string, err error) {
		page := ahead
		if ahead = nil; page == nil {
			page = s.ask(ctx, options)
		}
		got := <-page
		if got.err != nil {
			return "", got.err
		}
		defer func() { _ = got.body.Close() }() // it was read, or there is another error
		err = reader.read(got.body, func(begin metav1.ListMeta) {
			all.ListMeta = metav1.ListMeta{ResourceVersion: begin.ResourceVersion}
			if next = begin.Continue; next != "" {
				ahead = s.ask(ctx, metav1.ListOptions{Limit: options.Limit, Continue: next})
			}
		}, func(ns mesh.Namespace) { all.Items = append(all.Items, &listedNamespace{ns}) })
		if err != nil {
			return "", fmt.Errorf("read the list of namespaces: %w", err)
		}
		return next, nil
	}, func() { all, ahead = &slimList{}, nil })
	return all, err
}

// answer is the API server's: a body, which has to be closed, or an error that says what it did.
type answer struct {
	body io.ReadCloser
	err  error
}

// drop closes the body of an answer that nobody will read.
func drop(page <-chan answer) {
	if page == nil {
		return
	}
	if got := <-page; got.body != nil {
		_ = got.body.Close()
	}
}

// ask asks for a page, and does not wait for it. Every API server has its own resources in protobuf.
func (s *namespaceSource) ask(ctx context.Context, options metav1.ListOptions) <-chan answer {
	page := make(chan answer, 1)
	go func() {
		request := s.client.Get().Resource("namespaces").VersionedParams(&options, metav1.ParameterCodec).SetHeader("Accept", runtime.ContentTypeProtobuf)
		body, err := request.Stream(ctx)
		page <- answer{body, err}
	}()
	return page
}

// listedNamespace is a namespace of which only what is kept was read. It is never written, so a copy is the namespace itself.
type listedNamespace struct{ mesh.Namespace }

// GetObjectKind returns nothing: nobody asks.
func (*listedNamespace) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the namespace itself.
func (n *listedNamespace) DeepCopyObject() runtime.Object { return n }

// kept implements keeping.
func (n *listedNamespace) kept() (string, mesh.Namespace) { return n.Name, n.Namespace }
