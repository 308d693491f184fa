package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	crwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// cluster is a fake of the API server: what it holds is what informers know and what is stored.
type cluster struct {
	objects mesh.Objects
	// stored, if not nil, is what a live read finds; the fleet has not seen it yet.
	stored     *mesh.Objects
	namespaces []mesh.Namespace
	// unreadable is why some namespaces cannot be read.
	unreadable error
	unsynced   bool
	// live and fleet, if not nil, are called before the objects are given out.
	live   func() error
	fleet  func()
	ensure func(asked match.Scope) error
	// running are the namespaces whose istiods run.
	running []string
	// allow, if not nil, decides what users may do; otherwise they may do nothing.
	allow func(authorizationv1.SubjectAccessReviewSpec) (bool, error)
	// tenant says that the user may not install webhooks.
	tenant bool
	// pods, if not nil, is what is seen of a namespace's pods; otherwise there are none.
	pods func(ctx context.Context, namespace string, limit int) mesh.Pods
	// claims are in flight.
	claims []ledger.Claim
	// admitErr is what the ledger answers.
	admitErr error
	// admitting, if not nil, is called where a change that is allowed would be claimed.
	admitting func()
	// slow, if not nil, is called before anything is asked of the API server, and takes as long as that does. what is live, use,
	// override or pods. Its error is the answer.
	slow func(ctx context.Context, what string) error
	// outdated says that every UPDATE is of a version that is stored no more.
	outdated bool
}

func (c *cluster) Synced() bool { return !c.unsynced }
func (c *cluster) Namespaces(context.Context, func() []string) ([]mesh.Namespace, error) {
	return c.namespaces, c.unreadable
}

func (c *cluster) Fleet() *mesh.Fleet {
	if c.fleet != nil {
		c.fleet()
	}
	return mesh.NewFleet(c.objects)
}

func (c *cluster) wait(ctx context.Context, what string) error {
	if c.slow != nil {
		return c.slow(ctx, what)
	}
	return nil
}

func (c *cluster) Live(ctx context.Context) (mesh.Objects, error) {
	if err := c.wait(ctx, "live"); err != nil {
		return mesh.Objects{}, err
	}
	if c.live != nil {
		if err := c.live(); err != nil {
			return mesh.Objects{}, err
		}
	}
	if c.stored != nil {
		return *c.stored, nil
	}
	return c.objects, nil
}

// Runs says that the istiods of these namespaces run.
func (c *cluster) Runs(ctx context.Context, namespace, _ string) (bool, error) {
	return slices.Contains(c.running, namespace), c.wait(ctx, "runs")
}

// Known is what informers know.
func (c *cluster) Known() mesh.Objects { return c.objects }

// Admit keeps no ledger: what is in flight is what the test says.
func (c *cluster) Admit(ctx context.Context, change ledger.Change, judge func(ledger.State) bool) error {
	stored, err := c.Live(ctx)
	if err != nil {
		return fmt.Errorf("it cannot read the stored meshes (%w)", err)
	}
	if judge(ledger.State{Stored: stored, Claims: c.claims, Outdated: c.outdated && change.Old != nil}) && c.admitting != nil {
		c.admitting()
	}
	return c.admitErr
}

func (c *cluster) EnsureKeys(_ context.Context, asked match.Scope) error {
	if c.ensure != nil {
		return c.ensure(asked)
	}
	return nil
}

func (c *cluster) Allowed(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	if err := c.wait(ctx, review.ResourceAttributes.Verb); err != nil {
		return false, err
	}
	if !c.tenant && review.ResourceAttributes.Resource == "mutatingwebhookconfigurations" {
		return true, nil
	}
	if c.allow != nil {
		return c.allow(review)
	}
	return false, nil
}

func (c *cluster) Pods(ctx context.Context, namespace string, limit int) mesh.Pods {
	if err := c.wait(ctx, "pods"); err != nil {
		return mesh.Pods{Stopped: "early"}
	}
	if c.pods != nil {
		return c.pods(ctx, namespace, limit)
	}
	return mesh.Pods{}
}

// server serves the webhooks over HTTP without TLS.
type server struct {
	url      string
	handler  http.Handler
	registry *prometheus.Registry
	log      *lines
}

// lines collects what is logged, up to V(1), as JSON.
type lines struct {
	mutex sync.Mutex
	all   []string
}

func (l *lines) logger() logr.Logger {
	return funcr.NewJSON(func(line string) {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.all = append(l.all, line)
	}, funcr.Options{Verbosity: 1})
}

// take returns what was logged since the last call.
func (l *lines) take() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	taken := l.all
	l.all = nil
	return taken
}

// handler registers the webhooks with controller-runtime's server, which is not started: only its routes are used.
func handler(t testing.TB, c *cluster, configuration *config.Configuration, registry prometheus.Registerer, logger logr.Logger) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	if _, err := webhook.Register(crwebhook.NewServer(crwebhook.Options{WebhookMux: mux}), c, configuration, registry, logger); err != nil {
		t.Fatal(err)
	}
	return mux
}

// serve starts a server with the default configuration, as far as change leaves it at that.
func serve(t testing.TB, c *cluster, change ...func(*config.Configuration)) *server {
	t.Helper()
	configuration := config.Default()
	for _, f := range change {
		f(configuration)
	}
	s := &server{registry: prometheus.NewRegistry(), log: &lines{}}
	s.handler = handler(t, c, configuration, s.registry, s.log.logger())
	listening := httptest.NewServer(s.handler)
	t.Cleanup(listening.Close)
	s.url = listening.URL
	return s
}

// post sends a body and returns the AdmissionReview of the answer, which must be complete in form.
func (s *server) post(t testing.TB, path, contentType string, body io.Reader) *admissionv1.AdmissionResponse {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("HTTP status %s, content type %q", answer.Status, answer.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response(t, raw)
}

// response reads an answer.
func response(t testing.TB, raw []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	var review admissionv1.AdmissionReview
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&review); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if review.Kind != "AdmissionReview" || review.APIVersion != "admission.k8s.io/v1" || review.Request != nil || review.Response == nil {
		t.Fatalf("not the answer of a webhook: %s", raw)
	}
	if review.Response.Result == nil {
		t.Fatalf("no status: %s", raw)
	}
	return review.Response
}

// request is what a test asks; zero fields have the values that fit the path.
type request struct {
	path      string
	kind      metav1.GroupVersionKind
	operation admissionv1.Operation
	name      string
	// object and old are YAML or JSON, "" for none.
	object, old string
	user        string
	// who is the user with groups and more, instead of user.
	who         *authenticationv1.UserInfo
	subresource string
	namespace   string
	dryRun      bool
	// options are those of the operation, YAML or JSON, "" for none.
	options string
}

const uid = types.UID("705ab4f5-6393-11e8-b7cc-42010a800002")

func kindOf(path string) metav1.GroupVersionKind {
	return map[string]metav1.GroupVersionKind{
		webhook.PathValidateIstio:            {Group: "sailoperator.io", Version: "v1", Kind: "Istio"},
		webhook.PathValidateIstioRevision:    {Group: "sailoperator.io", Version: "v1", Kind: "IstioRevision"},
		webhook.PathValidateNamespace:        {Version: "v1", Kind: "Namespace"},
		webhook.PathMutateNamespace:          {Version: "v1", Kind: "Namespace"},
		webhook.PathValidateIstioRevisionTag: {Group: "sailoperator.io", Version: "v1", Kind: "IstioRevisionTag"},
		webhook.PathValidateMeshMap:          {Version: "v1", Kind: "ConfigMap"},
		webhook.PathValidateIstiod:           {Version: "v1", Kind: "ConfigMap"},
	}[path]
}

func paths() []string {
	return []string{
		webhook.PathValidateIstio, webhook.PathValidateIstioRevision, webhook.PathValidateNamespace, webhook.PathMutateNamespace,
		webhook.PathValidateIstioRevisionTag, webhook.PathValidateMeshMap, webhook.PathValidateIstiod,
	}
}

// ask sends an AdmissionReview as the API server would, and checks that the answer is to it.
func (s *server) ask(t testing.TB, r request) *admissionv1.AdmissionResponse {
	t.Helper()
	answer := s.post(t, r.path, "application/json", bytes.NewReader(r.body(t)))
	if answer.UID != uid {
		t.Errorf("the answer is to %q", answer.UID)
	}
	return answer
}

func (r request) body(t testing.TB) []byte {
	t.Helper()
	if r.kind == (metav1.GroupVersionKind{}) {
		r.kind = kindOf(r.path)
	}
	if r.operation == "" {
		r.operation = admissionv1.Create
		if r.old != "" {
			r.operation = admissionv1.Update
		}
	}
	if r.who == nil {
		r.who = &authenticationv1.UserInfo{Username: r.user}
	}
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: uid, Kind: r.kind, Operation: r.operation, Name: r.name, Namespace: r.namespace, SubResource: r.subresource, DryRun: &r.dryRun,
			UserInfo: *r.who, Object: extension(t, r.object), OldObject: extension(t, r.old),
			Options: extension(t, r.options),
		},
	}
	body, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func extension(t testing.TB, text string) runtime.RawExtension {
	t.Helper()
	if text == "" {
		return runtime.RawExtension{}
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: raw}
}

// istioRequest creates an Istio with a spec in YAML's one-line form, or updates it if old is not "".
func istioRequest(name, spec, old string) request {
	r := request{path: webhook.PathValidateIstio, name: name, object: istio(name, spec)}
	if old != "" {
		r.old = istio(name, old)
	}
	return r
}

func istio(name, spec string) string {
	return "{kind: Istio, metadata: {name: " + name + "}, spec: " + spec + "}"
}

// namespaceRequest creates a namespace with labels "key=value,key=value", or updates it if old is not "".
func namespaceRequest(name, labels, old string) request {
	r := request{path: webhook.PathValidateNamespace, name: name, object: namespace(name, labels)}
	if old != "" {
		r.old = namespace(name, old)
	}
	return r
}

func namespace(name, labels string) string {
	raw, _ := json.Marshal(map[string]any{"metadata": map[string]any{"name": name, "labels": labelMap(labels)}})
	return string(raw)
}

// judged is the namespace that the policy should see.
func judged(name, labels string) *mesh.Namespace {
	ns := &mesh.Namespace{Name: name, Labels: map[string]string{mesh.NameLabel: name}}
	maps.Copy(ns.Labels, labelMap(labels))
	return ns
}

func labelMap(text string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			all[key] = value
		}
	}
	return all
}

// selecting is a spec whose only selector asks for one label.
func selecting(namespace, key, value string) string {
	return "{namespace: " + namespace + ", values: {meshConfig: {discoverySelectors: [{matchLabels: {" + key + ": " + value + "}}]}}}"
}

// twoMeshes is a cluster with mesh-1 and mesh-2, which do not overlap, and the namespace shop in mesh-1.
func twoMeshes(t testing.TB) *cluster {
	t.Helper()
	return &cluster{
		objects: mesh.Objects{Istios: []*sail.ControlPlane{
			controlPlane(t, istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))),
			controlPlane(t, istio("mesh-2", selecting("istio-system-2", "istio-discovery", "mesh-2"))),
		}},
		namespaces: []mesh.Namespace{*judged("shop", "istio-discovery=mesh-1,istio.io/rev=mesh-1")},
	}
}

func controlPlane(t testing.TB, text string) *sail.ControlPlane {
	t.Helper()
	cp, err := sail.DecodeControlPlane(extension(t, text).Raw)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// allowed is the whole answer to a request that is let through.
func allowed(warnings ...string) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{UID: uid, Allowed: true, Result: &metav1.Status{Code: http.StatusOK}, Warnings: warnings}
}

// audited is an answer with what the API server's audit log is told: the decision, and the codes of the findings.
func audited(answer *admissionv1.AdmissionResponse, decision, findings string) *admissionv1.AdmissionResponse {
	answer.AuditAnnotations = map[string]string{"decision": decision}
	if findings != "" {
		answer.AuditAnnotations["findings"] = findings
	}
	return answer
}

// admitted is the whole answer to a request that was judged and in which nothing was found.
func admitted() *admissionv1.AdmissionResponse { return audited(allowed(), "allow", "") }

// refused is the whole answer to a request that cannot be judged.
func refused(code int32, reason metav1.StatusReason, message string) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{
		UID: uid, Result: &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message},
	}
}
