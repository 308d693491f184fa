package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/review"
	"github.com/meshfence/meshfence/webhook/sail"
)

// allow lets a request through without a word.
func allow() admission.Response {
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Allowed: true}}
}

// allowWarning lets a request through, unchanged, and tells the user something, if there is something to tell.
func allowWarning(warnings ...string) admission.Response {
	response := allow()
	response.Warnings = warnings
	return response
}

// patch lets a request through with these changes.
func patch(warnings []string, operations []patchOperation) admission.Response {
	text, err := json.Marshal(operations)
	if err != nil { // strings and maps of them: there is nothing that could not be written
		panic(err)
	}
	response, patchType := allowWarning(warnings...), admissionv1.PatchTypeJSONPatch
	response.Patch, response.PatchType = text, &patchType
	return response
}

// answer turns a verdict into the reply. A denial is a 422 with one cause for each finding, because an aggregate error
// would become a flat 403 in which field paths are lost; it is a 403 if all that is wrong is what the user may not do.
func answer(req *admission.Request, verdict policy.Verdict) admission.Response {
	response := admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Warnings: verdict.WarningLines(objectOf(req)), AuditAnnotations: auditAnnotations(verdict),
	}}
	if verdict.Answer == policy.Allowed {
		response.Allowed = true
		return response
	}
	code, reason := int32(http.StatusUnprocessableEntity), metav1.StatusReasonInvalid
	if onlyForbidden(verdict.Denials) {
		code, reason = http.StatusForbidden, metav1.StatusReasonForbidden
	}
	response.Result = &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    code,
		Reason:  reason,
		Message: strings.Join(messages(verdict), "\n"),
		Details: &metav1.StatusDetails{Name: req.Name, Group: req.Kind.Group, Kind: req.Kind.Kind, Causes: causes(verdict)},
	}
	return response
}

// objectOf names the object of a request; "" while its name is still to be generated.
func objectOf(req *admission.Request) string {
	if req.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s %q", req.Kind.Kind, req.Name)
}

func onlyForbidden(denials []policy.Finding) bool {
	return !slices.ContainsFunc(denials, func(f policy.Finding) bool { return !f.Forbidden })
}

// auditAnnotations are what the API server notes of a judgement in its audit log, under the webhook's name, for example
// namespace.validate.meshfence.io/decision: the answer, the codes of all findings, and those that were overridden.
func auditAnnotations(verdict policy.Verdict) map[string]string {
	annotations := map[string]string{"decision": word(verdict)}
	if findings := codes(verdict); findings != "" {
		annotations["findings"] = findings
	}
	if len(verdict.Overridden) > 0 {
		annotations["overridden"] = joined(verdict.Overridden)
	}
	return annotations
}

// exists refuses to create what there is already, in the API server's own words.
func exists(req *admission.Request) admission.Response {
	resource := schema.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource}
	status := apierrors.NewAlreadyExists(resource, req.Name).Status()
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &status}}
}

// maxWaits is how many changes in flight a refusal tells of; there can be thousands.
const maxWaits = 10

// inFlight turns a denial into one that may be over in a moment, and says what it waits for. It is a 409, the answer after
// which clients and controllers try again.
func inFlight(response admission.Response, claims []ledger.Claim) admission.Response {
	response.Result.Code, response.Result.Reason = http.StatusConflict, metav1.StatusReasonConflict
	for i := range claims[:min(len(claims), maxWaits)] {
		response.Result.Message += "\n" + claims[i].String()
	}
	if others := len(claims) - maxWaits; others > 0 {
		response.Result.Message += fmt.Sprintf("\nand %d more such requests", others)
	}
	return response
}

// messages are the findings of a refusal, each with its field, which clients that show the message alone do not print otherwise: Flux,
// Argo CD, and kubectl with any code but 422. With a 422 kubectl prints the causes instead.
func messages(verdict policy.Verdict) []string {
	var texts []string
	shown, others := verdict.Told()
	for _, f := range shown {
		texts = append(texts, f.Field+": "+f.Message())
	}
	if others != "" {
		texts = append(texts, others)
	}
	return texts
}

func causes(verdict policy.Verdict) []metav1.StatusCause {
	var list []metav1.StatusCause
	shown, _ := verdict.Told()
	for _, f := range shown {
		list = append(list, metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: f.Field, Message: f.Message()})
	}
	return list
}

// badField refuses an object whose field has a type that the Sail operator's API does not have there.
func badField(req *admission.Request, err error) admission.Response {
	field := ""
	if wrong := (*sail.FieldError)(nil); errors.As(err, &wrong) {
		field = wrong.Field
	}
	return badContent(req, field, err.Error()+". Correct that field")
}

// tooMuch refuses an object that is larger than what can be stored, or admitted.
func tooMuch(req *admission.Request, err error) admission.Response {
	return badContent(req, "spec.values.meshConfig.discoverySelectors", err.Error())
}

// badContent refuses an object because of one field, whatever the rules say.
func badContent(req *admission.Request, field, problem string) admission.Response {
	message := "meshfence cannot judge " + req.Kind.Kind + " \"" + req.Name + "\": " + problem
	response := refuse(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, message)
	cause := metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: field, Message: message}
	response.Result.Details = &metav1.StatusDetails{Name: req.Name, Group: req.Kind.Group, Kind: req.Kind.Kind, Causes: []metav1.StatusCause{cause}}
	response.AuditAnnotations = map[string]string{"decision": "deny"}
	return response
}

// tooManyInFlight refuses a change until others of the same user, or of the same object, have ended. It has a Retry-After only
// if that is a matter of seconds: clients wait for it without a word.
func tooManyInFlight(why *ledger.FullError) admission.Response {
	response := refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "meshfence cannot admit this change yet: "+why.Error())
	if why.Of == ledger.OfWaiting {
		response.Result.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	}
	return response
}

// badRequest refuses what no API server with a right webhook configuration sends.
func badRequest(err error) admission.Response {
	message := "meshfence cannot judge this request: " + err.Error()
	if errors.Is(err, review.ErrTooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, message)
	}
	return refuse(http.StatusBadRequest, metav1.StatusReasonBadRequest, message)
}

// notYet refuses a request that may be right, but cannot be judged now.
func notYet(why string) admission.Response {
	return refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
		"meshfence cannot judge this request yet: "+why+". Try again in a few seconds")
}

func refuse(code int32, reason metav1.StatusReason, message string) admission.Response {
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Result: &metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message},
	}}
}
