package install

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness/transcript"
)

// How an API server is told which certificate to show to webhooks; docs/install.md shows the same.
const (
	admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration: &webhooks
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: /etc/kubernetes/webhooks/kubeconfig
- name: MutatingAdmissionWebhook
  configuration: *webhooks
`
	webhooksKubeconfig = `apiVersion: v1
kind: Config
users:
- name: meshfence.meshfence-system.svc
  user:
    client-certificate: /etc/kubernetes/webhooks/client.crt
    client-key: /etc/kubernetes/webhooks/client.key
`
	configurationFolder = "/etc/kubernetes/webhooks"
)

// TestClientCA installs meshfence where the API server shows a certificate, and has meshfence answer nobody else.
func TestClientCA(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(mustRoot(t), "docs", "install.md"))
	if err != nil || !strings.Contains(string(doc), admissionConfiguration) || !strings.Contains(string(doc), webhooksKubeconfig) {
		t.Errorf("docs/install.md shows other files (%v)", err)
	}
	dir := t.TempDir()
	shown, authority := clientCertificate(t, dir)
	for name, text := range map[string]string{"admission.yaml": admissionConfiguration, "kubeconfig": webhooksKubeconfig} {
		text = strings.ReplaceAll(text, configurationFolder, dir)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := start(t, map[string]string{"admission-control-config-file": filepath.Join(dir, "admission.yaml")})
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed")
	here, err := transcript.Dir(w.Cluster)
	w.do("find the folder of the transcripts", errors.Join(err, os.Symlink(authority, filepath.Join(here, "ca.crt"))))
	w.replay("client-authority")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges what the API server asks", w.guarded)
	for _, process := range w.Node.Ready(client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}) {
		if err := post(process.Address, shown); err != nil {
			t.Errorf("with the API server's certificate: %v", err)
		}
		if post(process.Address) == nil {
			t.Error("who has no certificate is answered")
		}
	}
	w.changeCertificates()
}

// changeCertificates goes from one certs.mode to another as docs/install.md says, and back to an API server that anybody may stand in for.
func (w *world) changeCertificates() {
	w.t.Helper()
	ca := &serviceCA{client: w.Client}
	w.do("make a service CA", ca.rotate())
	upgrade := []string{"upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values", "--set"}
	w.helm(append(upgrade, "certs.mode=openshift,webhooks.enabled=false,clientCA.configMap=")...)
	service := &corev1.Service{}
	w.do("read the Service", w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}, service))
	w.do("sign the certificate", ca.sign(w.t.Context(), service))
	w.rollout("meshfence-system", "meshfence")
	w.helm(append(upgrade, "webhooks.enabled=true")...)
	w.eventually("the authority is injected", func() error { return ca.inject(w.t.Context()) })
	w.eventually("meshfence judges with the other certificate", w.guarded)
	w.served(ca)
	if left := w.kubectl("get", "secrets", "-n", "meshfence-system", "-o", "name"); strings.Contains(left, "meshfence-certs") {
		w.t.Errorf("what was made for the mode of before is still there: %s", left)
	}
}

// post makes a request that is answered, though badly.
func post(address string, shown ...tls.Certificate) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: shown}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: limit}).Post("https://"+address+"/validate/namespace", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// clientCertificate writes client.crt and client.key into a folder, and the file of their authority.
func clientCertificate(t *testing.T, dir string) (pair tls.Certificate, authority string) {
	t.Helper()
	ca := &serviceCA{}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err, ca.rotate()); err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.certificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(dir, "ca.crt")
	certificate, private := pemOf(leaf), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	err = errors.Join(
		os.WriteFile(authority, pemOf(ca.cert), 0o600),
		os.WriteFile(filepath.Join(dir, "client.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "client.key"), private, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	pair, err = tls.X509KeyPair(certificate, private)
	if err != nil {
		t.Fatal(err)
	}
	return pair, authority
}
