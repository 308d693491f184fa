package runner

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/history"
)

// shown are the metrics of the last run, which only the replica has that runs the audit.
type shown struct {
	findings, namespaces, success, duration, partial *prometheus.Desc
	errors                                           prometheus.Counter

	mu sync.Mutex
	// counts are the findings by rule, mesh and action; nil before the first run has ended.
	counts     map[findingKey]int
	standings  map[audit.Standing]int
	succeeded  time.Time
	took       time.Duration
	incomplete bool
}

type findingKey struct{ rule, mesh, action string }

func newErrors() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "meshfence_audit_errors_total",
		Help: "Times that the audit did not finish a run, or could not tell everything that it found.",
	})
}

func newShown(errors prometheus.Counter) *shown {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &shown{
		errors: errors,
		findings: desc("meshfence_audit_findings",
			"What is wrong in the cluster, by rule, by the mesh that it is counted for (empty for none) and by what the rule would do at admission: deny or warn, or accepted if the object accepts it.",
			"rule", "mesh", "action"),
		namespaces: desc("meshfence_namespaces",
			"Namespaces by mesh (empty for none) and state: injected, discovered (and not injected), mismatched (meshes fight over it, or one injects it that does not discover it) or outside.",
			"mesh", "state"),
		success:  desc("meshfence_audit_last_success_timestamp_seconds", "When the audit last finished a run, in seconds since 1970."),
		duration: desc("meshfence_audit_duration_seconds", "How long the last run of the audit took."),
		partial:  desc("meshfence_audit_partial", "1 if the last run of the audit could not look at everything that its rules need, else 0."),
	}
}

// show replaces what is shown by a run that has ended.
func (s *shown) show(o *Outcome, took time.Duration, ended time.Time) {
	counts := map[findingKey]int{}
	for i := range o.Findings {
		f := &o.Findings[i]
		counts[findingKey{string(f.Rule.Code), f.Mesh, actionOf(f)}]++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts, s.standings, s.succeeded, s.took, s.incomplete = counts, o.Namespaces, ended, took, len(o.NotJudged) > 0 || len(o.Problems) > 0
}

// actionOf is what a finding is counted by.
func actionOf(f *history.Finding) string {
	if f.Accepted {
		return "accepted"
	}
	return f.Action.String()
}

// Describe implements prometheus.Collector.
func (s *shown) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{s.findings, s.namespaces, s.success, s.duration, s.partial} {
		to <- desc
	}
	s.errors.Describe(to)
}

// Collect implements prometheus.Collector.
func (s *shown) Collect(to chan<- prometheus.Metric) {
	s.errors.Collect(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for key, n := range s.counts {
		gauge(s.findings, float64(n), key.rule, key.mesh, key.action)
	}
	for standing, n := range s.standings {
		gauge(s.namespaces, float64(n), standing.Mesh, string(standing.State))
	}
	gauge(s.success, float64(s.succeeded.UnixMilli())/1000)
	gauge(s.duration, s.took.Seconds())
	partial := 0.0
	if s.incomplete {
		partial = 1
	}
	gauge(s.partial, partial)
}
