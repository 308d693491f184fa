package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// readTimeout is how long the body of a request may take. The API server gives a webhook 30 seconds at the most
// (timeoutSeconds), so nobody waits for the answer to a body that is slower.
const readTimeout = 30 * time.Second

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

// errTooMany is for a large body that would have to wait for too long for others.
var errTooMany = errors.New("too many requests with a body of more than 256 KiB at the same time")

// large are the places for requests with large bodies. Whoever has put something in has one.
type large chan struct{}

func newLarge() large { return make(large, largeAtOnce) }

// read reads a body of at most maxBody bytes. What it returns besides must be called when the request has been answered.
// A body that has a place must come quickly, so that the places cannot be held by those that do not come at all.
func (l large) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > maxBody {
		return nil, func() {}, errTooLarge
	}
	body, err = readUpTo(r.Body, usualBody, int(min(r.ContentLength, trusted)))
	if err != nil || len(body) < usualBody {
		return body, func() {}, err
	}
	select {
	case l <- struct{}{}:
	case <-time.After(largeWait):
		return nil, func() {}, errTooMany
	case <-r.Context().Done():
		return nil, func() {}, r.Context().Err()
	}
	release = func() { <-l }
	// An error means that the connection has no deadlines, as in timely.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(largeDeadline))
	rest, err := readUpTo(r.Body, maxBody+1-len(body), 0)
	switch body = append(body, rest...); {
	case err != nil:
		return nil, release, err
	case len(body) > maxBody:
		return nil, release, errTooLarge
	}
	// The server reads on while the request is judged, to see whether the client goes away, and takes a deadline for that: it
	// would cancel a judgement that waits for others.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	return body, release, nil
}

// trusted is how much of the length that a body is said to have is given room before it is there.
const trusted = 16 << 10

// readUpTo reads at most so many bytes. Perhaps expected is how many they are; less than 0 if nobody knows.
func readUpTo(from io.Reader, limit, expected int) ([]byte, error) {
	var read bytes.Buffer
	if expected > 0 {
		read.Grow(expected + bytes.MinRead) // or the buffer would grow to find the end
	}
	if _, err := io.CopyN(&read, from, int64(limit)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("its body cannot be read: %w", err)
	}
	return read.Bytes(), nil
}
