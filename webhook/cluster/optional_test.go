package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/meshfence/meshfence/webhook/cluster/store"
)

func object(name, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

// server answers lists with answer, and watches with it too or with a watch that brings nothing.
type server struct {
	answer atomic.Pointer[error] // nil: the resource is served, with one object
	lists  atomic.Int64
}

func (s *server) answers(err error) { s.answer.Store(&err) }

func (s *server) err() error {
	if err := s.answer.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *server) ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error) {
	s.lists.Add(1)
	if err := s.err(); err != nil {
		return nil, err
	}
	return &metav1.PartialObjectMetadataList{
		ListMeta: metav1.ListMeta{ResourceVersion: "5"}, Items: []metav1.PartialObjectMetadata{*object("one", "1")},
	}, nil
}

func (s *server) WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return &brief{watch.NewFake(), s}, nil
}

// brief is a watch that the server ends, as it does when a CustomResourceDefinition goes.
type brief struct {
	*watch.FakeWatcher
	server *server
}

var (
	istiosResource = schema.GroupResource{Group: "sailoperator.io", Resource: "istios"}
	absentErrors   = map[string]error{
		"404":      apierrors.NewGenericServerResponse(404, "list", istiosResource, "", "404 page not found", 0, true),
		"no match": &meta.NoKindMatchError{},
	}
	transientErrors = map[string]error{
		"forbidden":    apierrors.NewForbidden(istiosResource, "", errors.New("no")),
		"unauthorized": apierrors.NewUnauthorized("no"),
		"starting":     apierrors.NewGenericServerResponse(503, "list", istiosResource, "", "", 1, true),
		"failing":      apierrors.NewInternalError(errors.New("conversion webhook")),
		"busy":         apierrors.NewTooManyRequests("later", 1),
		"unreachable":  syscall.ECONNREFUSED,
	}
)

func newOptional(s *server) *optional { return &optional{inner: s, lookAgain: time.Second} }

func TestAbsentResourceIsAnEmptyList(t *testing.T) {
	for name, absent := range absentErrors {
		s := &server{}
		s.answers(absent)
		list, err := newOptional(s).list(t.Context(), metav1.ListOptions{})
		if err != nil || meta.LenList(list) != 0 {
			t.Errorf("%s: got %v, %v; want an empty list", name, list, err)
		}
	}
}

func TestOtherFailuresAreNotAbsence(t *testing.T) {
	for name, failure := range transientErrors {
		s := &server{}
		s.answers(failure)
		o := newOptional(s)
		if _, err := o.list(t.Context(), metav1.ListOptions{}); !errors.Is(err, failure) {
			t.Errorf("%s: list: got %v, want it handed on", name, err)
		}
		if _, err := o.watch(t.Context(), metav1.ListOptions{}); !errors.Is(err, failure) {
			t.Errorf("%s: watch: got %v, want it handed on", name, err)
		}
	}
}

func TestResourceThatGoesIsListedAgain(t *testing.T) {
	for name, absent := range absentErrors {
		s := &server{}
		o := newOptional(s)
		if list, err := o.list(t.Context(), metav1.ListOptions{}); err != nil || meta.LenList(list) != 1 {
			t.Fatalf("%s: got %v, %v; want one object", name, list, err)
		}
		s.answers(absent)
		if _, err := o.watch(t.Context(), metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
			t.Errorf("%s: got %v, want an expired watch", name, err)
		}
	}
}

func TestWatchOfAnAbsentResourceEndsWhenItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		s.answers(absentErrors["404"])
		o := newOptional(s)
		if _, err := o.list(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		w, err := o.watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, failure := range append([]error{absentErrors["404"]}, transientErrors["starting"], transientErrors["unreachable"], transientErrors["forbidden"]) {
			s.answers(failure)
			select {
			case event := <-w.ResultChan():
				t.Fatalf("while it is answered %v: got %v", failure, event)
			case <-time.After(10 * time.Second):
			}
		}
		if got := s.lists.Load(); got < 38 || got > 42 {
			t.Errorf("asked %d times in 40 seconds, want about once a second", got)
		}
		s.answers(nil)
		start := time.Now()
		event := <-w.ResultChan()
		if waited := time.Since(start); waited > time.Second || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
			t.Errorf("after %v: got %v; want an expiry within a second", waited, event)
		}
		if _, more := <-w.ResultChan(); more {
			t.Error("the watch goes on")
		}
		if list, err := o.list(t.Context(), metav1.ListOptions{}); err != nil || meta.LenList(list) != 1 {
			t.Errorf("got %v, %v; want one object", list, err)
		}
		if w, err := o.watch(t.Context(), metav1.ListOptions{}); err != nil {
			t.Error(err)
		} else if _, ours := w.(*brief); !ours {
			t.Errorf("got a %T, want the API server's own watch", w)
		}
	})
}

func TestWatchOfAnAbsentResourceCanBeStopped(t *testing.T) {
	for name, stop := range map[string]func(watch.Interface, context.CancelFunc){
		"Stop":        func(w watch.Interface, _ context.CancelFunc) { w.Stop() },
		"the context": func(_ watch.Interface, cancel context.CancelFunc) { cancel() },
	} {
		// A goroutine that stays behind fails the test.
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &server{}
			s.answers(absentErrors["404"])
			w := newOptional(s).watchAbsence(ctx)
			stop(w, cancel)
			if event, more := <-w.ResultChan(); more {
				t.Errorf("%s: got %v, want the end", name, event)
			}
		})
	}
}

// A reflector over it goes through absent, there, failing, gone, and there again.
func TestReflectorFollowsTheResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		api := &server{}
		api.answers(absentErrors["404"])
		watches := make(chan *brief, 1)
		o := newOptional(api)
		o.inner = &handsOutWatches{api, watches}
		s := store.New(metav1.Object.GetResourceVersion, func() {})
		go store.NewReflector("test", o.listWatch(), s).RunWithContext(ctx)

		expect := func(when string, values ...string) {
			t.Helper()
			<-time.After(4 * time.Second) // by the bubble's clock
			if diff := cmp.Diff(append([]string{}, values...), s.Values()); diff != "" || !s.HasSynced() {
				t.Errorf("%s: synced %t (-want +got):\n%s", when, s.HasSynced(), diff)
			}
		}
		expect("absent")
		api.answers(nil)
		expect("there", "1")
		// Of the failures this is the one that a reflector does not log; client-go's logging of errors pauses by the real
		// time, which is not the bubble's.
		api.answers(transientErrors["unreachable"])
		(<-watches).Stop()
		expect("the API server restarts", "1")
		api.answers(nil)
		expect("it is back", "1")
		api.answers(absentErrors["404"])
		(<-watches).Stop()
		expect("gone")
		api.answers(nil)
		expect("there again", "1")
	})
}

type handsOutWatches struct {
	*server
	watches chan *brief
}

func (h *handsOutWatches) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	w, err := h.server.WatchWithContext(ctx, options)
	if b, ok := w.(*brief); ok {
		h.watches <- b
	}
	return w, err
}
