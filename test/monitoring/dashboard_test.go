package monitoring

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

// panel is what is looked at of one.
type panel struct {
	Title, Type, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr string }
}

func file(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/chart/dashboards/meshfence.json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func panels(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal(file(t), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// Grafana's own types, which are generated from its schema, take the dashboard: every field is known, has its type and one of its values.
func TestTheDashboardIsOneOfGrafana(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	var d dashboard.Dashboard //nolint:staticcheck // files that the sidecar loads have this version of the schema
	if err := d.UnmarshalJSONStrict(file(t)); said(err) {
		t.Fatal(err)
	}
	if err := d.Validate(); said(err) {
		t.Error(err)
	}
	// A check that cannot fail is none.
	broken := strings.Replace(string(file(t)), `"gridPos"`, `"gridPosition"`, 1)
	if err := d.UnmarshalJSONStrict([]byte(broken)); !said(err) {
		t.Error("a field that Grafana does not know is taken")
	}
}

// said reports whether there is an error: the types return an empty list of errors as one.
func said(err error) bool { return err != nil && err.Error() != "" }

// The ConfigMap that Grafana's sidecar loads has the file as it is.
func TestTheChartHasTheDashboard(t *testing.T) {
	var configMap struct {
		Metadata struct{ Labels map[string]string }
		Data     map[string]string
	}
	if err := yaml.Unmarshal(rendered(t, "metrics.dashboard.enabled=true")["ConfigMap"], &configMap); err != nil {
		t.Fatal(err)
	}
	if configMap.Metadata.Labels["grafana_dashboard"] != "1" || strings.TrimSpace(configMap.Data["meshfence.json"]) != strings.TrimSpace(string(file(t))) {
		t.Errorf("labels %v, and the file is another one", configMap.Metadata.Labels)
	}
}

// No panel lies over another one, or reaches beyond the 24 columns.
func TestPanelsHaveTheirPlaces(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range panels(t) {
		if p.Type != "row" && p.Description == "" {
			t.Errorf("%s has no description", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if before, there := taken[[2]int{x, y}]; there || x >= 24 {
					t.Fatalf("%s and %q are both at %d, %d", p.Title, before, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// shown are the expressions of the dashboard, its variables filled in.
func shown(t *testing.T) map[string]parser.Expr {
	t.Helper()
	all := map[string]parser.Expr{}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			text := strings.NewReplacer("$__rate_interval", "5m", "$namespace", "meshfence-system").Replace(target.Expr)
			if strings.Contains(text, "$") {
				t.Errorf("%s: an unknown variable in %s", p.Title, text)
			}
			all[p.Title+": "+text] = expression(t, text)
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d expressions", len(all))
	}
	return all
}

// Every metric that an alert or the dashboard looks at is on the page of a meshfence that has audited a cluster, or on the API server's, with the
// labels that are looked at.
func TestTheMetricsAreThere(t *testing.T) {
	cluster, err := harness.Start(t.Context(), harness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	pages := audited(t, cluster)
	expressions := shown(t)
	for name, a := range alerts(t) {
		expressions[name] = a.expr
	}
	for name, e := range expressions {
		for _, matchers := range parser.ExtractSelectors(e) {
			checkSelector(t, name, matchers, pages)
		}
	}
}

// audited returns the metrics pages of a meshfence that has audited a cluster with something wrong, and judged requests, and of its API server once that could not ask it.
func audited(t *testing.T, cluster *harness.Cluster) string {
	t.Helper()
	if err := cluster.InstallWorkload(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubectl := func(args ...string) {
		if _, stderr, err := cluster.RunKubectl(t.Context(), cluster.Dir(), args...); err != nil {
			t.Logf("kubectl %s: %s", strings.Join(args, " "), stderr)
		}
	}
	meshes := filepath.Join(t.TempDir(), "meshes.yaml")
	text := `{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-1}, spec: {version: v1.30.3, namespace: istio-system,
  values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}}`
	if err := os.WriteFile(meshes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl("apply", "-f", meshes)
	kubectl("create", "namespace", "shop")
	kubectl("label", "namespace", "shop", "istio.io/rev=mesh-1")
	process, err := cluster.StartMeshfence(t.Context(), harness.ProcessOptions{Args: []string{"--audit-interval=10s"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallWebhooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	kubectl("create", "namespace", "cart")
	kubectl("label", "namespace", "cart", "istio-discovery=mesh-1")                    // filled in
	kubectl("label", "namespace", "cart", "istio-discovery-")                          // and removed
	kubectl("label", "namespace", "cart", "istio.io/rev=mesh-1", "istio-discovery=no") // refused
	kubectl("annotate", "namespace", "cart", "meshfence.io/override=MF205")
	kubectl("label", "namespace", "cart", "istio.io/rev=mesh-1") // overridden
	page := ""
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		page, err = process.Metrics(ctx)
		return strings.Contains(page, "\nmeshfence_audit_findings{"), err
	})
	if err != nil {
		t.Fatalf("the audit has not run: %v", err)
	}
	if err := cluster.StopMeshfence(); err != nil {
		t.Fatal(err)
	}
	kubectl("create", "configmap", "mesh-map", "--namespace", harness.Namespace, "--from-literal=mesh-1=mesh-1") // its webhook has failurePolicy Ignore
	stdout, stderr, err := cluster.RunKubectl(t.Context(), cluster.Dir(), "get", "--raw", "/metrics")
	if err != nil {
		t.Fatal(stderr)
	}
	return page + stdout
}

// added are labels that Prometheus adds to what it reads.
var added = regexp.MustCompile(`^(namespace|service|endpoint|job|pod|__name__)$`)

func checkSelector(t *testing.T, name string, matchers []*labels.Matcher, pages string) {
	t.Helper()
	metric, wanted := "", []string{}
	for _, m := range matchers {
		switch {
		case m.Name == model.MetricNameLabel:
			metric = m.Value
		case !added.MatchString(m.Name):
			wanted = append(wanted, m.Name)
		}
	}
	if metric == "up" { // Prometheus' own
		return
	}
	line := regexp.MustCompile(`(?m)^` + metric + `(\{.*\})? `).FindString(pages)
	if line == "" {
		t.Errorf("%s: there is no %s", name, metric)
	}
	for _, label := range wanted {
		if !strings.Contains(line, label+`="`) {
			t.Errorf("%s: %s has no label %s: %s", name, metric, label, line)
		}
	}
}
