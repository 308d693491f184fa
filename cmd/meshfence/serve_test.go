package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/meshfence/meshfence/certs"
	"github.com/meshfence/meshfence/webhook/config"
)

// limit bounds every wait of these tests.
const limit = 20 * time.Second

// asProgram in the environment turns the test binary into the program itself.
const asProgram = "MESHFENCE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// An API server waits for answers with half-sent requests open, and a handler works with its request's context: a stop
// must not touch either.
func TestAStopAnswersRequestsInFlight(t *testing.T) {
	began := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		body, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Context().Err()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s %s", r.Proto, body)
	})
	s.start(t)

	body, send := io.Pipe()
	answer := make(chan string, 1)
	go func() { answer <- post(s.client(), s.hook(), body) }()
	fmt.Fprint(send, "half ")
	<-began
	s.stop()
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", s.settings.bindAddress)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if status := s.probe("readyz"); status != http.StatusInternalServerError {
		t.Errorf("while requests are still answered, /readyz says %d, want 500", status)
	}
	if status := s.probe("healthz"); status != http.StatusOK {
		t.Errorf("while requests are still answered, /healthz says %d, want 200", status)
	}
	fmt.Fprint(send, "whole")
	send.Close()
	if got, want := <-answer, "200 HTTP/1.1 half whole"; got != want {
		t.Errorf("got the answer %q, want %q", got, want)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("the stop ended with %v", err)
	}
}

// An API server keeps connections and does not repeat a request, so it must hear that a connection will be closed before it is.
func TestAStopGivesNoticeOnEveryConnection(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") })
	s.start(t)
	var clients sync.WaitGroup
	var asked atomic.Int64
	for range 20 {
		clients.Go(func() {
			client, pace := s.client(), time.NewTicker(100*time.Millisecond)
			defer pace.Stop()
			for noticed := false; !noticed; asked.Add(1) {
				<-pace.C // Meanwhile the connection is idle.
				var err error
				if noticed, err = ask(client, s.hook()); err != nil {
					t.Errorf("without notice: %v", err)
					return
				}
			}
		})
	}
	eventually(t, "every client has asked often", func() bool { return asked.Load() > 100 })
	s.stop()
	clients.Wait()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
}

// ask makes a request and reports whether the answer is the last one on its connection.
func ask(client *http.Client, url string) (last bool, err error) {
	response, err := client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.Close, err
}

func TestAClientThatGoesAwayEndsItsWork(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-r.Context().Done():
			ended <- nil
		case <-time.After(limit):
			ended <- errors.New("the request's context did not end")
		}
	})
	s.start(t)
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook(), nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if response, err := s.client().Do(request); err == nil {
			response.Body.Close()
		}
	}()
	<-began
	cancel()
	<-gone
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAStopBeforeTheCertificateIsThereIsNotAnError(t *testing.T) {
	s := newServer(t, nil)
	s.settings.certDir = t.TempDir()
	s.run()
	s.stop()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
}

func TestAnErrorOfRegisterStopsTheStart(t *testing.T) {
	s := newServer(t, nil)
	want := errors.New("cannot register")
	err := serve(s.ctx, s.settings, func(manager.Manager, *settings, *config.File, certificate) error { return want })
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// The program itself: without an API server it lives but is not ready, ends on SIGTERM with status 0, and says in one line
// why it cannot start.
func TestTheProgram(t *testing.T) {
	s := newServer(t, nil)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(kubeconfig("http://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--kubeconfig", file, "--cert-dir", s.settings.certDir, "--bind-address", s.settings.bindAddress,
		"--health-bind-address", s.settings.healthAddress, "--metrics-bind-address", "0"}
	program := exec.Command(os.Args[0], args...)
	program.Env = append(os.Environ(), asProgram+"=yes")
	var log strings.Builder
	program.Stderr = &log
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()
	t.Cleanup(func() { _ = program.Process.Kill() })
	eventually(t, "the program lives", func() bool { return s.probe("healthz") == http.StatusOK })
	if status := s.probe("readyz"); status != http.StatusInternalServerError {
		t.Errorf("without having seen the cluster, /readyz says %d, want 500", status)
	}
	eventually(t, "the webhook server listens", func() bool {
		conn, err := net.Dial("tcp", s.settings.bindAddress)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})

	second := exec.Command(os.Args[0], append(args, "--log-level", "error", "--health-bind-address", "0")...)
	second.Env = program.Env
	text, err := second.CombinedOutput()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 {
		t.Errorf("with the port taken, the program ended with %v, want status 1", err)
	}
	want := "meshfence: listen tcp " + s.settings.bindAddress + ": bind: address already in use; " +
		"stop the other process, or choose another --bind-address, --health-bind-address or --metrics-bind-address\n"
	// It may have found out already that there is no API server, which it logs.
	said := regexp.MustCompile(`(?m)^\{.*\n`).ReplaceAllString(string(text), "")
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("with the port taken (-want +got):\n%s", diff)
	}

	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("after SIGTERM the program ended with %v", err)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
	}
}

// server is the program in this process, with one handler.
type server struct {
	settings *settings
	handler  http.HandlerFunc
	ctx      context.Context
	stop     context.CancelFunc
	ended    chan struct{} // closed when err is set
	err      error
}

func newServer(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	dir := t.TempDir()
	writeCertificate(t, dir)
	file := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(file, []byte(kubeconfig("http://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{
		settings: &settings{kubeconfig: file, certDir: dir, bindAddress: freeAddress(t), healthAddress: freeAddress(t), metricsAddress: "0"},
		handler:  handler,
		ended:    make(chan struct{}),
	}
	if err := s.settings.complete(); err != nil {
		t.Fatal(err)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	t.Cleanup(s.stop)
	return s
}

func (s *server) register(mgr manager.Manager, _ *settings, _ *config.File, _ certificate) error {
	mgr.GetWebhookServer().Register("/hook", s.handler)
	return nil
}

// run runs the server on its own.
func (s *server) run() {
	go func() {
		defer close(s.ended)
		s.err = serve(s.ctx, s.settings, s.register)
	}()
}

// start runs the server and returns when it is ready.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.run()
	eventually(t, "the server is ready", func() bool { return s.probe("readyz") == http.StatusOK })
	t.Cleanup(func() {
		s.stop()
		_ = s.wait(t) // For its end alone: no server may run into the next test.
	})
}

// wait returns what serve returned.
func (s *server) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-s.ended:
		return s.err
	case <-time.After(limit):
		return fmt.Errorf("still running after %s", limit)
	}
}

func (s *server) hook() string { return "https://" + s.settings.bindAddress + "/hook" }

// probe returns the status of a probe, 0 if nobody answers.
func (s *server) probe(name string) int {
	response, err := (&http.Client{Timeout: limit}).Get("http://" + s.settings.healthAddress + "/" + name)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// client would rather speak HTTP/2.
func (s *server) client() *http.Client {
	return &http.Client{Timeout: limit, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
	}}
}

func post(client *http.Client, url string, body io.Reader) string {
	response, err := client.Post(url, "application/json", body)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, text)
}

// freeAddress returns an address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, certs.CertFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(dir, certs.KeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(limit)
	for !holds() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
