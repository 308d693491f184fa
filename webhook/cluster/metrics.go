package cluster

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
)

// metrics are what is counted here. None has a label.
type metrics struct {
	fleets, writes, claims, conflicts prometheus.Counter
	badEntries, openClaims            prometheus.Gauge
}

// ofLedger returns what the ledger counts with.
func (m *metrics) ofLedger() ledger.Counters {
	return ledger.Counters{Written: m.claims.Inc, Conflict: m.conflicts.Inc, Open: func(n int) { m.openClaims.Set(float64(n)) }}
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
			Help: "Times that a webhook configuration was rewritten because other label keys are in use.",
		}),
		badEntries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshfence_mesh_map_bad_entries",
			Help: "Entries of the mesh map that are ignored because they are not valid.",
		}),
		claims: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_ledger_claims_total",
			Help: "Changes of meshes that were allowed and noted in the ledger of changes in flight.",
		}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "meshfence_ledger_conflicts_total",
			Help: "Times that a change of a mesh was judged again because another one was noted in the ledger first.",
		}),
		openClaims: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "meshfence_ledger_open_claims",
			Help: "Changes of meshes in flight, when this replica last judged one.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.fleets, m.writes, m.badEntries, m.claims, m.conflicts, m.openClaims} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of the cluster's state: %w", err)
		}
	}
	return m, nil
}
