package stress

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// staller is a proxy in front of an API server that can hold what watches bring.
type staller struct {
	config *rest.Config
	mu     sync.Mutex
	// held is closed when what is held may go on; nil if nothing is held.
	held chan struct{}
}

func newStaller(t *testing.T, to *rest.Config) *staller {
	t.Helper()
	transport, err := rest.TransportFor(&rest.Config{Host: to.Host, TLSClientConfig: rest.TLSClientConfig{CAData: to.CAData}})
	must(t, err)
	target, err := url.Parse("https://" + strings.TrimPrefix(to.Host, "https://"))
	must(t, err)
	p := &staller{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ModifyResponse: func(response *http.Response) error {
			if response.Request.URL.Query().Get("watch") != "" {
				response.Body = &stalled{p, response.Body}
			}
			return nil
		},
	}
	p.config = serveTLS(t, proxy)
	return p
}

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

// relay passes TCP connections on: at once, late, or not at all.
type relay struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	delay time.Duration
	isCut bool
	open  map[net.Conn]bool
}

// newRelay starts a relay to the host of a URL, until the test ends.
func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	target, _, err := rest.DefaultServerURL(to, "", schema.GroupVersion{}, true)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{listener: listener, to: target.Host, open: map[net.Conn]bool{}}
	go r.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		r.cut()
	})
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// late has every byte, in both directions, arrive so much later from now on.
func (r *relay) late(delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = delay
}

// cut breaks all connections, and lets none begin until mend.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = true
	for conn := range r.open {
		_ = conn.Close()
	}
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = false
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		go r.connect(client)
	}
}

func (r *relay) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil || !r.keep(client, server) {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { r.pass(server, client) })
	both.Go(func() { r.pass(client, server) })
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, client)
	delete(r.open, server)
}

// keep notes connections, unless none may begin.
func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		if r.isCut {
			_ = conn.Close()
			continue
		}
		r.open[conn] = true
	}
	return !r.isCut
}

// chunk is what was read at once, and when it may arrive.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass copies until either side ends, and then ends both. What comes later waits no longer because of what came before.
func (r *relay) pass(to, from net.Conn) {
	defer to.Close()
	chunks := make(chan chunk, 1000)
	go func() {
		defer close(chunks)
		for {
			bytes := make([]byte, 32<<10)
			n, err := from.Read(bytes)
			r.mu.Lock()
			due := time.Now().Add(r.delay)
			r.mu.Unlock()
			if n > 0 {
				chunks <- chunk{bytes[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	var err error
	for c := range chunks {
		if err != nil {
			continue // the reader must not wait for ever
		}
		<-time.After(time.Until(c.due))
		if _, err = to.Write(c.bytes); errors.Is(err, net.ErrClosed) {
			_ = from.Close()
		}
	}
}
