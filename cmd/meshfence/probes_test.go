package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
)

func TestReadyzSaysWhyAndLogsItOnce(t *testing.T) {
	var lines []string
	ready := newReadiness(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	var certificate error
	mgr := &probedManager{readiness: ready}
	for name, check := range map[string]func(*http.Request) error{
		"cluster":     func(*http.Request) error { return nil },
		"certificate": func(*http.Request) error { return certificate },
	} {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			t.Fatal(err)
		}
	}
	server := newProbeServer("", ready).Server.Handler
	get := func(path string, wantStatus int, want string) {
		t.Helper()
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		if diff := cmp.Diff(want, answer.Body.String()); answer.Code != wantStatus || diff != "" {
			t.Errorf("%s: status %d, want %d (-want +got):\n%s", path, answer.Code, wantStatus, diff)
		}
	}
	get("/readyz", http.StatusOK, "[+]certificate ok\n[+]cluster ok\n")
	certificate = errors.New("it has ended")
	get("/readyz", http.StatusInternalServerError, "[-]certificate: it has ended\n[+]cluster ok\n")
	certificate = errors.New("it has ended, a second later")
	get("/readyz", http.StatusInternalServerError, "[-]certificate: it has ended, a second later\n[+]cluster ok\n")
	get("/healthz", http.StatusOK, "ok")
	certificate = nil
	get("/readyz", http.StatusOK, "[+]certificate ok\n[+]cluster ok\n")
	want := []string{
		`"level"=0 "msg"="Not ready" "check"="certificate" "reason"="it has ended"`,
		`"level"=0 "msg"="No longer a reason not to be ready" "check"="certificate"`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
