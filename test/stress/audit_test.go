package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook/api"
)

const (
	// auditInterval and auditDelay are those of the replicas, and auditRun is how long a run, and the change of the replica that runs it, may take besides on
	// a busy machine.
	auditInterval = 10 * time.Second
	auditDelay    = 200 * time.Millisecond
	auditRun      = 10 * time.Second
	// takeover is how long another replica takes to find out that the one that ran the audit is gone.
	takeover = 20 * time.Second

	auditedNamespaces = 40
)

// broken is a rule and a namespace that breaks it.
type broken struct{ rule, namespace string }

// moment is one of a namespace: from then on it breaks a rule, or "" for none.
type moment struct {
	at   time.Time
	rule string
}

// judgedByHand is the rule that a namespace with these labels breaks, said once more and without meshfence.
func judgedByHand(labels map[string]string) string {
	discovery, revision := labels["istio-discovery"], labels["istio.io/rev"]
	switch {
	case revision == "" || revision == discovery:
		return ""
	case discovery == "":
		return "MF205"
	default:
		return "MF202"
	}
}

// witness is what two watches have seen: how each namespace stood, and what the audit had found.
type witness struct {
	mu       sync.Mutex
	history  map[string][]moment
	invented []string
	seen     map[broken]int
	// found is the last state of what the audit keeps, and at when it came.
	found map[broken]bool
	at    time.Time
	// missed are those that were not found although they had been there for long.
	missed []string
}

// namespace notes a change.
func (w *witness) namespace(ns *corev1.Namespace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history[ns.Name] = append(w.history[ns.Name], moment{time.Now(), judgedByHand(ns.Labels)})
}

// findings notes what the audit keeps, and compares: each was so within the time that a run looks back, and what has been so for long is there.
func (w *witness) findings(text string, patience time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found, w.at = map[broken]bool{}, time.Now()
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 7 || fields[2] != "Namespace" || fields[1] != "MF202" && fields[1] != "MF205" {
			continue
		}
		f := broken{fields[1], fields[4]}
		w.found[f] = true
		w.seen[f]++
		if !w.wasSo(f, w.at.Add(-patience)) {
			w.invented = append(w.invented, fmt.Sprintf("%s %s at %v: %v", f.rule, f.namespace, w.at, w.history[f.namespace]))
		}
	}
	w.missing(patience)
}

// wasSo reports whether a namespace has broken a rule at any time since.
func (w *witness) wasSo(f broken, since time.Time) bool {
	moments := w.history[f.namespace]
	for i, m := range moments {
		ended := i+1 < len(moments) && moments[i+1].at.Before(since)
		if m.rule == f.rule && !ended {
			return true
		}
	}
	return false
}

// missing notes what has been so for all the time that the audit may take, and is not found.
func (w *witness) missing(patience time.Duration) {
	for name, moments := range w.history {
		last := moments[len(moments)-1]
		if last.rule != "" && time.Since(last.at) > patience && !w.found[broken{last.rule, name}] {
			w.missed = append(w.missed, fmt.Sprintf("%s %s since %v", last.rule, name, last.at))
		}
	}
}

// TestAudit has clients relabel namespaces all the time, with nothing in front that refuses it, while replicas of meshfence audit the cluster and are killed: findings
// appear and go with what the watches have seen, none is stuck, and none invented.
func TestAudit(t *testing.T) {
	cluster, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, cluster.Stop()) })
	must(t, cluster.InstallWorkload(t.Context()))
	client, err := kubernetes.NewForConfig(cluster.Config)
	must(t, err)
	for _, mesh := range []string{"mesh-1", "mesh-2"} {
		must(t, cluster.Client.Create(t.Context(), stressed(mesh, selecting(mesh), 0)))
	}
	for i := range auditedNamespaces {
		_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: audited(i)}}, metav1.CreateOptions{})
		must(t, err)
	}
	w := &witness{history: map[string][]moment{}, seen: map[broken]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	patience := auditInterval + auditDelay + auditRun
	group.Go(func() { w.watchNamespaces(ctx, t, client) })
	group.Go(func() { w.watchFindings(ctx, t, client, patience+takeover) })

	options := harness.ProcessOptions{Args: []string{"--audit-interval=" + auditInterval.String(), "--audit-delay=" + auditDelay.String()}}
	var replicas []*harness.Process
	for range 2 {
		p, err := cluster.StartReplica(t.Context(), options)
		must(t, err)
		replicas = append(replicas, p)
	}
	t.Cleanup(func() {
		for _, p := range replicas {
			_ = p.Kill() // some are dead already
		}
	})
	changes := 0
	for round := range choose(1, 6) {
		changes += relabelling(t, client, time.Duration(choose(10, 45))*time.Second)
		must(t, replicas[0].Kill())
		p, err := cluster.StartReplica(t.Context(), options)
		must(t, err)
		replicas = append(replicas[1:], p)
		changes += relabelling(t, client, time.Duration(choose(5, 15))*time.Second)
		count(t, "round %d: %d changes", round+1, changes)
	}

	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience+takeover, true, func(context.Context) (bool, error) { return w.settled(), nil })
	if err != nil {
		t.Error("what is found is not what the last labels say")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range []struct {
		what  string
		lines []string
	}{{"invented", w.invented}, {"not found", w.missed}} {
		if len(list.lines) > 0 {
			t.Errorf("%d %s, as %s", len(list.lines), list.what, list.lines[0])
		}
	}
	times := 0
	for _, n := range w.seen {
		times += n
	}
	count(t, "%d changes of %d namespaces: %d findings were told, %d times; none was invented, stuck or missed", changes, auditedNamespaces, len(w.seen), times)
	if len(w.seen) < auditedNamespaces/2 {
		t.Errorf("only %d findings were ever told", len(w.seen))
	}
}

func audited(i int) string { return fmt.Sprintf("audited-%d", i) }

// relabelling has clients relabel namespaces at random for a while, some of them again and again, and returns how often.
func relabelling(t *testing.T, client kubernetes.Interface, length time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	values := []string{`"mesh-1"`, `"mesh-2"`, "null"}
	var mu sync.Mutex
	changes := 0
	var group sync.WaitGroup
	for worker := range 4 {
		random := rand.New(rand.NewPCG(uint64(worker), uint64(length)))
		group.Go(func() {
			for ctx.Err() == nil {
				patch := fmt.Sprintf(`{"metadata":{"labels":{"istio-discovery":%s,"istio.io/rev":%s}}}`, values[random.IntN(3)], values[random.IntN(3)])
				// The first ten change all the time, the others now and then.
				i := random.IntN(10)
				if random.IntN(20) == 0 {
					i = random.IntN(auditedNamespaces)
				}
				_, err := client.CoreV1().Namespaces().Patch(ctx, audited(i), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				mu.Lock()
				changes++
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond): // the load of a cluster in trouble, not of a benchmark
				}
			}
		})
	}
	group.Wait()
	return changes
}

// settled reports whether what the audit keeps is what the last labels say.
func (w *witness) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	should := map[broken]bool{}
	for name, moments := range w.history {
		if last := moments[len(moments)-1]; last.rule != "" {
			should[broken{last.rule, name}] = true
		}
	}
	if len(should) != len(w.found) {
		return false
	}
	for f := range should {
		if !w.found[f] {
			return false
		}
	}
	return true
}

func (w *witness) watchNamespaces(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	follow(ctx, t, func(options metav1.ListOptions) (watch.Interface, error) {
		return client.CoreV1().Namespaces().Watch(ctx, options)
	}, func(event watch.Event) {
		if ns, ok := event.Object.(*corev1.Namespace); ok && strings.HasPrefix(ns.Name, "audited-") {
			w.namespace(ns)
		}
	})
}

func (w *witness) watchFindings(ctx context.Context, t *testing.T, client kubernetes.Interface, patience time.Duration) {
	follow(ctx, t, func(options metav1.ListOptions) (watch.Interface, error) {
		options.FieldSelector = "metadata.name=" + api.AuditFindings
		return client.CoreV1().ConfigMaps(harness.Namespace).Watch(ctx, options)
	}, func(event watch.Event) {
		if c, ok := event.Object.(*corev1.ConfigMap); ok && slices.Contains([]watch.EventType{watch.Added, watch.Modified}, event.Type) {
			w.findings(c.Data["findings"], patience)
		}
	})
}

// follow hands on what a watch sees until ctx ends. One that the API server ends, which it does after some minutes, would begin anew with what is there: a
// test is shorter than that.
func follow(ctx context.Context, t *testing.T, begin func(metav1.ListOptions) (watch.Interface, error), take func(watch.Event)) {
	seconds := int64(3600)
	w, err := begin(metav1.ListOptions{TimeoutSeconds: &seconds})
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-w.ResultChan():
			if !open {
				if ctx.Err() == nil {
					t.Error("the API server has ended a watch")
				}
				return
			}
			if status, failed := event.Object.(*metav1.Status); failed {
				t.Error(errors.Join(errors.New("a watch"), &apierrors.StatusError{ErrStatus: *status}))
				return
			}
			take(event)
		}
	}
}
