package review

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// A body of the usual size, a few kilobytes, is read as it comes. Of larger ones, each of which costs some five times its
// size in memory until it is answered, only largeSlots are read at a time.
const (
	usualBody        = 256 << 10
	largeSlotTimeout = 3 * time.Second
	largeReadTimeout = 5 * time.Second
)

// answerTimeout is how long the client may take to read an answer. An API server reads at once; the kernel's buffers alone have
// room for most answers.
const answerTimeout = 10 * time.Second

const (
	// trustedLength is how many bytes of its announced length a body gets room for before they are there.
	trustedLength = 16 << 10
	// unknownLength is what a body has room for that does not say how long it is.
	unknownLength = 4 << 10
)

// body is the body of a request, and then its answer. Its methods are for the goroutine of that request.
type body struct {
	budget       *Budget
	source       netip.Prefix
	control      *http.ResponseController
	hasLargeSlot bool

	// Below: under the lock of the budget.
	held       int
	evaluating bool      // and does not wait for its client
	since      time.Time // when it began what it does
	evicted    bool
}

// read reads a body of at most maxBody bytes. A large body that has a slot must come quickly, so that the slots cannot be held by those
// that do not come at all.
func (b *body) read(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, ErrTooLarge
	}
	text, err := b.readUsual(r)
	if err == nil && len(text) == usualBody {
		text, err = b.readLarge(r, text)
	}
	if evicted := b.received(); evicted != nil {
		return nil, evicted
	}
	return text, err
}

// readUsual reads the first usualBody bytes, and holds as many as it has room for.
func (b *body) readUsual(r *http.Request) ([]byte, error) {
	room := unknownLength
	if r.ContentLength >= 0 {
		room = int(min(r.ContentLength+1, trustedLength)) // or the text would grow to find the end
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

// readLarge reads the rest of a large body whose beginning is the text.
func (b *body) readLarge(r *http.Request, text []byte) ([]byte, error) {
	timer := time.NewTimer(largeSlotTimeout)
	defer timer.Stop()
	select {
	case b.budget.large <- struct{}{}:
		b.hasLargeSlot = true
	case <-timer.C:
		return nil, ErrTooManyLarge
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	b.limitRead(largeReadTimeout)
	var rest bytes.Buffer
	_, err := io.CopyN(&rest, r.Body, int64(maxBody+1-len(text)))
	switch text = append(text, rest.Bytes()...); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, unreadable(err)
	case len(text) > maxBody:
		return nil, ErrTooLarge
	}
	// The server reads on while the request is evaluated, to see whether the client goes away, and takes a deadline for that: it
	// would cancel an evaluation that waits for others.
	b.limitRead(readTimeout)
	return text, nil
}

func unreadable(err error) error { return fmt.Errorf("its body cannot be read: %w", err) }

// limitRead limits how long the body may take from now on, unless the request is evicted.
func (b *body) limitRead(limit time.Duration) {
	b.budget.mu.Lock()
	defer b.budget.mu.Unlock()
	if !b.evicted {
		_ = b.control.SetReadDeadline(time.Now().Add(limit)) // as in withReadDeadline
	}
}

// received notes that the request waits for its client no longer. It is an error if it is evicted.
func (b *body) received() error {
	b.budget.mu.Lock()
	defer b.budget.mu.Unlock()
	b.evaluating, b.since = true, b.budget.now()
	if b.evicted {
		return ErrNoRoom
	}
	return nil
}

// answer writes the answer, for which the client has a limited time. What is left of the body is not needed any more.
func (b *body) answer(w http.ResponseWriter, text []byte) {
	b.beginAnswer(len(text))
	// An error means that the client is gone.
	_, _ = w.Write(text)
}

// beginAnswer notes that the request waits for its client again, which has to read so many bytes.
func (b *body) beginAnswer(bytes int) {
	b.budget.mu.Lock()
	defer b.budget.mu.Unlock()
	b.evaluating, b.since = false, b.budget.now()
	b.holdLocked(min(bytes, usualBody))
	b.budget.makeRoomLocked(b)
	if !b.evicted { // or the answer is not written
		_ = b.control.SetWriteDeadline(time.Now().Add(answerTimeout))
	}
}
