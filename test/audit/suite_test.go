// Package audit tests the audit of the running server on a real API server: what it finds, whom it tells, and which replica runs it. The Sail operator
// and the istiods are stood in for.
package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

// limit is how long anything may take: a run after a change follows within seconds here.
const limit = 45 * time.Second

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	m.Run()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// suite is a cluster whose requests do not go through meshfence unless a test says so: what is wrong is there already.
type suite struct{ *harness.Cluster }

func newSuite(t *testing.T) *suite {
	t.Helper()
	started, err := harness.Start(t.Context(), harness.Options{})
	must(t, err)
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &suite{started}
}

// flags have the audit run soon after changes.
func flags() harness.ProcessOptions {
	return harness.ProcessOptions{Args: []string{"--audit-interval=10s", "--audit-delay=200ms"}}
}

// kubectl runs kubectl as the administrator and returns what it printed.
func (s *suite) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, stderr, err := s.RunKubectl(t.Context(), s.Dir(), args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

// apply applies a manifest.
func (s *suite) apply(t testing.TB, text string) {
	t.Helper()
	s.kubectl(t, "apply", "-f", s.file(t, text))
}

// file writes a manifest and returns where.
func (s *suite) file(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// istio is a mesh that discovers istio-discovery=NAME.
func istio(name string) string {
	return fmt.Sprintf(`
---
{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: %[1]s}, spec: {version: v1.30.3, namespace: istio-system-%[1]s, updateStrategy: {type: InPlace},
  values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: %[1]s}}]}}}}`, name)
}

// namespace has labels as in a YAML flow mapping.
func namespace(name, labels string) string {
	return fmt.Sprintf("\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}}}", name, labels)
}

// guide is the chapter of the guide, all right: two meshes, and a namespace in each.
func (s *suite) guide(t testing.TB) {
	t.Helper()
	text := ""
	for _, mesh := range []string{"mesh-1", "mesh-2"} {
		text += namespace("istio-system-"+mesh, "istio-discovery: "+mesh) + istio(mesh) + namespace("app-"+mesh, "istio-discovery: "+mesh+", istio.io/rev: "+mesh)
	}
	s.apply(t, text)
	must(t, s.Operate(t.Context()))
}

// eventually waits until a condition holds, and says what it was that did not come true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, limit, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

var series = regexp.MustCompile(`(?m)^(meshfence_(?:audit_[a-z_]+|namespaces)(?:\{[^}]*\})?) (\S+)$`)

// metrics are the audit's, by name and labels; empty if the process has none.
func metrics(t testing.TB, p *harness.Process) map[string]float64 {
	t.Helper()
	page, err := p.Metrics(t.Context())
	must(t, err)
	all := map[string]float64{}
	for _, match := range series.FindAllStringSubmatch(page, -1) {
		value, err := strconv.ParseFloat(match[2], 64)
		must(t, err)
		all[match[1]] = value
	}
	return all
}

// findings are the values of meshfence_audit_findings, by what is between the braces.
func findings(t testing.TB, p *harness.Process) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for name, value := range metrics(t, p) {
		if labels, ok := strings.CutPrefix(name, "meshfence_audit_findings{"); ok {
			all[strings.TrimSuffix(labels, "}")] = value
		}
	}
	return all
}

// hasRun reports whether a run has ended since a moment.
func hasRun(t testing.TB, p *harness.Process, since time.Time) bool {
	t.Helper()
	ended, has := metrics(t, p)["meshfence_audit_last_success_timestamp_seconds"]
	return has && (since.IsZero() || ended > float64(since.UnixMilli())/1000)
}

// installReports installs the definitions of OpenReports, as they are published.
func (s *suite) installReports(t testing.TB) {
	t.Helper()
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api").Output()
	must(t, err)
	s.kubectl(t, "apply", "--server-side", "-f", filepath.Join(strings.TrimSpace(string(folder)), "config", "crd", "openreports.io_clusterreports.yaml"))
	s.kubectl(t, "wait", "--for=condition=Established", "crd/clusterreports.openreports.io")
	must(t, s.ForgetDiscovery())
}

// reports are the stored ClusterReports, by name, read through their own Go types.
func (s *suite) reports(t testing.TB) map[string]openreports.ClusterReport {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(openreports.SchemeGroupVersion.WithKind("ClusterReportList"))
	must(t, s.Client.List(t.Context(), list))
	all := map[string]openreports.ClusterReport{}
	for i := range list.Items {
		var report openreports.ClusterReport
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(list.Items[i].Object, &report, true))
		all[report.Name] = report
	}
	return all
}

// events are those that meshfence has written, as reason, action and object.
func (s *suite) events(t testing.TB) []eventsv1.Event {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(eventsv1.SchemeGroupVersion.WithKind("EventList"))
	must(t, s.Client.List(t.Context(), list))
	var all []eventsv1.Event
	for i := range list.Items {
		var event eventsv1.Event
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &event))
		if event.ReportingController == "meshfence" {
			all = append(all, event)
		}
	}
	return all
}

// told reports whether there is an event of an action about an object, by a rule's name.
func (s *suite) told(t testing.TB, kind, name, reason, action string) bool {
	t.Helper()
	for _, event := range s.events(t) {
		if event.Regarding.Kind == kind && event.Regarding.Name == name && event.Reason == reason && event.Action == action {
			return true
		}
	}
	return false
}

// istioObject names an Istio.
func istioObject(name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("sailoperator.io/v1")
	object.SetKind("Istio")
	object.SetName(name)
	return object
}
