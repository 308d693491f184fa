package install

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

const day = 24 * time.Hour

// TestCertificatesThatAreNotForNow puts certificates into meshfence's Secret, and beside it into files, that a replica with another clock
// has made: meshfence makes others, each replica serves them and the API server accepts them. Of files it says that they are no good.
func TestCertificatesThatAreNotForNow(t *testing.T) {
	w := start(t, nil)
	now := time.Now()
	future := span{now.Add(61 * day), now.Add(61*day + 90*day)}
	past := span{now.Add(-91 * day), now.Add(-day)}
	long := span{now.Add(-time.Hour), now.Add(20 * 365 * day)}
	usual := span{now.Add(-time.Hour), now.Add(90 * day)}

	// At its start meshfence finds the Secret of a replica whose clock is ahead.
	file := w.file("meshfence-self-signed.yaml")
	w.kubectl("apply", "-f", file, "--selector", "meshfence.io/part!=webhooks")
	w.kubectl("-n", "meshfence-system", "scale", "deployment/meshfence", "--replicas=0")
	w.rollout("meshfence-system", "meshfence")
	planted := w.plant(future, future)
	w.kubectl("-n", "meshfence-system", "scale", "deployment/meshfence", "--replicas=2")
	w.rollout("meshfence-system", "meshfence")
	w.kubectl("apply", "-f", file)
	w.replaced(planted)

	for _, test := range []struct {
		name              string
		authority, served span
	}{
		{"all of it begins in the future", future, future},
		{"the certificate begins in the future, its authority does not", usual, future},
		{"all of it has ended", past, past},
		{"the certificate has ended", usual, past},
		{"the certificate is valid for 20 years", long, long},
	} {
		before := w.secretWrites()
		w.replaced(w.plant(test.authority, test.served))
		// A write of each replica that has seen it, and one each for what follows from the new authority.
		if writes := w.secretWrites() - before; writes > 6 {
			t.Errorf("if %s, the Secret is written %d times", test.name, writes)
		}
		if stored := w.stored(); test.authority == long && len(stored["next-ca.crt"]) == 0 {
			t.Error("no authority is announced to follow one of 20 years")
		}
	}
	w.filesThatAreNotForNow(past, future, usual)
	if err := w.Node.Err(); err != nil {
		t.Error(err)
	}
}

// span is when a certificate is valid.
type span struct{ from, to time.Time }

// plant stores an authority and a certificate signed by it, and returns the certificate.
func (w *world) plant(authority, served span) []byte {
	w.t.Helper()
	data, err := forged(authority, served)
	w.do("make certificates", err)
	object := secret()
	w.do("read the Secret", w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), object))
	base := object.DeepCopy()
	object.Data = data
	w.do("plant certificates", w.Client.Patch(w.t.Context(), object, client.MergeFrom(base)))
	return data["tls.crt"]
}

// forged returns the content of a Secret.
func forged(authority, served span) (map[string][]byte, error) {
	host := "meshfence.meshfence-system.svc"
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "meshfence-ca-of-another-time"}, NotBefore: authority.from, NotAfter: authority.to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: served.from, NotAfter: served.to, DNSNames: []string{host, host + ".cluster.local"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caCert, err1 := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	leafCert, err2 := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	caText, err3 := x509.MarshalPKCS8PrivateKey(caKey)
	leafText, err4 := x509.MarshalPKCS8PrivateKey(leafKey)
	text := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return map[string][]byte{
		"ca.crt": text("CERTIFICATE", caCert), "ca.key": text("PRIVATE KEY", caText),
		"tls.crt": text("CERTIFICATE", leafCert), "tls.key": text("PRIVATE KEY", leafText),
	}, errors.Join(err1, err2, err3, err4)
}

// stored returns the content of the Secret.
func (w *world) stored() map[string][]byte {
	w.t.Helper()
	object := secret()
	w.do("read the Secret", w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), object))
	return object.Data
}

// replaced waits until another certificate is stored, is valid now and for as long as planned, and is served by every pod and accepted
// by the API server.
func (w *world) replaced(planted []byte) {
	w.t.Helper()
	seen := &witness{client: w.Client, authorities: map[string]bool{}, certificates: map[string]bool{}}
	w.eventually("there is another certificate", func() error {
		content := w.stored()["tls.crt"]
		block, _ := pem.Decode(content)
		if block == nil || bytes.Equal(content, planted) {
			return errors.New("it is the one that was planted, or none")
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if now := time.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) || leaf.NotAfter.After(now.Add(91*day)) {
			return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
		}
		seen.replicas = nil
		for _, process := range w.pods() {
			seen.replicas = append(seen.replicas, process.Address)
		}
		clear(seen.certificates)
		if err := seen.ask(w.t.Context()); err != nil {
			return err
		}
		if len(seen.replicas) != 2 || len(seen.certificates) != 1 || !seen.certificates[leaf.SerialNumber.String()] {
			return fmt.Errorf("%d pods are ready and serve %v, want 2 with %s", len(seen.replicas), seen.certificates, leaf.SerialNumber)
		}
		return w.guarded()
	})
}

func (w *world) pods() []*harness.Process {
	return w.Node.Ready(client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"})
}

var secretWrites = regexp.MustCompile(`(?m)^meshfence_certificate_writes_total\{object="secret"\} (\d+)$`)

// secretWrites adds up how often pods have written the Secret, or tried to.
func (w *world) secretWrites() int {
	w.t.Helper()
	sum := 0
	for _, process := range w.pods() {
		text, err := process.Metrics(w.t.Context())
		w.do("read the metrics", err)
		if match := secretWrites.FindStringSubmatch(text); match != nil {
			n, err := strconv.Atoi(match[1])
			w.do("read the metrics", err)
			sum += n
		}
	}
	return sum
}

// filesThatAreNotForNow starts meshfence with a certificate from files, as with cert-manager and on OpenShift, and replaces it.
func (w *world) filesThatAreNotForNow(past, future, usual span) {
	w.t.Helper()
	dir := w.t.TempDir()
	write := func(served span) {
		w.t.Helper()
		data, err := forged(usual, served)
		w.do("make certificates", err)
		for _, name := range []string{"tls.crt", "tls.key"} {
			file := filepath.Join(dir, name)
			w.do("write "+name, errors.Join(os.WriteFile(file+".new", data[name], 0o600), os.Rename(file+".new", file)))
		}
	}
	write(past)
	process, err := w.LaunchReplica(w.t.Context(), harness.ProcessOptions{Args: []string{"--cert-dir", dir}})
	w.do("start meshfence", err)
	defer func() { w.do("stop meshfence", process.Stop()) }()
	says := func(wanted ...string) func() error {
		return func() error {
			status, text, err := readyz(w.t.Context(), process.HealthURL)
			for _, part := range wanted {
				if !strings.Contains(text, part) {
					err = errors.Join(err, fmt.Errorf("%q is not in the answer %d: %s", part, status, text))
				}
			}
			if isReady := status == http.StatusOK; isReady != (len(wanted) == 1) {
				err = errors.Join(err, fmt.Errorf("it answers %d: %s", status, text))
			}
			return err
		}
	}
	moment := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	name := filepath.Join(dir, "tls.crt")
	w.eventually("/readyz says that the certificate has ended", says(
		"[-]certificate: the serving certificate "+name+" ended at "+moment(past.to)+", and it is ", " by the API server's clock", "[+]cluster ok"))
	write(future)
	w.eventually("/readyz says that the certificate is not valid yet", says(
		"[-]certificate: the serving certificate "+name+" is not valid before "+moment(future.from)+", and it is ", " by the API server's clock", "[+]cluster ok"))
	write(usual)
	w.eventually("it is ready", says("[+]certificate ok"))
	log, err := os.ReadFile(process.Log)
	w.do("read the log", err)
	if n := bytes.Count(log, []byte(`"check":"certificate","reason":"the serving certificate `)); n < 1 || n > 2 {
		w.t.Errorf("the log says %d times that the certificate is a reason not to be ready, want once each time", n)
	}
}

// readyz returns what a process answers.
func readyz(ctx context.Context, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}
