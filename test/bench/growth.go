package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/meshfence/meshfence/test/harness"
)

// size is how much a cluster holds.
type size struct {
	Namespaces int `json:"namespaces"`
	Meshes     int `json:"meshes"`
}

// point is what was measured at one size.
type point struct {
	size
	// ResidentMiB is the memory of processes that were just started, and have nothing to do.
	ResidentMiB figure `json:"residentMiB"`
	// StartMillis is the time from the start of the process to its first right answer.
	StartMillis figure `json:"startMillis"`
	// ReviewMicros is the median time of an AdmissionReview over loopback, one after another.
	ReviewMicros figure `json:"reviewMicros"`
	// IstioMillis is the median time of an UPDATE of an Istio through the API server.
	IstioMillis figure `json:"istioMillis"`
	// BareIstioMillis is the same without webhooks.
	BareIstioMillis figure `json:"bareIstioMillis"`
}

const (
	starts        = 5
	rests         = 3 // of the starts, the last ones, whose memory is measured
	reviewRounds  = 5
	reviewsARound = 500
	istioUpdates  = 10
	// askAgain is how often a process that starts is asked. Every question costs it a millisecond of a core, or more.
	askAgain = 5 * time.Millisecond
	// istioPause lies between two changes of an Istio. A consistent list of an API server with a watch cache waits until etcd
	// has told the cache how far it is, for which the API server asks at most every 100 ms (progressRequestPeriod in
	// k8s.io/apiserver/pkg/storage/cacher/progress): changes that follow each other faster measure that, not meshfence.
	istioPause = 250 * time.Millisecond
)

// grown measures meshfence alone in a cluster of some size. meshfence must not be running.
func grown(ctx context.Context, cluster *harness.Cluster, c *clients, at size) (point, error) {
	p := point{size: at}
	right, err := review(injects)
	if err != nil {
		return p, err
	}
	r := newReviewer(serving(cluster), "/validate/namespace", right, true)
	var took, memory []float64
	for i := range starts {
		milliseconds, err := startAndAsk(ctx, cluster, r)
		if err != nil {
			return p, err
		}
		took = append(took, milliseconds)
		if i >= starts-rests {
			mib, err := atRest(ctx, cluster.Meshfence().PID())
			if err != nil {
				return p, err
			}
			memory = append(memory, mib)
		}
		if i < starts-1 {
			if err := cluster.StopMeshfence(); err != nil {
				return p, err
			}
		}
	}
	p.StartMillis, p.ResidentMiB = newFigure(took), newFigure(memory)
	if p.ReviewMicros, err = medians(reviewRounds, time.Microsecond, func() (sample, error) { return r.run(ctx, reviewsARound, 1) }); err != nil {
		return p, err
	}
	if p.BareIstioMillis, err = timeIstios(ctx, c); err != nil {
		return p, err
	}
	p.IstioMillis, err = updateIstios(ctx, cluster, c)
	return p, err
}

// startAndAsk returns the milliseconds from the start of the process to the first right answer.
func startAndAsk(ctx context.Context, cluster *harness.Cluster, r *reviewer) (float64, error) {
	begin := time.Now()
	if err := cluster.LaunchMeshfence(ctx); err != nil {
		return 0, err
	}
	var last error
	err := wait.PollUntilContextTimeout(ctx, askAgain, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = r.ask(ctx)
		return last == nil, nil
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("no right answer within a minute: %w", err), last)
	}
	return time.Since(begin).Seconds() * 1000, nil
}

// medians runs rounds and returns their medians.
func medians(rounds int, unit time.Duration, run func() (sample, error)) (figure, error) {
	var values []float64
	for range rounds {
		s, err := run()
		if err != nil {
			return figure{}, err
		}
		values = append(values, float64(s.quantile(0.5))/float64(unit))
	}
	return newFigure(values), nil
}

// reviewsInTurns compares the median time of an AdmissionReview of two clusters' meshfences, which are asked in turns. Neither
// may be running: both are started anew, because one that has just learnt of thousands of namespaces is busy with what that
// has left behind.
func reviewsInTurns(ctx context.Context, of, to *harness.Cluster) (figure, error) {
	body, err := review(injects)
	if err != nil {
		return figure{}, err
	}
	var reviewers []*reviewer
	for _, cluster := range []*harness.Cluster{of, to} {
		if _, err := cluster.StartMeshfence(ctx, withoutAudit()); err != nil {
			return figure{}, err
		}
		if _, err := atRest(ctx, cluster.Meshfence().PID()); err != nil {
			return figure{}, err
		}
		reviewers = append(reviewers, newReviewer(serving(cluster), "/validate/namespace", body, true))
	}
	medians := make([][]float64, len(reviewers))
	for round := -1; round < reviewRounds; round++ {
		samples := make([]sample, len(reviewers))
		for turn := range reviewsARound {
			for i := range reviewers {
				i = (i + turn) % len(reviewers) // so that none always comes first
				one, err := reviewers[i].run(ctx, 1, 1)
				if err != nil {
					return figure{}, err
				}
				samples[i].latencies = append(samples[i].latencies, one.latencies...)
			}
		}
		for i := range samples {
			if round >= 0 { // the first one warms up
				medians[i] = append(medians[i], float64(samples[i].quantile(0.5)))
			}
		}
	}
	return ratio(medians[0], medians[1]), nil
}

// updateIstios changes the version of one mesh to and fro, with the webhooks of meshfence in the way.
func updateIstios(ctx context.Context, cluster *harness.Cluster, c *clients) (f figure, err error) {
	t, err := meshfenceOf(cluster, "d", "meshfence")
	if err != nil {
		return figure{}, err
	}
	if err := t.use(ctx, cluster); err != nil {
		return figure{}, err
	}
	defer func() { err = errors.Join(err, retire(ctx, cluster, []*target{t})) }()
	return timeIstios(ctx, c)
}

// timeIstios is updateIstios with whatever webhooks are there.
func timeIstios(ctx context.Context, c *clients) (figure, error) {
	return medians(3, time.Millisecond, func() (sample, error) {
		s := sample{}
		pause := time.NewTicker(istioPause)
		defer pause.Stop()
		for i := range istioUpdates {
			<-pause.C
			body := fmt.Appendf(nil, `{"spec":{"version":"v1.30.%d"}}`, i%2)
			begin := time.Now()
			if _, err := c.dynamic.Resource(istios()).Patch(ctx, meshName(1), types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
				return s, err
			}
			s.latencies = append(s.latencies, time.Since(begin))
		}
		return s, nil
	})
}
