package review

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// yes is the status of an answer that allows.
var yes = metav1.Status{Code: http.StatusOK}

// encode returns the AdmissionReview with an answer. An answer that allows is written here, field by field, because
// reflection would cost more than all the rest of a judgement; any other one, and one with a status that says more than
// 200, is rare and left to encoding/json. The text means the same either way.
func encode(r *admissionv1.AdmissionResponse) []byte {
	if !r.Allowed || r.Result == nil || *r.Result != yes {
		text, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Response: r})
		if err != nil { // strings, numbers and lists of them: there is nothing that could not be written
			panic(err)
		}
		return text
	}
	text := make([]byte, 0, 1<<10)
	text = append(text, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":`...)
	text = appendString(text, string(r.UID))
	text = append(text, `,"allowed":true,"status":{"metadata":{},"code":200}`...)
	if len(r.Patch) > 0 {
		text = append(text, `,"patch":"`...)
		text = base64.StdEncoding.AppendEncode(text, r.Patch)
		text = append(text, '"')
	}
	if r.PatchType != nil {
		text = append(text, `,"patchType":`...)
		text = appendString(text, string(*r.PatchType))
	}
	text = appendAnnotations(text, r.AuditAnnotations)
	text = appendWarnings(text, r.Warnings)
	return append(text, "}}\n"...)
}

func appendAnnotations(text []byte, annotations map[string]string) []byte {
	if len(annotations) == 0 {
		return text
	}
	text = append(text, `,"auditAnnotations":{`...)
	for i, key := range slices.Sorted(maps.Keys(annotations)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendString(text, key), ':')
		text = appendString(text, annotations[key])
	}
	return append(text, '}')
}

func appendWarnings(text []byte, warnings []string) []byte {
	if len(warnings) == 0 {
		return text
	}
	text = append(text, `,"warnings":[`...)
	for i, warning := range warnings {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendString(text, warning)
	}
	return append(text, ']')
}

// appendString appends a JSON string.
func appendString(text []byte, s string) []byte {
	// An error means that s has bytes that are no UTF-8. They were replaced, as encoding/json does it.
	text, _ = jsontext.AppendQuote(text, s)
	return text
}
