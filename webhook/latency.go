package webhook

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// latencyBuckets are the upper bounds in seconds. A namespace is judged in far less than a millisecond, a mesh by reading the API
// server; the last ones are the webhooks' timeouts.
func latencyBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
}

// newLatency registers the metric of how long answers take; it fails if it is registered already.
func newLatency(registry prometheus.Registerer) (*prometheus.HistogramVec, error) {
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "meshfence_admission_duration_seconds",
		Help:    "How long requests took, from their headers to the last byte of the answer, by path.",
		Buckets: latencyBuckets(),
	}, []string{"path"})
	return latency, registry.Register(latency)
}

// timed observes how long a handler takes.
func timed(handler http.Handler, latency prometheus.Observer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		defer func() { latency.Observe(time.Since(begin).Seconds()) }()
		handler.ServeHTTP(w, r)
	})
}
