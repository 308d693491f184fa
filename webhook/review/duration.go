package review

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// durationBuckets are upper bounds in seconds. A namespace is evaluated in far less than a millisecond, a mesh by reading the API
// server; the last ones are the webhooks' timeouts.
func durationBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
}

// NewDuration registers the metric of how long requests took, with the label path; it fails if it is registered already.
func NewDuration(registry prometheus.Registerer) (*prometheus.HistogramVec, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "meshfence_admission_duration_seconds",
		Help:    "How long requests took, from their headers to the last byte of the answer, by path.",
		Buckets: durationBuckets(),
	}, []string{"path"})
	return duration, registry.Register(duration)
}

// observeDuration observes how long each request took.
func observeDuration(next http.Handler, duration prometheus.Observer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		defer func() { duration.Observe(time.Since(begin).Seconds()) }()
		next.ServeHTTP(w, r)
	})
}
