package stress

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook/sail"
)

// neighbour is another webhook about the Istios with this label, which the API server asks at the same time as meshfence.
type neighbour struct {
	*suite
	// asked gets the name of each object that it is asked about; it answers when answer gives it what to say.
	asked  chan string
	answer chan bool
	// gone gets something for each request whose client went away before it was answered.
	gone chan struct{}
}

// neighbourLabel is the label of the objects that it is asked about.
const neighbourLabel = "stress/neighbour"

// neighbouring makes an object one that it is asked about.
func neighbouring(object *unstructured.Unstructured) *unstructured.Unstructured {
	object.SetLabels(map[string]string{neighbourLabel: "true"})
	return object
}

// startNeighbour installs it, and waits until the API server asks it.
func (s *suite) startNeighbour(t *testing.T) *neighbour {
	t.Helper()
	n := &neighbour{suite: s, asked: make(chan string, 100), answer: make(chan bool, 100), gone: make(chan struct{}, 100)}
	server := httptest.NewTLSServer(n)
	t.Cleanup(server.Close)
	fail, none := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone
	seconds := int32(30)
	config := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "neighbour"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "neighbour.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &server.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{sail.GroupVersion.Group}, APIVersions: []string{"v1"}, Resources: []string{"istios"}},
			}},
			ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: neighbourLabel, Operator: "Exists"}}},
			FailurePolicy:  &fail, SideEffects: &none, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
		}},
	}
	must(t, s.Client.Create(t.Context(), config))
	t.Cleanup(func() {
		if err := s.Client.Delete(t.Context(), config); client.IgnoreNotFound(err) != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	probe := neighbouring(stressed("probe", selecting("probe"), 0))
	deadline := time.Now().Add(30 * time.Second)
	for {
		n.answer <- false
		_, err := istiosOf(t, s.Config).Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), "the neighbour says no") {
			<-n.asked
			return n
		}
		<-n.answer
		if time.Now().After(deadline) {
			t.Fatalf("the API server does not ask it: %v", err)
		}
	}
}

// ServeHTTP answers an AdmissionReview when it is told to.
func (n *neighbour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	review := admissionv1.AdmissionReview{}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	n.asked <- review.Request.Name
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "the neighbour says no"}}
	select {
	case response.Allowed = <-n.answer:
	case <-r.Context().Done():
		n.gone <- struct{}{}
		return
	}
	review.Request, review.Response = nil, response
	_ = json.NewEncoder(w).Encode(review) // the API server may have gone
}

// waitAsked waits until it is asked about something.
func (n *neighbour) waitAsked(t *testing.T) string {
	t.Helper()
	select {
	case name := <-n.asked:
		return name
	case <-time.After(30 * time.Second):
		t.Fatal("it was not asked")
		return ""
	}
}

// hasClaims reports whether the ledger gets so many claims on an object within a few seconds.
func (s *suite) hasClaims(t *testing.T, unbounded client.Client, name string, claims int) bool {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 5*time.Second, true, func(ctx context.Context) (bool, error) {
		ledger, found := &corev1.ConfigMap{}, 0
		err := unbounded.Get(ctx, client.ObjectKey{Namespace: harness.Namespace, Name: "meshfence-claims"}, ledger)
		for _, claim := range ledger.Data {
			if strings.Contains(claim, fmt.Sprintf(`"name":%q`, name)) {
				found++
			}
		}
		return found >= claims, client.IgnoreNotFound(err)
	})
	if err != nil && !wait.Interrupted(err) {
		t.Fatal(err)
	}
	return err == nil
}

// slowNeighbour has one change admitted that is not stored for as long as another webhook takes, and meanwhile another mesh
// takes the same selector.
func (s *suite) slowNeighbour(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	istios := istiosOf(t, s.Config)
	n.answer <- true
	_, err := istios.Create(t.Context(), neighbouring(stressed("slow", selecting("slow"), 0)), metav1.CreateOptions{})
	must(t, err)
	n.waitAsked(t)
	_, err = istios.Create(t.Context(), stressed("quick", selecting("quick"), 0), metav1.CreateOptions{})
	must(t, err)
	for _, more := range []int{0, 100, 700, 3000, 8000} {
		shared := fmt.Sprint("shared-", more)
		list := append(selecting("slow"), selecting(shared)...)
		for i := range more {
			list = append(list, selecting(fmt.Sprintf("slow-%s-%d", strings.Repeat("x", 30), i))...)
		}
		stored := make(chan error, 1)
		go func() { stored <- patchSelectors(t, istios, "slow", list) }()
		n.waitAsked(t)
		deadline := time.Now().Add(30 * time.Second)
		for err = nil; err == nil || !strings.Contains(err.Error(), `a request that changes Istio "slow"`); {
			if err = patchSelectors(t, istios, "quick", append(selecting("quick"), selecting(shared)...), metav1.DryRunAll); time.Now().After(deadline) {
				t.Fatalf("%d selectors: %v, want a conflict with the change in flight", more, err)
			}
		}
		// Again and for real: it was a dry run only because the first requests may have come before the claim.
		if err := patchSelectors(t, istios, "quick", append(selecting("quick"), selecting(shared)...)); !apierrors.IsConflict(err) {
			t.Errorf("%d selectors: %v, want a conflict with the change in flight", more, err)
		}
		if err := patchSelectors(t, istios, "quick", append(selecting("quick"), selecting(fmt.Sprint("other-", more))...)); err != nil {
			t.Errorf("%d selectors: what does not overlap is refused: %v", more, err)
		}
		n.answer <- true
		must(t, <-stored)
		must(t, patchSelectors(t, istios, "quick", selecting("quick")))
		count(t, "a change with %d selectors in flight: what overlaps with it was refused, what does not was stored", len(list))
	}
}

// refusingNeighbour has changes admitted that another webhook refuses, more than one object and one user may have in flight.
func (s *suite) refusingNeighbour(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	n := s.startNeighbour(t)
	tenant := rest.CopyConfig(s.Config)
	tenant.Impersonate = rest.ImpersonationConfig{UserName: "tenant", Groups: []string{"system:masters"}}
	istios, others := istiosOf(t, tenant), istiosOf(t, s.Config)
	for _, name := range []string{"theirs", "mine"} {
		_, err := others.Create(t.Context(), stressed(name, selecting(name), 0), metav1.CreateOptions{})
		must(t, err)
	}
	refused, unbounded := 0, s.newClient(t, s.Config)
	for ; ; refused++ {
		answer := make(chan error, 1)
		go func() {
			list := append(selecting("never"), selecting(fmt.Sprint("never-", refused))...)
			_, err := istios.Create(t.Context(), neighbouring(stressed("never", list, 0)), metav1.CreateOptions{})
			answer <- err
		}()
		n.waitAsked(t)
		admitted := s.hasClaims(t, unbounded, "never", refused+1) // otherwise it is refused
		n.answer <- false
		err := <-answer
		if apierrors.IsTooManyRequests(err) {
			if !strings.Contains(err.Error(), `changes of Istio "never" were admitted and are not stored`) || admitted {
				t.Errorf("%v", err)
			}
			break
		}
		if err == nil || !strings.Contains(err.Error(), "the neighbour says no") || refused > 20 {
			t.Fatalf("request %d: %v", refused, err)
		}
	}
	_, err := others.Create(t.Context(), stressed("another", selecting("another"), 0), metav1.CreateOptions{})
	must(t, err)
	must(t, patchSelectors(t, others, "mine", append(selecting("mine"), selecting("mine-too")...)))
	must(t, patchSelectors(t, istios, "theirs", append(selecting("theirs"), selecting("theirs-too")...)))
	count(t, "another webhook refused %d changes of one object that were admitted; the next was told to wait, changes of other objects were stored", refused)
}

// patchSelectors replaces a mesh's selectors.
func patchSelectors(t *testing.T, istios dynamic.ResourceInterface, name string, list []metav1.LabelSelector, dryRun ...string) error {
	t.Helper()
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": list}}}})
	if err != nil {
		return err
	}
	_, err = istios.Patch(t.Context(), name, types.MergePatchType, text, metav1.PatchOptions{DryRun: dryRun})
	return err
}
