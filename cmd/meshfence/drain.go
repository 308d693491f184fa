package main

import (
	"context"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// drainingServer is a webhook server that answers the requests in flight when the program is told to stop.
//
// controller-runtime's server alone does only half of that. It stops accepting connections and waits for the handlers, but
// the context of every request descends from the server's own, which is cancelled first (v0.25: manager/runnable_group.go
// and internal/httpserver). A handler that reads from the API server at that moment fails, and with failurePolicy Fail a
// user's request is refused because a replica restarts.
type drainingServer struct {
	webhook.Server
	// stopping ends when the program is told to stop, before the server's own context does.
	stopping context.Context
}

// Register registers a handler that is not cancelled by the program's stop. How long a handler may still take then is
// bounded by the manager's graceful shutdown timeout.
func (s *drainingServer) Register(path string, hook http.Handler) {
	s.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		// A client that goes away still ends the work for it. If both happen at once, the work is finished for nobody.
		defer context.AfterFunc(r.Context(), func() {
			if s.stopping.Err() == nil {
				cancel()
			}
		})()
		hook.ServeHTTP(w, r.WithContext(ctx))
	}))
}
