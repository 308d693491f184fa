package review

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
		if err := json.Unmarshal(encode(r), &got); err != nil {
			t.Fatalf("%s: %v: %s", name, err, encode(r))
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
