package stress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfence/meshfence/test/harness"
)

// admissionConfiguration says with which kubeconfig the API server asks webhooks.
const admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: FILE}
- name: MutatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: FILE}
`

// TestClientAuthority has meshfence answer only an API server that shows a certificate: one does, and one does not.
func TestClientAuthority(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	authority, kubeconfig, admission := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "admission.yaml")
	cert, key := selfSigned(t)
	must(t, os.WriteFile(authority, cert, 0o600))
	config := clientcmdapi.NewConfig()
	config.AuthInfos["*"] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	must(t, clientcmd.WriteToFile(*config, kubeconfig))
	must(t, os.WriteFile(admission, []byte(strings.ReplaceAll(admissionConfiguration, "FILE", kubeconfig)), 0o600))
	showing, err := s.StartAPIServer(t.Context(), "", map[string]string{"admission-control-config-file": admission})
	must(t, err)
	t.Cleanup(func() {
		if err := showing.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.install(t, 1, harness.ProcessOptions{Args: []string{"--client-ca", authority}})
	must(t, s.eventuallyOn(t, []*rest.Config{showing.Config}))
	_, err = istiosOf(t, showing.Config).Create(t.Context(), stressed("mesh-1", selecting("mesh-1"), 0), metav1.CreateOptions{})
	must(t, err)
	_, err = istiosOf(t, showing.Config).Create(t.Context(), stressed("mesh-2", selecting("mesh-1"), 0), metav1.CreateOptions{})
	if classify(err) != denied {
		t.Errorf("a mesh that overlaps, through the API server with a certificate: %v", err)
	}
	err = s.Client.Create(t.Context(), stressed("mesh-3", selecting("mesh-3"), 0))
	// TLS 1.3 tells a client after the handshake that its certificate is missed; if HTTP/2 has begun by then, it says the latter.
	ended := err != nil && (strings.Contains(err.Error(), "certificate required") || strings.Contains(err.Error(), "client conn could not be established"))
	if !ended || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("a mesh through an API server without a certificate: %v; want meshfence not to answer", err)
	}
}

// selfSigned makes a client certificate that is its own authority.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
