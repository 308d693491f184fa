// Package deploy_test checks that the rendered manifests agree with the design, with the API's types and with the code. What
// Helm makes of other values is tested in test/install.
package deploy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"go/version"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
)

// The files, by where the certificate comes from.
const (
	certManager = "meshfence-cert-manager.yaml"
	openshift   = "meshfence-openshift.yaml"
	selfSigned  = "meshfence-self-signed.yaml"
)

func files() []string { return []string{certManager, openshift, selfSigned} }

// document is one YAML document of a manifest.
type document struct {
	text []byte
	meta metav1.PartialObjectMetadata
}

func (d document) String() string {
	return strings.TrimSpace(d.meta.Kind + " " + d.meta.Namespace + "/" + d.meta.Name)
}

func documents(t *testing.T, file string) []document {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		d := document{text: text}
		if err := yaml.Unmarshal(text, &d.meta); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d.meta.Kind != "" { // Else it is the comment at the top.
			all = append(all, d)
		}
	}
}

// scheme knows every kind in the manifests but cert-manager's, which test/foreign decodes.
func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, admissionregistrationv1.AddToScheme, networkingv1.AddToScheme, flowcontrolv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// find decodes the only manifest of a kind and name, strictly.
func find[T runtime.Object](t *testing.T, file, kind, name string, into T) T {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme(t), serializer.EnableStrict).UniversalDeserializer()
	found := 0
	for _, d := range documents(t, file) {
		if d.meta.Kind != kind || d.meta.Name != name {
			continue
		}
		found++
		if _, _, err := decoder.Decode(d.text, nil, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if found != 1 {
		t.Fatalf("%s: found %d manifests of %s %s", file, found, kind, name)
	}
	return into
}

func eachFile(t *testing.T, test func(t *testing.T, file string)) {
	for _, file := range files() {
		t.Run(file, func(t *testing.T) { test(t, file) })
	}
}

func TestEveryManifestIsOfItsType(t *testing.T) {
	decoder := serializer.NewCodecFactory(scheme(t), serializer.EnableStrict).UniversalDeserializer()
	certificates := map[string][]string{
		certManager: {
			"Certificate meshfence-system/meshfence-ca", "Certificate meshfence-system/meshfence-serving",
			"Issuer meshfence-system/meshfence-self-signed", "Issuer meshfence-system/meshfence-ca",
		},
		selfSigned: {"Secret meshfence-system/meshfence-certs"},
	}
	eachFile(t, func(t *testing.T, file string) {
		var inventory []string
		for _, d := range documents(t, file) {
			inventory = append(inventory, d.String())
			if d.meta.Labels["app.kubernetes.io/name"] != "meshfence" || d.meta.Labels["app.kubernetes.io/instance"] != "meshfence" {
				t.Errorf("%s has the labels %v", d, d.meta.Labels)
			}
			if d.meta.APIVersion == "cert-manager.io/v1" {
				continue
			}
			if _, _, err := decoder.Decode(d.text, nil, nil); err != nil {
				t.Errorf("%s: %v", d, err)
			}
		}
		want := slices.Concat(certificates[file], []string{
			"Namespace /meshfence-system",
			"NetworkPolicy meshfence-system/meshfence",
			"PodDisruptionBudget meshfence-system/meshfence",
			"ResourceQuota meshfence-system/meshfence-priority",
			"ServiceAccount meshfence-system/meshfence",
			"ConfigMap meshfence-system/meshfence-configuration",
			"ClusterRole /meshfence",
			"ClusterRole /meshfence-viewer",
			"ClusterRoleBinding /meshfence",
			"Role meshfence-system/meshfence",
			"RoleBinding meshfence-system/meshfence",
			"Service meshfence-system/meshfence",
			"Deployment meshfence-system/meshfence",
			"FlowSchema /meshfence",
			"ValidatingAdmissionPolicy /meshfence",
			"ValidatingAdmissionPolicy /meshfence-owner",
			"ValidatingAdmissionPolicyBinding /meshfence",
			"ValidatingAdmissionPolicyBinding /meshfence-owner",
			"MutatingWebhookConfiguration /meshfence",
			"ValidatingWebhookConfiguration /meshfence",
		})
		if diff := gocmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(inventory))); diff != "" {
			t.Errorf("what is installed (-want +got):\n%s", diff)
		}
		last := []string{"MutatingWebhookConfiguration /meshfence", "ValidatingWebhookConfiguration /meshfence"}
		if inventory[0] != "Namespace /meshfence-system" || !slices.Equal(inventory[len(inventory)-2:], last) {
			t.Errorf("the namespace comes first and the webhook configurations last, but the order is %q", inventory)
		}
	})
}

// hook is what the two kinds of webhooks have in common, and what the design says about each.
type hook struct {
	name, path, resource, operations string
	failurePolicy                    admissionregistrationv1.FailurePolicyType
	sideEffects                      admissionregistrationv1.SideEffectClass
	timeoutSeconds                   int32
	conditions                       []admissionregistrationv1.MatchCondition
}

// objectSelectors are those of webhooks that have one.
var objectSelectors = map[string]string{"istiod.validate.meshfence.io": "istio.io/rev,!maistra-version,managed-by notin (sail-library)"}

// The table of docs/design.md, "How it fails".
func TestWebhooksFailAsDesigned(t *testing.T) {
	eachFile(t, webhooksFailAsDesigned)
}

func webhooksFailAsDesigned(t *testing.T, file string) {
	keys := config.Default().DiscoveryLabels
	validating := find(t, file, "ValidatingWebhookConfiguration", "meshfence", &admissionregistrationv1.ValidatingWebhookConfiguration{})
	mutating := find(t, file, "MutatingWebhookConfiguration", "meshfence", &admissionregistrationv1.MutatingWebhookConfiguration{})
	labels := func(expression string) []admissionregistrationv1.MatchCondition {
		return []admissionregistrationv1.MatchCondition{{Name: match.ConditionName, Expression: expression}}
	}
	const namespaces = "/v1 namespaces namespaces/status namespaces/finalize"
	want := []hook{
		{"istio.validate.meshfence.io", webhook.PathValidateIstio, "sailoperator.io/v1 istios", "CREATE UPDATE DELETE", "Fail", "NoneOnDryRun", 10, nil},
		{"istiorevision.validate.meshfence.io", webhook.PathValidateIstioRevision, "sailoperator.io/v1 istiorevisions", "CREATE UPDATE DELETE", "Fail", "NoneOnDryRun", 10, nil},
		{"istiorevisiontag.validate.meshfence.io", webhook.PathValidateIstioRevisionTag, "sailoperator.io/v1 istiorevisiontags", "CREATE UPDATE DELETE", "Fail", "None", 10, nil},
		{"meshmap.validate.meshfence.io", webhook.PathValidateMeshMap, "/v1 configmaps", "CREATE UPDATE", "Ignore", "None", 5, []admissionregistrationv1.MatchCondition{{
			Name:       "written-by-people",
			Expression: "!(object.metadata.name in ['meshfence-claims', 'istio-ca-root-cert', 'kube-root-ca.crt', 'openshift-service-ca.crt'])",
		}}},
		{"namespace.validate.meshfence.io", webhook.PathValidateNamespace, namespaces, "CREATE UPDATE", "Fail", "None", 5, labels(match.ValidateExpression(match.Scope{Keys: keys}))},
		{"istiod.validate.meshfence.io", webhook.PathValidateIstiod, "/v1 configmaps", "CREATE UPDATE DELETE", "Fail", "NoneOnDryRun", 10, []admissionregistrationv1.MatchCondition{{
			Name: match.MeshConfigName, Expression: match.MeshConfigExpression(),
		}}},
		{"namespace.fill.meshfence.io", webhook.PathMutateNamespace, namespaces, "CREATE UPDATE", "Ignore", "None", 5, labels(match.FillExpression(match.Scope{Keys: keys}))},
	}
	var got []hook
	for _, w := range validating.Webhooks {
		resource, operations := rule(t, w.Rules)
		got = append(got, hook{w.Name, *w.ClientConfig.Service.Path, resource, operations, *w.FailurePolicy, *w.SideEffects, *w.TimeoutSeconds, w.MatchConditions})
		checkCommon(t, w.Name, resource, w.ClientConfig, w.AdmissionReviewVersions, w.MatchPolicy, w.NamespaceSelector)
		if got := metav1.FormatLabelSelector(w.ObjectSelector); got != objectSelectors[w.Name] && (w.ObjectSelector != nil || objectSelectors[w.Name] != "") {
			t.Errorf("%s: has the objectSelector %s", w.Name, got)
		}
	}
	for _, w := range mutating.Webhooks {
		resource, operations := rule(t, w.Rules)
		got = append(got, hook{w.Name, *w.ClientConfig.Service.Path, resource, operations, *w.FailurePolicy, *w.SideEffects, *w.TimeoutSeconds, w.MatchConditions})
		checkCommon(t, w.Name, resource, w.ClientConfig, w.AdmissionReviewVersions, w.MatchPolicy, w.NamespaceSelector)
		if w.ObjectSelector != nil {
			t.Errorf("%s: has the objectSelector %v", w.Name, w.ObjectSelector)
		}
		if *w.ReinvocationPolicy != admissionregistrationv1.NeverReinvocationPolicy {
			t.Errorf("%s: reinvocationPolicy is %s", w.Name, *w.ReinvocationPolicy)
		}
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(hook{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	inject := map[string]map[string]string{
		certManager: {"cert-manager.io/inject-ca-from": "meshfence-system/meshfence-serving"},
		openshift:   {"service.beta.openshift.io/inject-cabundle": "true"},
		selfSigned:  {},
	}[file]
	for _, object := range []metav1.Object{validating, mutating} {
		annotations := object.GetAnnotations()
		delete(annotations, "argocd.argoproj.io/sync-wave")
		if annotations["admissions.enforcer/disabled"] != "true" {
			t.Error("AKS would change the namespaceSelectors")
		}
		delete(annotations, "admissions.enforcer/disabled")
		if diff := gocmp.Diff(inject, annotations); diff != "" {
			t.Errorf("the authority is injected by annotations (-want +got):\n%s", diff)
		}
		if object.GetLabels()["meshfence.io/part"] != "webhooks" {
			t.Error("--selector meshfence.io/part!=webhooks does not leave out the webhook configurations")
		}
	}
}

// rule returns what a webhook's only rule is about; of resources the first decides.
func rule(t *testing.T, rules []admissionregistrationv1.RuleWithOperations) (resource, operations string) {
	t.Helper()
	if len(rules) != 1 || len(rules[0].APIGroups) != 1 || len(rules[0].APIVersions) != 1 || len(rules[0].Resources) == 0 {
		t.Fatalf("want one rule, got %+v", rules)
	}
	want := admissionregistrationv1.ClusterScope
	if rules[0].Resources[0] == "configmaps" {
		want = admissionregistrationv1.NamespacedScope
	}
	if scope := cmp.Or(rules[0].Scope, new(admissionregistrationv1.ScopeType)); *scope != want {
		t.Errorf("the scope is %q", *scope)
	}
	var all []string
	for _, operation := range rules[0].Operations {
		all = append(all, string(operation))
	}
	return rules[0].APIGroups[0] + "/" + rules[0].APIVersions[0] + " " + strings.Join(rules[0].Resources, " "), strings.Join(all, " ")
}

// checkCommon checks what is the same for every webhook. Requests about Istio resources have no namespace, so only those
// about namespaces need to leave some out.
func checkCommon(t *testing.T, name, resource string, clientConfig admissionregistrationv1.WebhookClientConfig, versions []string,
	policy *admissionregistrationv1.MatchPolicyType, namespaces *metav1.LabelSelector,
) {
	t.Helper()
	service := clientConfig.Service
	if service.Namespace != "meshfence-system" || service.Name != "meshfence" || service.Port != nil || clientConfig.CABundle != nil {
		t.Errorf("%s: asks %+v", name, clientConfig)
	}
	if !slices.Equal(versions, []string{"v1"}) || *policy != admissionregistrationv1.Equivalent {
		t.Errorf("%s: reviews %q, matches by %s", name, versions, *policy)
	}
	var want *metav1.LabelSelector
	if strings.HasPrefix(resource, "/v1 namespaces") || strings.HasPrefix(name, "istiod.") {
		want = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system", "meshfence-system"}},
		}}
	}
	if strings.HasPrefix(name, "meshmap.") {
		want = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "meshfence-system"}}
	}
	if diff := gocmp.Diff(want, namespaces); diff != "" {
		t.Errorf("%s: namespaceSelector (-want +got):\n%s", name, diff)
	}
}

// defaultLine is a line of the configuration that shows a default: a # and no space.
var defaultLine = regexp.MustCompile(`(?m)^#(\S)`)

func TestTheConfigurationShowsTheDefaults(t *testing.T) {
	text := find(t, certManager, "ConfigMap", "meshfence-configuration", &corev1.ConfigMap{}).Data["config.yaml"]
	installed, err := config.Load([]byte(text), webhook.RuleCodes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(config.Default(), installed); diff != "" {
		t.Errorf("as installed (-default +got):\n%s", diff)
	}
	uncommented := defaultLine.ReplaceAllString(text, "$1")
	shown, err := config.Load([]byte(uncommented), webhook.RuleCodes())
	if err != nil {
		t.Fatalf("%v in:\n%s", err, uncommented)
	}
	if diff := gocmp.Diff(config.Default(), shown); diff != "" {
		t.Errorf("as its comments say (-default +got):\n%s", diff)
	}
	for _, name := range []string{"mode", "rules", "discoveryLabels", "exemptNamespaces", "exemptUsers", "controlPlaneNamespaces", "fillFrom", "meshMap"} {
		if !strings.Contains(uncommented, "\n"+name+":") {
			t.Errorf("the field %s is not shown", name)
		}
	}
}

// A mesh map of a name about which the API server does not ask would never be judged.
func TestNoMeshMapHasANameThatIsNotJudged(t *testing.T) {
	quoted := regexp.MustCompile(`'([^']+)'`)
	eachFile(t, func(t *testing.T, file string) {
		validating := find(t, file, "ValidatingWebhookConfiguration", "meshfence", &admissionregistrationv1.ValidatingWebhookConfiguration{})
		at := slices.IndexFunc(validating.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool {
			return w.Name == "meshmap.validate.meshfence.io"
		})
		left := quoted.FindAllStringSubmatch(validating.Webhooks[at].MatchConditions[0].Expression, -1)
		if len(left) == 0 {
			t.Fatal("the condition names no ConfigMap")
		}
		for _, name := range left {
			text := "apiVersion: meshfence.io/v1alpha1\nkind: Configuration\nmeshMap: {name: " + name[1] + "}\n"
			if _, err := config.Load([]byte(text), nil); err == nil || !strings.Contains(err.Error(), "changes of this ConfigMap are not judged") {
				t.Errorf("a mesh map may be called %s: %v", name[1], err)
			}
		}
	})
}

// A tag can be made to mean another image, a digest cannot. The tag is there for people, and for whatever proposes updates.
func TestBaseImagesAreNamedByDigest(t *testing.T) {
	from := regexp.MustCompile(`(?mi)^\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?`)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[A-Za-z0-9_.-]+@sha256:[0-9a-f]{64}$`)
	for _, file := range []string{"../Dockerfile", "olm/bundle.Dockerfile"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stages := map[string]bool{"scratch": true}
		for _, line := range from.FindAllStringSubmatch(string(text), -1) {
			if image := line[1]; !stages[image] && !pinned.MatchString(image) {
				t.Errorf("%s: FROM %s: give it a tag and the digest of the tag's index, as in golang:1.26.8@sha256:…", file, image)
			}
			stages[line[2]] = true
		}
		if len(stages) == 1 {
			t.Errorf("%s: no line begins with FROM", file)
		}
	}
}

// The image's go does not download another one (GOTOOLCHAIN=local), so it must be as new as go.mod asks for.
func TestTheBuilderIsAsNewAsGoModAsks(t *testing.T) {
	image := submatch(t, "../Dockerfile", `golang:([0-9.]+)@`)
	asked := submatch(t, "../go.mod", `(?m)^go ([0-9.]+)$`)
	if version.Compare("go"+image, "go"+asked) < 0 {
		t.Errorf("the Dockerfile builds with Go %s, go.mod asks for %s", image, asked)
	}
}

func submatch(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has nothing like %s", file, pattern)
	}
	return string(found[1])
}

func TestTheWorkloadFitsTheRest(t *testing.T) {
	eachFile(t, workloadFitsTheRest)
}

func workloadFitsTheRest(t *testing.T, file string) {
	deployment := find(t, file, "Deployment", "meshfence", &appsv1.Deployment{})
	service := find(t, file, "Service", "meshfence", &corev1.Service{})
	budget := find(t, file, "PodDisruptionBudget", "meshfence", &policyv1.PodDisruptionBudget{})
	network := find(t, file, "NetworkPolicy", "meshfence", &networkingv1.NetworkPolicy{})
	template := deployment.Spec.Template
	// An injector prefers the label; the selectors do without it, as they cannot be changed.
	for what, values := range map[string]map[string]string{"label": template.Labels, "annotation": template.Annotations} {
		if values["sidecar.istio.io/inject"] != "false" {
			t.Errorf("the pods' %s does not keep Istio's sidecar out: %v", what, values)
		}
	}
	if template.Labels["istio.io/dataplane-mode"] != "none" {
		t.Error("the pods are in ambient mode if their namespace is")
	}
	delete(template.Labels, "sidecar.istio.io/inject")
	delete(template.Labels, "istio.io/dataplane-mode")
	for what, selector := range map[string]map[string]string{
		"Deployment": deployment.Spec.Selector.MatchLabels, "Service": service.Spec.Selector, "PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
		"NetworkPolicy": network.Spec.PodSelector.MatchLabels,
	} {
		if diff := gocmp.Diff(template.Labels, selector); diff != "" {
			t.Errorf("the %s selects other pods (-pods +selector):\n%s", what, diff)
		}
	}
	container := template.Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := gocmp.Diff(map[string]int32{"webhooks": 10250, "health": 8081, "metrics": 8080}, ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	for _, rule := range network.Spec.Ingress {
		for _, p := range rule.Ports {
			delete(ports, p.Port.StrVal)
		}
	}
	if len(ports) > 0 || len(network.Spec.Egress) > 0 || !slices.Equal(network.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress"}) {
		t.Errorf("the NetworkPolicy does not let in %v, or restricts what goes out", ports)
	}
	if p := service.Spec.Ports[0]; p.Port != 443 || p.TargetPort.StrVal != "webhooks" {
		t.Errorf("the Service leads from %d to %s", p.Port, p.TargetPort.String())
	}
	// 30 seconds for requests in flight, after what preStop takes.
	if grace := *template.Spec.TerminationGracePeriodSeconds; grace < container.Lifecycle.PreStop.Sleep.Seconds+30 {
		t.Errorf("a pod is killed after %d seconds, before it has answered everything", grace)
	}
	if *deployment.Spec.Replicas < 2 || budget.Spec.MinAvailable.IntVal >= *deployment.Spec.Replicas {
		t.Errorf("%d replicas of which %s must be there: no node could be drained", *deployment.Spec.Replicas, budget.Spec.MinAvailable)
	}
	if class := template.Spec.PriorityClassName; class != "system-cluster-critical" || len(template.Spec.TopologySpreadConstraints) != 2 {
		t.Errorf("priority %q, spread by %v", class, template.Spec.TopologySpreadConstraints)
	}
	memory := container.Resources.Limits.Memory().Value()
	if want := []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: "483183820"}}; !slices.Equal(container.Env, want) || memory != 512<<20 {
		t.Errorf("with %d bytes of memory the environment is %v", memory, container.Env)
	}
	checkVolumes(t, file, template.Spec)
}

// checkVolumes checks that the program finds its files, and nothing else is mounted.
func checkVolumes(t *testing.T, file string, spec corev1.PodSpec) {
	t.Helper()
	mounts, sources := map[string]string{}, map[string]string{}
	for _, m := range spec.Containers[0].VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	for _, v := range spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			sources[v.Name] = "ConfigMap " + v.ConfigMap.Name
		case v.Secret != nil:
			sources[v.Name] = "Secret " + v.Secret.SecretName
		default:
			t.Errorf("an unknown kind of volume: %+v", v)
		}
	}
	wantMounts := map[string]string{"configuration": "/etc/meshfence", "certs": "/var/run/meshfence/certs"}
	secret := map[string]string{certManager: "Secret meshfence-serving", openshift: "Secret meshfence-service-ca"}[file]
	wantSources := map[string]string{"configuration": "ConfigMap meshfence-configuration", "certs": secret}
	if file == selfSigned {
		delete(wantMounts, "certs")
		delete(wantSources, "certs")
	}
	if diff := gocmp.Diff(wantMounts, mounts) + gocmp.Diff(wantSources, sources); diff != "" {
		t.Errorf("mounts and volumes (-want +got):\n%s", diff)
	}
}

// The Pod Security level restricted, which the namespace enforces; the user id stays open for OpenShift.
func TestTheWorkloadIsRestricted(t *testing.T) {
	eachFile(t, func(t *testing.T, file string) {
		spec := find(t, file, "Deployment", "meshfence", &appsv1.Deployment{}).Spec.Template.Spec
		yes, no := true, false
		wantPod := &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
		if diff := gocmp.Diff(wantPod, spec.SecurityContext); diff != "" {
			t.Errorf("pod (-want +got):\n%s", diff)
		}
		want := &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		if diff := gocmp.Diff(want, spec.Containers[0].SecurityContext); diff != "" {
			t.Errorf("container (-want +got):\n%s", diff)
		}
		namespace := find(t, file, "Namespace", "meshfence-system", &corev1.Namespace{})
		if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
			t.Errorf("the namespace enforces %q", got)
		}
	})
}

// What webhook/cluster says that it does (its package comment), what the audit does, what certs does, and nothing else.
func TestRights(t *testing.T) {
	wantCluster := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"sailoperator.io"}, Resources: []string{"istios", "istiorevisions", "istiorevisiontags"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"mutatingwebhookconfigurations"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"security.istio.io"}, Resources: []string{"peerauthentications"}, Verbs: []string{"list"}},
		{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways", "gatewayclasses"}, Verbs: []string{"list"}},
		{APIGroups: []string{"sailoperator.io"}, Resources: []string{"istiocnis", "ztunnels"}, Verbs: []string{"list"}},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}},
		{APIGroups: []string{"openreports.io"}, Resources: []string{"clusterreports"}, Verbs: []string{"list", "create", "update", "delete"}},
		{
			APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
			ResourceNames: []string{"meshfence"}, Verbs: []string{"get", "list", "watch", "patch"},
		},
		{
			APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
			ResourceNames: []string{"meshfence"}, Verbs: []string{"delete"},
		},
	}
	wantOwn := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"meshfence-claims", "meshfence-findings"}, Verbs: []string{"update"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{"meshfence-audit"}, Verbs: []string{"get", "update"}},
	}
	wantSecret := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"meshfence-certs"}, Verbs: []string{"get", "list", "watch", "update"}},
	}
	eachFile(t, func(t *testing.T, file string) {
		if diff := gocmp.Diff(wantCluster, find(t, file, "ClusterRole", "meshfence", &rbacv1.ClusterRole{}).Rules); diff != "" {
			t.Errorf("ClusterRole (-want +got):\n%s", diff)
		}
		want := wantOwn
		if file == selfSigned {
			want = slices.Concat(wantOwn, wantSecret)
		}
		if diff := gocmp.Diff(want, find(t, file, "Role", "meshfence", &rbacv1.Role{}).Rules); diff != "" {
			t.Errorf("Role (-want +got):\n%s", diff)
		}
	})
}
