package conns

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// patience is how long a test waits for what should come much sooner.
const patience = 30 * time.Second

// dialed is a connection that comes from an address, and remembers that it was closed.
type dialed struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (d *dialed) RemoteAddr() net.Addr { return d.from }

func (d *dialed) Close() error {
	d.closed = true
	return nil
}

// queue is a listener with connections that are there already.
type queue struct{ conns []net.Conn }

func (q *queue) Accept() (net.Conn, error) {
	if len(q.conns) == 0 {
		return nil, io.EOF
	}
	next := q.conns[0]
	q.conns = q.conns[1:]
	return next, nil
}

func (*queue) Close() error   { return nil }
func (*queue) Addr() net.Addr { return nil }

// server is a listener to which connections come one by one.
type server struct {
	t        *testing.T
	queue    *queue
	listener *Listener
	all      map[string]*dialed
	now      time.Time
	slept    time.Duration
	order    []string
}

func newServer(t *testing.T, limits Limits) *server {
	t.Helper()
	q := &queue{}
	s := &server{t: t, queue: q, listener: Listen(q, limits), all: map[string]*dialed{}, now: time.Unix(1, 0)}
	s.listener.now = func() time.Time { return s.now }
	s.listener.sleep = func(d time.Duration) { s.now, s.slept = s.now.Add(d), s.slept+d }
	return s
}

// accept lets a connection of this name come from an address.
func (s *server) accept(name, from string) *Conn {
	s.t.Helper()
	address, err := net.ResolveTCPAddr("tcp", from)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &dialed{from: address}
	s.now = s.now.Add(2 * time.Second)
	s.all[name], s.order = d, append(s.order, name)
	s.queue.conns = append(s.queue.conns, d)
	accepted, err := s.listener.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	c, ok := accepted.(*Conn)
	if !ok {
		s.t.Fatalf("%T", accepted)
	}
	return c
}

// closed checks which connections have been closed so far, in the order in which they came.
func (s *server) closed(want ...string) {
	s.t.Helper()
	var got []string
	for _, name := range s.order {
		if s.all[name].closed {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("closed are %q, want %q", got, want)
	}
}

func TestOfOneAddressTheOldestConnectionWithoutARequestIsClosed(t *testing.T) {
	s := newServer(t, Limits{All: 100, PerSource: 3})
	s.accept("a", "10.0.0.1:1")
	s.accept("b", "10.0.0.1:2")
	s.accept("other", "10.0.0.2:1")
	s.accept("c", "10.0.0.1:3")
	s.closed()
	s.accept("d", "10.0.0.1:4")
	s.closed("a")
	s.accept("e", "10.0.0.1:5")
	s.closed("a", "b")
}

func TestConnectionsThatHaveSentRequestsAreSpared(t *testing.T) {
	s := newServer(t, Limits{All: 100, PerSource: 3})
	judged := s.accept("judged", "10.0.0.1:1")
	judged.Judging()
	idle := s.accept("idle", "10.0.0.1:2")
	idle.Judging()
	idle.Answered()
	s.accept("c", "10.0.0.1:3")
	s.accept("d", "10.0.0.1:4")
	s.closed("c")
	s.accept("e", "10.0.0.1:5").Judging()
	s.closed("c", "d")
	// No other is left that has not sent a request: the one that is idle goes, and then the one that has waited longest.
	s.accept("f", "10.0.0.1:6").Judging()
	s.closed("idle", "c", "d")
	s.accept("g", "10.0.0.1:7")
	s.closed("judged", "idle", "c", "d")
}

// One that is new is not closed as long as there is one that is older than a second, whatever that does.
func TestAConnectionHasASecondToSendItsRequest(t *testing.T) {
	for _, stage := range []string{"idle", "judged"} {
		s := newServer(t, Limits{All: 100, PerSource: 3})
		for _, name := range []string{"a", "b", "c"} {
			c := s.accept(name, "10.0.0.1:1")
			c.Judging()
			if stage == "idle" {
				c.Answered()
			}
		}
		s.accept("server", "10.0.0.1:2")
		s.closed("a")
		s.now = s.now.Add(-2 * time.Second)
		s.accept("d", "10.0.0.1:3")
		s.closed("a", "b")
		s.now = s.now.Add(-2 * time.Second)
		s.accept("e", "10.0.0.1:4")
		s.closed("a", "b", "c")
		// All are younger than a second: the oldest goes, but not before it has had its time.
		s.now = s.now.Add(-1950 * time.Millisecond)
		s.accept("f", "10.0.0.1:5")
		s.closed("a", "b", "c", "server")
		if want := 150 * time.Millisecond; s.slept != want {
			t.Errorf("nothing was accepted for %v, want %v", s.slept, want)
		}
	}
}

// An API server that asks again and again keeps its connection, whatever those do that ask once.
func TestOfIdleConnectionsTheOneGoesThatWasAnsweredFirst(t *testing.T) {
	s := newServer(t, Limits{All: 100, PerSource: 3})
	asking := map[string]*Conn{}
	for _, name := range []string{"a", "b", "c"} {
		asking[name] = s.accept(name, "10.0.0.1:1")
		asking[name].Judging()
		asking[name].Answered()
	}
	asking["a"].Judging()
	asking["a"].Answered()
	s.accept("d", "10.0.0.1:1")
	s.closed("b")
}

func TestWhenThereAreTooManyInAllTheAddressWithTheMostGivesOne(t *testing.T) {
	s := newServer(t, Limits{All: 4, PerSource: 3})
	s.accept("server", "10.0.0.1:1")
	s.accept("a", "10.0.0.2:1")
	s.accept("b", "10.0.0.2:2")
	s.accept("c", "10.0.0.2:3")
	s.accept("d", "10.0.0.3:1")
	s.closed("a")
	s.accept("e", "10.0.0.3:2")
	if s.all["server"].closed {
		t.Error("the only connection of an address was closed")
	}
}

func TestAConnectionThatIsClosedCountsNoMore(t *testing.T) {
	s := newServer(t, Limits{All: 2, PerSource: 2})
	for range 10 {
		c := s.accept("a", "10.0.0.1:1")
		c.Judging()
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
		c.Answered()
	}
	s.accept("b", "10.0.0.1:2")
	s.accept("c", "10.0.0.2:2")
	s.closed("a", "a", "a", "a", "a", "a", "a", "a", "a", "a")
	if s.listener.all != 2 || len(s.listener.sources) != 2 {
		t.Errorf("%d connections of %d addresses count", s.listener.all, len(s.listener.sources))
	}
}

func TestSourceOf(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1/32", "[::ffff:10.0.0.1]:80": "10.0.0.1/32", "[fd00:1:2:3::1]:80": "fd00:1:2:3::/64",
		"[fd00:1:2:3:4:5:6:7]:80": "fd00:1:2:3::/64", "[fe80::1%eth0]:80": "fe80::/64", "": "invalid Prefix", "nobody": "invalid Prefix",
	} {
		if got := SourceOf(address).String(); got != want {
			t.Errorf("%q comes from %s, want %s", address, got, want)
		}
	}
}

// The handler of a request finds the connection, through TLS, and one that is closed for another is closed for its client.
func TestOverTLS(t *testing.T) {
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := Listen(inner, Limits{All: 1, PerSource: 1})
	defer listener.Close()
	first, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := FromContext(NewContext(context.Background(), tls.Server(accepted, &tls.Config{}))); got != accepted { //nolint:gosec // no handshake is made
		t.Errorf("the connection of the request is %v", got)
	}
	if got := FromContext(NewContext(context.Background(), first)); got != nil {
		t.Errorf("a connection that does not count is %v", got)
	}
	second, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := listener.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := first.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the first one reads %v, want it to be closed", err)
	}
}
