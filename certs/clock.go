package certs

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Clock tells the time as the API server sees it, which is the one that decides whether a certificate is valid: it verifies with
// its own clock. So all replicas make certificates for one clock, whatever their nodes' clocks say, and do not undo each other's.
// Each response of an API server has the time in its Date header, to the second; from there on the time is counted with the
// monotonic clock, so a node's clock may be set meanwhile. The zero value tells the node's time until the first response.
type Clock struct {
	last atomic.Pointer[reading]
	// local is the node's clock in place of time.Now, in tests.
	local func() time.Time
}

// reading is what an API server said, and when, by the node's clock, it did.
type reading struct{ said, heard time.Time }

// Wrap has the clock listen to the responses that come through next. It fits in the Wrap of a rest.Config.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil {
			return response, err
		}
		if said, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			c.last.Store(&reading{said: said, heard: c.node()})
		}
		return response, nil
	})
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	if last := c.last.Load(); last != nil {
		return last.said.Add(c.node().Sub(last.heard))
	}
	return c.node()
}

// resolution is that of the Date header, which is cut to the second: it may be so much later than Now.
const resolution = time.Second

// refuses says why an API server refuses a certificate at this moment, as the rest of a sentence about it; "" if it does not.
func (c *Clock) refuses(certificate *x509.Certificate) string {
	now := c.Now()
	moment := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.Add(resolution).Before(certificate.NotBefore): // one that was made in this very second is valid
		return fmt.Sprintf("is not valid before %s, and it is %s by %s, so the API server refuses it; what made it has a clock that is ahead",
			moment(certificate.NotBefore), moment(now), c.source())
	case now.After(certificate.NotAfter):
		return fmt.Sprintf("ended at %s, and it is %s by %s, so the API server refuses it", moment(certificate.NotAfter), moment(now), c.source())
	}
	return ""
}

// source names the clock that Now rests on.
func (c *Clock) source() string {
	if c.last.Load() != nil {
		return "the API server's clock"
	}
	return "this node's clock"
}

func (c *Clock) node() time.Time {
	if c.local != nil {
		return c.local()
	}
	return time.Now()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
