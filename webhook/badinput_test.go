package webhook_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
)

const cannotJudge = "meshfence cannot judge this request: "

// checkBad fails unless an answer refuses a bad request with this code and a message that begins like this, and the
// request was logged and counted once.
func (s *server) checkBad(t testing.TB, got *admissionv1.AdmissionResponse, code int32, message string) {
	t.Helper()
	if got.Allowed || got.Result.Code != code || got.Result.Status != metav1.StatusFailure || !strings.HasPrefix(got.Result.Message, cannotJudge+message) {
		t.Errorf("answer: %+v, want %d %q", got, code, cannotJudge+message)
	}
	if len(got.Patch) != 0 || len(got.Warnings) != 0 {
		t.Errorf("a refusal with patch %s and warnings %q", got.Patch, got.Warnings)
	}
	logged := s.log.take()
	if len(logged) != 1 || !strings.Contains(logged[0], `"msg":"refused a request that cannot be judged"`) {
		t.Errorf("logged: %q, want one line", logged)
	}
}

// checkBadRequests fails unless so many requests were counted as bad.
func (s *server) checkBadRequests(t testing.TB, want int) {
	t.Helper()
	if line := fmt.Sprintf("\nmeshfence_bad_requests_total %d\n", want); !strings.Contains(s.metrics(t), line) {
		t.Errorf("not counted as %d:\n%s", want, s.metrics(t))
	}
}

// good is a request that every path would allow; the tests spoil it.
func good(path string) request {
	r := request{path: path, name: "new", object: "{metadata: {name: new}}"}
	switch path {
	case webhook.PathValidateIstioRevisionTag:
		r.object = "{metadata: {name: new}, spec: {targetRef: {kind: Istio, name: mesh-1}}}"
	case webhook.PathValidateMeshMap:
		r.name, r.namespace, r.object = "mesh-map", "meshfence-system", "{metadata: {name: mesh-map}, data: {mesh-1: mesh-1}}"
	case webhook.PathValidateIstiod:
		r.name, r.namespace = "istio-new", "plane"
		r.object = `{metadata: {name: istio-new, namespace: plane, labels: {istio.io/rev: new}}, data: {mesh: 'discoverySelectors: [{matchLabels: {istio-discovery: new}}]'}}`
	case webhook.PathValidateIstio, webhook.PathValidateIstioRevision:
		r.object = "{metadata: {name: new}, " + strings.TrimPrefix(istio("new", selecting("istio-system-new", "istio-discovery", "new")), "{kind: Istio, metadata: {name: new}, ")
	}
	return r
}

func TestTheRequestThatTheOthersSpoilIsAllowed(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		want := admitted()
		if path == webhook.PathMutateNamespace {
			want = allowed()
		}
		if diff := cmp.Diff(want, s.ask(t, good(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestABodyThatIsNoAdmissionReviewIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	refusals := 0
	for _, path := range paths() {
		whole := string(good(path).body(t))
		for name, test := range map[string]struct{ body, message string }{
			"empty":                       {"", "its body is empty"},
			"white space":                 {" \n", "its body is no AdmissionReview: "},
			"not JSON":                    {"hello", "its body is no AdmissionReview: "},
			"unfinished":                  {whole[:len(whole)-1], "its body is no AdmissionReview: unexpected end of JSON input"},
			"followed by something":       {whole + "{}", "its body is no AdmissionReview: "},
			"null":                        {"null", `its body is of kind "/, Kind=", not "admission.k8s.io/v1, Kind=AdmissionReview"`},
			"an array":                    {"[" + whole + "]", "its body is no AdmissionReview: "},
			"a string":                    {`"` + `AdmissionReview` + `"`, "its body is no AdmissionReview: "},
			"a number":                    {"5", "its body is no AdmissionReview: "},
			"an object without a kind":    {"{}", `its body is of kind "/, Kind=", not "admission.k8s.io/v1, Kind=AdmissionReview"`},
			"of another kind":             {strings.Replace(whole, `"AdmissionReview"`, `"ConversionReview"`, 1), `its body is of kind "admission.k8s.io/v1, Kind=ConversionReview", not`},
			"of another group":            {strings.Replace(whole, "admission.k8s.io/v1", "example.com/v1", 1), `its body is of kind "example.com/v1, Kind=AdmissionReview", not`},
			"of a future version":         {strings.Replace(whole, "admission.k8s.io/v1", "admission.k8s.io/v9", 1), `its body is of kind "admission.k8s.io/v9, Kind=AdmissionReview", not`},
			"of an old version":           {strings.Replace(whole, "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), `its body is of kind "admission.k8s.io/v1beta1, Kind=AdmissionReview", not`},
			"with its keys in upper case": {strings.Replace(whole, `"kind":"Adm`, `"Kind":"Adm`, 1), `its body is of kind "admission.k8s.io/v1, Kind=", not`},
			"in YAML":                     {"kind: AdmissionReview\napiVersion: admission.k8s.io/v1\nrequest: {}\n", "its body is no AdmissionReview: "},
			"in protobuf":                 {"k8s\x00" + whole, "its body is no AdmissionReview: "},
			"without a request":           {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, "the AdmissionReview has no request"},
			"with a null request":         {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`, "the AdmissionReview has no request"},
			"with a request of a wrong type": {
				`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":[]}`, "its body is no AdmissionReview: ",
			},
			"with an empty request":        {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}`, `operation "" is not judged here`},
			"with a field of a wrong type": {strings.Replace(whole, `"operation":"CREATE"`, `"operation":1`, 1), "its body is no AdmissionReview: "},
			"nested too deep":              {strings.Repeat(`{"a":`, 20000), "its body is no AdmissionReview: "},
		} {
			t.Run(strings.TrimPrefix(path, "/")+" "+name, func(t *testing.T) {
				s.checkBad(t, s.post(t, path, "application/json", strings.NewReader(test.body)), http.StatusBadRequest, test.message)
				refusals++
				s.checkBadRequests(t, refusals)
			})
		}
	}
}

func TestAnotherContentTypeIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		for _, contentType := range []string{"", "text/plain", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json; charset=utf-8"} {
			got := s.post(t, path, contentType, bytes.NewReader(good(path).body(t)))
			s.checkBad(t, got, http.StatusBadRequest, fmt.Sprintf("its content type is %q, not application/json", contentType))
		}
	}
}

func TestARequestThatNoWebhookConfigurationShouldSendIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		right := kindOf(path)
		for name, spoil := range map[string]func(*request){
			"an unknown kind": func(r *request) { r.kind = right; r.kind.Kind = "Unknown" },
			"the kind of another": func(r *request) {
				r.kind = metav1.GroupVersionKind{Group: right.Group, Version: "v1", Kind: "ZTunnel"}
			},
			"an unknown group":     func(r *request) { r.kind = right; r.kind.Group = "example.com" },
			"an unknown version":   func(r *request) { r.kind = right; r.kind.Version = "v9" },
			"no version":           func(r *request) { r.kind = right; r.kind.Version = "" },
			"a kind in lower case": func(r *request) { r.kind = right; r.kind.Kind = strings.ToLower(right.Kind) },
		} {
			r := good(path)
			spoil(&r)
			message := fmt.Sprintf("%s/%s %q is not judged here; the webhook configuration should send %s/%s, Kind=%s",
				r.kind.Group, r.kind.Version, r.kind.Kind, right.Group, right.Version, right.Kind)
			t.Run(strings.TrimPrefix(path, "/")+" "+name, func(t *testing.T) {
				s.checkBad(t, s.ask(t, r), http.StatusBadRequest, message)
			})
		}
		for _, operation := range []admissionv1.Operation{"CONNECT", "create", "PATCH", "*"} {
			r := good(path)
			r.operation = operation
			s.checkBad(t, s.ask(t, r), http.StatusBadRequest, fmt.Sprintf("operation %q is not judged here, only CREATE, UPDATE and DELETE are", operation))
		}
	}
}

func TestAnUnknownPathIsNotFound(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range []string{"/", "/validate", "/validate/", "/validate/pod", "/validate/istio/", "/mutate/istio", "/VALIDATE/ISTIO"} {
		answer, err := http.Post(s.url+path, "application/json", bytes.NewReader(good(webhook.PathValidateIstio).body(t)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestARequestWithoutTheObjectsThatItsOperationNeedsIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		object := good(path).object
		noObject, noOld := "the request carries no object", "oldObject: the request carries no object"
		if strings.Contains(path, "istio") {
			kind := "the " + kindOf(path).Kind + " cannot be read: "
			noObject, noOld = kind+noObject, "oldObject: "+kind+"the request carries no object"
		}
		for name, test := range map[string]struct {
			operation   admissionv1.Operation
			object, old string
			message     string
		}{
			"CREATE without an object":     {"CREATE", "", "", noObject},
			"CREATE with a null object":    {"CREATE", "null", "", noObject},
			"CREATE with an array":         {"CREATE", "[]", "", noObject},
			"CREATE with a string":         {"CREATE", "'{}'", "", noObject},
			"CREATE with an old object":    {"CREATE", "", object, noObject},
			"UPDATE without both":          {"UPDATE", "", "", noObject},
			"UPDATE without an object":     {"UPDATE", "", object, noObject},
			"UPDATE without an old object": {"UPDATE", object, "", noOld},
			"UPDATE with a null oldObject": {"UPDATE", object, "null", noOld},
			"UPDATE with a number before":  {"UPDATE", object, "5", noOld},
		} {
			// Not even somebody who is never denied.
			for _, user := range []string{"jane", "system:apiserver"} {
				t.Run(strings.TrimPrefix(path, "/")+" "+name+" by "+user, func(t *testing.T) {
					got := s.ask(t, request{path: path, name: "new", operation: test.operation, object: test.object, old: test.old, user: user})
					s.checkBad(t, got, http.StatusBadRequest, test.message)
				})
			}
		}
	}
}

func TestANamespaceOfWrongTypesIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const fine = "{metadata: {name: new}}"
	for _, path := range []string{webhook.PathValidateNamespace, webhook.PathMutateNamespace} {
		for object, field := range map[string]string{
			"{metadata: []}":                                       "metadata",
			"{metadata: new}":                                      "metadata",
			"{metadata: {name: 5}}":                                "metadata.name",
			"{metadata: {name: new, generateName: {}}}":            "metadata.generateName",
			"{metadata: {name: new, labels: 5}}":                   "metadata.labels",
			"{metadata: {name: new, labels: [a]}}":                 "metadata.labels",
			"{metadata: {name: new, labels: {istio.io/rev: 1}}}":   "metadata.labels",
			"{metadata: {name: new, labels: {env: {a: b}}}}":       "metadata.labels",
			"{metadata: {name: new, annotations: 'a=b'}}":          "metadata.annotations",
			"{metadata: {name: new, annotations: {a: true}}}":      "metadata.annotations",
			"{metadata: {name: new, deletionTimestamp: 17854321}}": "metadata.deletionTimestamp",
		} {
			for _, r := range []request{{object: object}, {object: object, old: fine}, {object: fine, old: object}, {object: object, old: object}} {
				r.path, r.name = path, "new"
				got := s.ask(t, r)
				if !strings.Contains(got.Result.Message, "."+field+" of type") {
					t.Errorf("%s: %s names no %s", object, got.Result.Message, field)
				}
				message := "the Namespace cannot be read: "
				if r.object == fine {
					message = "oldObject: " + message
				}
				s.checkBad(t, got, http.StatusBadRequest, message)
			}
		}
	}
}

// The API server has checked the types of its own kinds.
func TestAConfigMapOfWrongTypesIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for object, field := range map[string]string{
		"{metadata: []}":        "metadata",
		"{metadata: {name: 5}}": "metadata.name",
		"{metadata: {name: mesh-map, deletionTimestamp: 17854321}}": "metadata.deletionTimestamp",
		"{metadata: {name: mesh-map}, data: [a]}":                   "data",
		"{metadata: {name: mesh-map}, data: mesh-1}":                "data",
		"{metadata: {name: mesh-map}, data: {mesh-1: 5}}":           "data",
		"{metadata: {name: mesh-map}, data: {mesh-1: {a: b}}}":      "data",
		"{metadata: {name: mesh-map}, data: {mesh-1: [a]}}":         "data",
		"{metadata: {name: mesh-map}, binaryData: [a]}":             "binaryData",
		"{metadata: {name: mesh-map}, binaryData: {mesh-1: true}}":  "binaryData",
	} {
		fine := good(webhook.PathValidateMeshMap)
		for _, r := range []request{{object: object}, {object: object, old: fine.object}, {object: fine.object, old: object}} {
			r.path, r.name, r.namespace = fine.path, fine.name, fine.namespace
			got := s.ask(t, r)
			if !strings.Contains(got.Result.Message, "."+field+" of type") {
				t.Errorf("%s: %s names no %s", object, got.Result.Message, field)
			}
			message := "the ConfigMap cannot be read: "
			if r.object == fine.object {
				message = "oldObject: " + message
			}
			s.checkBad(t, got, http.StatusBadRequest, message)
		}
	}
}

func TestAnObjectWithoutANameIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for path, message := range map[string]string{
		webhook.PathValidateIstio: "the object has no name", webhook.PathValidateIstioRevision: "the object has no name",
		webhook.PathValidateIstioRevisionTag: "the object has no name", webhook.PathValidateMeshMap: "the ConfigMap has no name",
	} {
		for _, object := range []string{"{}", "{metadata: {}}", "{metadata: {name: ''}}", "{metadata: null}"} {
			s.checkBad(t, s.ask(t, request{path: path, object: object}), http.StatusBadRequest, message)
		}
	}
}

// padded is a good request with white space up to a size.
func padded(t testing.TB, path string, size int) []byte {
	t.Helper()
	body := good(path).body(t)
	return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
}

func TestABodyOfMoreThanSevenMebibytesIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		if got := s.post(t, path, "application/json", bytes.NewReader(padded(t, path, 7<<20))); !got.Allowed {
			t.Errorf("%s: exactly 7 MiB: %+v", path, got)
		}
		s.log.take()
		got := s.post(t, path, "application/json", bytes.NewReader(padded(t, path, 7<<20+1)))
		s.checkBad(t, got, http.StatusRequestEntityTooLarge, "its body has more than 7340032 bytes")
		if got.Result.Reason != metav1.StatusReasonRequestEntityTooLarge {
			t.Errorf("%s: reason %s", path, got.Result.Reason)
		}
	}
}

// endless is a body without an end; it counts what was read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestABodyThatNeverEndsIsReadUpToTheLimitOnly(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		s.checkBad(t, s.post(t, path, "application/json", &endless{}), http.StatusRequestEntityTooLarge, "its body has more than")

		body, answer := &endless{}, httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, body)
		r.Header.Set("Content-Type", "application/json")
		s.handler.ServeHTTP(answer, r)
		s.checkBad(t, response(t, answer.Body.Bytes()), http.StatusRequestEntityTooLarge, "its body has more than")
		if body.read > 7<<20+1 {
			t.Errorf("%s: %d bytes were read", path, body.read)
		}
	}
}

// failing is a body that breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range paths() {
		answer := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, failing{})
		r.Header.Set("Content-Type", "application/json")
		s.handler.ServeHTTP(answer, r)
		s.checkBad(t, response(t, answer.Body.Bytes()), http.StatusBadRequest, "its body cannot be read: unexpected EOF")
	}
}

func TestAPanicIsAnInternalErrorAndAllowsNothingUnjudged(t *testing.T) {
	c := twoMeshes(t)
	c.live = func() error { panic("a bug") }
	c.fleet = func() { panic("a bug") }
	s := serve(t, c)
	want := &admissionv1.AdmissionResponse{UID: uid, Result: &metav1.Status{Code: http.StatusInternalServerError, Message: "panic: a bug [recovered]"}}
	// The mutating webhook is to fail open, and to the API server an answer of any kind is no failure.
	passed := &admissionv1.AdmissionResponse{UID: uid, Allowed: true, Result: &metav1.Status{Code: http.StatusOK},
		Warnings: []string{"meshfence could not decide whether istio.io/rev is to be filled in; its log says why"}}
	for _, path := range paths() {
		want := want
		if path == webhook.PathMutateNamespace {
			want = passed
		}
		if diff := cmp.Diff(want, s.ask(t, good(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if logged := s.log.take(); len(logged) != 1 || !strings.Contains(logged[0], "a bug") {
			t.Errorf("%s: logged %q, want one line", path, logged)
		}
	}
	// The server lives on.
	c.live, c.fleet = nil, nil
	if got := s.ask(t, good(webhook.PathValidateIstio)); !got.Allowed {
		t.Errorf("after the panic: %+v", got)
	}
}

func TestRegisteringTwiceInOneRegistryFails(t *testing.T) {
	registry, c := prometheus.NewRegistry(), twoMeshes(t)
	handler(t, c, config.Default(), registry, logr.Discard())
	mux := muxFunc(func(string, http.Handler) { t.Error("a webhook was registered all the same") })
	if _, err := webhook.Register(mux, c, config.Default(), registry, logr.Discard()); err == nil {
		t.Error("no error")
	}
}

type muxFunc func(string, http.Handler)

func (f muxFunc) Register(path string, handler http.Handler) { f(path, handler) }
