package harness

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// probeEvery is how often a balancer looks whether a backend is ready. A kubelet looks every few seconds.
const probeEvery = 100 * time.Millisecond

// Balancer stands for a Service: it listens where the webhook configurations point and passes connections on to the
// backends that are ready, in turn. As with a Service, a connection that exists stays where it is, ready or not.
type Balancer struct {
	listener net.Listener
	stop     context.CancelFunc
	tasks    sync.WaitGroup
	next     atomic.Int64

	mu       sync.Mutex
	backends []*backend
	open     map[net.Conn]bool
}

type backend struct {
	process *Process
	ready   atomic.Bool
}

// StartBalancer starts a balancer without backends, in the place of the meshfence that StartMeshfence would start. The
// caller must call Stop.
func (c *Cluster) StartBalancer() (*Balancer, error) {
	listener, err := net.Listen("tcp", c.serving.address())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Balancer{listener: listener, stop: stop, open: map[net.Conn]bool{}}
	b.tasks.Go(func() { b.accept(ctx) })
	b.tasks.Go(func() { b.probe(ctx) })
	return b, nil
}

// Add adds a backend. It gets connections as soon as it says that it is ready.
func (b *Balancer) Add(process *Process) {
	added := &backend{process: process}
	added.ready.Store(process.Ready(context.Background()) == nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = append(b.backends, added)
}

// Remove takes a backend away at once.
func (b *Balancer) Remove(process *Process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rest []*backend
	for _, backend := range b.backends {
		if backend.process != process {
			rest = append(rest, backend)
		}
	}
	b.backends = rest
}

// Disconnect ends all connections, so that the next requests come on new ones.
func (b *Balancer) Disconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.open {
		_ = conn.Close()
	}
}

// Stop ends the balancer and all connections through it.
func (b *Balancer) Stop() error {
	b.stop()
	err := b.listener.Close()
	b.Disconnect()
	b.tasks.Wait()
	return err
}

func (b *Balancer) probe(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.mu.Lock()
		backends := b.backends
		b.mu.Unlock()
		for _, backend := range backends {
			backend.ready.Store(backend.process.Ready(ctx) == nil)
		}
	}
}

func (b *Balancer) accept(ctx context.Context) {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.tasks.Go(func() { b.serve(ctx, conn) })
	}
}

// serve passes one connection on. Without a ready backend it is closed: the client sees what it sees of a Service without
// endpoints.
func (b *Balancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := b.dial(ctx)
	if err != nil {
		return
	}
	defer server.Close()
	b.note(client, server)
	if ctx.Err() != nil {
		return
	}
	defer b.forget(client, server)
	copied := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
		copied <- struct{}{}
	}
	go pass(server, client)
	go pass(client, server)
	<-copied
	<-copied
}

func (b *Balancer) note(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		b.open[conn] = true
	}
}

func (b *Balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		delete(b.open, conn)
	}
}

// dial tries the ready backends, beginning with another one each time.
func (b *Balancer) dial(ctx context.Context) (net.Conn, error) {
	b.mu.Lock()
	backends := b.backends
	b.mu.Unlock()
	start := int(b.next.Add(1))
	var dialer net.Dialer
	for i := range backends {
		backend := backends[(start+i)%len(backends)]
		if !backend.ready.Load() {
			continue
		}
		if conn, err := dialer.DialContext(ctx, "tcp", backend.process.Address); err == nil {
			return conn, nil
		}
	}
	return nil, net.ErrClosed
}

// Ready returns an error unless the process says that it is ready: ErrNotReady if it says that it is not.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.HealthURL+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = ErrNotReady
	}
	_ = response.Body.Close()
	return err
}
