package install

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
)

func mustRoot(t *testing.T) string {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// render runs `helm template` without the pod of helm test and returns what it printed, and whether it succeeded.
func render(t *testing.T, sets ...string) (string, error) {
	t.Helper()
	return renderAll(t, append([]string{"--skip-tests"}, setFlags(sets...)...)...)
}

func setFlags(sets ...string) []string {
	var flags []string
	for _, set := range sets {
		flags = append(flags, "--set-json", set)
	}
	return flags
}

// renderAll runs `helm template` with these flags.
func renderAll(t *testing.T, flags ...string) (string, error) {
	t.Helper()
	root := mustRoot(t)
	args := append([]string{"template", "meshfence", filepath.Join(root, "deploy", "chart"), "--namespace", "meshfence-system"}, flags...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "tools", "helm"), args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// documents are the manifests by kind; of a kind that is there twice, the last.
func documents(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		manifest := map[string]any{}
		if err := yaml.Unmarshal([]byte(document), &manifest); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if kind, ok := manifest["kind"].(string); ok {
			all[kind] = manifest
		}
	}
	return all
}

// What a value changes, by a line of the manifests. An empty line means that the kind is not there at all.
func TestValues(t *testing.T) {
	for _, test := range []struct{ set, kind, want string }{
		{`resources={"limits":{"cpu":"1500m","memory":"1Gi"}}`, "Deployment", `{"name":"GOMEMLIMIT","value":"966367641"},{"name":"GOMAXPROCS","value":"2"}`},
		{`resources={"limits":{"cpu":2,"memory":"1000M"}}`, "Deployment", `{"name":"GOMEMLIMIT","value":"900000000"},{"name":"GOMAXPROCS","value":"2"}`},
		{`{"resources":null,"extraEnv":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}`, "Deployment", `"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]`},
		{`dnsPolicy="Default"`, "Deployment", `"dnsPolicy":"Default"`},
		{`dnsPolicy=null`, "Deployment", `"serviceAccountName":"meshfence"`},
		{`mode="warn"`, "ConfigMap", `\nmode: warn\n`},
		{`configMap.create=false`, "ConfigMap", ""},
		{`configMap.create=false`, "Deployment", `{"configMap":{"name":"meshfence-configuration","optional":true},"name":"configuration"}`},
		{`configMap.create=false`, "Deployment", `"--config-optional"`},
		{`config={"rules":{"MF103":"warn"},"exemptUsers":[]}`, "ConfigMap", `\nexemptUsers: []\n`},
		// As docs/install.md says for clusters other than OpenShift.
		{`config={"exemptNamespaces":["kube-system","kube-public","kube-node-lease"]}`, "ConfigMap", `\nexemptNamespaces:\n- kube-system\n- kube-public\n- kube-node-lease\n`},
		{`rollout.namespaceSelector={"matchLabels":{"try":"yes"}}`, "ValidatingWebhookConfiguration", `"matchLabels":{"try":"yes"}`},
		{`webhooks.enabled=false`, "ValidatingWebhookConfiguration", ""},
		{`webhooks.failurePolicy="Ignore"`, "ValidatingWebhookConfiguration", `"failurePolicy":"Ignore"`},
		{`networkPolicy={"enabled":false}`, "NetworkPolicy", ""},
		{`networkPolicy={"restrictEgress":true}`, "NetworkPolicy", `"egress":[{"ports":[{"port":443},{"port":6443}]}]`},
		{`podDisruptionBudget={"enabled":false}`, "PodDisruptionBudget", ""},
		{`replicas=1`, "PodDisruptionBudget", ""},
		{`priorityQuota=true`, "ResourceQuota", `"hard":{"pods":"4"}`},
		{`resources.limits.memory=1073741824`, "Deployment", `{"name":"GOMEMLIMIT","value":"966367641"}`},
		{`rollout.namespaceSelector={"matchExpressions":[{"key":"try","operator":"In","values":["true","1"]}]}`, "ValidatingWebhookConfiguration", `"values":["true","1"]`},
		// null is how `helm upgrade --reset-then-reuse-values` is told to forget a value.
		{`rollout.namespaceSelector=null`, "ValidatingWebhookConfiguration", `"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","meshfence-system"]}]}`},
		{`config=null`, "ConfigMap", `\n#rules: {}\n`},
		{`resources=null`, "Deployment", `"securityContext":`},
		{`podLabels=null`, "Deployment", `"replicas":2`},
		{`podLabels={"team":"mesh"}`, "Deployment", `"istio.io/dataplane-mode":"none","sidecar.istio.io/inject":"false","team":"mesh"`},
		{`podAnnotations={"team":"mesh"}`, "Deployment", `"sidecar.istio.io/inject":"false","team":"mesh"`},
		{`serviceAccount.annotations=null`, "ServiceAccount", `"name":"meshfence"`},
		{`priorityClassName=""`, "Deployment", `"replicas":2`},
		{`priorityClassName=null`, "Deployment", `"replicas":2`},
		{`certs.certManager.issuerRef=null`, "Certificate", `"issuerRef":{"group":"cert-manager.io","kind":"Issuer","name":"meshfence-ca"}`},
		{`fullnameOverride="fence"`, "Service", `"name":"fence"`},
		{`image={"digest":"sha256:` + strings.Repeat("a", 64) + `"}`, "Deployment", `"image":"ghcr.io/meshfence/meshfence@sha256:aaaa`},
		{`certs={"mode":"cert-manager","certManager":{"issuerRef":{"kind":"ClusterIssuer","name":"internal"}}}`, "Issuer", ""},
		{`certs={"mode":"cert-manager","certManager":{"issuerRef":{"kind":"ClusterIssuer","name":"internal"}}}`, "Certificate", `"issuerRef":{"group":"cert-manager.io","kind":"ClusterIssuer","name":"internal"}`},
		{`clientCA={"secret":"api-server","key":"tls.crt"}`, "Deployment", `"--client-ca=/var/run/meshfence/client-ca/tls.crt"`},
		{`clientCA={"secret":"api-server","key":"tls.crt"}`, "Deployment", `{"name":"client-ca","secret":{"secretName":"api-server"}}`},
		{`accountPolicy.enabled=false`, "ValidatingAdmissionPolicy", ""},
		{`accountPolicy.enabled=false`, "ValidatingAdmissionPolicyBinding", ""},
		{`fullnameOverride="fence"`, "ValidatingAdmissionPolicy", `"request.userInfo.username == 'system:serviceaccount:meshfence-system:fence'"`},
		{`webhooks.enabled=false`, "ValidatingAdmissionPolicy", `"name":"meshfence-owner"`},
		{`webhooks.deletedWithNamespace=false`, "Deployment", `"--deleted-with-namespace=false"`},
		{`flowSchema.enabled=false`, "FlowSchema", ""},
		{`flowSchema.priorityLevel="meshes"`, "FlowSchema", `"priorityLevelConfiguration":{"name":"meshes"}`},
		{`metrics.serviceMonitor.enabled=true`, "ServiceMonitor", `"interval":"30s"`},
	} {
		t.Run(test.set, func(t *testing.T) {
			t.Parallel()
			text, err := render(t, test.set)
			if err != nil {
				t.Fatal(text)
			}
			manifest, found := documents(t, text)[test.kind]
			shown, err := yaml.Marshal(manifest)
			if err != nil {
				t.Fatal(err)
			}
			json, err := yaml.YAMLToJSON(shown)
			if err != nil {
				t.Fatal(err)
			}
			if found == (test.want == "") || !strings.Contains(string(json), test.want) {
				t.Errorf("%s lacks %s:\n%s", test.kind, test.want, json)
			}
		})
	}
}

// A misspelt or impossible value is refused by the schema.
func TestWrongValues(t *testing.T) {
	for _, set := range []string{
		`replica=3`, `replicas=0`, `mode="on"`, `certs.mode="letsencrypt"`, `webhooks.meshTimeoutSeconds=31`, `config={"mode":"warn"}`,
		`config={"rules":{"MF103":"maybe"}}`, `config={"discoveryLabels":["not'a'key"]}`, `resources={"limits":{"memory":"lots"}}`, `metrics.prometheusRule.latencySeconds=0.2`,
		`config.rule={"MF103":"warn"}`, `config.meshMap.nam="x"`, `config.meshMap.name="istio-ca-root-cert"`, `certs.certManager.issuerRef={"kind":"ClusterIssuer"}`,
		`clientCA={"secret":"a","configMap":"b"}`, `clientCA.key=""`,
		`port=443`, `port="9443"`, `healthPort=0`, `metricsPort=65536`, `port=null`, `configMap=null`, `configMap.create=null`, `webhooks.deletedWithNamespace=null`, `hostNetwork=null`, `hostNetwork="true"`, `dnsPolicy="None"`, `extraEnv=[{"value":"b"}]`, `extraEnv={"A":"b"}`,
		`extraArgs=["--metrics-bind-address=:9999"]`, `extraArgs=["--name=other"]`, `image.repository="registry/meshfence:v1"`, `image.repository="registry/meshfence@sha256:aa"`, `image.repository=""`,
		`podDisruptionBudget.minAvailable="abc"`, `podDisruptionBudget.minAvailable=-1`, `podDisruptionBudget.minAvailable="50.5%"`,
		`extraArgs=["--bind-address=:9443"]`, `extraArgs=["--health-bind-address","0"]`,
		// null takes a value away, with all that is in it.
		`image=null`, `replicas=null`, `mode=null`, `certs=null`, `clientCA=null`, `webhooks=null`, `rollout=null`, `namespace=null`, `serviceAccount=null`,
		`priorityQuota=null`, `podDisruptionBudget=null`, `accountPolicy=null`, `flowSchema=null`, `flowSchema.priorityLevel=""`, `networkPolicy=null`, `metrics=null`, `log=null`, `certs.certManager=null`, `certs.selfSigned=null`,
		`metrics.serviceMonitor=null`, `metrics.prometheusRule=null`, `log.level=null`, `webhooks.enabled=null`, `networkPolicy.enabled=null`,
		`certs.certManager.duration=null`, `clientCA.key=null`, `namespace.create=null`, `networkPolicy.apiServerPorts=null`, `podDisruptionBudget.minAvailable=null`,
		`rollout.namespaceSelector={"matchExpressions":[{"key":"try","operator":"In"}]}`, `rollout.namespaceSelector={"matchExpressions":[{"key":"try","operator":"Exists","values":["x"]}]}`,
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			if text, err := render(t, set); err == nil || !strings.Contains(text, "values don't meet the specifications of the schema") {
				t.Errorf("%v\n%.500s", err, text)
			}
		})
	}
}

// What the schema cannot say is refused by the templates.
func TestImpossibleValues(t *testing.T) {
	for set, want := range map[string]string{
		`fullnameOverride=""`:                                         "", // The release's own name, meshfence, will do.
		`podDisruptionBudget.minAvailable=2`:                          "podDisruptionBudget.minAvailable is 2 of 2 replicas: no node with one of them could ever be drained",
		`podDisruptionBudget.minAvailable="100%"`:                     "podDisruptionBudget.minAvailable is 100% of 2 replicas",
		`podDisruptionBudget.minAvailable="50%"`:                      "",
		`podDisruptionBudget.minAvailable="51%"`:                      "podDisruptionBudget.minAvailable is 51% of 2 replicas", // Kubernetes rounds up.
		`{"podDisruptionBudget":{"minAvailable":"67%"},"replicas":3}`: "podDisruptionBudget.minAvailable is 67% of 3 replicas",
		`{"podDisruptionBudget":{"minAvailable":"66%"},"replicas":3}`: "",
		`hostNetwork=true`:                                            "hostNetwork and port 10250: that is the kubelet's on every node; choose another one, as in --set port=9443",
		`{"hostNetwork":true,"port":9443}`:                            "",
		`{"configMap":{"create":false},"mode":"warn"}`:                "configMap.create=false leaves nothing in which mode and config could be: write them into a ConfigMap meshfence-configuration of your own",
		`{"configMap":{"create":false},"config":{}}`:                  "",
		`port=8080`: "port, healthPort and metricsPort are 8080, 8081 and 8080: no two of them can be the same",
		`extraEnv=[{"name":"GOMEMLIMIT","value":"1"}]`:                                 "extraEnv cannot set GOMEMLIMIT: the chart sets it from resources.limits",
		`{"resources":{"limits":null},"extraEnv":[{"name":"GOMEMLIMIT","value":"1"}]}`: "",
		`image.repository="localhost:5000/team/meshfence"`:                             "",
		`enabled=true`:                                              "", // Of a chart that has this one as a dependency, with condition: meshfence.enabled.
		`global={"imageRegistry":"example.com"}`:                    "",
		`podLabels={"istio.io/dataplane-mode":"ambient"}`:           "podLabels cannot set istio.io/dataplane-mode, which the chart sets",
		`webhooks.labels={"meshfence.io/part":"mine"}`:              "webhooks.labels cannot set meshfence.io/part, which the chart sets",
		`webhooks.annotations={"argocd.argoproj.io/sync-wave":"9"}`: "webhooks.annotations cannot set argocd.argoproj.io/sync-wave, which the chart sets",

		`certs.certManager.renewBefore="2160h"`:                            "certs.certManager.renewBefore is 2160h, and certs.certManager.duration 2160h: a certificate must be renewed before it ends, but not at once",
		`certs.certManager={"duration":"1h30m","renewBefore":"5400s"}`:     "certs.certManager.renewBefore is 5400s",
		`certs.certManager={"duration":"1h30m","renewBefore":"1h29m59s"}`:  "",
		`certs.certManager.caDuration="2159h"`:                             "certs.certManager.duration is 2160h, and certs.certManager.caDuration 2159h: a certificate must not end after its authority",
		`certs.certManager={"caDuration":"1h","issuerRef":{"name":"own"}}`: "",
		`certs={"mode":"self-signed","selfSigned":{"caDuration":"6479h"}}`: "certs.selfSigned.duration is 2160h, and certs.selfSigned.caDuration 6479h: the authority must last at least three times as long as the certificate",
		`certs={"mode":"self-signed","selfSigned":{"caDuration":"6480h"}}`: "",

		`certs.certManager={"duration":"59m59s","renewBefore":"5m"}`:                  "certs.certManager.duration is 59m59s: cert-manager wants at least 1h",
		`certs.certManager={"duration":"1h","renewBefore":"299s"}`:                    "certs.certManager.renewBefore is 299s: cert-manager wants at least 5m",
		`certs.certManager={"duration":"60m","renewBefore":"300s","caDuration":"1h"}`: "",
		`certs={"mode":"self-signed","selfSigned":{"duration":"59s"}}`:                "certs.selfSigned.duration is 59s: meshfence wants at least 1m",
		`certs={"mode":"self-signed","selfSigned":{"duration":"60s"}}`:                "",
		`certs={"mode":"self-signed","certManager":{"duration":"1s"}}`:                "", // Not in use.

		`podLabels={"app.kubernetes.io/name":"mine"}`:                                            "podLabels cannot set app.kubernetes.io/name, which the chart sets",
		`podLabels={"app.kubernetes.io/component":"mine"}`:                                       "",
		`podLabels={"sidecar.istio.io/inject":"true"}`:                                           "podLabels cannot set sidecar.istio.io/inject, which the chart sets",
		`podLabels={"istio.io/rev":"mesh-1"}`:                                                    "podLabels cannot set istio.io/rev: meshfence must not depend on a mesh that it guards",
		`podAnnotations={"sidecar.istio.io/inject":"true"}`:                                      "podAnnotations cannot set sidecar.istio.io/inject, which the chart sets",
		`metrics.serviceMonitor={"enabled":true,"labels":{"app.kubernetes.io/instance":"mine"}}`: "metrics.serviceMonitor.labels cannot set app.kubernetes.io/instance, which the chart sets",
		`metrics.prometheusRule={"enabled":true,"labels":{"release":"mine"}}`:                    "",
	} {
		if text, err := render(t, set); (err == nil) != (want == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %v\n%.500s", set, err, text)
		}
	}
	helm := exec.CommandContext(t.Context(), filepath.Join(mustRoot(t), "bin", "tools", "helm"), "template", "mesh.fence", filepath.Join(mustRoot(t), "deploy", "chart"))
	if text, err := helm.CombinedOutput(); err == nil || !strings.Contains(string(text), `"mesh.fence" cannot be the name of a Service; choose one with --set fullnameOverride=NAME`) {
		t.Errorf("a release that is called mesh.fence: %v\n%.500s", err, text)
	}
}

// In kube-system the class is allowed anyway, and a quota would count the cluster's own pods of the class.
func TestThereIsNoQuotaInKubeSystem(t *testing.T) {
	for _, namespace := range []string{"kube-system", "meshfence-system"} {
		text, err := renderAll(t, "--namespace", namespace)
		if _, there := documents(t, text)["ResourceQuota"]; err != nil || there != (namespace != "kube-system") {
			t.Errorf("%s: a quota is there: %t, %v", namespace, there, err)
		}
	}
}

// With other discovery labels than the default's, the conditions are wide until meshfence has narrowed them.
func TestConditionsOfOtherLabels(t *testing.T) {
	type expressions struct{ validate, fill string }
	asked := match.Scope{Keys: config.Default().DiscoveryLabels}
	defaults := expressions{match.ValidateExpression(asked), match.FillExpression(asked)}
	wide := expressions{match.ValidateAnyLabel(), match.FillAnyLabel()}
	for _, test := range []struct {
		keys []string
		want expressions
	}{
		{[]string{"team.example.com/mesh"}, wide}, {[]string{"z", "a", "istio.io/rev"}, wide}, {[]string{"true", "mesh"}, wide},
		{[]string{}, defaults}, {[]string{"istio-discovery"}, defaults}, {[]string{"mesh", "istio-discovery"}, defaults}, {[]string{"istio.io/rev"}, defaults},
	} {
		list := "[]"
		if len(test.keys) > 0 {
			list = `["` + strings.Join(test.keys, `","`) + `"]`
		}
		text, err := render(t, `config={"discoveryLabels":`+list+`}`)
		if err != nil {
			t.Fatal(text)
		}
		all := documents(t, text)
		got := expressions{meshLabels(t, all["ValidatingWebhookConfiguration"]), meshLabels(t, all["MutatingWebhookConfiguration"])}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(expressions{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.keys, diff)
		}
		file := all["ConfigMap"]["data"].(map[string]any)["config.yaml"].(string)
		loaded, err := config.Load([]byte(file), webhook.RuleCodes())
		if err != nil || strings.Join(loaded.DiscoveryLabels, " ") != strings.Join(test.keys, " ") {
			t.Errorf("%q: %v in\n%s", test.keys, err, file)
		}
	}
}

// meshLabels returns the expression of the only condition of that name.
func meshLabels(t *testing.T, configuration map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	c := admissionregistrationv1.ValidatingWebhookConfiguration{} // both kinds have the same fields, as far as they are looked at
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, webhook := range c.Webhooks {
		for _, condition := range webhook.MatchConditions {
			if condition.Name == match.ConditionName {
				found = append(found, condition.Expression)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d conditions of that name in\n%s", len(found), text)
	}
	return found[0]
}

// alerted finds the metrics in the alerts' expressions.
var alerted = regexp.MustCompile(`\b(?:meshfence_[a-z_]+|controller_runtime_[a-z_]+)\b`)

// metricsAreThere checks that every metric that an alert looks at is on the metrics page of a pod that has judged something.
func (w *world) metricsAreThere() {
	w.t.Helper()
	// Of the audit there are metrics once it has found something: test/monitoring looks at those.
	text, err := render(w.t, `{"metrics":{"prometheusRule":{"enabled":true}},"audit":{"enabled":false}}`)
	w.do("render the alerts", err)
	rule, err := yaml.Marshal(documents(w.t, text)["PrometheusRule"])
	w.do("read the alerts", err)
	var pages strings.Builder
	for _, process := range w.Node.Ready(client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}) {
		page, err := process.Metrics(w.t.Context())
		w.do("read the metrics", err)
		pages.WriteString(page)
	}
	names := alerted.FindAllString(string(rule), -1)
	for _, name := range names {
		if !strings.Contains(pages.String(), "\n"+name) {
			w.t.Errorf("an alert looks at %s, which is not there", name)
		}
	}
	for _, seconds := range []string{"0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5"} {
		if !strings.Contains(pages.String(), `le="`+seconds+`"`) {
			w.t.Errorf("the schema allows latencySeconds=%s, but there is no such bucket", seconds)
		}
	}
	if len(names) < 4 {
		w.t.Errorf("the alerts look at %q only", names)
	}
}
