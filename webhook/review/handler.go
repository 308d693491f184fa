package review

import (
	"context"
	"net/http"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/conns"
)

// Options are what a handler needs beside the admission.Handler. All are required.
type Options struct {
	// Logger is the base of every request's logger.
	Logger logr.Logger
	// Budget bounds the memory of requests. All handlers of a server share one.
	Budget *Budget
	// Duration observes how long each request took, in seconds.
	Duration prometheus.Observer
	// Refuse returns the response to a request that the admission.Handler never sees, because of err: ErrTooLarge, ErrTooManyLarge,
	// ErrNoRoom, or any other error for a request without an AdmissionReview that can be read.
	Refuse func(ctx context.Context, err error) admission.Response
}

// Handler returns an HTTP handler that reads an AdmissionReview, passes its request on and writes the response. A panic of the
// admission.Handler is answered with code 500. The context of a request ends before the API server stops to wait for the answer.
func Handler(h admission.Handler, o Options) http.Handler {
	return observeDuration(withReadDeadline(withTimeout(newHandler(h, o)), readTimeout), o.Duration)
}

// handler answers AdmissionReviews. controller-runtime's own HTTP handler is not used, because it passes on, and may allow,
// everything that has a request in it, whatever kind and version it says that it is, and because what it cannot decode
// would not be counted.
type handler struct {
	// hook recovers panics and completes responses.
	hook    *admission.Webhook
	options Options
	// decode is decodeFast or decodeStock.
	decode func(body []byte) (*admissionv1.AdmissionReview, error)
}

func newHandler(h admission.Handler, o Options) *handler {
	withRequest := func(_ logr.Logger, req *admission.Request) logr.Logger { return requestLogger(o.Logger, req) }
	return &handler{
		hook:    &admission.Webhook{Handler: h, LogConstructor: withRequest},
		options: o,
		decode:  decodeFast, // with decodeStock scan.go and scanreview.go can be deleted
	}
}

// ServeHTTP answers with HTTP status 200, whatever the AdmissionReview in the answer says.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, conn := h.options.Budget.begin(w, r), conns.FromContext(r.Context())
	defer body.end()
	req, err := h.read(r, body)
	conn.Judging()
	answer := encode(h.respond(r.Context(), req, err))
	conn.Answered()
	w.Header().Set("Content-Type", "application/json")
	body.answer(w, answer)
}

// respond passes the request on, or refuses it if it could not be read because of err.
func (h *handler) respond(ctx context.Context, req *admissionv1.AdmissionRequest, err error) *admissionv1.AdmissionResponse {
	var response admission.Response
	if err != nil {
		response = h.options.Refuse(log.IntoContext(ctx, h.options.Logger), err)
	} else {
		response = h.hook.Handle(ctx, admission.Request{AdmissionRequest: *req})
	}
	return &response.AdmissionResponse
}
