package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// readiness answers /readyz. Other than the handler of controller-runtime, it says why a check fails, in the answer and in the log:
// a pod that is not ready is looked at by a person who wants to know that and nothing else.
type readiness struct {
	logger logr.Logger

	mu     sync.Mutex
	checks map[string]healthz.Checker
	// failing are the checks that failed when they were asked last, which is in the log.
	failing map[string]bool
}

func newReadiness(logger logr.Logger) *readiness {
	return &readiness{logger: logger, checks: map[string]healthz.Checker{}, failing: map[string]bool{}}
}

func (r *readiness) add(name string, check healthz.Checker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[name] = check
}

// ServeHTTP asks all checks, in the order of their names.
func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	checks := maps.Clone(r.checks)
	r.mu.Unlock()
	status := http.StatusOK
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		err := checks[name](request)
		r.note(name, err)
		if err != nil {
			status = http.StatusInternalServerError
			fmt.Fprintf(&text, "[-]%s: %v\n", name, err)
			continue
		}
		fmt.Fprintf(&text, "[+]%s ok\n", name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text.String()) // A client that has gone away needs no answer.
}

// note logs that a check fails, or passes again, once each time.
func (r *readiness) note(name string, err error) {
	r.mu.Lock()
	before := r.failing[name]
	r.failing[name] = err != nil
	r.mu.Unlock()
	switch {
	case err != nil && !before:
		r.logger.Info("Not ready", "check", name, "reason", err.Error())
	case err == nil && before:
		r.logger.Info("No longer a reason not to be ready", "check", name)
	}
}

// probedManager is a manager whose readiness checks are those of a readiness.
type probedManager struct {
	manager.Manager
	readiness *readiness
}

// AddReadyzCheck adds a check to /readyz.
func (m *probedManager) AddReadyzCheck(name string, check healthz.Checker) error {
	m.readiness.add(name, check)
	return nil
}

// newProbeServer serves /readyz, and /healthz for as long as the process lives.
func newProbeServer(address string, ready http.Handler) *manager.Server {
	mux := http.NewServeMux()
	mux.Handle("/readyz", ready)
	mux.Handle("/healthz", healthz.CheckHandler{Checker: healthz.Ping})
	return &manager.Server{Name: "health probe", Server: &http.Server{
		Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second, MaxHeaderBytes: 1 << 16,
	}}
}
