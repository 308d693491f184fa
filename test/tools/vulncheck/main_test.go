package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A database that does not answer, or not to the end, is said to be silent within the limits, and is no failure; a govulncheck that fails in another way is one.
func TestADatabaseThatIsSilentIsSaidToBe(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	answer := func(http.ResponseWriter, *http.Request) {}
	fail := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	for name, test := range map[string]struct {
		database http.HandlerFunc
		script   string
		says     string
		fails    bool
	}{
		"hangs at once":              {hang, "exit 0", "does not answer: no answer within 200ms", false},
		"an error":                   {fail, "exit 0", "does not answer: http", false},
		"hangs later":                {answer, "exec sleep 60", "did not answer within 1s", false},
		"an error later":             {answer, "echo fetching vulnerabilities: EOF; exit 1", "does not answer: fetching vulnerabilities: EOF", false},
		"nothing is found":           {answer, "echo No vulnerabilities found.", "", false},
		"something is found":         {answer, "echo GO-2099-0001; exit 3", "GO-2099-0001", true},
		"govulncheck does not build": {answer, "echo no such package; exit 1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.database)
			defer server.CloseClientConnections()
			tool := filepath.Join(t.TempDir(), "govulncheck")
			if err := os.WriteFile(tool, []byte("#!/bin/sh\n"+test.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := check{govulncheck: tool, database: server.URL, answerLimit: 200 * time.Millisecond, scansLimit: time.Second}.run(t.Context(), &out)
			if (err != nil) != test.fails || !strings.Contains(out.String(), test.says) || (test.says == "" && out.Len() > 0) {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
