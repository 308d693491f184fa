package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// operation is one kind of request that is measured.
type operation string

const (
	// join sets the discovery label: istio.io/rev is filled in and the result judged. Both calls are needed.
	join operation = "join"
	// leave takes both labels away: only the validating call is needed, with a look at the namespace's pods (MF207).
	leave operation = "leave"
	// drop takes istio.io/rev away. It makes room for inject and is not measured.
	drop operation = "drop"
	// inject sets istio.io/rev where the discovery label is there: only the validating call is needed.
	inject operation = "inject"
	// both sets the discovery label and istio.io/rev: only the validating call is needed.
	both operation = "both"
	// plain sets a label that is nobody's business. No call is needed.
	plain operation = "plain"
	// create makes a namespace with the discovery label: both calls.
	create operation = "create"
)

// load sends requests about namespaces of its own, as many at once as it has workers.
type load struct {
	clients *clients
	workers int
	// requests is how many of each operation there are in a round.
	requests int
	// fills says that somebody fills in istio.io/rev and refuses what is wrong; then answers are checked.
	fills bool
	// created counts the namespaces of create, for their names, over all rounds.
	created *int
}

// labelsOf is a merge patch of labels; "null" removes one.
func labelsOf(pairs string) []byte { return []byte(`{"metadata":{"labels":{` + pairs + `}}}`) }

// prepare makes the namespaces that are patched.
func (l *load) prepare(ctx context.Context, total int) error {
	return each(1, total, func(i int) error {
		_, err := l.clients.kube.CoreV1().Namespaces().Create(ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("load-%d", i)}}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}, nil, 0)
}

// run sends the requests of one operation and returns how long each took.
func (l *load) run(ctx context.Context, op operation) (sample, error) {
	first := *l.created
	if op == create {
		*l.created += l.requests
	}
	s := sample{latencies: make([]time.Duration, l.requests)}
	errs := make([]error, l.workers)
	var group sync.WaitGroup
	begin := time.Now()
	for worker := range l.workers {
		group.Go(func() {
			for i := worker; i < l.requests && errs[worker] == nil; i += l.workers {
				start := time.Now()
				namespace, err := l.send(ctx, op, i, first+i)
				s.latencies[i] = time.Since(start)
				if err == nil {
					err = l.check(op, namespace)
				}
				errs[worker] = err
			}
		})
	}
	group.Wait()
	s.wall = time.Since(begin)
	for _, err := range errs {
		if err != nil {
			return s, fmt.Errorf("%s: %w", op, err)
		}
	}
	return s, nil
}

func (l *load) send(ctx context.Context, op operation, i, serial int) (*corev1.Namespace, error) {
	namespaces := l.clients.kube.CoreV1().Namespaces()
	patch := func(body []byte) (*corev1.Namespace, error) {
		return namespaces.Patch(ctx, fmt.Sprintf("load-%d", i+1), types.MergePatchType, body, metav1.PatchOptions{})
	}
	switch op {
	case join:
		return patch(labelsOf(`"istio-discovery":"mesh-1"`))
	case drop:
		return patch([]byte(`{"metadata":{"labels":{"istio.io/rev":null},"annotations":{"meshfence.io/filled-revision":null}}}`))
	case inject:
		return patch(labelsOf(`"istio.io/rev":"mesh-1"`))
	case both:
		return patch(labelsOf(`"istio-discovery":"mesh-1","istio.io/rev":"mesh-1"`))
	case leave:
		return patch([]byte(`{"metadata":{"labels":{"istio-discovery":null,"istio.io/rev":null},"annotations":{"meshfence.io/filled-revision":null}}}`))
	case plain:
		return patch(labelsOf(fmt.Sprintf(`"example.com/serial":"%d"`, time.Now().UnixNano())))
	case create:
		return namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("made-%d", serial), Labels: map[string]string{"istio-discovery": "mesh-1"},
		}}, metav1.CreateOptions{})
	default:
		return nil, fmt.Errorf("what is %q?", op)
	}
}

// check looks at every answer: what was to be filled in is there, and only then.
func (l *load) check(op operation, namespace *corev1.Namespace) error {
	want := ""
	if op == both || op == inject || l.fills && (op == join || op == create) {
		want = "mesh-1"
	}
	if op == plain {
		return nil
	}
	if got := namespace.Labels[mesh.RevisionLabel]; got != want {
		return fmt.Errorf("namespace %s has istio.io/rev=%q, want %q", namespace.Name, got, want)
	}
	return nil
}

// refused checks that what is wrong is refused now, or, without meshfence, is not.
func (l *load) refused(ctx context.Context) error {
	body := labelsOf(`"istio-discovery":"mesh-1","istio.io/rev":"mesh-2"`)
	_, err := l.clients.kube.CoreV1().Namespaces().Patch(ctx, "load-1", types.MergePatchType, body, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	switch got := apierrors.IsInvalid(err); {
	case got == l.fills:
		return nil
	case err == nil:
		return errors.New("a label of another mesh was admitted")
	default:
		return fmt.Errorf("a label of another mesh: %w", err)
	}
}

// clean deletes what create made since the number from. Without its finalizer a namespace goes at once, and nobody has to
// empty it.
func (l *load) clean(ctx context.Context, from int) error {
	namespaces := l.clients.kube.CoreV1().Namespaces()
	return each(from, *l.created-1, func(i int) error {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("made-%d", i)}}
		if _, err := namespaces.Finalize(ctx, namespace, metav1.UpdateOptions{}); err != nil {
			return err
		}
		return namespaces.Delete(ctx, namespace.Name, metav1.DeleteOptions{})
	}, nil, 0)
}
