package stress

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/meshfence/meshfence/test/harness"
)

// perSecond is how many connections are opened while others are measured, at the most.
const perSecond = 500

// clientBuffer is how much the client's kernel keeps of answers that are not read.
const clientBuffer = 4 << 10

// ways are those in which a client can hold on to a connection. Each gets one that has just been connected, and returns when there is
// nothing more to send. An error means that the server has closed it, which it may.
func ways(t *testing.T, config *tls.Config) []way {
	over := func(send func(conn *tls.Conn) error) func(ctx context.Context, conn net.Conn) error {
		return func(ctx context.Context, conn net.Conn) error {
			secure := tls.Client(conn, config)
			if err := secure.HandshakeContext(ctx); err != nil {
				return err
			}
			return send(secure)
		}
	}
	const post = "POST /validate/namespace HTTP/1.1\r\nHost: meshfence\r\nContent-Type: application/json\r\n"
	text := func(text string) func(conn *tls.Conn) error {
		return func(conn *tls.Conn) error {
			_, err := conn.Write([]byte(text))
			return err
		}
	}
	// Its answer repeats the uid, and is nearly as long.
	unread := bytes.Replace(review(t, 0), []byte(`"uid":"u"`), fmt.Appendf(nil, `"uid":%q`, strings.Repeat("u", 250<<10)), 1)
	return []way{
		{"half a handshake", func(_ context.Context, conn net.Conn) error {
			// A record with a ClientHello that is said to have 64 KiB, of which all but the end comes.
			for range 4 {
				record := append([]byte{22, 3, 1, 0x3f, 0x00}, make([]byte, 0x3f00)...)
				copy(record[5:], []byte{1, 0, 0xff, 0xff})
				if _, err := conn.Write(record); err != nil {
					return err
				}
			}
			return nil
		}},
		{"idle", over(func(*tls.Conn) error { return nil })},
		{"slow headers", over(text(post + "X: " + strings.Repeat("x", 15<<10)))},
		{"slow body", over(text(post + "Content-Length: 262143\r\n\r\n" + strings.Repeat(" ", 262142)))},
		{"slow small body", over(text(post + "Content-Length: 5000\r\n\r\n{"))},
		{"slow large body", over(text(post + "Content-Length: 7000000\r\n\r\n" + strings.Repeat(" ", 300000)))},
		{"unread answer", over(text(post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(unread), unread)))},
		{"half closed", over(func(conn *tls.Conn) error {
			if err := text(post + "Content-Length: 5000\r\n\r\n{")(conn); err != nil {
				return err
			}
			return conn.CloseWrite()
		})},
	}
}

type way struct {
	name string
	hold func(ctx context.Context, conn net.Conn) error
}

// heldConnections has clients hold on to connections in every way there is, while an API server asks. All come from one address, which
// is the worst case: nothing but what they do tells them apart. (It may sound the other way round, but no connection of another
// address is ever closed for those of one that has more, see webhook/conns.)
func (s *suite) heldConnections(t *testing.T) {
	s.install(t, 1, harness.ProcessOptions{Env: s.containerEnv(t)})
	process := s.replicas[0]
	config := s.direct(t).Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, _, _ = net.SplitHostPort(process.Address)
	number, requests := choose(700, 10000), choose(20, 300)
	count(t, "mesh-label requests before: %s", s.latencies(t, requests))
	for _, way := range ways(t, config) {
		t.Run(way.name, func(t *testing.T) {
			holder := &holder{address: process.Address, way: way, most: number}
			holder.open(t, number)
			t.Cleanup(holder.close)
			ctx, cancel := context.WithCancel(t.Context())
			var pressing errgroup.Group
			pressing.Go(func() error { // what is closed is opened again
				pace := rate.NewLimiter(perSecond, 1)
				for holder.opened() < 3*number && pace.Wait(ctx) == nil {
					holder.openOne(ctx)
				}
				return nil
			})
			during := s.latencies(t, requests)
			cancel()
			_ = pressing.Wait()
			count(t, "%d connections, of which %d were closed before all was sent (%v); mesh-label requests meanwhile: %s", holder.opened(), holder.closed, holder.last, during)
			withinMemory(t, process, way.name)
			if sent := holder.opened() - holder.closed; sent < number/4 {
				t.Errorf("on only %d connections all was sent", sent)
			}
		})
	}
}

// containerEnv is the environment of the Deployment's container.
func (s *suite) containerEnv(t *testing.T) (env []string) {
	t.Helper()
	for _, variable := range s.container(t).Env {
		env = append(env, variable.Name+"="+variable.Value)
	}
	return env
}

// latencies changes the labels of a namespace so often, each of which must succeed, and says how long that took.
func (s *suite) latencies(t *testing.T, requests int) string {
	t.Helper()
	took := make([]time.Duration, requests)
	for i := range took {
		begin := time.Now()
		if err := patchLabels(t.Context(), s.Client, "default", fmt.Sprintf(`{"istio-discovery":"x-%d"}`, i)); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		took[i] = time.Since(begin).Round(time.Millisecond)
	}
	slices.Sort(took)
	return fmt.Sprintf("p50 %v, p99 %v, at most %v", took[requests/2], took[(requests-1)*99/100], took[requests-1])
}

// holder holds connections open.
type holder struct {
	address string
	way     way
	most    int

	mu    sync.Mutex
	count int
	// closed is how many the server closed before everything was sent, last with what error.
	closed int
	last   error
	conns  []net.Conn
}

// open opens connections, 32 at a time.
func (h *holder) open(t *testing.T, number int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(32)
	for range number {
		group.Go(func() error {
			h.openOne(t.Context())
			return nil
		})
	}
	must(t, group.Wait())
}

// openOne opens one connection. That it is closed again, perhaps before everything is sent, is no error.
func (h *holder) openOne(ctx context.Context) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_ = conn.(*net.TCPConn).SetReadBuffer(clientBuffer)
	h.keep(conn)
	if err := h.way.hold(ctx, conn); err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.closed++
		h.last = err
	}
}

// keep keeps a connection until it is one of the oldest, which the server has closed long since.
func (h *holder) keep(conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	if h.conns = append(h.conns, conn); len(h.conns) > h.most {
		_ = h.conns[0].Close()
		h.conns = h.conns[1:]
	}
}

func (h *holder) opened() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *holder) close() {
	for _, conn := range h.conns {
		_ = conn.Close()
	}
}
