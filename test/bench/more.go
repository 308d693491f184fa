package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	// unrelated is how many namespaces are changed in ways that no webhook looks at, to see what the watch costs.
	unrelated = 400
	// moved is how often a namespace with pods joins and leaves in a round.
	moved = 40
)

// podCounts are how many pods the namespaces have that join a mesh.
func podCounts() []int { return []int{0, 30, 500} }

// compareMore measures what the comparison has no room for: the watch, namespaces with pods, and every optional rule. Its targets are those of the
// comparison, which are retired.
func (b *bench) compareMore(ctx context.Context, c *comparison, large *target) ([]row, error) {
	rows, err := b.watchRows(ctx, large)
	if err != nil {
		return nil, err
	}
	withPods, err := b.podRows(ctx, c)
	if err != nil {
		return nil, err
	}
	optional, err := b.optionalRows(ctx, c)
	return append(append(rows, withPods...), optional...), err
}

// watchRows are what meshfence spends on a namespace that changes and of which it is not asked: the API server tells it by its watch.
func (b *bench) watchRows(ctx context.Context, large *target) ([]row, error) {
	progress("what the watch costs")
	var spent []float64
	l := &load{clients: b.clients, target: noWebhooks()}
	for round := -1; round < b.plan.rounds; round++ {
		before, err := cpu(large.pid)
		if err != nil {
			return nil, err
		}
		for i := range unrelated {
			if _, err := l.send(ctx, plain, i%b.plan.requests, 0); err != nil {
				return nil, err
			}
		}
		after, err := cpu(large.pid)
		if err != nil {
			return nil, err
		}
		if round >= 0 {
			spent = append(spent, (after-before).Seconds()*1e6/unrelated)
		}
	}
	return []row{{Name: "(d) processor time for the watch, of a namespace's change that is not sent", Unit: "µs", Figure: newFigure(spent)}}, nil
}

// inTurns measures how long a namespace of each target takes to join, in turns, by round: milliseconds, the median of each.
func (b *bench) inTurns(ctx context.Context, name string, targets []*target) (map[string][]float64, error) {
	if err := share(ctx, b.main, targets); err != nil {
		return nil, err
	}
	medians := map[string][]float64{}
	for round := -1; round < b.plan.rounds; round++ {
		samples := map[string]*sample{}
		for turn := range moved {
			for i := range targets {
				t := targets[(i+turn)%len(targets)]
				if samples[t.letter] == nil {
					samples[t.letter] = &sample{}
				}
				namespaces := b.clients.kube.CoreV1().Namespaces()
				begin := time.Now()
				_, err := namespaces.Patch(ctx, name+t.letter, types.MergePatchType, labelsOf(`"istio-discovery":"mesh-1"`), metav1.PatchOptions{})
				samples[t.letter].latencies = append(samples[t.letter].latencies, time.Since(begin))
				if err != nil {
					return nil, err
				}
				if _, err := namespaces.Patch(ctx, name+t.letter, types.MergePatchType, []byte(`{"metadata":{"labels":{"istio-discovery":null,"istio.io/rev":null},"annotations":null}}`), metav1.PatchOptions{}); err != nil {
					return nil, err
				}
			}
		}
		for letter, s := range samples {
			if round >= 0 {
				medians[letter] = append(medians[letter], float64(s.quantile(0.5))/float64(time.Millisecond))
			}
		}
	}
	return medians, retire(ctx, b.main, targets)
}

// chosen are targets of a comparison, by letter.
func (c *comparison) chosen(letters ...string) []*target {
	var all []*target
	for _, letter := range letters {
		for _, t := range c.targets {
			if t.letter == letter {
				all = append(all, t)
			}
		}
	}
	return all
}

// podRows are how long a namespace takes to join that has pods, of which MF207 looks at the first 500.
func (b *bench) podRows(ctx context.Context, c *comparison) ([]row, error) {
	var rows []row
	targets := c.chosen("b", "d")
	for _, pods := range podCounts() {
		progress("joins of namespaces with %d pods", pods)
		name := fmt.Sprintf("pods-%d-", pods)
		for _, t := range targets {
			if err := b.namespaceWithPods(ctx, name+t.letter, t.letter, pods); err != nil {
				return nil, err
			}
		}
		medians, err := b.inTurns(ctx, name, targets)
		if err != nil {
			return nil, err
		}
		rows = append(rows,
			row{Name: fmt.Sprintf("(d) join of a namespace with %d pods, p50", pods), Unit: "ms", Figure: newFigure(medians["d"])},
			row{Name: fmt.Sprintf("(d)/(b) join of a namespace with %d pods, p50", pods), Unit: "ratio", Figure: ratio(medians["d"], medians["b"])})
	}
	return rows, nil
}

// namespaceWithPods makes a namespace that a target is asked about, with pods.
func (b *bench) namespaceWithPods(ctx context.Context, name, letter string, pods int) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{targetLabel: letter}}}
	if _, err := b.clients.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return err
	}
	return each(1, pods, func(i int) error {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"istio.io/rev": meshName(2)}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}
		_, err := b.clients.kube.CoreV1().Pods(name).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}, nil, 0)
}

// optionalRows are a join where every rule is on that is off by default: MF210 asks the API server for a right.
func (b *bench) optionalRows(ctx context.Context, c *comparison) ([]row, error) {
	progress("joins with every optional rule")
	if err := b.main.StopMeshfence(); err != nil {
		return nil, err
	}
	config := filepath.Join(b.main.Dir(), "optional.yaml")
	if err := os.WriteFile(config, []byte("apiVersion: meshfence.io/v1alpha1\nkind: Configuration\nrules:\n  MF210: deny\n"), 0o600); err != nil {
		return nil, err
	}
	if _, err := b.main.StartMeshfence(ctx, harness.ProcessOptions{Config: config, Args: []string{noAudit}}); err != nil {
		return nil, err
	}
	targets := c.chosen("b", "d")
	for _, t := range targets {
		if err := b.namespaceWithPods(ctx, "optional-"+t.letter, t.letter, 0); err != nil {
			return nil, err
		}
	}
	medians, err := b.inTurns(ctx, "optional-", targets)
	if err != nil {
		return nil, err
	}
	// As it was, for what is measured next.
	if err := b.main.StopMeshfence(); err != nil {
		return nil, err
	}
	if _, err := b.main.StartMeshfence(ctx, withoutAudit()); err != nil {
		return nil, err
	}
	return []row{
		{Name: "(d) join with every optional rule, p50", Unit: "ms", Figure: newFigure(medians["d"])},
		{Name: "(d)/(b) join with every optional rule, p50", Unit: "ratio", Figure: ratio(medians["d"], medians["b"])},
	}, nil
}
