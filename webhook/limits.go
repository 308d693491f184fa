package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/meshfence/meshfence/webhook/conns"
)

// readTimeout is how long the body of a request may take. The API server gives a webhook 30 seconds at the most
// (timeoutSeconds), so nobody waits for the answer to a body that is slower.
const readTimeout = 30 * time.Second

// answerTimeout is how long the client may take to read an answer. An API server reads at once; the kernel's buffers alone have
// room for most answers.
const answerTimeout = 10 * time.Second

// timely ends requests whose body takes longer than limit: one that never ends or comes byte by byte. The size of a body
// is limited where it is read (maxBody).
func timely(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An error means that the connection has no deadlines; the server's own are all there is then.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		next.ServeHTTP(w, r)
	})
}

// A body of the usual size, a few kilobytes, is read as it comes. Of larger ones, each of which costs some five times its
// size in memory until it is answered, only a few are read at a time.
const (
	usualBody     = 256 << 10
	largeAtOnce   = 4
	largeWait     = 3 * time.Second
	largeDeadline = 5 * time.Second
)

// usualAtOnce is how many bytes the bodies have that are there at the same time, of large ones the first 256 KiB, and the
// answers that their clients have not read. API servers that have a thousand requests under way, more than two of them allow by
// default (600 each), need a third of it.
const usualAtOnce = 16 << 20

const (
	// smallReserve is for bodies of up to 16 KiB alone, when those that are given up do not let go at once.
	smallReserve = 4 << 20
	// roomWait is how long a request may wait for others to let go. The API server asks about namespaces for five seconds.
	roomWait = 3 * time.Second
)

// errTooMany is for a large body that would have to wait for too long for others, and for one that others take the room of.
var errTooMany = errors.New("too many requests with a body of more than 256 KiB at the same time")

// errNoRoom is for a body of any size for which there is no room, or none any more.
var errNoRoom = errors.New("too many requests at the same time whose bodies or answers make no progress")

// bodies are the requests that are being read, judged and answered. When they have too many bytes, one is given up that can best
// be spared (see spared), so that a few thousand bodies that never end cannot keep out an API server's.
type bodies struct {
	limit int
	wait  time.Duration
	now   func() time.Time
	// large are the places for requests with large bodies. Whoever has put something in has one.
	large chan struct{}

	mu sync.Mutex
	// held is how many bytes there are; givenUp is how many of them belong to requests that are given up, and are free in a moment.
	held, givenUp int
	sources       map[netip.Prefix]int // bytes that are held and not given up
	all           map[*body]struct{}
	freed         chan struct{} // closed, and made anew, when a request ends or is given up
}

func newBodies() *bodies {
	return &bodies{limit: usualAtOnce, wait: roomWait, freed: make(chan struct{}), now: time.Now, large: make(chan struct{}, largeAtOnce), sources: map[netip.Prefix]int{}, all: map[*body]struct{}{}}
}

// body is a request that has begun. Its methods are for the goroutine of that request.
type body struct {
	bodies  *bodies
	source  netip.Prefix
	control *http.ResponseController
	placed  bool // among the large ones

	// Below: under the lock of bodies.
	held    int
	judging bool      // and does not wait for its client
	since   time.Time // it does what it does
	givenUp bool
}

// begin begins a request. Its end must be called when the request has been answered.
func (all *bodies) begin(w http.ResponseWriter, r *http.Request) *body {
	b := &body{bodies: all, source: conns.SourceOf(r.RemoteAddr), control: http.NewResponseController(w), since: all.now()}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.all[b] = struct{}{}
	return b
}

// end frees what the request has.
func (b *body) end() {
	if b.placed {
		<-b.bodies.large
	}
	b.bodies.mu.Lock()
	defer b.bodies.mu.Unlock()
	b.lockedHold(0)
	delete(b.bodies.all, b)
	b.bodies.lockedFreed()
}

func (all *bodies) lockedFreed() {
	close(all.freed)
	all.freed = make(chan struct{})
}

// hold says that the request takes so many bytes from now on. If they are too many with those of others, others are given up, and if
// those still hold too many, it waits for them: they let go as soon as they get hold of a processor, which others have kept busy then.
func (b *body) hold(bytes int) error {
	freed, err := b.tryHold(bytes)
	if freed == nil {
		return err
	}
	timer := time.NewTimer(b.bodies.wait)
	defer timer.Stop()
	for freed != nil {
		select {
		case <-freed:
			freed, err = b.tryHold(bytes)
		case <-timer.C:
			return errNoRoom
		}
	}
	return err
}

// tryHold returns a channel if there is no room; it is closed when there may be.
func (b *body) tryHold(bytes int) (freed <-chan struct{}, err error) {
	all := b.bodies
	all.mu.Lock()
	defer all.mu.Unlock()
	if b.givenUp {
		return nil, errNoRoom
	}
	before := b.held
	b.lockedHold(bytes)
	all.lockedMakeRoom(b)
	most := 2 * all.limit
	if bytes <= trusted {
		most += smallReserve // an API server's request is hardly ever larger
	}
	if all.held <= most {
		return nil, nil
	}
	b.lockedHold(before)
	return all.freed, nil
}

// lockedMakeRoom gives up others than the one that needs the room.
func (all *bodies) lockedMakeRoom(needs *body) {
	for all.held-all.givenUp > all.limit {
		spared := all.spared(needs)
		if spared == nil {
			return
		}
		spared.giveUp()
	}
}

func (b *body) lockedHold(bytes int) {
	more := bytes - b.held
	b.held = bytes
	b.bodies.held += more
	if b.givenUp {
		b.bodies.givenUp += more
		return
	}
	if b.bodies.sources[b.source] += more; b.bodies.sources[b.source] == 0 {
		delete(b.bodies.sources, b.source)
	}
}

// grace is how long a request may do one thing before it is given up rather than others that have done theirs for as long.
const grace = time.Second

// spared is the request that is given up first, other than the one that needs the room: of the address that holds the most bytes, first
// one that has waited for its client for a second, then one that has been judged for a second, and if there is none, the oldest. An
// API server sends a body, and reads an answer, in milliseconds, so that its own are the youngest also where an attacker has the
// same address.
func (all *bodies) spared(but *body) (spared *body) {
	now := all.now()
	for b := range all.all {
		if b != but && !b.givenUp && b.held > 0 && (spared == nil || all.before(b, spared, now)) {
			spared = b
		}
	}
	return spared
}

func (all *bodies) before(a, b *body, now time.Time) bool {
	switch mine, others := all.sources[a.source], all.sources[b.source]; {
	case mine != others:
		return mine > others
	case a.rank(now) != b.rank(now):
		return a.rank(now) < b.rank(now)
	default:
		return a.since.Before(b.since)
	}
}

func (b *body) rank(now time.Time) int {
	switch old := now.Sub(b.since) > grace; {
	case old && !b.judging:
		return 1
	case old:
		return 2
	default:
		return 3
	}
}

// giveUp ends what the request waits for: its client, or, as net/http cancels the context of a request over HTTP/1.1 whose read
// deadline comes, a judgement.
func (b *body) giveUp() {
	held := b.held
	b.lockedHold(0)
	b.givenUp = true
	b.lockedHold(held)
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
	_ = b.control.SetWriteDeadline(time.Unix(1, 0))
	b.bodies.lockedFreed() // should it wait itself
}

// within limits how long the body may take from now on, unless the request is given up.
func (b *body) within(limit time.Duration) {
	b.bodies.mu.Lock()
	defer b.bodies.mu.Unlock()
	if !b.givenUp {
		_ = b.control.SetReadDeadline(time.Now().Add(limit)) // as in timely
	}
}

// whole notes that the request waits for its client no longer. It is an error if it is given up.
func (b *body) whole() error {
	b.bodies.mu.Lock()
	defer b.bodies.mu.Unlock()
	b.judging, b.since = true, b.bodies.now()
	if b.givenUp {
		return errNoRoom
	}
	return nil
}

// read reads a body of at most maxBody bytes. A large body that has a place must come quickly, so that the places cannot be held by those
// that do not come at all.
func (b *body) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	text, err := b.readUsual(r)
	if err == nil && len(text) == usualBody {
		text, err = b.readLarge(r, text)
	}
	if gone := b.whole(); gone != nil {
		return nil, gone
	}
	return text, err
}

func (b *body) readLarge(r *http.Request, text []byte) ([]byte, error) {
	timer := time.NewTimer(largeWait)
	defer timer.Stop()
	select {
	case b.bodies.large <- struct{}{}:
		b.placed = true
	case <-timer.C:
		return nil, errTooMany
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	b.within(largeDeadline)
	var rest bytes.Buffer
	_, err := io.CopyN(&rest, r.Body, int64(maxBody+1-len(text)))
	switch text = append(text, rest.Bytes()...); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, unreadable(err)
	case len(text) > maxBody:
		return nil, errTooLarge
	}
	// The server reads on while the request is judged, to see whether the client goes away, and takes a deadline for that: it
	// would cancel a judgement that waits for others.
	b.within(readTimeout)
	return text, nil
}

func unreadable(err error) error { return fmt.Errorf("its body cannot be read: %w", err) }

const (
	// trusted is how much of the length that a body is said to have is given room before it is there.
	trusted = 16 << 10
	// leastRoom is what a body has room for that does not say how long it is.
	leastRoom = 4 << 10
)

// readUsual reads the first usualBody bytes, and holds as many as it has room for.
func (b *body) readUsual(r *http.Request) ([]byte, error) {
	room := leastRoom
	if r.ContentLength >= 0 {
		room = int(min(r.ContentLength+1, trusted)) // or the text would grow to find the end
	}
	if err := b.hold(room); err != nil {
		return nil, err
	}
	text := make([]byte, 0, room)
	for {
		n, err := r.Body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF), err == nil && len(text) == usualBody:
			return text, nil
		case err != nil:
			return nil, unreadable(err)
		}
		if len(text) == cap(text) {
			room = min(2*room, usualBody)
			if err := b.hold(room); err != nil {
				return nil, err
			}
			text = append(make([]byte, 0, room), text...)
		}
	}
}

// writing notes that the request waits for its client again, which has to read so many bytes.
func (b *body) writing(bytes int) {
	b.bodies.mu.Lock()
	defer b.bodies.mu.Unlock()
	b.judging, b.since = false, b.bodies.now()
	b.lockedHold(min(bytes, usualBody))
	b.bodies.lockedMakeRoom(b)
	if !b.givenUp { // or the answer is not written
		_ = b.control.SetWriteDeadline(time.Now().Add(answerTimeout))
	}
}

// answer writes the answer, for which the client has a limited time. What is left of the body is not needed any more.
func (b *body) answer(w http.ResponseWriter, text []byte) {
	b.writing(len(text))
	// An error means that whoever asked is gone.
	_, _ = w.Write(text)
}
