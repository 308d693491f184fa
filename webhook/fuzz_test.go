package webhook_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// FuzzAdmission sends bodies to the webhooks. None panics, what is refused has a clear code, and nothing is allowed that is
// not, read by another decoder, an AdmissionReview with the objects that its operation needs.
func FuzzAdmission(f *testing.F) {
	c := twoMeshes(f)
	c.objects.Map = map[string]string{"mesh-1": "mesh-1"}
	h := handler(f, c, config.Default(), prometheus.NewRegistry(), logr.Discard())
	for i, path := range paths() {
		for _, r := range []request{
			good(path), forbidden(), owned("mesh-1"), owned("mesh-9"),
			{object: good(path).object, old: good(path).object},
			{object: namespace("blog", crossed)},
			{object: namespace("blog", "istio-discovery=mesh-1"), old: namespace("blog", "")},
			{operation: admissionv1.Delete, old: good(path).object},
			{object: "{}", subresource: "status"},
			{object: istio("new", surprises()[i].spec), old: good(path).object, dryRun: true},
			{object: "null", old: "[]", user: "system:apiserver"},
			tagRequest("stable", "Istio mesh-1", "Istio mesh-2"), tagRequest("stable", "Istio mesh-1", ""), tagRequest("mesh-1", "", "IstioRevision a"),
			mapRequest("mesh-map", "mesh-1=mesh-2,x=,-y=a b", "mesh-1=mesh-1"), mapRequest("other", "mesh-1=", ""),
			{operation: admissionv1.Delete, old: "{metadata: {name: 5}, spec: []}", options: "{propagationPolicy: Orphan}"},
		} {
			r.path = path
			f.Add(byte(i), r.body(f))
		}
	}
	f.Fuzz(func(t *testing.T, choice byte, body []byte) {
		path := paths()[int(choice)%len(paths())]
		answer := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(answer, r)
		checkAnswer(t, path, body, response(t, answer.Body.Bytes()))
	})
}

func checkAnswer(t *testing.T, path string, body []byte, got *admissionv1.AdmissionResponse) {
	t.Helper()
	switch code := got.Result.Code; {
	case !got.Allowed && (code < 400 || code >= 500): // everything is synced, so there is no reason for a 503
		t.Fatalf("%s: refused with %d: %s", path, code, got.Result.Message)
	case !got.Allowed && (got.Result.Message == "" || len(got.Patch) > 0):
		t.Fatalf("%s: refused with the message %q and the patch %s", path, got.Result.Message, got.Patch)
	case got.Allowed && code != http.StatusOK:
		t.Fatalf("%s: allowed with %d", path, code)
	case len(got.Patch) > 0 && path != webhook.PathMutateNamespace:
		t.Fatalf("%s: patched: %s", path, got.Patch)
	case got.Allowed && unambiguous(body) && !mayBeAllowed(path, body):
		t.Fatalf("%s: allowed: %q", path, body)
	}
}

// mayBeAllowed reports whether a body is an AdmissionReview for the path, with the objects that its operation needs.
func mayBeAllowed(path string, body []byte) bool {
	var review map[string]any
	if json.Unmarshal(body, &review) != nil || review["kind"] != "AdmissionReview" || review["apiVersion"] != "admission.k8s.io/v1" {
		return false
	}
	request, _ := review["request"].(map[string]any)
	kind, _ := request["kind"].(map[string]any)
	group, _ := kind["group"].(string)
	want := kindOf(path)
	if kind["kind"] != want.Kind || kind["version"] != want.Version || group != want.Group {
		return false
	}
	subresource, _ := request["subResource"].(string)
	// Those of namespaces are judged, and ConfigMaps have none.
	passes := subresource != "" && want.Group != ""
	_, object := request["object"].(map[string]any)
	_, old := request["oldObject"].(map[string]any)
	switch request["operation"] {
	case "DELETE":
		return true
	case "CREATE":
		return object || passes
	case "UPDATE":
		return object && old || passes
	default:
		return false
	}
}

// unambiguous reports whether no key stands twice in one object: there, what is read depends on the reader.
func unambiguous(raw []byte) bool {
	var into map[string]any
	duplicates, err := kjson.UnmarshalStrict(raw, &into, kjson.DisallowDuplicateFields)
	return err != nil || len(duplicates) == 0
}

// The oracle of the fuzz target must be able to tell the difference.
func TestTheFuzzTargetsOracle(t *testing.T) {
	for _, path := range paths() {
		body := string(good(path).body(t))
		if !mayBeAllowed(path, []byte(body)) {
			t.Errorf("%s: the good request may not be allowed: %s", path, body)
		}
		for _, spoilt := range []string{
			strings.Replace(body, `"AdmissionReview"`, `"Pod"`, 1), strings.Replace(body, `"object":{`, `"other":{`, 1),
			strings.Replace(body, `"CREATE"`, `"UPDATE"`, 1), strings.Replace(body, `"v1"`, `"v9"`, 1), body + "x", "null", "",
		} {
			if mayBeAllowed(path, []byte(spoilt)) {
				t.Errorf("%s: may be allowed: %s", path, spoilt)
			}
		}
	}
	if unambiguous([]byte(`{"a":1,"a":2}`)) || !unambiguous([]byte(`{"a":1,"b":{"a":2}}`)) || !unambiguous([]byte(`{`)) {
		t.Error("keys that stand twice are not told")
	}
}

var _ webhook.Cluster = (*cluster)(nil)

// A fake that lists what it holds by reference must not be written by a judgement.
func TestJudgingWritesNothingOfTheCluster(t *testing.T) {
	c := twoMeshes(t)
	before := len(c.objects.Istios)
	first := mesh.NewFleet(c.objects).SelectorKeys()
	s := serve(t, c)
	s.ask(t, forbidden())
	s.ask(t, istioRequest("mesh-1", "{}", selecting("istio-system-1", "istio-discovery", "mesh-1")))
	s.ask(t, namespaceRequest("blog", crossed, ""))
	if after := mesh.NewFleet(c.objects).SelectorKeys(); len(c.objects.Istios) != before || strings.Join(first, ",") != strings.Join(after, ",") {
		t.Errorf("%d Istios with the keys %v, before: %d with %v", len(c.objects.Istios), after, before, first)
	}
}
