package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// CertFile and KeyFile are the names of the two files in the certificate's folder.
const (
	CertFile = "tls.crt"
	KeyFile  = "tls.key"
)

// DefaultWait is how long a start waits for the files. A Secret that is mounted late (an optional volume) shows up within
// the kubelet's sync period, which is one minute by default.
const DefaultWait = time.Minute

// pollInterval is how often a start looks for the files.
const pollInterval = 500 * time.Millisecond

// Watcher serves the newest certificate of a folder. It is a Runnable for a controller-runtime manager, on every replica.
// Make one with Load.
type Watcher struct {
	files *certwatcher.CertWatcher
	dir   string
	clock *Clock
}

// Load reads the certificate of the folder dir. If a file is not there, it waits for it, at most for the time limit, and
// says so once in the log. Files that are there but hold no certificate and matching key are an error at once, as waiting
// for a person to repair them would only hide it. The error says what to do next; it is ctx's if ctx ends first. The clock is the one
// that the certificate must be valid for; one that is not is loaded all the same, and Ready says so.
func Load(ctx context.Context, dir string, limit time.Duration, clock *Clock) (*Watcher, error) {
	certFile, keyFile := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	var files *certwatcher.CertWatcher
	isWaiting := false
	err := wait.PollUntilContextTimeout(ctx, pollInterval, limit, true, func(ctx context.Context) (bool, error) {
		var err error
		files, err = certwatcher.New(certFile, keyFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
		if !isWaiting {
			log.FromContext(ctx).Info("Waiting for the serving certificate", "folder", dir, "limit", limit.String())
		}
		isWaiting = true
		return false, nil
	})
	switch {
	case err == nil:
		return &Watcher{files: files, dir: dir, clock: clock}, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case wait.Interrupted(err):
		return nil, fmt.Errorf("%s: no serving certificate yet: waited %s for the files %s and %s; "+
			"check that the Secret mounted there exists and has these two keys (with cert-manager: that the Certificate is ready)",
			dir, limit, CertFile, KeyFile)
	}
	return nil, fmt.Errorf("%s: no usable serving certificate: %w; %s and %s must be a PEM certificate and its private key", dir, err, CertFile, KeyFile)
}

// Configure sets up cfg for serving: this certificate, at least TLS 1.3 (which every Kubernetes API
// server of today speaks), and HTTP/2 as well as HTTP/1.1. It fits in the TLSOpts of controller-runtime's webhook server.
func (w *Watcher) Configure(cfg *tls.Config) { configure(cfg, w.files.GetCertificate) }

// configure sets up serving in the one way that there is.
func configure(cfg *tls.Config, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	cfg.MinVersion = tls.VersionTLS13
	cfg.NextProtos = []string{"h2", "http/1.1"}
	cfg.GetCertificate = certificate
}

// Expiry returns when the certificate that is served ends.
func (w *Watcher) Expiry() time.Time {
	if leaf := w.leaf(); leaf != nil {
		return leaf.NotAfter
	}
	return time.Time{}
}

// leaf returns the certificate that is served, nil if it cannot be told.
func (w *Watcher) leaf() *x509.Certificate {
	c, err := w.files.GetCertificate(nil)
	if err != nil || c == nil {
		return nil
	}
	return c.Leaf
}

// Start watches the files until ctx ends. A changed pair of files is served from the next handshake on; one that cannot be
// read, or does not fit together, is logged, and the certificate that was served before stays in use.
func (w *Watcher) Start(ctx context.Context) error { return w.files.Start(ctx) }

// CacheOptions are none: nothing is read from the API server.
func (w *Watcher) CacheOptions() map[client.Object]cache.ByObject { return nil }

// SetupWithManager adds the watcher to a manager.
func (w *Watcher) SetupWithManager(mgr manager.Manager) error { return mgr.Add(w) }

// Ready is a readiness check: it fails while the API server cannot accept the certificate that is served. That there is one, Load has
// waited for.
func (w *Watcher) Ready(*http.Request) error {
	leaf := w.leaf()
	if leaf == nil {
		return nil
	}
	if wrong := w.clock.refuses(leaf); wrong != "" {
		return fmt.Errorf("the serving certificate %s %s; a new one is served as soon as the Secret mounted there has it: with cert-manager, "+
			"'kubectl describe certificate' in its namespace says why it was not renewed; on OpenShift, delete that Secret, and the service CA makes another",
			filepath.Join(w.dir, CertFile), wrong)
	}
	return nil
}

// NeedLeaderElection tells the manager that every replica needs its certificate.
func (w *Watcher) NeedLeaderElection() bool { return false }
