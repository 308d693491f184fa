package review

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/meshfence/meshfence/webhook/conns"
)

// totalBytes is how many bytes the bodies have that are in memory at the same time, of large ones the first 256 KiB, and the
// answers that their clients have not read. API servers that have a thousand requests under way, more than two of them allow by
// default (600 each), need a third of it.
const totalBytes = 16 << 20

const (
	// smallReserve is for bodies of up to 16 KiB alone, when those that are evicted do not let go at once.
	smallReserve = 4 << 20
	// roomTimeout is how long a request may wait for others to let go. The API server asks about namespaces for five seconds.
	roomTimeout = 3 * time.Second
	// largeSlots is how many large bodies (see usualBody) are read and evaluated at a time.
	largeSlots = 4
)

// ErrTooManyLarge is for a large body that would have to wait for too long for others.
var ErrTooManyLarge = errors.New("too many requests with a body of more than 256 KiB at the same time")

// ErrNoRoom is for a body of any size for which there is no room, or none any more.
var ErrNoRoom = errors.New("too many requests at the same time whose bodies or answers make no progress")

// Budget bounds the memory of the requests that are being read, evaluated and answered. When they have too many bytes, one is
// evicted (see victim), so that a few thousand bodies that never end cannot keep out an API server's. Its methods are safe for
// concurrent use.
type Budget struct {
	limit int
	wait  time.Duration
	now   func() time.Time
	// large has an element for each request that has a slot for a large body.
	large chan struct{}

	mu sync.Mutex
	// held is how many bytes there are; evicted is how many of them belong to requests that are evicted, and are free in a moment.
	held, evicted int
	sources       map[netip.Prefix]int // bytes that are held and not evicted
	bodies        map[*body]struct{}
	freed         chan struct{} // closed, and replaced, when a request ends or is evicted
}

// NewBudget returns the budget of a server.
func NewBudget() *Budget {
	return &Budget{
		limit: totalBytes, wait: roomTimeout, now: time.Now, large: make(chan struct{}, largeSlots),
		sources: map[netip.Prefix]int{}, bodies: map[*body]struct{}{}, freed: make(chan struct{}),
	}
}

// begin begins a request. Its end must be called when the request has been answered.
func (all *Budget) begin(w http.ResponseWriter, r *http.Request) *body {
	b := &body{budget: all, source: conns.SourceOf(r.RemoteAddr), control: http.NewResponseController(w), since: all.now()}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.bodies[b] = struct{}{}
	return b
}

// end frees what the request has.
func (b *body) end() {
	if b.hasLargeSlot {
		<-b.budget.large
	}
	b.budget.mu.Lock()
	defer b.budget.mu.Unlock()
	b.holdLocked(0)
	delete(b.budget.bodies, b)
	b.budget.notifyLocked()
}

// notifyLocked wakes the requests that wait for room.
func (all *Budget) notifyLocked() {
	close(all.freed)
	all.freed = make(chan struct{})
}

// hold sets how many bytes the request takes from now on. If they are too many with those of others, others are evicted, and if
// those still hold too many, it waits for them: they let go as soon as they get hold of a processor, which others have kept busy then.
func (b *body) hold(bytes int) error {
	freed, err := b.tryHold(bytes)
	if freed == nil {
		return err
	}
	timer := time.NewTimer(b.budget.wait)
	defer timer.Stop()
	for freed != nil {
		select {
		case <-freed:
			freed, err = b.tryHold(bytes)
		case <-timer.C:
			return ErrNoRoom
		}
	}
	return err
}

// tryHold returns a channel if there is no room; it is closed when there may be.
func (b *body) tryHold(bytes int) (freed <-chan struct{}, err error) {
	all := b.budget
	all.mu.Lock()
	defer all.mu.Unlock()
	if b.evicted {
		return nil, ErrNoRoom
	}
	before := b.held
	b.holdLocked(bytes)
	all.makeRoomLocked(b)
	most := 2 * all.limit
	if bytes <= trustedLength {
		most += smallReserve // an API server's request is hardly ever larger
	}
	if all.held <= most {
		return nil, nil
	}
	b.holdLocked(before)
	return all.freed, nil
}

// makeRoomLocked evicts others than the one that needs the room.
func (all *Budget) makeRoomLocked(needs *body) {
	for all.held-all.evicted > all.limit {
		victim := all.victim(needs)
		if victim == nil {
			return
		}
		victim.evictLocked()
	}
}

func (b *body) holdLocked(bytes int) {
	more := bytes - b.held
	b.held = bytes
	b.budget.held += more
	if b.evicted {
		b.budget.evicted += more
		return
	}
	if b.budget.sources[b.source] += more; b.budget.sources[b.source] == 0 {
		delete(b.budget.sources, b.source)
	}
}

// grace is how long a request may do one thing before it is evicted rather than others that have done theirs for as long.
const grace = time.Second

// victim is the request that is evicted first, other than the one that needs the room: of the address that holds the most bytes, first
// one that has waited for its client for a second, then one that has been evaluated for a second, and if there is none, the oldest. An
// API server sends a body, and reads an answer, in milliseconds, so that its own are the youngest also where an attacker has the
// same address.
func (all *Budget) victim(but *body) (victim *body) {
	now := all.now()
	for b := range all.bodies {
		if b != but && !b.evicted && b.held > 0 && (victim == nil || all.evictsBefore(b, victim, now)) {
			victim = b
		}
	}
	return victim
}

// evictsBefore reports whether a is evicted rather than b.
func (all *Budget) evictsBefore(a, b *body, now time.Time) bool {
	switch heldA, heldB := all.sources[a.source], all.sources[b.source]; {
	case heldA != heldB:
		return heldA > heldB
	case a.rank(now) != b.rank(now):
		return a.rank(now) < b.rank(now)
	default:
		return a.since.Before(b.since)
	}
}

func (b *body) rank(now time.Time) int {
	switch old := now.Sub(b.since) > grace; {
	case old && !b.evaluating:
		return 1
	case old:
		return 2
	default:
		return 3
	}
}

// evictLocked ends what the request waits for: its client, or, as net/http cancels the context of a request over HTTP/1.1 whose read
// deadline comes, an evaluation.
func (b *body) evictLocked() {
	held := b.held
	b.holdLocked(0)
	b.evicted = true
	b.holdLocked(held)
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
	_ = b.control.SetWriteDeadline(time.Unix(1, 0))
	b.budget.notifyLocked() // should it wait itself
}
