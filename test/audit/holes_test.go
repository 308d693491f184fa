package audit

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// hole is something wrong that admission cannot see, or has not seen.
type hole struct {
	name string
	// make makes it, and repair undoes it.
	make, repair func(*testing.T)
	// rule, kind and object are what the audit names.
	rule, kind, object string
}

// TestWhatAdmissionCannotSeeTheAuditFinds makes each hole that docs/guarantees.md names, and some that only a look shows, and waits for the audit to name it.
func TestWhatAdmissionCannotSeeTheAuditFinds(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	p, err := s.StartMeshfence(t.Context(), flags())
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	s.installReports(t)
	set := func(labels ...string) func(*testing.T) {
		return func(t *testing.T) {
			s.kubectl(t, append([]string{"label", "--overwrite", "namespace", "app-mesh-1"}, labels...)...)
		}
	}
	back := set("istio-discovery=mesh-1", "istio.io/rev=mesh-1")
	const injector = "istio-sidecar-injector-mesh-1-istio-system-mesh-1"

	for _, h := range []hole{
		{
			name: "a namespace that joins in the same instant as its mesh's selectors change",
			make: s.race, repair: func(t *testing.T) {
				s.kubectl(t, "delete", "namespace", "late")
				s.selectors(t, "mesh-1")
				back(t)
			},
			rule: "MF205", kind: "Namespace", object: "late",
		},
		{
			name: "labels written while meshfence was down, with failurePolicy Ignore",
			make: func(t *testing.T) {
				s.ignoreFailures(t)
				must(t, s.StopMeshfence())
				set("istio.io/rev=mesh-2")(t)
				started, err := s.StartMeshfence(t.Context(), flags())
				must(t, err)
				p = started
			},
			repair: back, rule: "MF202", kind: "Namespace", object: "app-mesh-1",
		},
		{
			name: "webhook configurations that were deleted for a while",
			make: func(t *testing.T) {
				s.kubectl(t, "delete", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "meshfence")
				must(t, s.WaitWebhooks(t.Context()))
				set("istio.io/rev=mesh-2")(t)
				must(t, s.InstallWebhooks(t.Context()))
			},
			repair: back, rule: "MF202", kind: "Namespace", object: "app-mesh-1",
		},
		{
			name: "an injector that takes what it should not",
			make: func(t *testing.T) {
				s.kubectl(t, "patch", "mutatingwebhookconfiguration", injector, "--type=json", "--patch",
					`[{"op":"replace","path":"/webhooks/0/namespaceSelector/matchExpressions/0/values","value":["mesh-1","mesh-2"]}]`)
			},
			repair: s.operateAgain, rule: "MF906", kind: "Namespace", object: "app-mesh-2",
		},
		{
			name:   "a foreign root certificate",
			make:   func(t *testing.T) { s.copyRoot(t, "app-mesh-2", "app-mesh-1") },
			repair: s.operateAgain, rule: "MF903", kind: "Namespace", object: "app-mesh-1",
		},
		{
			name: "a stale root certificate",
			make: func(t *testing.T) {
				s.kubectl(t, "create", "namespace", "left")
				s.copyRoot(t, "app-mesh-2", "left")
			},
			repair: func(t *testing.T) { s.kubectl(t, "delete", "configmap", "istio-ca-root-cert", "--namespace", "left") },
			rule:   "MF908", kind: "Namespace", object: "left",
		},
		{
			name: "a root certificate that is missing",
			make: func(t *testing.T) {
				s.kubectl(t, "delete", "configmap", "istio-ca-root-cert", "--namespace", "app-mesh-1")
			},
			repair: s.operateAgain, rule: "MF907", kind: "Namespace", object: "app-mesh-1",
		},
		{
			name: "pods of another mesh",
			make: func(t *testing.T) {
				must(t, s.Client.Create(t.Context(), &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: "app-mesh-1", Name: "shop", Labels: map[string]string{"service.istio.io/canonical-name": "shop"},
						Annotations: map[string]string{"istio.io/rev": "mesh-2"},
					},
					Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "shop", Image: "shop"}}},
				}))
			},
			repair: func(t *testing.T) { s.kubectl(t, "delete", "pod", "shop", "--namespace", "app-mesh-1", "--now") },
			rule:   "MF904", kind: "Namespace", object: "app-mesh-1",
		},
		{
			name: "a tag changed with istioctl",
			make: func(t *testing.T) {
				s.tag(t, "mesh-1")
				set("istio.io/rev=prod")(t)
				s.tag(t, "mesh-2")
			},
			repair: func(t *testing.T) {
				s.tag(t, "mesh-1")
				back(t)
				s.kubectl(t, "delete", "mutatingwebhookconfiguration", "istio-revision-tag-prod")
			},
			rule: "MF202", kind: "Namespace", object: "app-mesh-1",
		},
	} {
		t.Run(h.name, func(t *testing.T) {
			if s.reported(t, h) {
				t.Fatal("it is reported before it is made")
			}
			defer h.repair(t)
			h.make(t)
			made := time.Now()
			eventually(t, "the audit names it", func() bool { return s.reported(t, h) })
			took := time.Since(made)
			t.Logf("%s %s %s after %v", h.rule, h.kind, h.object, took.Round(10*time.Millisecond))
			if took > 15*time.Second { // an interval of ten, and a run
				t.Errorf("the audit took longer than an interval")
			}
		})
		eventually(t, "the audit no longer names "+h.name, func() bool { return !s.reported(t, h) })
	}
	if n := len(metrics(t, p)); n == 0 {
		t.Error("there are no metrics")
	}
}

// reported reports whether a report names the finding.
func (s *suite) reported(t *testing.T, h hole) bool {
	t.Helper()
	for _, report := range s.reports(t) {
		for _, r := range report.Results {
			if r.Policy == h.rule && r.Subjects[0].Kind == h.kind && r.Subjects[0].Name == h.object {
				return true
			}
		}
	}
	return false
}

// operateAgain has the stand-in for the operator and the istiods undo what others did.
func (s *suite) operateAgain(t *testing.T) { must(t, s.Operate(t.Context())) }

// selectors makes a mesh discover istio-discovery of a value.
func (s *suite) selectors(t *testing.T, value string) {
	t.Helper()
	s.kubectl(t, "patch", "istios.sailoperator.io", "mesh-1", "--type=merge", "--patch", selectorPatch(value))
	must(t, s.Operate(t.Context()))
}

func selectorPatch(value string) string {
	return fmt.Sprintf(`{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{"istio-discovery":%q}}]}}}}`, value)
}

// race has a namespace come in the same instant as its mesh turns away from it: after meshfence has admitted the change of the mesh, and before it is stored. Nothing
// else is of that mesh, so neither request alone is refused.
func (s *suite) race(t *testing.T) {
	t.Helper()
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio-discovery-", "istio.io/rev-")
	asked, goOn := s.holdIstios(t)
	claims := s.claims(t)
	turned := make(chan error, 1)
	go func() {
		turned <- s.Client.Patch(t.Context(), istioObject("mesh-1"), client.RawPatch(types.MergePatchType, []byte(selectorPatch("elsewhere"))))
	}()
	select {
	case <-asked:
	case <-time.After(limit):
		t.Fatal("the API server did not ask the webhook that holds the request")
	}
	eventually(t, "meshfence has admitted the change", func() bool { return s.claims(t) != claims })
	must(t, s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "late", Labels: map[string]string{"istio-discovery": "mesh-1", "istio.io/rev": "mesh-1"},
	}}))
	close(goOn)
	must(t, <-turned)
	s.kubectl(t, "delete", "validatingwebhookconfiguration", "holds")
	must(t, s.Operate(t.Context()))
}

// claims are the changes of meshes in flight.
func (s *suite) claims(t *testing.T) string {
	t.Helper()
	out, _, err := s.RunKubectl(t.Context(), s.Dir(), "get", "configmap", "--namespace", harness.Namespace, "meshfence-claims", "--ignore-not-found", "--output", "jsonpath={.data}")
	must(t, err)
	return out
}

// holdIstios installs a webhook that holds updates of Istios until goOn is closed; asked gets something for each.
func (s *suite) holdIstios(t *testing.T) (asked <-chan struct{}, goOn chan<- struct{}) {
	t.Helper()
	came, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := admissionv1.AdmissionReview{}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
			return
		}
		came <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		review.Request, review.Response = nil, &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		_ = json.NewEncoder(w).Encode(review) // the API server may have gone
	}))
	t.Cleanup(server.Close)
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	s.apply(t, fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: holds}, webhooks: [{name: holds.example.com,
  clientConfig: {url: %q, caBundle: %s}, sideEffects: None, timeoutSeconds: 30, failurePolicy: Fail, admissionReviewVersions: [v1],
  rules: [{operations: [UPDATE], apiGroups: [sailoperator.io], apiVersions: [v1], resources: [istios]}]}]}`, server.URL, authority))
	must(t, s.WaitWebhooks(t.Context()))
	return came, release
}

// ignoreFailures has the API server go on where meshfence does not answer.
func (s *suite) ignoreFailures(t *testing.T) {
	t.Helper()
	count := strings.Count(s.kubectl(t, "get", "validatingwebhookconfiguration", "meshfence", "--output", `jsonpath={range .webhooks[*]}x{end}`), "x")
	var patches []string
	for i := range count {
		patches = append(patches, fmt.Sprintf(`{"op":"replace","path":"/webhooks/%d/failurePolicy","value":"Ignore"}`, i))
	}
	s.kubectl(t, "patch", "validatingwebhookconfiguration", "meshfence", "--type=json", "--patch", "["+strings.Join(patches, ",")+"]")
	must(t, s.WaitWebhooks(t.Context()))
}

// copyRoot writes the root certificate of a namespace into another one.
func (s *suite) copyRoot(t *testing.T, from, to string) {
	t.Helper()
	var root corev1.ConfigMap
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Namespace: from, Name: "istio-ca-root-cert"}, &root))
	s.apply(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: %s, labels: {istio.io/config: 'true'}}, data: {root-cert.pem: %q}}", to, root.Data["root-cert.pem"]))
}

// tag is what istioctl tag set prod --revision NAME --overwrite writes.
func (s *suite) tag(t *testing.T, mesh string) {
	t.Helper()
	var root corev1.ConfigMap
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Namespace: "app-" + mesh, Name: "istio-ca-root-cert"}, &root))
	s.apply(t, fmt.Sprintf(`{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-revision-tag-prod,
  labels: {istio.io/rev: %[1]s, istio.io/tag: prod}}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, sideEffects: None, failurePolicy: Ignore, timeoutSeconds: 1,
  admissionReviewVersions: [v1], clientConfig: {caBundle: %[2]s, service: {name: istiod-%[1]s, namespace: istio-system-%[1]s, path: /inject, port: 443}},
  rules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}],
  namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [prod]}, {key: istio-injection, operator: DoesNotExist}]},
  objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ['false']}]}}]}`, mesh, base64.StdEncoding.EncodeToString([]byte(root.Data["root-cert.pem"]))))
}
