package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"
)

// maxBody is how many bytes of a body are read. A request holds at most two objects, the API server takes none of more
// than 3 MiB, and what is around them is small. controller-runtime's own handler has the same limit.
const maxBody = 7 << 20

// errTooLarge is for a body of more than maxBody bytes.
var errTooLarge = fmt.Errorf("its body has more than %d bytes", maxBody)

// reviewType is what the webhook configurations ask for (admissionReviewVersions), and what the API server expects back.
var reviewType = metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"}

// endpoint answers AdmissionReviews. controller-runtime's own HTTP handler is not used, because it judges, and may allow,
// everything that has a request in it, whatever kind and version it says that it is, and because what it cannot decode
// would not be counted.
type endpoint struct {
	// hook recovers panics and completes replies.
	hook     *admission.Webhook
	recorder *recorder
	logger   logr.Logger
}

// ServeHTTP answers with HTTP status 200, whatever the AdmissionReview in the answer says.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var response admission.Response
	if review, err := readReview(r); err != nil {
		response = e.recorder.badRequest(log.IntoContext(r.Context(), e.logger), err)
	} else {
		response = e.hook.Handle(r.Context(), admission.Request{AdmissionRequest: *review.Request})
	}
	w.Header().Set("Content-Type", "application/json")
	// An error means that whoever asked is gone.
	_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{TypeMeta: reviewType, Response: &response.AdmissionResponse})
}

// readReview returns the AdmissionReview in the body; its request is not nil.
func readReview(r *http.Request) (*admissionv1.AdmissionReview, error) {
	if contentType := r.Header.Get("Content-Type"); contentType != "application/json" {
		return nil, fmt.Errorf("its content type is %q, not application/json", contentType)
	}
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("its body cannot be read: %w", err)
	case len(body) > maxBody:
		return nil, errTooLarge
	case len(body) == 0:
		return nil, errors.New("its body is empty")
	}
	review := &admissionv1.AdmissionReview{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, review); err != nil {
		return nil, fmt.Errorf("its body is no AdmissionReview: %w", err)
	}
	if review.TypeMeta != reviewType {
		return nil, fmt.Errorf("its body is of kind %.100q, not %q", review.GroupVersionKind(), reviewType.GroupVersionKind())
	}
	if review.Request == nil {
		return nil, errors.New("the AdmissionReview has no request")
	}
	return review, nil
}
