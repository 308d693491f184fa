package certs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/meshfence/meshfence/certs"
)

var (
	_ manager.Runnable               = (*certs.Watcher)(nil)
	_ manager.LeaderElectionRunnable = (*certs.Watcher)(nil)
)

// limit bounds every wait of these tests.
const limit = 20 * time.Second

func TestEveryReplicaWatchesItsCertificate(t *testing.T) {
	if (&certs.Watcher{}).NeedLeaderElection() {
		t.Error("only the leader would notice a rotated certificate")
	}
}

func TestTLS12IsRefused(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, newPair(t, 1))
	address := serve(t, load(t, dir))
	_, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("a client with TLS 1.2 got %v, want a refusal of the protocol version", err)
	}
	if state := handshake(t, address); state.Version != tls.VersionTLS13 {
		t.Errorf("a client with TLS 1.3 got version %x", state.Version)
	}
}

func TestBothHTTPVersionsAreServed(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, newPair(t, 1))
	address := serve(t, load(t, dir))
	for _, test := range []struct {
		want  string
		http2 bool
	}{{"HTTP/2.0", true}, {"HTTP/1.1", false}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: test.http2}
		response, err := (&http.Client{Transport: transport, Timeout: limit}).Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || response.Proto != test.want || string(body) != test.want {
			t.Errorf("got %s, served as %q (%v), want %s", response.Proto, body, err, test.want)
		}
	}
}

func TestARotatedCertificateIsServedWithoutRestart(t *testing.T) {
	for _, test := range []struct {
		name   string
		rotate func(t *testing.T, dir string, next pair)
	}{
		{"files written in place", writeFiles},
		{"a Secret volume of Kubernetes", writeVolume},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			test.rotate(t, dir, newPair(t, 1))
			address := serve(t, load(t, dir))
			if got := servedSerial(t, address); got != 1 {
				t.Fatalf("the first certificate has serial %d, want 1", got)
			}
			for serial := int64(2); serial <= 4; serial++ {
				test.rotate(t, dir, newPair(t, serial))
				eventually(t, "the new certificate is served", func() bool { return servedSerial(t, address) == serial })
			}
		})
	}
}

func TestABrokenRotationKeepsTheOldCertificate(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, newPair(t, 1))
	address := serve(t, load(t, dir))
	write(t, filepath.Join(dir, certs.CertFile), []byte("not a certificate"))
	if got := servedSerial(t, address); got != 1 {
		t.Errorf("after a broken rotation serial %d is served, want 1", got)
	}
	writeFiles(t, dir, newPair(t, 2))
	eventually(t, "the repaired certificate is served", func() bool { return servedSerial(t, address) == 2 })
}

// Files that are not for now are served, as there is nothing better, but the replica is not ready and says why.
func TestReadySaysThatTheFilesAreNotForNow(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, newPair(t, 1))
	clock := &certs.Clock{}
	w, err := certs.Load(context.Background(), dir, limit, clock)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, w)
	if err := w.Ready(nil); err != nil {
		t.Errorf("with a good certificate: %v", err)
	}
	const remedy = "so the API server refuses it; a new one is served as soon as the Secret mounted there has it: with cert-manager, " +
		"'kubectl describe certificate' in its namespace says why it was not renewed; on OpenShift, delete that Secret, and the service CA makes another"
	now := time.Now().UTC().Truncate(time.Second)
	for _, test := range []struct {
		from, to time.Duration
		want     string
	}{
		{-48 * time.Hour, -24 * time.Hour, "the serving certificate DIR/tls.crt ended at TO, and it is NOW by this node's clock, " + remedy},
		{24 * time.Hour, 48 * time.Hour, "the serving certificate DIR/tls.crt is not valid before FROM, and it is NOW by this node's clock, " +
			strings.Replace(remedy, "refuses it;", "refuses it; what made it has a clock that is ahead;", 1)},
	} {
		from, to := now.Add(test.from), now.Add(test.to)
		writeFiles(t, dir, newPairFor(t, 2, from, to))
		eventually(t, "it is not ready", func() bool { return w.Ready(nil) != nil })
		text := strings.NewReplacer(dir, "DIR", from.Format(time.RFC3339), "FROM", to.Format(time.RFC3339), "TO").Replace(w.Ready(nil).Error())
		text = regexp.MustCompile(`it is \S+ by`).ReplaceAllString(text, "it is NOW by")
		if diff := cmp.Diff(test.want, text); diff != "" {
			t.Errorf("valid from %s to %s (-want +got):\n%s", test.from, test.to, diff)
		}
		writeFiles(t, dir, newPair(t, 3))
		eventually(t, "it is ready again", func() bool { return w.Ready(nil) == nil })
	}
}

func TestAMissingCertificateIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mounted-late")
	var lines []string
	logged := make(chan struct{}, 10)
	logger := funcr.New(func(_, args string) {
		lines = append(lines, args)
		logged <- struct{}{}
	}, funcr.Options{})
	loaded := make(chan error, 1)
	go func() {
		_, err := certs.Load(logr.NewContext(context.Background(), logger), dir, limit, &certs.Clock{})
		loaded <- err
	}()
	<-logged // It has looked once in vain.
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := newPair(t, 1)
	write(t, filepath.Join(dir, certs.KeyFile), p.key) // One file alone is not enough.
	write(t, filepath.Join(dir, certs.CertFile), p.cert)
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	want := []string{`"level"=0 "msg"="Waiting for the serving certificate" "folder"="` + dir + `" "limit"="20s"`}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestLoadSaysWhatToDoNext(t *testing.T) {
	good, other := newPair(t, 1), newPair(t, 2)
	for _, test := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"no files", nil, nil, "DIR: no serving certificate yet: waited 1ms for the files tls.crt and tls.key; " +
			"check that the Secret mounted there exists and has these two keys (with cert-manager: that the Certificate is ready)"},
		{"no key", good.cert, nil, "DIR: no serving certificate yet: waited 1ms for the files tls.crt and tls.key; " +
			"check that the Secret mounted there exists and has these two keys (with cert-manager: that the Certificate is ready)"},
		{"empty files", []byte{}, []byte{}, "DIR: no usable serving certificate: tls: failed to find any PEM data in certificate input; " +
			"tls.crt and tls.key must be a PEM certificate and its private key"},
		{"another key", good.cert, other.key, "DIR: no usable serving certificate: tls: private key does not match public key; " +
			"tls.crt and tls.key must be a PEM certificate and its private key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range map[string][]byte{certs.CertFile: test.cert, certs.KeyFile: test.key} {
				if content != nil {
					write(t, filepath.Join(dir, name), content)
				}
			}
			_, err := certs.Load(context.Background(), dir, time.Millisecond, &certs.Clock{})
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStopEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := certs.Load(ctx, t.TempDir(), limit, &certs.Clock{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func load(t *testing.T, dir string) *certs.Watcher {
	t.Helper()
	w, err := certs.Load(context.Background(), dir, limit, &certs.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// serve starts the watcher and an HTTPS server that answers with the protocol of the request; it returns its address.
func serve(t *testing.T, w *certs.Watcher) string {
	t.Helper()
	config := &tls.Config{}
	w.Configure(config)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		ReadHeaderTimeout: limit,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- w.Start(ctx) }()
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		cancel()
		server.Close()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("the server ended with %v", err)
			}
		}
	})
	return listener.Addr().String()
}

func handshake(t *testing.T, address string) tls.ConnectionState {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: limit}, "tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("a handshake failed: %v", err)
	}
	defer conn.Close()
	return conn.ConnectionState()
}

func servedSerial(t *testing.T, address string) int64 {
	t.Helper()
	return handshake(t, address).PeerCertificates[0].SerialNumber.Int64()
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

// pair is a certificate and its key as PEM.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, serial int64) pair {
	t.Helper()
	return newPairFor(t, serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

func newPairFor(t *testing.T, serial int64, from, to time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "meshfence"},
		DNSNames:     []string{"meshfence.meshfence-system.svc"},
		NotBefore:    from,
		NotAfter:     to,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeFiles(t *testing.T, dir string, p pair) {
	t.Helper()
	write(t, filepath.Join(dir, certs.CertFile), p.cert)
	write(t, filepath.Join(dir, certs.KeyFile), p.key)
}

// writeVolume changes the files as the kubelet does: a new folder with the new content, a symbolic link ..data that is
// replaced by one that points there, and then the old folder goes away. The files' own links point through ..data.
func writeVolume(t *testing.T, dir string, p pair) {
	t.Helper()
	fresh, err := os.MkdirTemp(dir, "..version-")
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, fresh, p)
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data) // There is none the first time.
	steps := []error{
		os.Symlink(filepath.Base(fresh), data+"_tmp"),
		os.Rename(data+"_tmp", data),
	}
	if old == "" {
		steps = append(steps,
			os.Symlink("..data/"+certs.CertFile, filepath.Join(dir, certs.CertFile)),
			os.Symlink("..data/"+certs.KeyFile, filepath.Join(dir, certs.KeyFile)))
	} else {
		steps = append(steps, os.RemoveAll(filepath.Join(dir, old)))
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
}
