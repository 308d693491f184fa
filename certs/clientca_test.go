package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientAuthority returns a new authority for API servers.
func clientAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := newAuthority("authority", time.Now(), time.Hour)
	must(t, err)
	return a
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// client returns a certificate that is good for so long.
func (a *authority) client(t *testing.T, valid time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyClientsWithACertificateOfTheAuthorityAreAnswered(t *testing.T) {
	first, second := clientAuthority(t), clientAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(file, first.pem(), 0o600))
	clock := &Clock{}
	loaded, err := LoadClientAuthority(file, clock)
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	// httptest adds its certificate at the start; the server of meshfence has its own by then.
	configured := server.TLS.Clone()
	loaded.Configure(configured)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", configured)
	must(t, err)
	serving := &http.Server{Handler: server.Config.Handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = serving.Serve(listener) }()
	defer serving.Close()

	answered := func(certificates ...tls.Certificate) bool {
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS13}}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+net.JoinHostPort("127.0.0.1", port(listener)), nil)
		must(t, err)
		response, err := transport.RoundTrip(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		return true
	}
	check := func(when string, want map[string]bool) {
		t.Helper()
		for name, got := range map[string]bool{
			"none":    answered(),
			"first":   answered(first.client(t, time.Hour)),
			"expired": answered(first.client(t, -time.Minute)),
			"second":  answered(second.client(t, time.Hour)),
		} {
			if got != want[name] {
				t.Errorf("%s: a client with the certificate %q is answered: %t, want %t", when, name, got, want[name])
			}
		}
	}
	check("at first", map[string]bool{"first": true})
	replace := func(content string) {
		must(t, os.WriteFile(file, []byte(content), 0o600))
		must(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)))
	}
	replace(string(first.pem()) + string(second.pem()))
	check("with both authorities", map[string]bool{"first": true, "second": true})
	replace("nonsense")
	check("with a file that is none", map[string]bool{"first": true, "second": true})
	must(t, os.Remove(file))
	check("without the file", map[string]bool{"first": true, "second": true})
	hear(t, clock, time.Now().Add(2*time.Hour))
	check("two hours later by the API server's clock, when all have ended", nil)
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestAnUnusableClientAuthoritySaysWhatItMustBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	for _, want := range []string{"no such file or directory; it must hold", "holds no certificate; it must hold"} {
		if _, err := LoadClientAuthority(file, &Clock{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		must(t, os.WriteFile(file, []byte("x"), 0o600))
	}
}
