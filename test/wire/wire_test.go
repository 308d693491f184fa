// Package wire tests what the meshfence process does on the wire, with a client that is not the API server: requests that
// no API server sends, and requests that are only half there when the process is told to end. TLS and HTTP/1.1 are
// real, the address and the authority are those of the installed webhook configuration.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	// answers limits one request, and what is waited for besides. On an idle machine everything takes milliseconds.
	answers = 10 * time.Second
	// maxBody is how many bytes of a body meshfence reads.
	maxBody = 7 << 20
	// endless is where a body without end ends all the same, if nobody has stopped it before: far beyond maxBody and what
	// a connection buffers.
	endless = 64 << 20

	uid = types.UID("705ab4f5-6393-11e8-b7cc-42010a800002")
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

// suite is a cluster with mesh-1 and with meshfence in front of it.
type suite struct {
	*harness.Cluster
	process *harness.Process
	// base is where the webhooks are served, without a path; pool has the authority of their certificate.
	base string
	pool *x509.CertPool
}

func TestWire(t *testing.T) {
	started, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	defer func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := &suite{Cluster: started}
	must(t, s.Reset(t.Context()))
	must(t, s.InstallWorkload(t.Context()))
	// It is stored before meshfence starts, so that a process that is ready knows it.
	must(t, s.Client.Create(t.Context(), object(t, istio("mesh-1", "mesh-1"))))
	s.start(t)
	t.Run("if a request is bad, then it is refused and logged once, and the process lives", s.badRequests)
	t.Run("if the process is told to end, then it answers what it has half of", s.drains)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts meshfence and finds out where it serves.
func (s *suite) start(t *testing.T) {
	t.Helper()
	var err error
	s.process, err = s.StartMeshfence(t.Context(), harness.ProcessOptions{})
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Name: "meshfence"}, configuration))
	for _, hook := range configuration.Webhooks {
		if hook.ClientConfig.URL == nil {
			t.Fatalf("webhook %s has no address", hook.Name)
		}
	}
	address, err := url.Parse(*configuration.Webhooks[0].ClientConfig.URL)
	must(t, err)
	s.base = "https://" + address.Host
	s.pool = x509.NewCertPool()
	if !s.pool.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle) {
		t.Fatal("the webhook configuration has no authority")
	}
}

// dialect returns a client with connections of its own. A request with Expect: 100-continue does
// not send its body before the server wants it.
func (s *suite) dialect(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS13},
		Protocols:             &http.Protocols{},
		ExpectContinueTimeout: answers,
	}
	transport.Protocols.SetHTTP1(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: answers}
}

// call sends a request and returns the answer's review.
func call(c *http.Client, request *http.Request) (*admissionv1.AdmissionResponse, error) {
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.Proto != "HTTP/1.1" {
		return nil, fmt.Errorf("answered in %s", response.Proto)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
		return nil, fmt.Errorf("HTTP status %s, content type %q: %s", response.Status, response.Header.Get("Content-Type"), body)
	}
	review := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(body, review); err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	if review.Kind != "AdmissionReview" || review.Response == nil || review.Response.Result == nil {
		return nil, fmt.Errorf("not an answer: %s", body)
	}
	return review.Response, nil
}

// newRequest makes a POST; Content-Type is that of an AdmissionReview.
func (s *suite) newRequest(ctx context.Context, t *testing.T, path string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, body)
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	return request
}

func (s *suite) badRequests(t *testing.T) {
	c := s.dialect(t)
	sent := 0
	for path, whole := range good(t) {
		for _, bad := range badBodies(t, whole) {
			name := strings.TrimPrefix(path, "/") + " " + bad.name
			request := s.newRequest(t.Context(), t, path, bad.body())
			if bad.contentType != "" {
				request.Header.Set("Content-Type", bad.contentType)
			}
			known := len(s.log(t))
			answer, err := call(c, request)
			sent++
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			type refusal struct {
				Allowed bool
				Code    int32
				Patch   string
			}
			got := refusal{answer.Allowed, answer.Result.Code, string(answer.Patch)}
			if diff := cmp.Diff(refusal{Code: bad.code}, got); diff != "" || !strings.Contains(answer.Result.Message, bad.message) {
				t.Errorf("%s: %q, want %q (-want +got):\n%s", name, answer.Result.Message, bad.message, diff)
			}
			s.checkLog(t, name, known)
		}
	}
	s.checkAlive(t, c, sent)
}

// log returns the whole lines that the process has printed.
func (s *suite) log(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(s.process.Log)
	must(t, err)
	lines := strings.Split(string(text), "\n")
	return lines[:len(lines)-1]
}

// checkLog fails unless what was printed after the lines known is one line about a refused request. It is printed before
// the answer is sent. What meshfence does in the background, it logs under other names.
func (s *suite) checkLog(t *testing.T, name string, known int) {
	t.Helper()
	var told []string
	for _, line := range s.log(t)[known:] {
		var entry struct{ Level, Logger, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level != "info" {
			t.Errorf("%s: logged %q", name, line)
		}
		if entry.Logger == "admission" || entry.Logger == "std" {
			told = append(told, entry.Msg)
		}
	}
	if diff := cmp.Diff([]string{"refused a request that cannot be judged"}, told); diff != "" {
		t.Errorf("%s: log (-want +got):\n%s", name, diff)
	}
}

// checkAlive fails unless the process still answers right, has counted the bad requests and has not panicked.
func (s *suite) checkAlive(t *testing.T, c *http.Client, sent int) {
	t.Helper()
	for path, whole := range good(t) {
		answer, err := call(c, s.newRequest(t.Context(), t, path, bytes.NewReader(whole)))
		if err != nil || !answer.Allowed || answer.UID != uid {
			t.Errorf("%s: afterwards a good request gets %+v, %v", path, answer, err)
		}
	}
	page, err := s.process.Metrics(t.Context())
	must(t, err)
	if line := fmt.Sprintf("\nmeshfence_bad_requests_total %d\n", sent); !strings.Contains(page, line) {
		t.Errorf("not counted:%s", line)
	}
	s.checkNoPanic(t)
}

func (s *suite) checkNoPanic(t *testing.T) {
	t.Helper()
	for _, line := range s.log(t) {
		if strings.Contains(strings.ToLower(line), "panic") {
			t.Errorf("logged %s", line)
		}
	}
}

// badBody is a body that must be refused.
type badBody struct {
	name        string
	body        func() io.Reader
	contentType string // "" for the right one
	code        int32
	message     string
}

// badBodies spoils a good request in every way that the wire allows.
func badBodies(t *testing.T, whole []byte) []badBody {
	t.Helper()
	text := func(body string) func() io.Reader { return func() io.Reader { return strings.NewReader(body) } }
	changed := func(change func(*admissionv1.AdmissionRequest)) func() io.Reader {
		review := &admissionv1.AdmissionReview{}
		must(t, json.Unmarshal(whole, review))
		change(review.Request)
		return text(string(marshal(t, review)))
	}
	const refused, tooLarge = http.StatusBadRequest, http.StatusRequestEntityTooLarge
	return []badBody{
		{"empty", text(""), "", refused, "its body is empty"},
		{"not JSON", text("hello"), "", refused, "its body is no AdmissionReview"},
		{"cut off", text(string(whole[:len(whole)/2])), "", refused, "its body is no AdmissionReview"},
		{"null", text("null"), "", refused, "its body is of kind"},
		{"a null request", text(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`), "", refused, "has no request"},
		{"a review of an unknown version", text(strings.Replace(string(whole), "admission.k8s.io/v1", "admission.k8s.io/v9", 1)), "", refused, "admission.k8s.io/v9"},
		{"YAML by its content type", text(string(whole)), "application/yaml", refused, `its content type is "application/yaml"`},
		{"an unknown kind", changed(func(r *admissionv1.AdmissionRequest) { r.Kind.Kind = "Unknown" }), "", refused, `"Unknown" is not judged here`},
		{"an unknown version", changed(func(r *admissionv1.AdmissionRequest) { r.Kind.Version = "v9" }), "", refused, "/v9 "},
		{"an unknown operation", changed(func(r *admissionv1.AdmissionRequest) { r.Operation = "CONNECT" }), "", refused, `operation "CONNECT" is not judged here`},
		{"a null object", changed(func(r *admissionv1.AdmissionRequest) { r.Object.Raw = []byte("null") }), "", refused, "the request carries no object"},
		{"an update without the old object", changed(func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update }), "", refused, "the request carries no object"},
		{"one byte too many", func() io.Reader { return bytes.NewReader(padded(whole, maxBody+1)) }, "", tooLarge, "its body has more than 7340032 bytes"},
		{"a body without end", func() io.Reader { return io.LimitReader(spaces{}, endless) }, "", tooLarge, "its body has more than 7340032 bytes"},
	}
}

// padded puts white space behind a body, which JSON allows, up to a size in bytes.
func padded(body []byte, size int) []byte {
	return append(bytes.Clone(body), bytes.Repeat([]byte(" "), size-len(body))...)
}

// spaces is a body of white space that never ends. Its length is not known, so it is sent in chunks.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// held is a request of which the server has one half and waits for the other.
type held struct {
	path     string
	body     []byte
	want     verdict
	rest     *io.PipeWriter
	answered chan error
	got      verdict
}

// verdict is what is looked at of an answer.
type verdict struct {
	UID     types.UID
	Allowed bool
	Code    int32
	Rule    string
}

// drains holds requests half sent, tells the process to end, and sends the other halves when it no longer listens. To
// judge them, the process must still be able to read from the API server.
func (s *suite) drains(t *testing.T) {
	c := s.dialect(t)
	requests := []*held{
		{
			path: "/validate/istio", body: review(t, "Istio", istio("copy", "mesh-1")),
			want: verdict{uid, false, http.StatusUnprocessableEntity, "MF103 OverlappingSelectors"},
		},
		{
			path: "/validate/istio", body: review(t, "Istio", istio("mesh-2", "mesh-2")),
			want: verdict{uid, true, http.StatusOK, ""},
		},
		{
			path: "/validate/namespace", body: review(t, "Namespace", namespace("istio-discovery: mesh-1, istio.io/rev: mesh-2")),
			want: verdict{uid, false, http.StatusUnprocessableEntity, "MF203 UnknownRevision"},
		},
		{
			path: "/validate/namespace", body: review(t, "Namespace", namespace("istio-discovery: mesh-1, istio.io/rev: mesh-1")),
			want: verdict{uid, true, http.StatusOK, ""},
		},
	}
	for _, r := range requests {
		s.hold(t, c, r)
	}
	var stopping errgroup.Group
	stopping.Go(s.StopMeshfence) // SIGTERM, and an error if the status is not 0
	s.waitClosed(t)
	for _, r := range requests {
		_, err := r.rest.Write(r.body[len(r.body)/2:])
		must(t, errors.Join(err, r.rest.Close()))
	}
	for _, r := range requests {
		if err := <-r.answered; err != nil {
			t.Errorf("%s: %v", r.path, err)
		} else if diff := cmp.Diff(r.want, r.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.path, diff)
		}
	}
	if err := stopping.Wait(); err != nil {
		t.Error(err)
	}
	s.checkNoPanic(t)
}

// hold sends the first half of a request. It returns when the server's handler has asked for the body, so that the request
// is in flight for certain: that is what the server's 100 Continue says.
func (s *suite) hold(t *testing.T, c *http.Client, r *held) {
	t.Helper()
	wanted := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(wanted) }})
	body, rest := io.Pipe()
	request := s.newRequest(ctx, t, r.path, body)
	request.ContentLength = int64(len(r.body))
	request.Header.Set("Expect", "100-continue")
	r.rest, r.answered = rest, make(chan error, 1)
	go func() {
		response, err := call(c, request)
		if err == nil {
			r.got = verdict{response.UID, response.Allowed, response.Result.Code, harness.RuleIn(response.Result.Message)}
		}
		r.answered <- err
	}()
	select {
	case <-wanted:
	case err := <-r.answered:
		t.Fatalf("%s is over before its body: %+v, %v", r.path, r.got, err)
	case <-time.After(answers):
		t.Fatalf("%s: nobody asked for its body", r.path)
	}
	_, err := rest.Write(r.body[:len(r.body)/2])
	must(t, err)
}

// waitClosed waits until the process no longer accepts connections.
func (s *suite) waitClosed(t *testing.T) {
	t.Helper()
	var dialer net.Dialer
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, answers, true, func(ctx context.Context) (bool, error) {
		connection, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(s.base, "https://"))
		if err != nil {
			return true, nil //nolint:nilerr // Being refused is what is waited for.
		}
		return false, connection.Close()
	})
	if err != nil {
		t.Fatalf("it still accepts connections: %v", err)
	}
}

// good returns, for every path, a request that is allowed.
func good(t *testing.T) map[string][]byte {
	t.Helper()
	revision := strings.Replace(istio("new", "new"), "kind: Istio", "kind: IstioRevision", 1)
	return map[string][]byte{
		"/validate/istio":            review(t, "Istio", istio("new", "new")),
		"/validate/istiorevision":    review(t, "IstioRevision", revision),
		"/validate/istiorevisiontag": review(t, "IstioRevisionTag", "{metadata: {name: new}, spec: {targetRef: {kind: Istio, name: mesh-1}}}"),
		"/validate/meshmap":          review(t, "ConfigMap", "{metadata: {name: mesh-map, namespace: meshfence-system}, data: {mesh-1: mesh-1}}"),
		"/validate/namespace":        review(t, "Namespace", namespace("istio-discovery: mesh-1")),
		"/mutate/namespace":          review(t, "Namespace", namespace("colour: blue")),
	}
}

// review is the body of a request to create an object; its dry run leaves the cluster as it is.
func review(t *testing.T, kind, text string) []byte {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	must(t, err)
	gvk := metav1.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: kind}
	if kind == "Namespace" || kind == "ConfigMap" {
		gvk.Group = ""
	}
	dryRun := true
	return marshal(t, &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: uid, Kind: gvk, Operation: admissionv1.Create, Name: object(t, text).GetName(), DryRun: &dryRun, Object: runtime.RawExtension{Raw: raw},
		},
	})
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	raw, err := json.Marshal(value)
	must(t, err)
	return raw
}

// istio is an Istio with a control-plane namespace of its own that discovers what has the label istio-discovery=label.
func istio(name, label string) string {
	return fmt.Sprintf(`{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: %[1]s}, spec: {namespace: istio-system-%[1]s, version: v1.30.3,
  values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: %[2]s}}]}}}}`, name, label)
}

// namespace is a namespace with labels in YAML's one-line form.
func namespace(labels string) string {
	return "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {" + labels + "}}}"
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	parsed := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte(text), &parsed.Object))
	return parsed
}
