package webhook

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/review"
)

func TestWhatCannotBeReadIsRefusedWithACodeThatSaysWhetherToTryAgain(t *testing.T) {
	for err, want := range map[error]metav1.Status{
		review.ErrTooManyLarge: {
			Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable,
			Message: "meshfence cannot judge this request yet: too many requests with a body of more than 256 KiB at the same time. Try again in a few seconds",
		},
		review.ErrNoRoom: {
			Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable,
			Message: "meshfence cannot judge this request yet: too many requests at the same time whose bodies or answers make no progress. Try again in a few seconds",
		},
		review.ErrTooLarge: {
			Code: http.StatusRequestEntityTooLarge, Reason: metav1.StatusReasonRequestEntityTooLarge,
			Message: "meshfence cannot judge this request: its body has more than 7340032 bytes",
		},
		errors.New("its body is empty"): {
			Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest, Message: "meshfence cannot judge this request: its body is empty",
		},
	} {
		registry := prometheus.NewRegistry()
		r, failed := newRecorder(registry)
		if failed != nil {
			t.Fatal(failed)
		}
		want.Status = metav1.StatusFailure
		if diff := cmp.Diff(admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &want}}, r.unread(t.Context(), err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		// The other metrics have labels, and no values yet.
		families, failed := registry.Gather()
		if failed != nil || len(families) != 1 || families[0].GetName() != "meshfence_bad_requests_total" || families[0].GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("%v is not counted once: %v, %v", err, families, failed)
		}
	}
}
