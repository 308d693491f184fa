package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"
)

func TestLogInACluster(t *testing.T) {
	var out bytes.Buffer
	logger, _, err := newLogger("auto", "info", &out)
	if err != nil {
		t.Fatal(err)
	}
	logger.WithName("webhook").Info("Denied", "namespace", "shop", "codes", []string{"MF201"})
	logger.V(1).Info("Allowed")
	logger.Error(errors.New("broken"), "Cannot read")
	want := `{"level":"info","time":"T","logger":"webhook","msg":"Denied","namespace":"shop","codes":["MF201"]}
{"level":"error","time":"T","msg":"Cannot read","error":"broken"}
`
	got := regexp.MustCompile(`"time":"\d{4}-\d\d-\d\dT[^"]+"`).ReplaceAllString(out.String(), `"time":"T"`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogAtATerminal(t *testing.T) {
	var out bytes.Buffer
	logger, _, err := newLogger("console", "debug", &out)
	if err != nil {
		t.Fatal(err)
	}
	logger.V(1).Info("Allowed", "namespace", "shop")
	want := "T\tDEBUG\tAllowed\t{\"namespace\": \"shop\"}\n"
	got := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}`).ReplaceAllString(out.String(), "T")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogOfErrorsOnly(t *testing.T) {
	var out bytes.Buffer
	logger, _, err := newLogger("json", "error", &out)
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("Denied")
	if out.Len() > 0 {
		t.Errorf("logged %q", out.String())
	}
}

// Everything in the process writes the same format: a log collector must not meet other lines.
func TestOthersLogThroughOurLogger(t *testing.T) {
	var out bytes.Buffer
	logger, standard, err := newLogger("json", "info", &out)
	if err != nil {
		t.Fatal(err)
	}
	useLogger(logger, standard)
	klog.InfoS("From client-go", "n", 1)
	log.Print("from net/http")
	var got []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		delete(fields, "time")
		got = append(got, fields)
	}
	want := []map[string]any{
		{"level": "info", "logger": "client-go", "msg": "From client-go", "n": 1.0},
		{"level": "info", "logger": "std", "msg": "from net/http"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
