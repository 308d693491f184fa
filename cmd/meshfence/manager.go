package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/meshfence/meshfence/certs"
)

// gracefulShutdown is how long requests in flight may still take after SIGTERM. No admission request lives longer: the API
// server allows webhooks at most 30 seconds (admissionregistration.k8s.io/v1, timeoutSeconds).
const gracefulShutdown = 30 * time.Second

// newManager makes the controller-runtime manager with its servers: webhooks, probes, metrics. It elects no leader,
// as every replica serves and the audit has a Lease of its own, and nothing is cached unless code asks the manager's cache for an informer: its client
// reads live.
func newManager(ctx context.Context, s *settings, api *rest.Config, serving certificate, clock *certs.Clock) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	logger := logr.FromContextOrDiscard(ctx)
	timeout := gracefulShutdown
	tlsOptions := []func(*tls.Config){serving.Configure, onlyHTTP1}
	if s.clientCA != "" {
		authority, err := certs.LoadClientAuthority(s.clientCA, clock)
		if err != nil {
			return nil, fmt.Errorf("--client-ca %w", err)
		}
		tlsOptions = append(tlsOptions, authority.Configure)
	}
	server := &boundedServer{Server: webhook.NewServer(webhook.Options{}), address: net.JoinHostPort(s.host, strconv.Itoa(s.port)), configure: tlsOptions}
	base, err := manager.New(api, manager.Options{
		Scheme:                  scheme,
		Logger:                  logger,
		BaseContext:             func() context.Context { return logr.NewContext(context.Background(), logger) },
		WebhookServer:           &drainingServer{Server: server, stopping: ctx},
		Metrics:                 metricsserver.Options{BindAddress: s.metricsAddress},
		HealthProbeBindAddress:  "0", // newProbeServer takes its place.
		GracefulShutdownTimeout: &timeout,
		NewClient:               newLiveClient,
		Cache:                   cache.Options{ByObject: serving.CacheOptions()},
	})
	if err != nil {
		return nil, err
	}
	mgr := &probedManager{Manager: base, readiness: newReadiness(logger)}
	if s.healthAddress != "0" {
		if err := mgr.Add(newProbeServer(s.healthAddress, mgr.readiness)); err != nil {
			return nil, err
		}
	}
	if err := serving.SetupWithManager(mgr); err != nil {
		return nil, fmt.Errorf("cannot keep the serving certificate: %w", err)
	}
	if err := mgr.AddReadyzCheck("certificate", serving.Ready); err != nil {
		return nil, err
	}
	return mgr, addChecks(ctx, mgr)
}

// certificate is where the serving certificate comes from: certs.Watcher or certs.SelfSigned.
type certificate interface {
	// Configure sets up TLS with the certificate of the moment.
	Configure(cfg *tls.Config)
	// CacheOptions restrict what SetupWithManager watches to what the rights allow.
	CacheOptions() map[client.Object]cache.ByObject
	// SetupWithManager adds what keeps the certificate up to date.
	SetupWithManager(mgr manager.Manager) error
	// Ready is a readiness check.
	Ready(*http.Request) error
	// Expiry is when the certificate of the moment ends.
	Expiry() time.Time
}

// newCertificate returns the certificate that the flags ask for. One from files may have to be waited for.
func newCertificate(ctx context.Context, s *settings, clock *certs.Clock) (certificate, error) {
	if s.certs == certsSelfSigned {
		options := s.selfSigned()
		options.Clock = clock
		return certs.NewSelfSigned(options, metrics.Registry)
	}
	watcher, err := certs.Load(ctx, s.certDir, certs.DefaultWait, clock)
	if err != nil {
		return nil, fmt.Errorf("--cert-dir %w", err)
	}
	return watcher, nil
}

// addChecks adds the probes that do not depend on what is served. Asking for the webhook server also adds it to the
// manager.
func addChecks(ctx context.Context, mgr manager.Manager) error {
	if err := mgr.AddReadyzCheck("webhook-server", mgr.GetWebhookServer().StartedChecker()); err != nil {
		return err
	}
	return mgr.AddReadyzCheck("not-stopping", notStopping(ctx))
}

// newLiveClient makes a client that reads from the API server, not from the manager's cache.
func newLiveClient(api *rest.Config, options client.Options) (client.Client, error) {
	options.Cache = nil
	return client.New(api, options)
}

// newScheme returns the API types that the program reads and writes.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, admissionregistrationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}
