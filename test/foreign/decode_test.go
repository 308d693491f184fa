package foreign

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/meshfence/meshfence/test/harness"
)

// decodeAll decodes every document strictly, each by its kind, which must be known.
func decodeAll(t *testing.T, manifests []byte) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), cmapi.AddToScheme(scheme), monitoringv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	var all []runtime.Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(document, []byte("\nkind:")) {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		all = append(all, object)
	}
}

// The API server asks for NAME.NAMESPACE.svc, whatever the release is called.
func TestCertificatesAreOfCertManagersTypes(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := os.ReadFile(filepath.Join(root, "deploy", "meshfence-cert-manager.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	helm := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "tools", "helm"), "template", "fence", filepath.Join(root, "deploy", "chart"),
		"--namespace", "guards", "--skip-tests", "--set", "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true")
	var complaint strings.Builder
	helm.Stderr = &complaint
	other, err := helm.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint.String())
	}
	for host, manifests := range map[string][]byte{"meshfence.meshfence-system.svc": rendered, "fence.guards.svc": other} {
		found, issuers := 0, map[string]bool{}
		for _, object := range decodeAll(t, manifests) {
			switch object := object.(type) {
			case *cmapi.Issuer:
				issuers[object.Name] = true
			case *cmapi.Certificate:
				if object.Spec.IsCA {
					continue
				}
				found++
				if object.Spec.DNSNames[0] != host || object.Spec.PrivateKey.RotationPolicy != cmapi.RotationPolicyAlways {
					t.Errorf("the certificate for %s has the names %q, and keeps its key: %s", host, object.Spec.DNSNames, object.Spec.PrivateKey.RotationPolicy)
				}
			case *monitoringv1.PrometheusRule:
				checkAlerts(t, object.Spec.Groups)
			}
		}
		if found != 1 || len(issuers) != 2 {
			t.Errorf("%s: %d serving certificates, issuers %v", host, found, issuers)
		}
	}
}

// checkAlerts parses what Prometheus will: an alert must be a vector, of this release's own metrics only, and of the API server's about its webhooks.
func checkAlerts(t *testing.T, groups []monitoringv1.RuleGroup) {
	t.Helper()
	var rules []monitoringv1.Rule
	for _, group := range groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) != 13 {
		t.Errorf("%d alerts", len(rules))
	}
	for _, rule := range rules {
		expression, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr.StrVal)
		if err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
			continue
		}
		if expression.Type() != parser.ValueTypeVector {
			t.Errorf("%s is a %s", rule.Alert, expression.Type())
		}
		for _, selectors := range parser.ExtractSelectors(expression) {
			of := map[string]string{}
			for _, matcher := range selectors {
				of[matcher.Name] = matcher.Value
			}
			ofAPIServer := of["__name__"] == "apiserver_admission_webhook_fail_open_count" && of["name"] == ".+[.]meshfence[.]io"
			if !ofAPIServer && (of["namespace"] != "guards" || of["service"] != "fence") {
				t.Errorf("%s looks at %v", rule.Alert, selectors)
			}
		}
		if rule.For != nil {
			if _, err := model.ParseDuration(string(*rule.For)); err != nil {
				t.Errorf("%s: %v", rule.Alert, err)
			}
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" {
			t.Errorf("%s has no severity or no summary", rule.Alert)
		}
	}
}
