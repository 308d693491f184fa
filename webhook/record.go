package webhook

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/review"
)

// recorder counts and logs what was answered. Labels never hold names of objects: their number has no bound.
type recorder struct {
	answers   *prometheus.CounterVec
	findings  *prometheus.CounterVec
	overrides *prometheus.CounterVec
	fills     *prometheus.CounterVec
	removals  *prometheus.CounterVec
	bad       prometheus.Counter
}

// newRecorder registers the metrics; it fails if they are registered already.
func newRecorder(registry prometheus.Registerer) (*recorder, error) {
	r := &recorder{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_admissions_total", Help: "Requests answered, by resource, operation and answer (allow, warn, deny; unavailable: refused because they could not be judged yet).",
		}, []string{"resource", "operation", "answer"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_findings_total", Help: "Findings, by rule code, resource, operation and the answer that they led to (warn, deny).",
		}, []string{"rule", "resource", "operation", "answer"}),
		overrides: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_overrides_total", Help: "Denials that an object asked to override, by rule code, resource, operation and answer (granted; refused: the user may not; unavailable: the API server could not be asked).",
		}, []string{"rule", "resource", "operation", "answer"}),
		fills: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_fills_total", Help: "Namespaces in which istio.io/rev was filled in, by operation.",
		}, []string{"operation"}),
		removals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_fill_removals_total", Help: "Namespaces from which an istio.io/rev that was filled in earlier was removed, by operation.",
		}, []string{"operation"}),
		bad: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_bad_requests_total", Help: "Requests refused because they could not be decoded or were not for their path.",
		}),
	}
	for _, c := range []prometheus.Collector{r.answers, r.findings, r.overrides, r.fills, r.removals, r.bad} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// verdict records an answer: a denial once at info, everything else at V(1).
func (r *recorder) verdict(ctx context.Context, req *admission.Request, v policy.Verdict) {
	resource, operation := resourceOf(req), string(req.Operation)
	for _, f := range v.Findings() {
		r.findings.WithLabelValues(string(f.Rule.Code), resource, operation, f.Action.String()).Inc()
	}
	r.answers.WithLabelValues(resource, operation, word(v)).Inc()
	logger := log.FromContext(ctx)
	if v.Answer != policy.Allowed {
		logger.Info("denied", "kind", req.Kind.Kind, "operation", operation, "findings", codes(v), "message", strings.Join(messages(v), "\n"))
		return
	}
	if logger = logger.V(1); logger.Enabled() { // or the values would be made for nothing
		logger.Info("allowed", "kind", req.Kind.Kind, "operation", operation, "findings", codes(v))
	}
}

// override records that an object asks to override a rule: every use, granted or not, at info.
func (r *recorder) override(ctx context.Context, req *admission.Request, code policy.Code, right policy.Right) {
	r.overrides.WithLabelValues(string(code), resourceOf(req), string(req.Operation), right.String()).Inc()
	log.FromContext(ctx).Info("override", "kind", req.Kind.Kind, "operation", string(req.Operation), "rule", code, "answer", right.String())
}

// fill records that istio.io/rev was filled in, or removed again.
func (r *recorder) fill(ctx context.Context, req *admission.Request, f policy.Fill) {
	logger := log.FromContext(ctx).V(1)
	if f.Answer == policy.Remove {
		r.removals.WithLabelValues(string(req.Operation)).Inc()
		logger.Info("removed what was filled in")
		return
	}
	r.fills.WithLabelValues(string(req.Operation)).Inc()
	logger.Info("filled in", "revision", f.Revision)
}

// unread records a request that could not be read because of err, and refuses it.
func (r *recorder) unread(ctx context.Context, err error) admission.Response {
	if errors.Is(err, review.ErrTooManyLarge) || errors.Is(err, review.ErrNoRoom) {
		r.bad.Inc()
		log.FromContext(ctx).Info("refused a large request", "problem", err.Error())
		return notYet(err.Error())
	}
	return r.badRequest(ctx, err)
}

// badRequest records a request that cannot be judged, and refuses it.
func (r *recorder) badRequest(ctx context.Context, err error) admission.Response {
	r.bad.Inc()
	log.FromContext(ctx).Info("refused a request that cannot be judged", "problem", err.Error())
	return badRequest(err)
}

// badField records an object that is refused because a field has a wrong type.
func (r *recorder) badField(ctx context.Context, req *admission.Request, err error) admission.Response {
	r.answers.WithLabelValues(resourceOf(req), string(req.Operation), "deny").Inc()
	log.FromContext(ctx).Info("refused a malformed object", "problem", err.Error())
	return badField(req, err)
}

// tooMuch records an object that is refused because of its size.
func (r *recorder) tooMuch(ctx context.Context, req *admission.Request, err error) admission.Response {
	r.answers.WithLabelValues(resourceOf(req), string(req.Operation), "deny").Inc()
	log.FromContext(ctx).Info("refused an object that is too large", "problem", err.Error())
	return tooMuch(req, err)
}

// tooManyInFlight records a change that is refused because of others by the same user, or of the same object.
func (r *recorder) tooManyInFlight(ctx context.Context, req *admission.Request, why *ledger.FullError) admission.Response {
	r.answers.WithLabelValues(resourceOf(req), string(req.Operation), "unavailable").Inc()
	log.FromContext(ctx).Info("refused a change because of too many in flight", "problem", why.Error())
	return tooManyInFlight(why)
}

// notYet records a request that is refused because it cannot be judged now.
func (r *recorder) notYet(ctx context.Context, req *admission.Request, why error) admission.Response {
	r.answers.WithLabelValues(resourceOf(req), string(req.Operation), "unavailable").Inc()
	log.FromContext(ctx).Info("cannot judge a request yet", "problem", why.Error())
	return notYet(why.Error())
}

// word is the answer in metrics and audit annotations.
func word(v policy.Verdict) string {
	switch {
	case v.Answer != policy.Allowed:
		return "deny"
	case len(v.Warnings) > 0:
		return "warn"
	default:
		return "allow"
	}
}

// resourceOf is the request's resource, such as namespaces. It follows from the kind, which is one of those that the path is
// for, because the resource that the request names can be any text.
func resourceOf(req *admission.Request) string {
	if req.Kind.Kind == namespaceKind.Kind {
		return "namespaces"
	}
	return strings.ToLower(req.Kind.Kind) + "s"
}

// codes lists the codes of a verdict's findings, each once, denials first, comma-separated.
func codes(v policy.Verdict) string {
	var list []policy.Code
	for _, f := range v.Findings() {
		if !slices.Contains(list, f.Rule.Code) {
			list = append(list, f.Rule.Code)
		}
	}
	return joined(list)
}

func joined(codes []policy.Code) string {
	texts := make([]string, len(codes))
	for i, code := range codes {
		texts[i] = string(code)
	}
	return strings.Join(texts, ",")
}
