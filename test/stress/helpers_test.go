package stress

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"
)

func (p *staller) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

func (p *staller) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// stalled is the body of a watch.
type stalled struct {
	proxy *staller
	io.ReadCloser
}

func (s *stalled) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	s.proxy.mu.Lock()
	held := s.proxy.held
	s.proxy.mu.Unlock()
	if held != nil {
		<-held
	}
	return n, err
}

// serveTLS serves until the test ends, and returns how to connect.
func serveTLS(t *testing.T, handler http.Handler) *rest.Config {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority}}
}
