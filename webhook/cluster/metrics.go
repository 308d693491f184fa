package cluster

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what is counted here. None has a label.
type metrics struct {
	fleets, writes prometheus.Counter
	badEntries     prometheus.Gauge
}

// newMetrics registers the metrics, if there is a registerer.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		fleets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_fleet_builds_total",
			Help: "Snapshots of the fleet that were built: one for each change of a mesh, a tag or the mesh map, or for several at once.",
		}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_webhook_configuration_writes_total",
			Help: "Times that the match conditions of a webhook configuration were rewritten because other label keys are in use.",
		}),
		badEntries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshfence_mesh_map_bad_entries",
			Help: "Entries of the mesh map that are ignored because they are not valid.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.fleets, m.writes, m.badEntries} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of the cluster's state: %w", err)
		}
	}
	return m, nil
}
