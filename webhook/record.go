package webhook

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/policy"
)

// recorder counts and logs what was answered. Labels never hold names of objects: their number has no bound.
type recorder struct {
	answers  *prometheus.CounterVec
	findings *prometheus.CounterVec
	fills    *prometheus.CounterVec
	bad      prometheus.Counter
}

// newRecorder registers the metrics; it fails if they are registered already.
func newRecorder(registry prometheus.Registerer) (*recorder, error) {
	r := &recorder{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_admissions_total", Help: "Requests answered, by kind, operation and answer (allow, warn, deny; unavailable: refused because they could not be judged yet).",
		}, []string{"kind", "operation", "answer"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_findings_total", Help: "Findings, by rule code, kind, operation and what they led to (warn, deny).",
		}, []string{"rule", "kind", "operation", "action"}),
		fills: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_fills_total", Help: "Namespaces in which istio.io/rev was filled in, by operation.",
		}, []string{"operation"}),
		bad: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_bad_requests_total", Help: "Requests refused because they could not be decoded or were not for their path.",
		}),
	}
	for _, c := range []prometheus.Collector{r.answers, r.findings, r.fills, r.bad} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// verdict records an answer: a denial once at info, everything else at V(1).
func (r *recorder) verdict(ctx context.Context, req *admission.Request, v policy.Verdict) {
	kind, operation := req.Kind.Kind, string(req.Operation)
	for _, f := range slices.Concat(v.Denials, v.Warnings) {
		r.findings.WithLabelValues(string(f.Rule.Code), kind, operation, f.Action.String()).Inc()
	}
	r.answers.WithLabelValues(kind, operation, word(v)).Inc()
	logger := log.FromContext(ctx).WithValues("kind", kind, "operation", operation, "findings", codes(v))
	if v.Answer == policy.Allowed {
		logger.V(1).Info("allowed")
		return
	}
	logger.Info("denied", "message", strings.Join(messages(v.Denials), "\n"))
}

func (r *recorder) fill(ctx context.Context, req *admission.Request, f policy.Fill) {
	r.fills.WithLabelValues(string(req.Operation)).Inc()
	log.FromContext(ctx).V(1).Info("filled in", "revision", f.Revision)
}

// badRequest records a request that cannot be judged, and refuses it.
func (r *recorder) badRequest(ctx context.Context, err error) admission.Response {
	r.bad.Inc()
	log.FromContext(ctx).Info("refused a request that cannot be judged", "problem", err.Error())
	return badRequest(err)
}

// tooMany records a request that is refused, unread, because others take all the memory that there is for them.
func (r *recorder) tooMany(ctx context.Context, err error) admission.Response {
	r.bad.Inc()
	log.FromContext(ctx).Info("refused a large request", "problem", err.Error())
	return notYet(err.Error())
}

// badField records an object that is refused because a field has a wrong type.
func (r *recorder) badField(ctx context.Context, req *admission.Request, err error) admission.Response {
	r.answers.WithLabelValues(req.Kind.Kind, string(req.Operation), "deny").Inc()
	log.FromContext(ctx).Info("refused a malformed object", "problem", err.Error())
	return badField(req, err)
}

// notYet records a request that is refused because it cannot be judged now.
func (r *recorder) notYet(ctx context.Context, req *admission.Request, why error) admission.Response {
	r.answers.WithLabelValues(req.Kind.Kind, string(req.Operation), "unavailable").Inc()
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

// codes lists the codes of a verdict's findings, denials first, comma-separated.
func codes(v policy.Verdict) string {
	var list []string
	for _, f := range slices.Concat(v.Denials, v.Warnings) {
		list = append(list, string(f.Rule.Code))
	}
	return strings.Join(list, ",")
}
