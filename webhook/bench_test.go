package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// fixedFleet is a cluster whose fleet was built once, as the informers do it.
type fixedFleet struct {
	*cluster
	fleet *mesh.Fleet
}

func (c *fixedFleet) Fleet() *mesh.Fleet { return c.fleet }

// manyMeshes is a cluster with n meshes of four selectors each.
func manyMeshes(t testing.TB, n int) *fixedFleet {
	t.Helper()
	c := &cluster{}
	for i := range n {
		name := fmt.Sprintf("mesh-%d", i+1)
		spec := fmt.Sprintf("{namespace: istio-system-%[1]s, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: %[1]s}}, "+
			"{matchLabels: {istio-discovery: %[1]s-dev}}, {matchLabels: {istio-discovery: %[1]s-test}}, {matchLabels: {istio-discovery: %[1]s-prod}}]}}}", name)
		c.objects.Istios = append(c.objects.Istios, controlPlane(t, istio(name, spec)))
	}
	return &fixedFleet{cluster: c, fleet: mesh.NewFleet(c.objects)}
}

// reviewBody is the AdmissionReview of an UPDATE that moves a namespace into mesh-1, as an API server sends it.
func reviewBody(t testing.TB) []byte {
	t.Helper()
	const stored = `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"a55e2b1b-2a4c-4f3c-9a1f-6b0f6a0e3a9e","resourceVersion":"123456",` +
		`"creationTimestamp":"2026-08-01T12:00:00Z","labels":{"app.kubernetes.io/part-of":"shop","kubernetes.io/metadata.name":"shop"%s},` +
		`"annotations":{"example.com/owner":"somebody@example.com"},"managedFields":[{"manager":"kubectl","operation":"Update","apiVersion":"v1",` +
		`"time":"2026-08-01T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}}]},` +
		`"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`
	body := []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"0df28fbd-5f5f-11e8-bc74-36e6bb280816",` +
		`"kind":{"group":"","version":"v1","kind":"Namespace"},"resource":{"group":"","version":"v1","resource":"namespaces"},` +
		`"requestKind":{"group":"","version":"v1","kind":"Namespace"},"requestResource":{"group":"","version":"v1","resource":"namespaces"},` +
		`"name":"shop","namespace":"shop","operation":"UPDATE","userInfo":{"username":"somebody","groups":["developers","system:authenticated"]},` +
		`"object":` + fmt.Sprintf(stored, `,"istio-discovery":"mesh-1","istio.io/rev":"mesh-1"`) + `,"oldObject":` + fmt.Sprintf(stored, "") + `,` +
		`"dryRun":false,"options":{"kind":"PatchOptions","apiVersion":"meta.k8s.io/v1"}}}`)
	if !json.Valid(body) {
		t.Fatal("the body is not JSON")
	}
	return body
}

// ask answers one AdmissionReview in process.
func ask(b *testing.B, h http.Handler, path string, body []byte) {
	b.Helper()
	request := httptest.NewRequest(http.MethodPost, path, nil)
	request.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.ContentLength = int64(len(body))
		recorder := httptest.ResponseRecorder{Body: &bytes.Buffer{}}
		h.ServeHTTP(&recorder, request)
		if !bytes.Contains(recorder.Body.Bytes(), []byte(`"allowed":true`)) {
			b.Fatalf("not allowed: %s", recorder.Body)
		}
	}
}

// judging are the webhooks of a cluster with 100 meshes.
func judging(t testing.TB) http.Handler {
	t.Helper()
	logger := funcr.NewJSON(func(string) {}, funcr.Options{})
	mux := http.NewServeMux()
	if _, err := webhook.Register(patterns{mux}, manyMeshes(t, 100), config.Default(), prometheus.NewRegistry(), logger); err != nil {
		t.Fatal(err)
	}
	return mux
}

// typed is a validator that says yes to decoded namespaces.
type typed struct{}

func (typed) ValidateCreate(context.Context, *corev1.Namespace) (admission.Warnings, error) {
	return nil, nil
}

func (typed) ValidateUpdate(context.Context, *corev1.Namespace, *corev1.Namespace) (admission.Warnings, error) {
	return nil, nil
}

func (typed) ValidateDelete(context.Context, *corev1.Namespace) (admission.Warnings, error) {
	return nil, nil
}

// The bound is what controller-runtime's typed validator spends on saying yes to the decoded objects, in the version for which it was
// set: see BenchmarkAdmissionReview, which also counts what the request itself costs.
func TestAJudgementAllocatesNoMoreThanATypedValidatorThatSaysYes(t *testing.T) {
	const bound = 226
	h, body := judging(t), reviewBody(t)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathValidateNamespace, nil)
	request.Header.Set("Content-Type", "application/json")
	var answer bytes.Buffer
	if n := testing.AllocsPerRun(100, func() {
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer.Reset()
		h.ServeHTTP(&httptest.ResponseRecorder{Body: &answer}, request)
	}); n > bound {
		t.Errorf("%v allocations, no more than %d are needed", n, bound)
	}
	if !bytes.Contains(answer.Bytes(), []byte(`"allowed":true`)) {
		t.Errorf("not allowed: %s", answer.String())
	}
}

// An index by label key and value makes the number of meshes matter little. The bound is far above what is measured (see
// BenchmarkNamespace of package policy), and far below the tenfold that a look at every mesh would cost.
func TestTenTimesTheMeshesDoNotCostTenTimesAsMuch(t *testing.T) {
	p := policy.New(webhook.Settings(config.Default()))
	fastest := func(meshes int) time.Duration {
		joined := &mesh.Namespace{Name: "shop", Labels: map[string]string{mesh.NameLabel: "shop", "istio-discovery": "mesh-1", "istio.io/rev": "mesh-1"}}
		change := policy.NamespaceChange{Old: &mesh.Namespace{Name: "shop"}, New: joined, Fleet: manyMeshes(t, meshes).fleet}
		best := time.Hour
		for range 50 {
			begin := time.Now()
			for range 100 {
				p.Namespace(change)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	if few, many := fastest(100), fastest(1000); many > 5*few {
		t.Errorf("100 judgements took %v with 100 meshes and %v with 1,000", few, many)
	}
}

// One AdmissionReview judged in process, and beside it what controller-runtime's stock handler spends on saying yes to it,
// without and with decoding the objects.
func BenchmarkAdmissionReview(b *testing.B) {
	body, mux := reviewBody(b), judging(b)
	b.Run("yes", func(b *testing.B) {
		ask(b, &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })}, "/", body)
	})
	b.Run("typed", func(b *testing.B) {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			b.Fatal(err)
		}
		ask(b, admission.WithValidator(scheme, typed{}), "/", body)
	})
	b.Run("judged", func(b *testing.B) { ask(b, mux, webhook.PathValidateNamespace, body) })
	b.Run("filled", func(b *testing.B) {
		unfilled := bytes.Replace(body, []byte(`,"istio.io/rev":"mesh-1"`), nil, 1)
		ask(b, mux, webhook.PathMutateNamespace, unfilled)
	})
}

// patterns registers handlers in a ServeMux.
type patterns struct{ *http.ServeMux }

func (p patterns) Register(path string, handler http.Handler) { p.Handle(path, handler) }
