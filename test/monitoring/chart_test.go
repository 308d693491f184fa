package monitoring

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// root is the repository.
const root = "../.."

// rendered is what the chart makes of values, as documents by kind.
func rendered(t testing.TB, values ...string) map[string][]byte {
	t.Helper()
	args := []string{"template", "meshfence", filepath.Join(root, "deploy/chart"), "--namespace", "meshfence-system", "--show-only", "templates/monitoring.yaml"}
	for _, value := range values {
		args = append(args, "--set", value)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin/tools/helm"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s (make bin/tools/helm builds it)", err, &stderr)
	}
	all := map[string][]byte{}
	for document := range bytes.SplitSeq(out, []byte("\n---\n")) {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			t.Fatal(err)
		}
		if head.Kind != "" {
			all[head.Kind] = document
		}
	}
	return all
}

// alerting renders the chart with alerts.
func alerting(values ...string) []string {
	return append([]string{"metrics.prometheusRule.enabled=true", "metrics.serviceMonitor.enabled=true"}, values...)
}

// alert is one of the chart's rules.
type alert struct {
	rulefmt.Rule
	expr parser.Expr
}

// alerts are the chart's rules by name, read as Prometheus reads them.
func alerts(t testing.TB, values ...string) map[string]alert {
	t.Helper()
	var rule struct {
		Spec any `json:"spec"`
	}
	if err := yaml.Unmarshal(rendered(t, alerting(values...)...)["PrometheusRule"], &rule); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, problems := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	all := map[string]alert{}
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			if _, twice := all[r.Alert]; twice {
				t.Errorf("there are two alerts %s", r.Alert)
			}
			all[r.Alert] = alert{r, expression(t, r.Expr)}
		}
	}
	return all
}

func expression(t testing.TB, text string) parser.Expr {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return parsed
}
