package stress

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/test/harness"
)

// TestResources measures what meshfence needs in a large cluster, idle and under load, beside what the Deployment asks for. The long
// form's cluster has 100 meshes and 10,000 namespaces; docs/install.md has its numbers.
func TestResources(t *testing.T) {
	s := start(t)
	s.uninstall(t)
	must(t, s.Reset(t.Context()))
	must(t, s.InstallWorkload(t.Context()))
	meshes, namespaces := choose(10, 100), choose(300, 10000)
	istios, c := istiosOf(t, s.Config), s.newClient(t, s.Config)
	for i := range meshes {
		_, err := istios.Create(t.Context(), stressed(fmt.Sprint("mesh-", i), selecting(fmt.Sprint("mesh-", i)), 0), metav1.CreateOptions{})
		must(t, err)
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range namespaces {
		name := fmt.Sprint("mesh-", i%meshes)
		labels := map[string]string{"istio-discovery": name, "istio.io/rev": name}
		group.Go(func() error {
			return c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n-%05d", i), Labels: labels}})
		})
	}
	must(t, group.Wait())
	container := s.container(t)
	var options harness.ProcessOptions
	for _, variable := range container.Env {
		options.Env = append(options.Env, variable.Name+"="+variable.Value)
	}
	process, err := s.StartMeshfence(t.Context(), options)
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))

	span := time.Duration(choose(1, 30)) * time.Second
	used, _ := s.during(t, process, span, nil)
	count(t, "%d meshes, %d namespaces, idle: %d MiB, %.1f thousandths of a core", meshes, namespaces, peak(t, process)>>20, 1000*used.Seconds()/span.Seconds())
	used, done := s.during(t, process, span, func(ctx context.Context, i int) error {
		mesh := fmt.Sprint("mesh-", (i+1)%meshes)
		return patchLabels(ctx, c, fmt.Sprintf("n-%05d", i%namespaces), fmt.Sprintf(`{"istio-discovery":%[1]q,"istio.io/rev":%[1]q}`, mesh))
	})
	count(t, "8 clients that change mesh labels, %.0f a second: %d MiB, %.0f thousandths of a core", float64(done)/span.Seconds(), peak(t, process)>>20, 1000*used.Seconds()/span.Seconds())
	used, done = s.during(t, process, span, func(ctx context.Context, i int) error {
		body := fmt.Appendf(nil, `{"spec":{"version":"v1.30.%d"}}`, i/meshes%2)
		_, err := istios.Patch(ctx, fmt.Sprint("mesh-", i%meshes), types.MergePatchType, body, metav1.PatchOptions{})
		return err
	})
	count(t, "8 clients that change meshes, %.0f a second: %d MiB, %.0f thousandths of a core", float64(done)/span.Seconds(), peak(t, process)>>20, 1000*used.Seconds()/span.Seconds())
	if asked := container.Resources.Requests.Memory().Value(); int64(peak(t, process)) > asked {
		t.Errorf("%d MiB are more than the %d MiB that the Deployment asks for", peak(t, process)>>20, asked>>20)
	}
}

// container returns the Deployment's.
func (s *suite) container(t *testing.T) corev1.Container {
	t.Helper()
	objects, err := s.Manifests()
	must(t, err)
	for _, object := range objects {
		if deployment, ok := object.(*appsv1.Deployment); ok {
			return deployment.Spec.Template.Spec.Containers[0]
		}
	}
	t.Fatal("no Deployment")
	return corev1.Container{}
}

// during lets 8 clients make requests for a time, none if request is nil, and returns the processor time that a process has used
// and how many requests succeeded, which must be all.
func (s *suite) during(t *testing.T, process *harness.Process, span time.Duration, request func(ctx context.Context, i int) error) (used time.Duration, done int) {
	t.Helper()
	before := processorTime(t, process)
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	made := make([]int, 8)
	var group errgroup.Group
	for worker := range made {
		group.Go(func() error {
			for i := worker; ctx.Err() == nil && request != nil; i += len(made) {
				if err := request(ctx, i); err != nil && ctx.Err() == nil {
					return err
				}
				made[worker]++
			}
			return nil
		})
	}
	must(t, group.Wait())
	<-ctx.Done()
	for _, n := range made {
		done += n
	}
	return processorTime(t, process) - before, done
}

// processorTime is what a process has used of all cores, in steps of 10 ms (proc_pid_stat(5), fields 14 and 15).
func processorTime(t *testing.T, process *harness.Process) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.PID()))
	must(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	ticks := 0
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.Atoi(field)
		must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
