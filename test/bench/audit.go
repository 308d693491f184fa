package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	// podsANamespace is how many pods each namespace has when the audit is measured.
	podsANamespace = 2
	// audits is how many runs are measured, besides the first.
	audits = 4
	// auditTime is how long a run may take to come.
	auditTime = 2 * time.Minute
	// auditSeldom is an interval that is not waited for: a run follows a change at once here.
	auditSeldom, auditAtOnce = "--audit-interval=5m", "--audit-delay=0s"
	// askForRun is how often the process is asked whether a run has ended: each page of metrics costs it processor time too.
	askForRun = time.Second
	// joins is how many namespaces join a mesh in a round beside the audit, and leave it.
	joins = 300
)

// compareAudit measures the audit of the server in the small cluster, once that is as large as the other was: what a run costs, and what the requests beside
// it notice.
func (b *bench) compareAudit(ctx context.Context, r *report) error {
	namespaces := b.plan.namespaces[len(b.plan.namespaces)-2]
	progress("the audit of %d namespaces with %d pods", namespaces, namespaces*podsANamespace)
	c, err := newClients(b.small.Config)
	if err != nil {
		return err
	}
	if err := c.addPods(ctx, namespaces); err != nil {
		return err
	}
	without, err := b.auditless(ctx)
	if err != nil {
		return err
	}
	rows, err := b.auditRuns(ctx, c, without, fmt.Sprintf("%d namespaces, %d meshes and %d pods", namespaces, fullMeshes, namespaces*podsANamespace))
	if err != nil {
		return err
	}
	beside, err := b.besideAudit(ctx, c)
	r.Rows = append(append(r.Rows, rows...), beside)
	return err
}

// addPods gives each namespace pods that the mesh of the namespace has injected.
func (c *clients) addPods(ctx context.Context, namespaces int) error {
	return each(1, namespaces*podsANamespace, func(i int) error {
		n := (i-1)/podsANamespace + 1
		mesh := meshName(n%fullMeshes + 1)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("web-%d", i%podsANamespace), Labels: map[string]string{"app": "web", "service.istio.io/canonical-name": "web"},
				Annotations: map[string]string{"istio.io/rev": mesh},
			},
			Spec: restricted(),
		}
		_, err := c.kube.CoreV1().Pods(fmt.Sprintf("tenant-%d", n)).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}, nil, 0)
}

// restricted is a pod that Pod Security admits at the level restricted, which the namespaces ask for.
func restricted() corev1.PodSpec {
	yes, no := true, false
	return corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{Name: "web", Image: "web", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}}},
	}
}

// auditing starts the small cluster's meshfence anew.
func (b *bench) auditing(ctx context.Context, args ...string) (*harness.Process, error) {
	if b.small.Meshfence() != nil {
		if err := b.small.StopMeshfence(); err != nil {
			return nil, err
		}
	}
	return b.small.StartMeshfence(ctx, harness.ProcessOptions{Args: args})
}

// auditless is the memory, in MiB, of a meshfence that runs no audit, when it is at rest.
func (b *bench) auditless(ctx context.Context) (float64, error) {
	process, err := b.auditing(ctx, noAudit)
	if err != nil {
		return 0, err
	}
	return atRest(ctx, process.PID())
}

// auditRuns measures runs of a meshfence that does nothing else: its processor time and the greatest memory that is seen.
func (b *bench) auditRuns(ctx context.Context, c *clients, without float64, of string) ([]row, error) {
	process, err := b.auditing(ctx, auditSeldom, auditAtOnce)
	if err != nil {
		return nil, err
	}
	first, _, err := ended(ctx, process, 0)
	if err != nil {
		return nil, err
	}
	var spent, took, more []float64
	for last := first; len(spent) < audits; {
		before, err := cpu(process.PID())
		if err != nil {
			return nil, err
		}
		change := labelsOf(fmt.Sprintf(`"istio-discovery":"none-%d"`, len(spent))) // of a mesh label, in a namespace without a mesh
		if _, err := c.kube.CoreV1().Namespaces().Patch(ctx, "default", types.MergePatchType, change, metav1.PatchOptions{}); err != nil {
			return nil, err
		}
		next, most, err := ended(ctx, process, last)
		if err != nil {
			return nil, err
		}
		after, err := cpu(process.PID())
		if err != nil {
			return nil, err
		}
		duration, err := metric(ctx, process, "meshfence_audit_duration_seconds")
		if err != nil {
			return nil, err
		}
		spent, took, more, last = append(spent, (after-before).Seconds()), append(took, duration), append(more, most-without), next
	}
	return []row{
		{Name: "processor time of a run of the audit, " + of, Unit: "s", Figure: newFigure(spent), Target: 5},
		{Name: "a run of the audit, " + of, Unit: "s", Figure: newFigure(took)},
		{Name: "resident more at most than without an audit", Unit: "MiB", Figure: newFigure(more), Target: 24},
	}, nil
}

// ended waits for a run that ends after a moment, and returns when it ended, in seconds since 1970, and the most memory, in MiB, that the process had meanwhile.
func ended(ctx context.Context, process *harness.Process, after float64) (at, most float64, err error) {
	asked := time.Time{}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, auditTime, true, func(ctx context.Context) (bool, error) {
		now, err := resident(process.PID())
		most = max(most, now)
		if err != nil || time.Since(asked) < askForRun {
			return false, err
		}
		asked = time.Now()
		at, err = metric(ctx, process, "meshfence_audit_last_success_timestamp_seconds")
		return at > after, err
	})
	return at, most, err
}

// metric is the value of a metric without labels, 0 if there is none.
func metric(ctx context.Context, process *harness.Process, name string) (float64, error) {
	page, err := process.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	match := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(page)
	if match == nil {
		return 0, nil
	}
	return strconv.ParseFloat(match[1], 64)
}

// besideAudit compares joins while the audit runs with joins without an audit.
func (b *bench) besideAudit(ctx context.Context, c *clients) (row, error) {
	progress("joins beside the audit")
	for i := range joins {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("beside-%d", i)}}
		if _, err := c.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			return row{}, err
		}
	}
	var with, without sample
	for round := -1; round < b.plan.rounds; round++ {
		for _, mode := range []struct {
			to   *sample
			args []string
		}{{&with, []string{auditSeldom, auditAtOnce}}, {&without, []string{noAudit}}} {
			s, err := b.timeJoins(ctx, c, mode.args)
			if err != nil {
				return row{}, err
			}
			if round >= 0 {
				mode.to.latencies = append(mode.to.latencies, s.latencies...)
			}
		}
	}
	if len(with.latencies) < enough {
		return row{Name: "joins beside the audit: too few for a p99", Unit: "", Figure: single(float64(len(with.latencies)))}, nil
	}
	return row{
		Name: "join beside the audit, p99 of all rounds, against without one", Unit: "ratio", Figure: single(float64(with.quantile(0.99)) / float64(without.quantile(0.99))), Target: 1.2,
	}, removeWebhooks(ctx, c)
}

// timeJoins are the times of joins, after each of which the namespace leaves again. With an audit, its first run must be under way all the time.
func (b *bench) timeJoins(ctx context.Context, c *clients, args []string) (sample, error) {
	var s sample
	process, err := b.auditing(ctx, args...)
	if err != nil {
		return s, err
	}
	if err := b.small.InstallWebhooks(ctx); err != nil {
		return s, err
	}
	begun := time.Now()
	for i := range joins {
		name, namespaces := fmt.Sprintf("beside-%d", i), c.kube.CoreV1().Namespaces()
		begin := time.Now()
		joined, err := namespaces.Patch(ctx, name, types.MergePatchType, labelsOf(`"istio-discovery":"mesh-1"`), metav1.PatchOptions{})
		s.latencies = append(s.latencies, time.Since(begin))
		if err != nil {
			return s, err
		}
		if joined.Labels["istio.io/rev"] != "mesh-1" {
			return s, errors.New("a namespace has joined without meshfence")
		}
		leave := []byte(`{"metadata":{"labels":{"istio-discovery":null,"istio.io/rev":null},"annotations":{"meshfence.io/filled-revision":null}}}`)
		if _, err := namespaces.Patch(ctx, name, types.MergePatchType, leave, metav1.PatchOptions{}); err != nil {
			return s, err
		}
	}
	if joined := time.Now(); len(args) > 1 {
		err = under(ctx, process, begun, joined)
	}
	return s, err
}

// under returns an error if the first run of the audit did not last from a moment, or a second later, until after another.
func under(ctx context.Context, process *harness.Process, from, to time.Time) error {
	at, _, err := ended(ctx, process, 0)
	if err != nil {
		return err
	}
	took, err := metric(ctx, process, "meshfence_audit_duration_seconds")
	if err != nil {
		return err
	}
	end := time.UnixMilli(int64(at * 1000))
	if begin := end.Add(-time.Duration(took * float64(time.Second))); begin.After(from.Add(time.Second)) || end.Before(to) {
		return fmt.Errorf("the audit ran from %v to %v, and the joins were from %v to %v", begin, end, from, to)
	}
	return nil
}

// measureAudit is compareAudit alone.
func measureAudit(ctx context.Context, p plan) (r *report, err error) {
	begin := time.Now()
	r = &report{Machine: machine(), Rounds: p.rounds, Requests: p.requests}
	b, err := start(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	c, err := newClients(b.small.Config)
	if err != nil {
		return nil, err
	}
	namespaces := p.namespaces[len(p.namespaces)-2]
	progress("%d namespaces and %d meshes", namespaces, fullMeshes)
	if err := c.setMeshes(ctx, fewMeshes, fullMeshes); err != nil {
		return nil, err
	}
	if err := c.addNamespaces(ctx, fewNamespaces, namespaces, fullMeshes); err != nil {
		return nil, err
	}
	if err := b.small.Operate(ctx); err != nil {
		return nil, err
	}
	if err := b.compareAudit(ctx, r); err != nil {
		return nil, err
	}
	r.Took = time.Since(begin).Round(time.Second).String()
	return r, nil
}
