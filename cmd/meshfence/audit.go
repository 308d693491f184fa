package main

import (
	"context"
	"os"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/runner"
	"github.com/meshfence/meshfence/audit/scan"
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

// addAudit adds the audit to the manager, unless it is switched off. changes has a signal when something may have changed.
func addAudit(mgr manager.Manager, s *settings, file *config.File, known *cluster.Cluster, changes <-chan struct{}) error {
	if s.auditInterval == 0 {
		return nil
	}
	api := mgr.GetConfig()
	kept, err := memory.New(api, s.namespace, auditMemory, auditMemoryKey)
	if err != nil {
		return err
	}
	instance, err := os.Hostname() // of a pod its name
	if err != nil {
		return err
	}
	recorder, err := events.New(api, runner.Kinds(), "meshfence", instance)
	if err != nil {
		return err
	}
	writer, err := reports.New(api)
	if err != nil {
		return err
	}
	annotations, err := listing.NewAnnotations(api, audit.AcceptanceCounts)
	if err != nil {
		return err
	}
	return mgr.Add(&runner.Runner{
		Cluster:     known,
		Scan:        s.scan(mgr),
		Annotations: annotations,
		Checker:     func(now time.Time) *audit.Checker { return checkerOf(file.Current(), s.namespace, now) },
		Changed:     changes,
		Interval:    s.auditInterval,
		Delay:       s.auditDelay,
		Lease:       lease.Lease{API: api, Namespace: s.namespace, Name: auditLease},
		Memory:      kept,
		Events:      &runner.Events{Recorder: recorder},
		Publishers:  []runner.Publisher{runner.Reports{Writer: writer}},
		Registerer:  metrics.Registry,
	})
}

// Names of the audit's objects, in the namespace of meshfence.
const (
	auditLease     = api.AuditLease
	auditMemory    = api.AuditFindings
	auditMemoryKey = "findings"
)

// How fast the audit reads: pages of so many objects, so many a second, and so many at once. It has minutes, and requests for admission come first: neither meshfence nor the API server is to be busy with it.
const (
	auditPage  = 50
	auditPages = 15
	auditBurst = 15
)

// scan returns how the audit reads the cluster. Where only the istiods of the Sail operator count, there is no right to look at the objects of others.
func (s *settings) scan(mgr manager.Manager) runner.Scan {
	api := rest.CopyConfig(mgr.GetConfig())
	api.QPS, api.Burst = auditPages, auditBurst
	return func(ctx context.Context, existing policy.Existing, needs []observed.Resource) (scan.Seen, error) {
		var left []observed.Resource
		if s.istiods == sailIstiods {
			left = []observed.Resource{observed.RootCertificates, observed.MeshConfigs, observed.Injectors, observed.Istiods}
			needs = slices.DeleteFunc(slices.Clone(needs), func(r observed.Resource) bool { return slices.Contains(left, r) })
		}
		seen, err := scan.Scan(ctx, api, existing, scan.Options{Needs: needs, PageSize: auditPage})
		for _, r := range left {
			seen.Cluster.Miss(r, "is not read with --istiods "+sailIstiods)
		}
		return seen, err
	}
}
