package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// ClientAuthority has clients show a certificate that an authority in a file has signed. The API server is such a client,
// if its --admission-control-config-file says which certificate it is to show. Make one with LoadClientAuthority.
type ClientAuthority struct {
	file  string
	clock *Clock

	mu      sync.Mutex
	changed time.Time
	pool    *x509.CertPool
}

// LoadClientAuthority reads the file, one or more certificates in PEM. The error says what to do next. Clients' certificates must be
// valid by the clock.
func LoadClientAuthority(file string, clock *Clock) (*ClientAuthority, error) {
	a := &ClientAuthority{file: file, clock: clock}
	if err := a.read(); err != nil {
		return nil, fmt.Errorf("%w; it must hold the PEM certificates of the authorities that sign the API server's client certificate", err)
	}
	return a, nil
}

// Configure makes a server verify its clients. It fits in the TLSOpts of controller-runtime's webhook server, behind
// everything that sets up the server otherwise.
func (a *ClientAuthority) Configure(cfg *tls.Config) {
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.Time = a.clock.Now
	base := cfg.Clone()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		own := base.Clone()
		own.ClientCAs = a.current()
		return own, nil
	}
}

// current returns the authorities. A file that has changed is read again; while it cannot be read, or holds no
// certificate, those of before stay.
func (a *ClientAuthority) current() *x509.CertPool {
	_ = a.read()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pool
}

func (a *ClientAuthority) read() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Stat(a.file)
	if err != nil {
		return err
	}
	if a.pool != nil && info.ModTime().Equal(a.changed) {
		return nil
	}
	content, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return fmt.Errorf("%s holds no certificate", a.file)
	}
	a.pool, a.changed = pool, info.ModTime()
	return nil
}
