package answers

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/webhook/cluster"
)

const (
	// fewPods are more than a look sees. PODS sets another number: make measure-pods has 5,000.
	fewPods = 600
	// seenPods is how many a look sees.
	seenPods = 500
	// lookTime is how long it lasts at the most, and answerTime how long a request of kubectl's kind may take with it, on
	// machines that do something else too.
	lookTime   = 300 * time.Millisecond
	answerTime = 3 * time.Second
)

// pods moves a namespace with many pods, and measures what it costs.
func (s *suite) pods(t *testing.T) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("PODS"), strconv.Itoa(fewPods)))
	must(t, err)
	s.start(t, "mode: enforce")
	must(t, s.Client.Create(t.Context(), namespace("busy", "", "istio-discovery", "mesh-1", "istio.io/rev", "mesh-1")))
	must(t, s.Client.Create(t.Context(), namespace("empty", "", "istio-discovery", "mesh-1", "istio.io/rev", "mesh-1")))
	began := time.Now()
	s.createPods(t, "busy", n)
	t.Logf("%d pods were created in %v", n, time.Since(began).Round(time.Second))
	c, warned := s.as(t, "")
	s.awaitLook(t, c, warned)
	s.measureMoves(t, c)
	s.measureLooks(t)
}

// awaitLook moves the namespace there and back until a look has seen as many pods as it may. On a machine that is busy
// with other things one may run out of time before; then the warning says so.
func (s *suite) awaitLook(t *testing.T, c client.Client, warned *collector) {
	t.Helper()
	const tries = 20
	for range tries {
		s.move(t, c, "busy", "mesh-2")
		lines := warned.take()
		if len(lines) == 0 || !strings.HasPrefix(lines[0], `MF207 MovesLiveNamespace: Namespace "busy": it moves to mesh "mesh-2"`) {
			t.Fatalf("warned of %q", lines)
		}
		if strings.Contains(lines[0], fmt.Sprintf(`%[1]d of the %[1]d pods that were looked at (the look stopped after %[1]d pods) have the sidecar of revision "mesh-1"`, seenPods)) {
			return
		}
		if !strings.Contains(lines[0], "(the look stopped after 300ms)") {
			t.Fatalf("warned of %q", lines)
		}
		s.move(t, c, "busy", "mesh-1")
		warned.take()
	}
	t.Errorf("no look of %d was finished in time", tries)
}

// createPods creates pods as an istiod of mesh-1 has injected them: of about six kilobytes, most of it spec and managedFields.
func (s *suite) createPods(t *testing.T, namespace string, n int) {
	t.Helper()
	config := rest.CopyConfig(s.Config)
	config.QPS, config.RateLimiter = -1, nil
	c, err := client.New(config, client.Options{Scheme: s.Client.Scheme()})
	must(t, err)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	for i := range n {
		group.Go(func() error { return c.Create(ctx, pod(namespace, i)) })
	}
	must(t, group.Wait())
}

func pod(namespace string, i int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: fmt.Sprintf("app-%05d", i), Labels: map[string]string{"app": "app", "security.istio.io/tlsMode": "istio"},
		Annotations: map[string]string{"istio.io/rev": "mesh-1", "sidecar.istio.io/status": strings.Repeat("s", 300)},
	}}
	for _, name := range []string{"app", "istio-proxy"} {
		container := corev1.Container{Name: name, Image: "image"}
		for v := range 20 {
			container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", v), Value: strings.Repeat("v", 40)})
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
	}
	return p
}

// move puts a namespace into a mesh, and returns how long that took.
func (s *suite) move(t *testing.T, c client.Client, name, to string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	patch := fmt.Sprintf(`{"metadata":{"labels":{"istio-discovery":%q,"istio.io/rev":%q}}}`, to, to)
	began := time.Now()
	must(t, c.Patch(ctx, namespace(name, ""), client.RawPatch("application/merge-patch+json", []byte(patch))))
	took := time.Since(began)
	if took > answerTime {
		t.Errorf("moving %s took %v", name, took)
	}
	return took
}

// measureMoves compares moves of a namespace with many pods with those of one without any.
func (s *suite) measureMoves(t *testing.T, c client.Client) {
	t.Helper()
	took := map[string][]time.Duration{}
	for i := range 20 {
		to := []string{"mesh-1", "mesh-2"}[i%2]
		for _, name := range []string{"busy", "empty"} {
			took[name] = append(took[name], s.move(t, c, name, to))
		}
	}
	for _, name := range []string{"busy", "empty"} {
		t.Logf("a move of the namespace %s: %s", name, summary(took[name]))
	}
}

// measureLooks measures the look alone.
func (s *suite) measureLooks(t *testing.T) {
	t.Helper()
	looker, err := cluster.New(s.Config, cluster.Options{Namespace: "meshfence-system"})
	must(t, err)
	var took []time.Duration
	for range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), lookTime)
		began := time.Now()
		seen := looker.Pods(ctx, "busy", seenPods)
		took = append(took, time.Since(began))
		cancel()
		if seen.Seen > seenPods || seen.Stopped == "" || took[len(took)-1] > answerTime {
			t.Errorf("%+v in %v", seen, took[len(took)-1])
		}
	}
	t.Logf("a look at %d pods: %s", seenPods, summary(took))
}

func summary(took []time.Duration) string {
	slices.Sort(took)
	round := func(i int) time.Duration { return took[i].Round(100 * time.Microsecond) }
	return fmt.Sprintf("median %v, slowest %v of %d", round(len(took)/2), round(len(took)-1), len(took))
}
