package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/meshfence/meshfence/webhook/conns"
)

// Bounds of the webhook server. Any pod of the cluster can connect to it, so that what one connection can take, times the number of
// connections, has to fit into the memory limit of the Deployment, beside what meshfence needs itself. docs/limits.md has what
// was measured.
const (
	// maxConnections take some 50 KiB each, and 64 KiB more while a handshake is as long as TLS lets it be (256 KiB with --client-ca).
	maxConnections = 1000
	// maxPerSource is more than one API server has at its busiest: the 600 requests that it works on at a time by default
	// (--max-requests-inflight and --max-mutating-requests-inflight), and the 25 idle connections that its client keeps.
	maxPerSource = 640
	// maxHeader is some twenty times what an API server sends. net/http adds 4 KiB, and has 1 MiB by default.
	maxHeader = 16 << 10
	// headerTimeout is for the handshake, and then for the headers. An API server waits for no webhook of ours longer.
	headerTimeout = 10 * time.Second
	// writeTimeout is for a whole request, from its headers to the end of its answer: the 30 seconds that its body may take
	// (webhook.readTimeout), and the 10 of a judgement and of the answer each. What ends an answer is shorter; this is for those that
	// no handler of ours writes.
	writeTimeout = 50 * time.Second
	// idleTimeout is longer than API servers keep a connection that is idle, which is 90 seconds (net/http, DefaultTransport), so
	// that it is theirs to close it: a request that is sent while this side closes fails, see notice.
	idleTimeout = 2 * time.Minute
)

// onlyHTTP1 offers no HTTP/2. API servers ask webhooks over HTTP/1.1 (k8s.io/apiserver, pkg/util/webhook/client.go), because then each
// request finds a replica of its own; HTTP/2 would only give others streams, windows and frames to fill.
func onlyHTTP1(cfg *tls.Config) { cfg.NextProtos = []string{"http/1.1"} }

// boundedServer is controller-runtime's webhook server with bounds; that has no way to set any.
type boundedServer struct {
	webhook.Server // has the handlers, and is not started

	address   string
	configure []func(*tls.Config)
	listening atomic.Bool
}

// Start serves until the context ends, and then until the requests in flight are answered.
func (s *boundedServer) Start(ctx context.Context) error {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13}
	for _, configure := range s.configure {
		configure(cfg)
	}
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	logger := logr.FromContextOrDiscard(ctx).WithName("webhook")
	server := newHTTPServer(s.WebhookMux(), logger)
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		// The manager's graceful shutdown timeout ends it sooner.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		ended <- server.Shutdown(late)
	})()
	logger.Info("Serving webhooks", "address", s.address)
	s.listening.Store(true)
	bounded := conns.Listen(listener, conns.Limits{All: maxConnections, PerSource: maxPerSource})
	if err := server.Serve(tls.NewListener(bounded, cfg)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func newHTTPServer(handler http.Handler, logger logr.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ConnContext:       conns.NewContext,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          log.New(&sparingly{logger: logger, limit: rate.NewLimiter(rate.Every(10*time.Second), 10)}, "", 0),
	}
}

// sparingly logs what net/http says of connections, such as failed handshakes, of which any client can cause any number: the first
// ten lines, and then one in ten seconds.
type sparingly struct {
	logger logr.Logger
	limit  *rate.Limiter
}

var _ io.Writer = (*sparingly)(nil)

// Write logs one line.
func (s *sparingly) Write(line []byte) (int, error) {
	if s.limit.Allow() {
		s.logger.Info("a connection failed", "problem", string(line[:max(0, len(line)-1)]))
	}
	return len(line), nil
}

// StartedChecker returns a check that connects to the server.
func (s *boundedServer) StartedChecker() healthz.Checker {
	return func(r *http.Request) error {
		if !s.listening.Load() {
			return errors.New("the webhook server has not been started yet")
		}
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: headerTimeout}, Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it asks itself
		conn, err := dialer.DialContext(r.Context(), "tcp", s.address)
		if err != nil {
			return fmt.Errorf("the webhook server cannot be reached: %w", err)
		}
		return conn.Close()
	}
}
