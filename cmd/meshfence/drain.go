package main

import (
	"context"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// notice is for how long clients are told to close their connections before the connections are closed. The API server asks
// webhooks over HTTP/1.1 and keeps its connections (k8s.io/apiserver, pkg/util/webhook/client.go), and it does not repeat a
// request (client-go repeats no POST): one that it sends in the moment in which its connection is closed fails with EOF. A second
// is long enough for every connection in use to carry a request, and be it one of very many that are kept for busy times: each
// connection that is told to close makes the next request take another one.
const notice = time.Second

// noticed returns a context that ends a notice after the given one.
func noticed(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(notice)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-late.Done():
		}
		cancel()
	})
	return late, func() { stop(); cancel() }
}

// drainingServer is a webhook server that, when the program is told to stop, tells its clients to close their connections and
// answers the requests in flight.
//
// controller-runtime's server alone does only half of that. It stops accepting connections and waits for the handlers, but
// the context of every request descends from the server's own, which is cancelled first (v0.25: manager/runnable_group.go
// and internal/httpserver). A handler that reads from the API server at that moment fails, and with failurePolicy Fail a
// user's request is refused because a replica restarts.
type drainingServer struct {
	webhook.Server
	// stopping ends when the program is told to stop, a notice before the server's own context does.
	stopping context.Context
}

// Register registers a handler that is not cancelled by the program's stop. How long a handler may still take then is
// bounded by the manager's graceful shutdown timeout.
func (s *drainingServer) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		// A client that goes away still ends the work for it. If both happen at once, the work is finished for no client.
		defer context.AfterFunc(r.Context(), func() {
			if s.stopping.Err() == nil {
				cancel()
			}
		})()
		hook.ServeHTTP(w, r.WithContext(ctx))
	}))
}
