package review

import (
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
)

// encode returns the AdmissionReview with a response.
func encode(r *admissionv1.AdmissionResponse) []byte {
	text, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Response: r})
	if err != nil { // strings, numbers and lists of them: there is nothing that could not be written
		panic(err)
	}
	return text
}
