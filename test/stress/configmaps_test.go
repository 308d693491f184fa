package stress

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// giantMemory is what ConfigMaps of tenants may bring meshfence to: half of what the Deployment has.
const giantMemory = memoryLimit / 2

// giantConfigMaps has a tenant fill a namespace with ConfigMaps that meshfence is not asked about and that carry the label by which it looks for those of istiods: with large
// annotations, and with very many selectors that another program is said to manage. Meshes are judged meanwhile, and after a start.
func (s *suite) giantConfigMaps(t *testing.T) {
	options := harness.ProcessOptions{Env: s.containerEnv(t)}
	s.install(t, 1, options)
	process := s.replicas[0]
	must(t, client.IgnoreAlreadyExists(s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "junk"}})))
	t.Cleanup(func() {
		must(t, s.Client.DeleteAllOf(context.WithoutCancel(t.Context()), &corev1.ConfigMap{}, client.InNamespace("junk")))
	})
	annotations, selectors := choose(200, 400), choose(20, 40)
	large, many := strings.Repeat("x", 255<<10), "discoverySelectors: ["+strings.Repeat("{},", 300_000)+"]"
	var group errgroup.Group
	group.SetLimit(4)
	create := func(name string, labels, annotations, data map[string]string) {
		group.Go(func() error {
			junk := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "junk", Name: name, Labels: labels, Annotations: annotations}, Data: data}
			return client.IgnoreAlreadyExists(s.Client.Create(t.Context(), junk))
		})
	}
	for i := range annotations {
		create(fmt.Sprintf("junk-%d", i), map[string]string{"istio.io/rev": "x"}, map[string]string{"a": large}, nil)
	}
	for i := range selectors {
		create(fmt.Sprintf("istio-junk-%d", i), map[string]string{"istio.io/rev": "x", "managed-by": "sail-library"}, nil, map[string]string{"mesh": many})
	}
	must(t, group.Wait())
	check := func(when string) {
		t.Helper()
		tries := 0
		must(t, s.answered(t, &tries, "mesh-1", "first"))
		if err := s.answered(t, &tries, "mesh-2", "first"); classify(err) != denied {
			t.Errorf("two meshes with one selector: %v", err)
		}
		most := peak(t, process)
		count(t, "%s, with %d ConfigMaps of 255 KiB of annotations and %d of 300,000 selectors, in %d tries: %d MiB, at most %d MiB", when, annotations, selectors, tries, resident(t, process)>>20, most>>20)
		if most > giantMemory {
			t.Errorf("%s: %d MiB", when, most>>20)
		}
		must(t, s.Client.Delete(t.Context(), stressed("mesh-1", nil, 0)))
	}
	check("they came while meshfence ran")
	must(t, process.Kill())
	s.dropReplica(process)
	process = s.addReplica(t, options)
	check("meshfence was started again")
}
