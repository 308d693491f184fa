package webhook

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/conns"
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
	// bodies are those of the requests to all endpoints.
	bodies *bodies
}

// ServeHTTP answers with HTTP status 200, whatever the AdmissionReview in the answer says.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, conn := e.bodies.begin(w, r), conns.FromContext(r.Context())
	defer body.end()
	text, err := body.read(r)
	conn.Judging()
	answer := e.answer(r, text, err) // the last to use the text: what is left to do may take longer than all before
	conn.Answered()
	w.Header().Set("Content-Type", "application/json")
	body.answer(w, answer)
}

// answer judges a request whose body is the text, or could not be read because of err.
func (e *endpoint) answer(r *http.Request, text []byte, err error) []byte {
	var response admission.Response
	review, err := readReview(r, text, err)
	switch ctx := log.IntoContext(r.Context(), e.logger); {
	case errors.Is(err, errTooMany), errors.Is(err, errNoRoom):
		response = e.recorder.tooMany(ctx, err)
	case err != nil:
		response = e.recorder.badRequest(ctx, err)
	default:
		response = e.hook.Handle(r.Context(), admission.Request{AdmissionRequest: *review.Request})
	}
	return encodeReview(&response.AdmissionResponse)
}

// readReview returns the AdmissionReview in the body; its request is not nil. err is what went wrong with reading the body.
func readReview(r *http.Request, body []byte, err error) (*admissionv1.AdmissionReview, error) {
	switch contentType := r.Header.Get("Content-Type"); {
	case contentType != "application/json":
		return nil, fmt.Errorf("its content type is %q, not application/json", contentType)
	case err != nil:
		return nil, err
	case len(body) == 0:
		return nil, errors.New("its body is empty")
	}
	review, ok := scanReview(body)
	if !ok {
		review = &admissionv1.AdmissionReview{}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(body, review); err != nil {
			return nil, fmt.Errorf("its body is no AdmissionReview: %w", err)
		}
	}
	if review.TypeMeta != reviewType {
		return nil, fmt.Errorf("its body is of kind %.100q, not %q", review.GroupVersionKind(), reviewType.GroupVersionKind())
	}
	if review.Request == nil {
		return nil, errors.New("the AdmissionReview has no request")
	}
	return review, nil
}
