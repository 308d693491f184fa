package config

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell how the changes of the configuration file went.
type metrics struct {
	reloads            *prometheus.CounterVec
	valid, lastSuccess prometheus.Gauge
}

// newMetrics returns the metrics of a configuration that has just been read.
func newMetrics() *metrics {
	m := &metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_configuration_reloads_total",
			Help: "Changes of the configuration file, by result: ok, or refused (the configuration from before stays in use).",
		}, []string{"result"}),
		valid: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshfence_configuration_valid",
			Help: "1 if the configuration file, as it is now, is in use; 0 if it is refused and an earlier one is in use.",
		}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshfence_configuration_last_success_timestamp_seconds",
			Help: "When the configuration in use was read, in seconds since 1970.",
		}),
	}
	for _, result := range []string{"ok", "refused"} {
		m.reloads.WithLabelValues(result)
	}
	m.valid.Set(1)
	m.lastSuccess.SetToCurrentTime()
	return m
}

func (m *metrics) register(registry prometheus.Registerer) error {
	for _, collector := range []prometheus.Collector{m.reloads, m.valid, m.lastSuccess} {
		if err := registry.Register(collector); err != nil {
			return fmt.Errorf("register the metrics of the configuration file: %w", err)
		}
	}
	return nil
}

func (m *metrics) accept() {
	m.reloads.WithLabelValues("ok").Inc()
	m.valid.Set(1)
	m.lastSuccess.SetToCurrentTime()
}

func (m *metrics) refuse() {
	m.reloads.WithLabelValues("refused").Inc()
	m.valid.Set(0)
}
