package cluster

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// lookAgain is how often an absent resource is asked for: a mesh is seen at most about that much later than its
// CustomResourceDefinition is served.
const lookAgain = time.Second

// optional lists and watches a resource that need not exist: one whose CustomResourceDefinition is absent is an empty list,
// and stays one until the definition is there.
//
// It has two states. Present: requests go through; when one is answered with 404 the reflector is made to list again, the
// list says absent, and the store is emptied. Absent: the watch is one of our own that brings nothing; it asks for a list of one
// object every lookAgain, and ends as soon as there is an answer, so that the reflector lists again. Any other failure
// changes no state: a forbidden, failing or unreachable API server says nothing about the definition.
//
// Asking costs the API server a 404 from its router, without a look into the storage, per second and resource. Watching
// CustomResourceDefinitions instead would need the right to read all of them and megabytes of schemas, and would still not
// tell when the API server has begun to serve the resource.
type optional struct {
	inner     cache.ListerWatcherWithContext
	lookAgain time.Duration
	absent    atomic.Bool
}

// listWatch returns what the reflector is given.
func (o *optional) listWatch() *cache.ListWatch {
	return &cache.ListWatch{ListWithContextFunc: o.list, WatchFuncWithContext: o.watch}
}

func (o *optional) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := o.inner.ListWithContext(ctx, options)
	if isAbsent(err) {
		o.absent.Store(true)
		return &metav1.PartialObjectMetadataList{}, nil
	}
	if err == nil {
		o.absent.Store(false)
	}
	return list, err
}

func (o *optional) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if o.absent.Load() {
		return o.watchAbsence(ctx), nil
	}
	w, err := o.inner.WatchWithContext(ctx, options)
	if isAbsent(err) {
		// Reflectors list again, and quietly, when a watch has expired.
		return nil, expired()
	}
	return w, err
}

// watchAbsence returns a watch that ends with an expiry when the resource is there.
func (o *optional) watchAbsence(ctx context.Context) watch.Interface {
	events := make(chan watch.Event)
	watcher := watch.NewProxyWatcher(events)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, watcher.Stop)
	go func() {
		defer cancel()
		defer close(events)
		ticker := time.NewTicker(o.lookAgain)
		defer ticker.Stop()
		for {
			select {
			case <-watcher.StopChan():
				return
			case <-ticker.C:
			}
			if !o.isThere(ctx) {
				continue
			}
			status := expired().Status()
			select {
			case <-watcher.StopChan():
			case events <- watch.Event{Type: watch.Error, Object: &status}:
			}
			return
		}
	}()
	return watcher
}

// isThere asks for one object, of any age, which the API server's own cache can answer.
func (o *optional) isThere(ctx context.Context) bool {
	_, err := o.inner.ListWithContext(ctx, metav1.ListOptions{Limit: 1, ResourceVersion: "0"})
	return err == nil
}

// isAbsent reports whether an error of a list or a watch means that the API server does not serve the resource. While it
// starts and does not know its resources yet it answers 503, not 404.
func isAbsent(err error) bool {
	return err != nil && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err))
}

// expired is the error of a watch that has to begin anew with a list.
func expired() *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired,
		Message: "the resource has come or gone",
	}}
}
