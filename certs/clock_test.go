package certs

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestTheClockIsThatOfTheAPIServer(t *testing.T) {
	node := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	clock := &Clock{local: func() time.Time { return node }}
	if got := clock.Now(); !got.Equal(node) || clock.source() != "this node's clock" {
		t.Errorf("before a response it is %s by %s", got, clock.source())
	}
	date := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", date) }))
	defer server.Close()
	ask := func(says string) {
		t.Helper()
		date = says
		response, err := (&http.Client{Transport: clock.Wrap(http.DefaultTransport)}).Get(server.URL)
		must(t, err)
		must(t, response.Body.Close())
	}
	ask("Thu, 01 Jan 2026 00:00:00 GMT")
	node = node.Add(time.Hour)
	if want, got := time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC), clock.Now(); !got.Equal(want) || clock.source() != "the API server's clock" {
		t.Errorf("an hour after a response it is %s by %s, want %s", got, clock.source(), want)
	}
	ask("Thu, 01 Jan 2026 02:00:00 GMT")
	if want, got := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC), clock.Now(); !got.Equal(want) {
		t.Errorf("with the next response it is %s, want %s", got, want)
	}
	ask("yesterday")
	if want, got := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC), clock.Now(); !got.Equal(want) {
		t.Errorf("after a date that is none it is %s, want %s", got, want)
	}
	server.Close()
	if _, err := (&http.Client{Transport: clock.Wrap(http.DefaultTransport)}).Get(server.URL); err == nil { //nolint:bodyclose // There is none.
		t.Error("no error without a server")
	}
}

// The Date header is cut to the second, so a certificate that was made in the same second may seem to be for later.
func TestACertificateOfThisSecondIsValid(t *testing.T) {
	second := time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC)
	clock := &Clock{local: func() time.Time { return second }}
	for from, refused := range map[time.Duration]bool{-time.Second: false, 0: false, 900 * time.Millisecond: false, time.Second: false, 1100 * time.Millisecond: true} {
		certificate := &x509.Certificate{NotBefore: second.Add(from), NotAfter: second.Add(time.Hour)}
		if why := clock.refuses(certificate); (why != "") != refused {
			t.Errorf("valid from %s later on: %q", from, why)
		}
	}
}
