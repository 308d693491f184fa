package facts

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// observed is the label of the namespaces whose creation or change the observer is asked about: it must appear.
const observed = "observed"

// observer is a webhook that allows everything and shows what it was asked.
type observer struct {
	mutating, validating chan *admissionv1.AdmissionRequest

	mu       sync.Mutex
	held     chan struct{} // while not nil, the first validating answer waits until it is closed
	warnings []string      // of every validating answer
	patched  string        // the JSON patch of every mutating answer, "" for none
}

// observe starts an observer, has the API server ask it, and returns when it does.
func observe(ctx context.Context, t *testing.T, c client.Client) *observer {
	o := &observer{mutating: make(chan *admissionv1.AdmissionRequest, 16), validating: make(chan *admissionv1.AdmissionRequest, 16)}
	mux := http.NewServeMux()
	mux.HandleFunc("/mutate", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, o.mutating, func(to *admissionv1.AdmissionResponse) { o.change(to) })
	})
	mux.HandleFunc("/validate", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, o.validating, func(to *admissionv1.AdmissionResponse) { to.Warnings = o.wait() })
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	for _, configuration := range configurations(server) {
		if err := c.Create(ctx, configuration); err != nil {
			t.Fatal(err)
		}
	}
	o.awaitAsked(ctx, t, c)
	return o
}

// awaitAsked creates namespaces until the API server acts on both configurations, and forgets what was asked about them.
func (o *observer) awaitAsked(ctx context.Context, t *testing.T, c client.Client) {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Labels: map[string]string{observed: "yes"}}}
		if err := c.Create(ctx, ns, client.DryRunAll); err != nil {
			return false, err
		}
		asked := len(o.mutating) > 0 && len(o.validating) > 0
		drain(o.mutating)
		drain(o.validating)
		return asked, nil
	})
	if err != nil {
		t.Fatal("the API server does not ask the observer: ", err)
	}
}

func drain(requests chan *admissionv1.AdmissionRequest) {
	for len(requests) > 0 {
		<-requests
	}
}

// next returns the next request that a webhook was asked.
func (o *observer) next(ctx context.Context, t *testing.T, requests chan *admissionv1.AdmissionRequest) *admissionv1.AdmissionRequest {
	t.Helper()
	select {
	case request := <-requests:
		return request
	case <-time.After(limit):
		t.Fatal("the observer was not asked")
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	return nil
}

// hold makes validating answers wait until the returned function is called.
func (o *observer) hold() (release func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := make(chan struct{})
	o.held = held
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.held = nil
		close(held)
	}
}

// warn makes validating answers carry these warnings.
func (o *observer) warn(warnings ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.warnings = warnings
}

// wait returns when an answer may be given, and what it is to warn of.
func (o *observer) wait() []string {
	o.mu.Lock()
	held, warnings := o.held, o.warnings
	o.mu.Unlock()
	if held != nil {
		<-held
	}
	return warnings
}

// patch makes mutating answers carry this JSON patch, "" for none.
func (o *observer) patch(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.patched = text
}

func (o *observer) change(to *admissionv1.AdmissionResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.patched != "" {
		jsonPatch := admissionv1.PatchTypeJSONPatch
		to.Patch, to.PatchType = []byte(o.patched), &jsonPatch
	}
}

// answer allows a request after it was shown and add has returned, with what that adds.
func answer(w http.ResponseWriter, r *http.Request, show chan<- *admissionv1.AdmissionRequest, add func(*admissionv1.AdmissionResponse)) {
	review := &admissionv1.AdmissionReview{}
	if err := json.NewDecoder(r.Body).Decode(review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	show <- review.Request
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	add(review.Response)
	review.Request = nil
	_ = json.NewEncoder(w).Encode(review)
}

// configurations send the observer the namespaces that get the label observed.
func configurations(server *httptest.Server) []client.Object {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	clientConfig := func(path string) admissionregistrationv1.WebhookClientConfig {
		address := server.URL + path
		return admissionregistrationv1.WebhookClientConfig{URL: &address, CABundle: authority}
	}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"namespaces"}},
	}}
	appears := []admissionregistrationv1.MatchCondition{{
		Name:       "appears",
		Expression: "object.metadata.?labels[?'" + observed + "'].hasValue() && (oldObject == null || !oldObject.metadata.?labels[?'" + observed + "'].hasValue())",
	}}
	none := admissionregistrationv1.SideEffectClassNone
	meta := metav1.ObjectMeta{Name: "observer"}
	return []client.Object{
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mutate.observer.test", ClientConfig: clientConfig("/mutate"), Rules: rules, MatchConditions: appears,
			SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "validate.observer.test", ClientConfig: clientConfig("/validate"), Rules: rules, MatchConditions: appears,
			SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}}},
	}
}
