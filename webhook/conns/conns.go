// Package conns bounds the connections of a server: all together, and those of one source address. A new connection is never
// turned away, because it may be an API server's: the one that can best be spared is closed for it.
//
// golang.org/x/net/netutil's LimitListener does not serve here. It counts all connections together and accepts no more when there are
// enough, so that a few thousand that do nothing keep all others out.
//
// Which one can be spared follows from what API servers do, and holds also where they and an attacker have one address, as behind a
// NAT or with some network plugins. An API server sends each request in one go and reads the answer at once, so its connection is
// without a whole request only for the milliseconds in which it is new. What makes no progress for a second goes first, therefore, in
// the order of stages; and if everything is younger, the oldest. None is closed before it has had a fifth of a second: if connections
// come faster than that lets them be closed, they wait in the kernel's queue, and with them, for a second perhaps, an API
// server's. Otherwise a few thousand new ones a second would displace those that are in the middle of a handshake on a busy machine.
package conns

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits are how many connections there may be.
type Limits struct{ All, PerSource int }

// socketBuffer is how much the kernel keeps of what was sent and not read, in either direction and on each connection. It counts
// as memory of the container too, and would grow to megabytes; a request usually has some kilobytes.
const socketBuffer = 32 << 10

// Listener accepts connections within limits.
type Listener struct {
	net.Listener
	limits Limits
	now    func() time.Time
	sleep  func(time.Duration)

	mu      sync.Mutex
	all     int
	sources map[netip.Prefix]*source
}

// Listen bounds the connections that a listener accepts.
func Listen(inner net.Listener, limits Limits) *Listener {
	return &Listener{Listener: inner, limits: limits, now: time.Now, sleep: pause, sources: map[netip.Prefix]*source{}}
}

func pause(d time.Duration) { <-time.After(d) }

// stage is how far a connection has come.
type stage int

// grace is how long a connection may be in a stage before it is closed for a new one rather than others that have been in theirs for as
// long.
const grace = time.Second

// leastTime is how long a connection may be in a stage in any case, ten times what an API server's needs for that.
const leastTime = 200 * time.Millisecond

// The stages, in the order in which connections are closed.
const (
	// unproven: it has not sent a whole request yet, but perhaps a part of a handshake, of headers or of a body.
	unproven stage = iota
	// answered: it has, and sends the next one, or nothing.
	answered
	// judging: the client waits for an answer on it.
	judging
	stages
)

// source are the connections of one address.
type source struct {
	prefix netip.Prefix
	number int
	// by has the connections of each stage, the one that has been in it for the longest time first.
	by [stages]list.List
}

// Conn is a connection that counts.
type Conn struct {
	net.Conn
	listener *Listener
	source   *source

	// Below: under the listener's lock.
	stage   stage
	since   time.Time
	element *list.Element // nil when it no longer counts
}

// Accept returns the next connection, and closes another one if there are too many now.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(socketBuffer) // or it has been closed already
		_ = tcp.SetWriteBuffer(socketBuffer)
	}
	c := &Conn{Conn: inner, listener: l}
	for l.add(c, SourceOf(inner.RemoteAddr().String())); ; {
		victim, wait := l.makeRoom(c)
		if victim != nil {
			victim.abort()
		}
		if wait <= 0 {
			return c, nil
		}
		l.sleep(wait)
	}
}

// SourceOf is the part of a HOST:PORT that identifies a client: an IPv4 address, or the first half of an IPv6 address, because a client
// with one of those has all that begin alike.
func SourceOf(address string) netip.Prefix {
	parsed, _ := netip.ParseAddrPort(address) // the zero value is a source too
	addr, bits := parsed.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// add counts a connection.
func (l *Listener) add(c *Conn, prefix netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.source = l.sources[prefix]
	if c.source == nil {
		c.source = &source{prefix: prefix}
		l.sources[prefix] = c.source
	}
	l.all++
	c.source.number++
	c.since = l.now()
	c.element = c.source.by[unproven].PushBack(c)
}

// makeRoom returns the connection to close for a new one, or how long to wait until there is one, or nothing.
func (l *Listener) makeRoom(c *Conn) (victim *Conn, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	switch {
	case c.source.number > l.limits.PerSource:
		victim = c.source.victim(c, now)
	case l.all > l.limits.All:
		victim = l.largest().victim(c, now)
	}
	if victim == nil {
		return nil, 0
	}
	if wait := leastTime - now.Sub(victim.since); wait > 0 {
		return nil, wait
	}
	l.forgetLocked(victim)
	return victim, 0
}

// largest is the source with the most connections.
func (l *Listener) largest() *source {
	var largest *source
	for _, s := range l.sources {
		if largest == nil || s.number > largest.number {
			largest = s
		}
	}
	return largest
}

// victim returns the connection that goes for a new one: of the first stage in which one is for longer than grace the one that is in it
// for the longest time, and if there is none, that one of all. It is nil if there is no other than the new one.
func (s *source) victim(but *Conn, now time.Time) (oldest *Conn) {
	for i := range s.by {
		c := first(&s.by[i])
		if c == nil || c == but {
			continue
		}
		if now.Sub(c.since) > grace {
			return c
		}
		if oldest == nil || c.since.Before(oldest.since) {
			oldest = c
		}
	}
	return oldest
}

func first(of *list.List) *Conn {
	if e := of.Front(); e != nil {
		c, _ := e.Value.(*Conn)
		return c
	}
	return nil
}

func (l *Listener) forgetLocked(c *Conn) {
	if c.element == nil {
		return
	}
	c.source.by[c.stage].Remove(c.element)
	c.element = nil
	l.all--
	if c.source.number--; c.source.number == 0 {
		delete(l.sources, c.source.prefix)
	}
}

// abort closes the connection at once: the kernel keeps nothing of it.
func (c *Conn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.listener.mu.Lock()
	c.listener.forgetLocked(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// Judging notes that a whole request has come, for which the client waits now. c may be nil.
func (c *Conn) Judging() { c.enter(judging) }

// Answered notes that the request has its answer, which the client has yet to read. c may be nil.
func (c *Conn) Answered() { c.enter(answered) }

func (c *Conn) enter(next stage) {
	if c == nil {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.element == nil {
		return
	}
	c.source.by[c.stage].Remove(c.element)
	c.stage, c.since = next, c.listener.now()
	c.element = c.source.by[next].PushBack(c)
}

// key is that of the connection in the context of its requests.
type key struct{}

// NewContext returns the context of requests on a connection, which is one of a Listener's, or TLS on one; any other has none.
func NewContext(ctx context.Context, conn net.Conn) context.Context {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	if c, ok := conn.(*Conn); ok {
		return context.WithValue(ctx, key{}, c)
	}
	return ctx
}

// FromContext returns the connection that a request came on, or nil.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(key{}).(*Conn)
	return c
}
