package audit

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/runner"
	"github.com/meshfence/meshfence/audit/scan"
	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster"
	"github.com/meshfence/meshfence/webhook/cluster/events"
	"github.com/meshfence/meshfence/webhook/cluster/lease"
	"github.com/meshfence/meshfence/webhook/cluster/listing"
	"github.com/meshfence/meshfence/webhook/cluster/memory"
	"github.com/meshfence/meshfence/webhook/cluster/reports"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/policy"
)

// quietRuns is how many runs without a change must write nothing.
const (
	quietRuns  = 100
	quietLimit = 4 * time.Minute
)

// counted counts the writes of a client.
type counted struct {
	http.RoundTripper
	writes *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		c.writes.Add(1)
	}
	return c.RoundTripper.RoundTrip(r)
}

// runs counts the runs that were published.
type runs struct{ n atomic.Int64 }

func (r *runs) Publish(context.Context, *runner.Outcome) error { r.n.Add(1); return nil }

// As long as nothing changes a run writes nothing, whatever is wrong. The runner runs in this process, because one may follow another at once here.
func TestRunsWithoutAChangeWriteNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	s.installReports(t)
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-2", "--overwrite")
	s.kubectl(t, "annotate", "namespace", "app-mesh-1", "meshfence.io/accept=MF904")

	var writes atomic.Int64
	cfg := rest.CopyConfig(s.Config)
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return counted{next, &writes} })
	mgr, err := manager.New(cfg, manager.Options{Metrics: server.Options{BindAddress: "0"}})
	must(t, err)
	c := config.Default()
	known, err := cluster.New(s.Config, cluster.Options{Namespace: harness.Namespace, MeshMap: c.MeshMap.Name, DiscoveryLabels: c.DiscoveryLabels})
	must(t, err)
	must(t, mgr.Add(known))
	kept, err := memory.New(cfg, harness.Namespace, api.AuditFindings, "findings")
	must(t, err)
	recorder, err := events.New(cfg, runner.Kinds(), "meshfence", "test")
	must(t, err)
	writer, err := reports.New(cfg)
	must(t, err)
	annotations, err := listing.NewAnnotations(cfg, audit.AcceptanceCounts)
	must(t, err)
	done := &runs{}
	must(t, mgr.Add(&runner.Runner{
		Cluster: known, Annotations: annotations, Interval: 500 * time.Millisecond, Delay: time.Hour,
		Scan: func(ctx context.Context, existing policy.Existing, needs []observed.Resource) (scan.Seen, error) {
			return scan.Scan(ctx, cfg, existing, scan.Options{Needs: needs})
		},
		Checker: func(now time.Time) *audit.Checker {
			return &audit.Checker{Policy: policy.New(webhook.Settings(c)), Exempt: c.ExemptNamespaces.Match, DiscoveryLabels: c.DiscoveryLabels, Now: now}
		},
		Lease:      lease.Lease{API: s.Config, Namespace: harness.Namespace, Name: api.AuditLease},
		Memory:     kept,
		Events:     &runner.Events{Recorder: recorder},
		Publishers: []runner.Publisher{runner.Reports{Writer: writer}, done},
		Registerer: prometheus.NewRegistry(),
	}))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	// On a busy machine a run may end before all is told, or kept, and a later one does the rest.
	written, since := int64(0), int64(0)
	eventually(t, "what the first runs have found is told, and kept", func() bool {
		if n := writes.Load(); n != written {
			written, since = n, done.n.Load()
		}
		return done.n.Load() >= since+5 && s.told(t, "Namespace", "app-mesh-1", "RevisionOfAnotherMesh", "Found") && len(s.reports(t)) >= 2
	})
	before, first := done.n.Load(), writes.Load()
	if first == 0 {
		t.Fatal("the first run has written nothing: the test counts nothing")
	}
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, quietLimit, true, func(context.Context) (bool, error) {
		return done.n.Load() >= before+quietRuns, nil
	})
	if err != nil {
		t.Fatalf("%d runs in %v", done.n.Load()-before, quietLimit)
	}
	if n := writes.Load() - first; n > 0 {
		t.Errorf("%d runs have written %d times", quietRuns, n)
	}
}
