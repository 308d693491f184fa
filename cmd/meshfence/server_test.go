package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"golang.org/x/time/rate"
)

// Whoever opens as many connections as one address may have loses the oldest of them, and keeps nobody out.
func TestConnectionsThatDoNothingKeepNobodyOut(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") })
	s.start(t)
	var idle []net.Conn
	for range maxPerSource + 10 {
		conn, err := net.Dial("tcp", s.settings.bindAddress)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		idle = append(idle, conn)
	}
	if got := post(s.client(), s.hook(), strings.NewReader("{}")); got != "200 yes" {
		t.Errorf("got the answer %q", got)
	}
	// At once, and not when the time for its handshake is over.
	if !closed(t, idle[0]) {
		t.Error("the oldest is open")
	}
	if closed(t, idle[len(idle)-1]) {
		t.Error("the youngest is closed")
	}
	if status := s.probe("readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d", status)
	}
}

// closed reports whether the other side has closed the connection.
func closed(t *testing.T, conn net.Conn) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(headerTimeout / 20)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return err != nil && (!ok || !timeout.Timeout())
}

// Each bound is one against something that has none otherwise.
func TestTheServerHasEveryBound(t *testing.T) {
	server := newHTTPServer(nil, logr.Discard())
	if server.MaxHeaderBytes != maxHeader || server.ReadHeaderTimeout != headerTimeout || server.WriteTimeout != writeTimeout || server.IdleTimeout != idleTimeout {
		t.Errorf("%+v", server)
	}
	if maxPerSource >= maxConnections {
		t.Errorf("one address may have all %d connections", maxConnections)
	}
}

func TestFailedConnectionsAreLoggedSparingly(t *testing.T) {
	var lines []string
	logger := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	writer := &sparingly{logger: logger, limit: rate.NewLimiter(rate.Every(time.Hour), 10)}
	for i := range 1000 {
		fmt.Fprintf(writer, "http: TLS handshake error %d\n", i)
	}
	if want := `"level"=0 "msg"="a connection failed" "problem"="http: TLS handshake error 0"`; len(lines) != 10 || lines[0] != want {
		t.Errorf("%d lines, the first is %s; want 10, and %s", len(lines), lines[0], want)
	}
}
