package webhook

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// usualReview is what an API server sends, with every field that there is.
const usualReview = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"0df28fbd-5f5f-11e8-bc74-36e6bb280816",` +
	`"kind":{"group":"","version":"v1","kind":"Namespace"},"resource":{"group":"","version":"v1","resource":"namespaces"},"subResource":"status",` +
	`"requestKind":{"group":"","version":"v1","kind":"Namespace"},"requestResource":{"group":"","version":"v1","resource":"namespaces"},"requestSubResource":"status",` +
	`"name":"shop","namespace":"shop","operation":"UPDATE","userInfo":{"username":"jane\u00e9","uid":"7","groups":["a","b"],"extra":{"scopes":["x","y"],"none":[]}},` +
	`"object":{"kind":"Namespace","metadata":{"name":"shop"}},"oldObject":null,"dryRun":true,"options":{"kind":"PatchOptions"},"later":[1,{"a":null}]}}`

const usualNamespace = ` {"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","generateName":"sh","deletionTimestamp":"2026-01-01T00:00:00Z","creationTimestamp":null,` +
	`"labels":{"istio-discovery":"mesh-1","empty":"","istio.io/rev":"a\/b"},"annotations":{"meshfence.io/fill":"fal\u0073e","other":"{\"a\":\"b\"}"},` +
	`"managedFields":[{"fieldsV1":{"f:metadata":{".":{}}}}],"ownerReferences":[{"uid":"1"}]},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}` + "\n"

// spoilt are changes of a text that make it unusual, or none at all.
func spoilt(text string) []string {
	all := []string{
		text, "", " ", "null", "[]", "{}", `"x"`, "5", "{", text + "{}", text + " \n", text + "x", text[:len(text)-3], "[" + text + "]", "\ufeff" + text, strings.ToUpper(text),
		strings.Replace(text, `":"`, `":"\ud800`, 1), strings.Replace(text, `":"`, "\":\"\xff", 1), strings.Replace(text, `":"`, `":"`+"\n", 1), strings.Replace(text, `":"`, `":"\x`, 1),
		strings.Replace(text, `{`, `{"response":5,`, 1), strings.Replace(text, `{`, `{"response":{"allowed":true},`, 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat("[", 9999)+strings.Repeat("]", 9999)+",", 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+",", 1),
		strings.Replace(text, `{`, `{"deep":`+strings.Repeat(`{"a":`, 10001)+"1"+strings.Repeat("}", 10001)+",", 1),
	}
	for i := range text {
		// Every name in another case or with an escape, every value of another type, every name twice.
		rest := text[i:]
		switch name, _, isName := strings.Cut(strings.TrimPrefix(rest, `"`), `":`); {
		case !strings.HasPrefix(rest, `"`) || !isName || strings.ContainsAny(name, `",:{}[]`) || name == "":
		default:
			after := rest[len(name)+3:]
			for _, value := range []string{"null", "5", "-0", "1e400", "true", "false", `"x"`, "[]", "{}", `{"a":1}`, `{"a":null}`, `["a",null]`, `{"a":["b"]}`} {
				all = append(all, text[:i]+`"`+name+`":`+value+","+rest, text[:i]+`"`+name+`":`+value+strings.TrimLeft(after, `"abcdefghijklmnopqrstvwxyz0123456789-./:TZ\u`))
			}
			all = append(all, text[:i]+`"`+strings.ToUpper(name)+`":`+after, text[:i]+`"\u00`+hex(name[0])+name[1:]+`":`+after, text[:i]+`"unknown":0,`+rest)
		}
	}
	return all
}

func hex(b byte) string { return string("0123456789abcdef"[b>>4]) + string("0123456789abcdef"[b&15]) }

// checkReview fails if the scan takes what the machinery's decoder does not take, or reads something else.
func checkReview(t *testing.T, body []byte) (taken bool) {
	t.Helper()
	got, ok := scanReview(body)
	if !ok {
		return false
	}
	var want admissionv1.AdmissionReview
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &want); err != nil {
		t.Fatalf("%q was taken, and is not: %v", body, err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", body, diff)
	}
	return true
}

// checkNamespace is the same for a Namespace. Annotations of others need not be kept.
func checkNamespace(t *testing.T, raw []byte) (taken bool) {
	t.Helper()
	got, ok := scanNamespace(raw)
	if !ok {
		return false
	}
	want := &namespaceObject{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, want); err != nil {
		t.Fatalf("%q was taken, and is not: %v", raw, err)
	}
	maps.DeleteFunc(want.Metadata.Annotations, func(key, _ string) bool { return !strings.HasPrefix(key, ownAnnotations) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", raw, diff)
	}
	return true
}

func TestWhatAnAPIServerSendsIsReadByTheScanAlone(t *testing.T) {
	if !checkReview(t, []byte(usualReview)) {
		t.Error("the review is left to the other decoder")
	}
	if !checkNamespace(t, []byte(usualNamespace)) {
		t.Error("the namespace is left to the other decoder")
	}
}

func TestTheScanTakesNothingThatTheOtherDecoderRefusesOrReadsDifferently(t *testing.T) {
	for text, check := range map[string]func(*testing.T, []byte) bool{usualReview: checkReview, usualNamespace: checkNamespace} {
		taken, all := 0, spoilt(text)
		for _, body := range all {
			if check(t, []byte(body)) {
				taken++
			}
		}
		if len(all) < 200 || taken < 10 || taken > len(all)/2 {
			t.Errorf("of %d texts %d were taken, so there is little to see here", len(all), taken)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range []string{usualReview, usualNamespace} {
		for i, body := range spoilt(text) {
			if i%16 == 0 && len(body) < 1<<12 {
				f.Add([]byte(body))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkReview(t, body)
		checkNamespace(t, body)
	})
}

func TestAnAnswerReadsTheSameHoweverItIsWritten(t *testing.T) {
	patchType := admissionv1.PatchTypeJSONPatch
	for name, r := range map[string]*admissionv1.AdmissionResponse{
		"yes":             {UID: "u", Allowed: true, Result: &metav1.Status{Code: 200}},
		"yes, unfinished": {Allowed: true},
		"yes and more": {UID: "a\"<b>\u2028\\\x01\xff", Allowed: true, Result: &metav1.Status{Code: 200}, Patch: []byte(`[{"op":"add"}]`), PatchType: &patchType,
			AuditAnnotations: map[string]string{"findings": "MF101,MF102", "decision": "\"warn\"", "a": ""}, Warnings: []string{"<one>\n", "two\tü", "", "\xc3"}},
		"yes, with a word": {UID: "u", Allowed: true, Result: &metav1.Status{Code: 200, Message: "fine"}},
		"no":               {UID: "u", Result: &metav1.Status{Code: 422, Message: "no"}, Warnings: []string{"w"}, AuditAnnotations: map[string]string{"decision": "deny"}},
		"no, with 200":     {UID: "u", Result: &metav1.Status{Code: 200}},
	} {
		stock, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Response: r})
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]any
		if err := json.Unmarshal(stock, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encodeReview(r), &got); err != nil {
			t.Fatalf("%s: %v: %s", name, err, encodeReview(r))
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
