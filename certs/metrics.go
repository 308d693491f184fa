package certs

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RegisterExpiry registers the metric that tells when the served certificate ends; expiry is the Expiry of whatever serves it.
func RegisterExpiry(registerer prometheus.Registerer, expiry func() time.Time) error {
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "meshfence_certificate_expiry_timestamp_seconds",
		Help: "When the serving certificate that is in use ends, in seconds since 1970; 0 while there is none.",
	}, func() float64 {
		if end := expiry(); !end.IsZero() {
			return float64(end.Unix())
		}
		return 0
	})
	if err := registerer.Register(gauge); err != nil {
		return fmt.Errorf("register the metric of the certificate's end: %w", err)
	}
	return nil
}
