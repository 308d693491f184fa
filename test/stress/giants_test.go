package stress

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// giantNamespaces has namespaces with very many labels, before and after meshfence starts, and then a mesh that asks for one of those with
// a key that nobody asked for before.
func (s *suite) giantNamespaces(t *testing.T) {
	options := harness.ProcessOptions{Env: s.containerEnv(t)}
	s.install(t, 1, options)
	process := s.replicas[0]
	before := resident(t, process)
	// An API server takes seconds to store as many labels as etcd has room for.
	number, giantLabels, c := choose(12, 100), choose(3000, 60000), s.newClient(t, s.Config)
	var group errgroup.Group
	group.SetLimit(2)
	for i := range number {
		group.Go(func() error {
			labels := map[string]string{"first": "yes", "second": "yes"}
			for j := range giantLabels {
				labels[strconv.FormatInt(int64(i*giantLabels+j), 36)] = ""
			}
			giant := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("giant-%03d", i), Labels: labels}}
			err := c.Create(t.Context(), giant.DeepCopy())
			for apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) { // an API server that is busy takes longer than it gives itself
				err = c.Create(t.Context(), giant.DeepCopy())
			}
			return client.IgnoreAlreadyExists(err)
		})
	}
	must(t, group.Wait())
	check := func(when string) {
		t.Helper()
		tries := 0
		must(t, s.answered(t, &tries, "mesh-1", "first"))
		err := s.answered(t, &tries, "mesh-2", "second")
		if classify(err) != denied || !strings.Contains(err.Error(), fmt.Sprintf(" and %d more", number-10)) {
			t.Errorf("%v; want a denial that names ten namespaces and counts the others", err)
		}
		count(t, "%s, when two meshes have asked for labels of %d namespaces with %d each, in %d tries: %d MiB, at most %d MiB; without them %d MiB",
			when, number, giantLabels, tries, resident(t, process)>>20, peak(t, process)>>20, before>>20)
		withinMemory(t, process, when)
		must(t, s.Client.Delete(t.Context(), stressed("mesh-1", nil, 0)))
	}
	check("they came while meshfence ran")
	must(t, process.Kill())
	s.dropReplica(process)
	process = s.addReplica(t, options)
	check("meshfence was started again")
}

// answered creates a mesh that asks for a label, again as long as it is told to try again: the labels of very many such namespaces do
// not come in the time of one request, and what has come is kept for the next one. It counts the tries.
func (s *suite) answered(t *testing.T, tries *int, mesh, key string) (err error) {
	t.Helper()
	s.soon(t, 2*time.Minute, "an answer about "+mesh, func() bool {
		*tries++
		err = s.Client.Create(t.Context(), stressed(mesh, asking(key), 0))
		return err == nil || !strings.Contains(err.Error(), "cannot judge this request yet")
	})
	return err
}

// asking asks for a label.
func asking(key string) []metav1.LabelSelector {
	return []metav1.LabelSelector{{MatchLabels: map[string]string{key: "yes"}}}
}

// resident is how much memory a process has, in bytes.
func resident(t *testing.T, process *harness.Process) int {
	t.Helper()
	return ofStatus(t, process, "VmRSS:")
}
