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
	// plain sets a label that no webhook looks at. No call is needed.
	plain operation = "plain"
	// create makes a namespace with the discovery label: both calls.
	create operation = "create"
)

// load sends requests about the namespaces of one target.
type load struct {
	clients *clients
	target  *target
	// created counts the namespaces of create, for their names.
	created int
}

// judges says that the target is a meshfence, which refuses what is wrong, and fills that istio.io/rev is filled in.
func (l *load) judges() bool {
	return l.target.letter == "c" || l.target.letter == "d" || l.target.letter == "p" || l.target.letter == "i"
}

func (l *load) fills() bool { return l.judges() || l.target.letter == "f" }

// patched is the name of a namespace that is patched.
func (l *load) patched(i int) string { return fmt.Sprintf("load-%s-%d", l.target.letter, i) }

// made is the name of a namespace that create makes.
func (l *load) made(serial int) string { return fmt.Sprintf("made-%s-%d", l.target.letter, serial) }

// labelsOf is a merge patch of labels; "null" removes one.
func labelsOf(pairs string) []byte { return []byte(`{"metadata":{"labels":{` + pairs + `}}}`) }

// prepare makes the namespaces that are patched.
func (l *load) prepare(ctx context.Context, total int) error {
	return each(1, total, func(i int) error {
		_, err := l.clients.kube.CoreV1().Namespaces().Create(ctx, l.namespace(l.patched(i-1), ""), metav1.CreateOptions{})
		return err
	}, nil, 0)
}

// namespace is one about which the target is asked.
func (l *load) namespace(name, discovery string) *corev1.Namespace {
	labels := map[string]string{targetLabel: l.target.letter}
	if discovery != "" {
		labels["istio-discovery"] = discovery
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// run sends the requests from first to before last of one operation, so many at once, and adds to the sample how long each
// took.
func (l *load) run(ctx context.Context, op operation, first, last, workers int, s *sample) error {
	serial := l.created
	if op == create {
		l.created += last - first
	}
	latencies, errs := make([]time.Duration, last-first), make([]error, workers)
	var group sync.WaitGroup
	begin := time.Now()
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < last-first && errs[worker] == nil; i += workers {
				start := time.Now()
				namespace, err := l.send(ctx, op, first+i, serial+i)
				latencies[i] = time.Since(start)
				if err == nil {
					err = l.check(op, namespace)
				}
				errs[worker] = err
			}
		})
	}
	group.Wait()
	s.wall += time.Since(begin)
	s.latencies = append(s.latencies, latencies...)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %s: %w", l.target.name, op, err)
	}
	return nil
}

func (l *load) send(ctx context.Context, op operation, i, serial int) (*corev1.Namespace, error) {
	namespaces := l.clients.kube.CoreV1().Namespaces()
	patch := func(body []byte) (*corev1.Namespace, error) {
		return namespaces.Patch(ctx, l.patched(i), types.MergePatchType, body, metav1.PatchOptions{})
	}
	switch op {
	case join:
		return patch(labelsOf(`"istio-discovery":"mesh-1"`))
	case drop:
		return patch(labelsOf(`"istio.io/rev":null`)) // with its annotation too it would count as replaced, and be filled in again
	case inject:
		return patch(labelsOf(`"istio.io/rev":"mesh-1"`))
	case both:
		return patch(labelsOf(`"istio-discovery":"mesh-1","istio.io/rev":"mesh-1"`))
	case leave:
		return patch([]byte(`{"metadata":{"labels":{"istio-discovery":null,"istio.io/rev":null},"annotations":{"meshfence.io/filled-revision":null}}}`))
	case plain:
		return patch(labelsOf(fmt.Sprintf(`"example.com/serial":"%d"`, time.Now().UnixNano())))
	case create:
		return namespaces.Create(ctx, l.namespace(l.made(serial), "mesh-1"), metav1.CreateOptions{})
	default:
		return nil, fmt.Errorf("what is %q?", op)
	}
}

// check looks at every answer: what was to be filled in is there, and only then.
func (l *load) check(op operation, namespace *corev1.Namespace) error {
	want := ""
	if op == both || op == inject || l.fills() && (op == join || op == create) {
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
	_, err := l.clients.kube.CoreV1().Namespaces().Patch(ctx, l.patched(0), types.MergePatchType, body, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	switch got := apierrors.IsInvalid(err) || apierrors.IsForbidden(err); {
	case got == l.judges():
		return nil
	case err == nil:
		return errors.New("a label of another mesh was admitted")
	default:
		return fmt.Errorf("a label of another mesh: %w", err)
	}
}

// clean deletes what create made. Without its finalizer a namespace goes at once, and need not be emptied first.
func (l *load) clean(ctx context.Context, from int) error {
	if l.created == from {
		return nil
	}
	namespaces := l.clients.kube.CoreV1().Namespaces()
	return each(from, l.created-1, func(serial int) error {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.made(serial)}}
		if _, err := namespaces.Finalize(ctx, namespace, metav1.UpdateOptions{}); err != nil {
			return err
		}
		return namespaces.Delete(ctx, namespace.Name, metav1.DeleteOptions{})
	}, nil, 0)
}
