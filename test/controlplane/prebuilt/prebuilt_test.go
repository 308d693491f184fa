package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// archive is what a release has: the binaries in a folder.
func archive(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	files := tar.NewWriter(compressed)
	for _, name := range binaries() {
		text := "#!/bin/sh\necho " + name + "\n"
		if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// index is a server with an index of releases and their archives. A handler that is not nil answers in place of its own.
type index struct {
	checksum       string // of the archive, unless another one
	list, download http.HandlerFunc
	versions       []string
}

func (i index) start(t *testing.T) string {
	t.Helper()
	packed := archive(t)
	sum := sha512.Sum512(packed)
	checksum := hex.EncodeToString(sum[:])
	if i.checksum != "" {
		checksum = i.checksum
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/index.yaml", func(w http.ResponseWriter, r *http.Request) {
		if i.list != nil {
			i.list(w, r)
			return
		}
		fmt.Fprintln(w, "releases:")
		for _, version := range i.versions {
			name := fmt.Sprintf("envtest-v%s-%s-%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
			fmt.Fprintf(w, "  v%s:\n    %s: {hash: %s, selfLink: %q}\n", version, name, checksum, server.URL+"/"+name)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if i.download != nil {
			i.download(w, r)
			return
		}
		_, _ = w.Write(packed)
	})
	return server.URL + "/index.yaml"
}

// hang answers nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestWhatIsDownloadedIsComplete(t *testing.T) {
	for name, test := range map[string]struct {
		versions []string
		want     string
	}{
		"the very version":                {[]string{"1.37.3", "1.37.2", "1.36.9"}, "1.37.2"},
		"the newest patch where it lacks": {[]string{"1.37.0", "1.37.1", "1.36.9", "1.38.0"}, "1.37.1"},
	} {
		to := filepath.Join(t.TempDir(), "controlplane", "1.37.2")
		got, err := source{index{versions: test.versions}.start(t), time.Minute, time.Minute}.fetch(t.Context(), "1.37.2", to)
		if err != nil || got.String() != test.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		for _, binary := range binaries() {
			if out, err := exec.CommandContext(t.Context(), filepath.Join(to, binary)).Output(); err != nil || string(out) != binary+"\n" {
				t.Errorf("%s: %s: %v %q", name, binary, err, out)
			}
		}
		if text, err := os.ReadFile(filepath.Join(to, note)); err != nil || string(text) != test.want+"\n" {
			t.Errorf("%s: the note says %q, %v", name, text, err)
		}
		if left := entries(t, filepath.Dir(to)); len(left) != 1 {
			t.Errorf("%s: left: %v", name, left)
		}
	}
}

// Whatever goes wrong is said in one line, and leaves what was there, and nothing else.
func TestWhatFailsLeavesNothing(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	whole := archive(t)
	for name, test := range map[string]struct {
		index index
		url   string
		want  string
	}{
		"wrong checksum":          {index: index{checksum: strings.Repeat("0", 128)}, want: "checksum mismatch"},
		"an index that is slow":   {index: index{list: hang}, want: "the index did not answer within 100ms"},
		"a download that is":      {index: index{download: hang}, want: "it took longer than 100ms"},
		"truncated":               {index: index{download: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(whole[:len(whole)/2]) }}, want: "checksum mismatch"},
		"cut off":                 {index: index{download: cut(whole)}, want: "unexpected EOF"},
		"no archive":              {index: index{download: status(http.StatusNotFound)}, want: "404"},
		"no index":                {index: index{list: status(http.StatusNotFound)}, want: "404"},
		"no server":               {url: "http://127.0.0.1:1/index.yaml", want: "connection refused"},
		"an index that is none":   {index: index{list: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }}, want: "unmarshal"},
		"a version that it lacks": {index: index{versions: []string{"1.36.0"}}, want: "the index has no 1.37 for " + runtime.GOOS},
	} {
		if test.index.versions == nil {
			test.index.versions = []string{"1.37.2"}
		}
		url := test.url
		if url == "" {
			url = test.index.start(t)
		}
		to := filepath.Join(t.TempDir(), "controlplane", "1.37.2")
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "etcd"), []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		limit := 100 * time.Millisecond
		if !strings.Contains(test.want, limit.String()) {
			limit = time.Minute
		}
		_, err := source{url, limit, limit}.fetch(t.Context(), "1.37.2", to)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if got, err := os.ReadFile(filepath.Join(to, "etcd")); err != nil || string(got) != "before" || len(entries(t, to)) != 1 || len(entries(t, filepath.Dir(to))) != 1 {
			t.Errorf("%s: left %v and %v, %q, %v", name, entries(t, to), entries(t, filepath.Dir(to)), got, err)
		}
	}
}

// cut says that it sends all, and sends the half.
func cut(whole []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = w.Write(whole[:len(whole)/2])
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

// TestTheOrder has make bring a control plane: it takes what KUBEBUILDER_ASSETS names, then what is there, then what it can download, and builds where that fails. Only etcd is
// built here, the smallest.
func TestTheOrder(t *testing.T) {
	asked := 0
	i := index{versions: []string{version(t)}}
	url := i.start(t)
	counted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, url, http.StatusFound)
	}))
	t.Cleanup(counted.Close)
	dir := filepath.Join(t.TempDir(), "controlplane")
	fetch := func(index, target string, more ...string) string {
		args := append([]string{"--no-print-directory", "-C", "../../..", target, "CONTROLPLANE_DIR=" + dir, "ENVTEST_INDEX=" + index}, more...)
		cmd := exec.CommandContext(t.Context(), "make", args...)
		cmd.Env = append(os.Environ(), "KUBEBUILDER_ASSETS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := fetch(counted.URL, "controlplane", "KUBEBUILDER_ASSETS="+t.TempDir()); asked != 0 {
		t.Errorf("with KUBEBUILDER_ASSETS the index is asked: %s", out)
	}
	leftover, busy := filepath.Join(filepath.Dir(dir), temporary+"1"), filepath.Join(filepath.Dir(dir), temporary+"2")
	for folder, changed := range map[string]time.Time{leftover: time.Now().Add(-2 * old), busy: time.Now()} {
		if err := errors.Join(os.MkdirAll(filepath.Join(folder, "archive"), 0o700), os.Chtimes(folder, time.Time{}, changed)); err != nil {
			t.Fatal(err)
		}
	}
	if out := fetch(counted.URL, "controlplane"); asked == 0 || !strings.Contains(out, "Downloaded kube-apiserver, etcd and kubectl") || strings.Contains(out, "Built") {
		t.Errorf("asked %d times, and make prints\n%s", asked, out)
	}
	_, gone := os.Stat(leftover)
	if _, err := os.Stat(busy); !os.IsNotExist(gone) || err != nil {
		t.Errorf("what a download has left that was killed: %v; what another one has: %v", gone, err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "kubectl")).Output(); err != nil || string(out) != "kubectl\n" {
		t.Errorf("%v %q", err, out)
	}
	before := asked
	// As after a checkout beside a cache: what binaries are made of is newer than they are.
	for _, name := range append(binaries(), note) {
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1_000_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if out := fetch(counted.URL, "controlplane"); asked != before || strings.Contains(out, "ownloaded") || strings.Contains(out, "Built") {
		t.Errorf("what is there is not taken: asked %d times more, and make prints\n%s", asked-before, out)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	out := fetch("http://127.0.0.1:1/index.yaml", dir+"/etcd")
	if strings.Count(out, "No prebuilt control plane, so it is built: ") != 1 || !strings.Contains(out, "Built "+dir+"/etcd") {
		t.Errorf("make prints\n%s", out)
	}
	if err := os.Chtimes(filepath.Join(dir, "etcd"), time.Time{}, time.Unix(1_000_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	if out := fetch(counted.URL, dir+"/etcd"); asked != before || strings.Contains(out, "Built") {
		t.Errorf("what was built is not taken: make prints\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, "etcd.inputs"), []byte("other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := fetch("none", dir+"/etcd"); !strings.Contains(out, "Built "+dir+"/etcd") {
		t.Errorf("what was made of something else is taken: make prints\n%s", out)
	}
}

// version is that of Kubernetes that make brings.
func version(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../1.37/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(mod), "\tk8s.io/kubernetes v")
	return strings.Fields(rest)[0]
}
