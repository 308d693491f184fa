package install

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The annotations by which OpenShift's service CA operator (github.com/openshift/service-ca-operator, pkg/controller/api) is asked.
const (
	servingCertAnnotation  = "service.beta.openshift.io/serving-cert-secret-name"
	injectBundleAnnotation = "service.beta.openshift.io/inject-cabundle"
)

// serviceCA stands in for that operator: it signs a certificate for each Service that asks for one, and injects the authority into
// webhook configurations. Its rotation is the operator's: the bundle has the new authority and the old one, and what the new one
// signs comes with an intermediate certificate, the new key signed by the old one, for those who trust the old one only.
type serviceCA struct {
	client       client.Client
	cert, old    *x509.Certificate
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
	serial       int64
	// chain is what was signed last, as PEM.
	chain string
}

func (s *serviceCA) certificate(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	s.serial++
	template.SerialNumber = big.NewInt(s.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// rotate makes a new authority.
func (s *serviceCA) rotate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: fmt.Sprintf("openshift-service-serving-signer@%d", s.serial)},
		IsCA:    true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	oldKey := s.key
	s.old, s.key = s.cert, key
	if s.cert, err = s.certificate(template, template, &key.PublicKey, key); err != nil || s.old == nil {
		return err
	}
	s.intermediate, err = s.certificate(&x509.Certificate{
		Subject: s.cert.Subject, SubjectKeyId: s.cert.SubjectKeyId, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, s.old, &key.PublicKey, oldKey)
	return err
}

func pemOf(certificates ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certificates {
		if c != nil {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
	}
	return text
}

// sign writes the Secret that a Service asks for.
func (s *serviceCA) sign(ctx context.Context, service *corev1.Service) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host := service.Name + "." + service.Namespace + ".svc"
	leaf, err := s.certificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host, host + ".cluster.local"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, s.cert, &key.PublicKey, s.key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	s.chain = string(pemOf(leaf, s.intermediate))
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Annotations[servingCertAnnotation]},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			"tls.crt": []byte(s.chain),
			"tls.key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		},
	}
	if err := s.client.Create(ctx, secret); !apierrors.IsAlreadyExists(err) {
		return err
	}
	return s.client.Update(ctx, secret)
}

// inject writes the bundle into the webhook configurations that ask for it.
func (s *serviceCA) inject(ctx context.Context) error {
	bundle := pemOf(s.cert, s.old)
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	for _, object := range []client.Object{validating, mutating} {
		if err := s.client.Get(ctx, client.ObjectKey{Name: "meshfence"}, object); err != nil {
			return err
		}
		if object.GetAnnotations()[injectBundleAnnotation] != "true" {
			return fmt.Errorf("%T has no annotation %s", object, injectBundleAnnotation)
		}
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = bundle
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = bundle
	}
	if err := s.client.Update(ctx, validating); err != nil {
		return err
	}
	return s.client.Update(ctx, mutating)
}

// TestOpenShift installs the file for OpenShift, where the service CA makes the certificate, and rotates that under load. It also
// makes the requests that only OpenShift makes.
func TestOpenShift(t *testing.T) {
	w := start(t, nil)
	ca := &serviceCA{client: w.Client}
	if err := ca.rotate(); err != nil {
		t.Fatal(err)
	}
	stop := w.operate(ca)
	w.replay("openshift")
	w.eventually("meshfence judges", w.guarded)
	stop()
	service := &corev1.Service{}
	w.do("read the Service", w.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}, service))
	// Volumes that are mounted before the Secret is there keep the pod from starting; the node tries again.
	clean := w.Node.Err() == nil || strings.Contains(w.Node.Err().Error(), `"meshfence-service-ca" not found`)

	l := w.startLoad()
	for range 2 {
		w.do("rotate", ca.rotate())
		// In this order, as the operator's controllers do not wait for each other: the worst one.
		w.do("sign again", ca.sign(t.Context(), service))
		w.served(ca)
		w.eventually("the bundle is injected", func() error { return ca.inject(t.Context()) })
		w.eventually("meshfence judges", w.guarded)
	}
	l.end(t)
	w.openshiftRequests(ca)
	if !clean {
		t.Error(w.Node.Err())
	}
}

// operate does what the operator's controllers do until stop is called: it signs what a Service asks for, and keeps the authority in the webhook
// configurations.
func (w *world) operate(ca *serviceCA) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() {
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		var failed error
		for ctx.Err() == nil {
			for _, err := range []error{ca.signMissing(ctx), ca.inject(ctx)} {
				if ctx.Err() == nil && err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
					failed = err
				}
			}
			<-pace.C
		}
		ended <- failed
	}()
	return func() {
		w.t.Helper()
		cancel()
		w.do("sign and inject", <-ended)
	}
}

// signMissing signs for meshfence's Service, if that asks for a Secret that is not there.
func (s *serviceCA) signMissing(ctx context.Context) error {
	service, secret := &corev1.Service{}, &corev1.Secret{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}, service); err != nil {
		return err
	}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: service.Namespace, Name: service.Annotations[servingCertAnnotation]}, secret)
	if apierrors.IsNotFound(err) {
		return s.sign(ctx, service)
	}
	return err
}

func (w *world) do(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// served waits until every pod serves what was signed last.
func (w *world) served(ca *serviceCA) {
	w.t.Helper()
	w.eventually("the new certificate is served", func() error {
		for _, process := range w.Node.Ready(client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}) {
			served, err := process.ServedCertificate()
			if err != nil {
				return err
			}
			if !strings.HasPrefix(ca.chain, served) {
				return errors.New("another certificate is served")
			}
		}
		return nil
	})
}

// openshiftRequests are those that OpenShift's own parts make about namespaces. A ProjectRequest (oc new-project) makes the
// openshift-apiserver create a Namespace with the requester's annotations and without labels; then the platform writes labels and
// annotations on it: Pod Security's label syncer, the security context constraints' uid and MCS ranges, cluster monitoring. None is refused,
// whatever mesh labels the namespace has.
func (w *world) openshiftRequests(ca *serviceCA) {
	w.t.Helper()
	w.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: project, annotations: {openshift.io/description: "", openshift.io/display-name: "", ` +
		`openshift.io/requester: developer}}}`)
	w.kubectl("label", "namespace", "project", "team-mesh=mesh-1")
	if revision := w.kubectl("get", "namespace", "project", "-o", `jsonpath={.metadata.labels.istio\.io/rev}`); revision != "mesh-1" {
		w.t.Errorf("a project that joins a mesh gets istio.io/rev=%s", revision)
	}
	// From here on the namespace is broken, as it was before meshfence came: a person has switched it off for a moment.
	w.kubectl("delete", "validatingwebhookconfiguration", "meshfence")
	w.kubectl("label", "namespace", "project", "istio-injection=enabled")
	w.kubectl("apply", "-f", w.file("meshfence-openshift.yaml"))
	w.eventually("the authority is injected", func() error { return ca.inject(w.t.Context()) })
	w.eventually("meshfence judges", w.guarded)
	for _, writer := range []struct{ user, kind, what string }{
		{"system:serviceaccount:openshift-kube-controller-manager:podsecurity-admission-label-syncer-controller", "label", "pod-security.kubernetes.io/audit=restricted"},
		{"system:serviceaccount:openshift-infra:namespace-security-allocation-controller", "annotate", "openshift.io/sa.scc.uid-range=1000680000/10000"},
		{"system:serviceaccount:openshift-infra:namespace-security-allocation-controller", "annotate", "openshift.io/sa.scc.mcs=s0:c26,c15"},
		{"system:serviceaccount:openshift-monitoring:cluster-monitoring-operator", "label", "openshift.io/cluster-monitoring=true"},
		{"system:serviceaccount:openshift-operator-lifecycle-manager:olm-operator-serviceaccount", "label", "olm.operatorgroup.uid/6f1d=1"},
	} {
		text, err := w.try("", writer.kind, "namespace", "project", writer.what, "--as", writer.user, "--as-group", "system:masters")
		if err != nil || strings.Contains(text, "MF") {
			w.t.Errorf("%s %s: %v\n%s", writer.kind, writer.what, err, text)
		}
	}
}
