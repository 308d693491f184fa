package store

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
)

// NewReflector makes a reflector that lists and then watches, and reconnects within two seconds when the API server is back: only a
// few requests are at stake here, and until they succeed judgements rest on old state. name is for client-go's log lines.
//
// It does not ask for the list as a stream (client-go's WatchList): the absence of a resource is told from the answer to a
// list, and the lists are short, or in pages.
func NewReflector(name string, source *cache.ListWatch, target cache.ReflectorStore) *cache.Reflector {
	return cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(source, noStream{}), nil, target, cache.ReflectorOptions{
		Name:            "meshfence",
		TypeDescription: name,
		Backoff:         &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.3, Steps: 10, Cap: 1500 * time.Millisecond},
	})
}

// noStream is how client-go is told that a client cannot stream lists.
type noStream struct{}

// IsWatchListSemanticsUnSupported is what client-go's watchlist package looks for; the odd spelling is theirs.
func (noStream) IsWatchListSemanticsUnSupported() bool { return true }

// Objects lists and watches the objects of a resource, or only the one of that name. A Role that is restricted to this
// name allows the latter.
func Objects(resource dynamic.ResourceInterface, name string) *cache.ListWatch {
	selector := ""
	if name != "" {
		selector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return resource.Watch(ctx, options)
		},
	}
}
