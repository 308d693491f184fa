// Package deploy_test checks that the manifests agree with the design, with the API's types and with the code.
package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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

// document is one YAML document of a manifest.
type document struct {
	file string
	text []byte
	meta metav1.PartialObjectMetadata
}

func documents(t *testing.T) []document {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	var all []document
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			text, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			d := document{file: file, text: text}
			if err := yaml.Unmarshal(text, &d.meta); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, d)
		}
	}
	return all
}

// scheme knows every kind in the manifests but cert-manager's.
func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, admissionregistrationv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// find decodes the only manifest of a kind and name, strictly.
func find[T runtime.Object](t *testing.T, kind, name string, into T) T {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme(t), serializer.EnableStrict).UniversalDeserializer()
	found := 0
	for _, d := range documents(t) {
		if d.meta.Kind != kind || d.meta.Name != name {
			continue
		}
		found++
		if _, _, err := decoder.Decode(d.text, nil, into); err != nil {
			t.Fatalf("%s: %v", d.file, err)
		}
	}
	if found != 1 {
		t.Fatalf("found %d manifests of %s %s", found, kind, name)
	}
	return into
}

func TestEveryManifestIsOfItsType(t *testing.T) {
	decoder := serializer.NewCodecFactory(scheme(t), serializer.EnableStrict).UniversalDeserializer()
	var inventory []string
	for _, d := range documents(t) {
		inventory = append(inventory, d.meta.Kind+" "+d.meta.Namespace+"/"+d.meta.Name)
		if d.meta.Labels["app.kubernetes.io/name"] != "meshfence" {
			t.Errorf("%s: %s %s lacks the label app.kubernetes.io/name: meshfence", d.file, d.meta.Kind, d.meta.Name)
		}
		if d.meta.APIVersion == "cert-manager.io/v1" {
			continue // An API of its own, see TestCertificate.
		}
		if _, _, err := decoder.Decode(d.text, nil, nil); err != nil {
			t.Errorf("%s: %v", d.file, err)
		}
	}
	want := []string{
		"Namespace /meshfence-system",
		"Issuer meshfence-system/meshfence-self-signed",
		"Certificate meshfence-system/meshfence-ca",
		"Issuer meshfence-system/meshfence-ca",
		"Certificate meshfence-system/meshfence-serving",
		"ConfigMap meshfence-system/meshfence-configuration",
		"ServiceAccount meshfence-system/meshfence",
		"ClusterRole /meshfence",
		"ClusterRoleBinding /meshfence",
		"Role meshfence-system/meshfence",
		"RoleBinding meshfence-system/meshfence",
		"ValidatingWebhookConfiguration /meshfence",
		"MutatingWebhookConfiguration /meshfence",
		"Service meshfence-system/meshfence",
		"Deployment meshfence-system/meshfence",
		"PodDisruptionBudget meshfence-system/meshfence",
	}
	if diff := cmp.Diff(want, inventory); diff != "" {
		t.Errorf("what is installed, in this order (-want +got):\n%s", diff)
	}
}

// hook is what the two kinds of webhooks have in common, and what the design says about each.
type hook struct {
	name, path, resource string
	failurePolicy        admissionregistrationv1.FailurePolicyType
	sideEffects          admissionregistrationv1.SideEffectClass
	timeoutSeconds       int32
	conditions           []admissionregistrationv1.MatchCondition
}

// The table of DESIGN, section 9, as far as there are rules for it.
func TestWebhooksFailAsDesigned(t *testing.T) {
	keys := config.Default().DiscoveryLabels
	validating := find(t, "ValidatingWebhookConfiguration", "meshfence", &admissionregistrationv1.ValidatingWebhookConfiguration{})
	mutating := find(t, "MutatingWebhookConfiguration", "meshfence", &admissionregistrationv1.MutatingWebhookConfiguration{})
	want := []hook{
		{"istio.validate.meshfence.io", webhook.PathValidateIstio, "sailoperator.io/v1 istios", "Fail", "NoneOnDryRun", 10, nil},
		{"istiorevision.validate.meshfence.io", webhook.PathValidateIstioRevision, "sailoperator.io/v1 istiorevisions", "Fail", "NoneOnDryRun", 10, nil},
		{"istiorevisiontag.validate.meshfence.io", webhook.PathValidateIstioRevisionTag, "sailoperator.io/v1 istiorevisiontags", "Fail", "None", 10, nil},
		{"meshmap.validate.meshfence.io", webhook.PathValidateMeshMap, "/v1 configmaps", "Ignore", "None", 5, []admissionregistrationv1.MatchCondition{{
			Name:       "written-by-people",
			Expression: "!(object.metadata.name in ['meshfence-claims', 'istio-ca-root-cert', 'kube-root-ca.crt', 'openshift-service-ca.crt'])",
		}}},
		{"namespace.validate.meshfence.io", webhook.PathValidateNamespace, "/v1 namespaces", "Fail", "None", 5, []admissionregistrationv1.MatchCondition{
			{Name: match.ConditionName, Expression: match.ValidateExpression(keys)},
		}},
		{"namespace.fill.meshfence.io", webhook.PathMutateNamespace, "/v1 namespaces", "Ignore", "None", 5, []admissionregistrationv1.MatchCondition{
			{Name: match.ConditionName, Expression: match.FillExpression(keys)},
			{Name: match.FillableConditionName, Expression: match.FillableExpression()},
		}},
	}
	var got []hook
	for _, w := range validating.Webhooks {
		got = append(got, hook{w.Name, *w.ClientConfig.Service.Path, resource(t, w.Rules), *w.FailurePolicy, *w.SideEffects, *w.TimeoutSeconds, w.MatchConditions})
		checkCommon(t, w.Name, w.ClientConfig, w.AdmissionReviewVersions, w.MatchPolicy, w.NamespaceSelector, w.ObjectSelector)
	}
	for _, w := range mutating.Webhooks {
		got = append(got, hook{w.Name, *w.ClientConfig.Service.Path, resource(t, w.Rules), *w.FailurePolicy, *w.SideEffects, *w.TimeoutSeconds, w.MatchConditions})
		checkCommon(t, w.Name, w.ClientConfig, w.AdmissionReviewVersions, w.MatchPolicy, w.NamespaceSelector, w.ObjectSelector)
		if *w.ReinvocationPolicy != admissionregistrationv1.NeverReinvocationPolicy {
			t.Errorf("%s: reinvocationPolicy is %s", w.Name, *w.ReinvocationPolicy)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hook{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, object := range []metav1.Object{validating, mutating} {
		if got, want := object.GetAnnotations()["cert-manager.io/inject-ca-from"], "meshfence-system/meshfence-serving"; got != want {
			t.Errorf("the CA is injected from %q, want %q", got, want)
		}
	}
}

// resource returns what a webhook's only rule is about. The deletion of what meshes consist of is judged; that of a namespace
// or of the mesh map puts nothing into two meshes.
func resource(t *testing.T, rules []admissionregistrationv1.RuleWithOperations) string {
	t.Helper()
	if len(rules) != 1 || len(rules[0].APIGroups) != 1 || len(rules[0].APIVersions) != 1 || len(rules[0].Resources) != 1 {
		t.Fatalf("want one rule with one resource, got %+v", rules)
	}
	want := admissionregistrationv1.RuleWithOperations{Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE"}, Rule: rules[0].Rule}
	scope := admissionregistrationv1.ClusterScope
	if rules[0].Resources[0] == "configmaps" {
		scope = admissionregistrationv1.NamespacedScope
	}
	want.Scope = &scope
	if rules[0].APIGroups[0] == "sailoperator.io" {
		want.Operations = append(want.Operations, "DELETE")
	}
	if diff := cmp.Diff(want, rules[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	return rules[0].APIGroups[0] + "/" + rules[0].APIVersions[0] + " " + rules[0].Resources[0]
}

// checkCommon checks what is the same for every webhook. Requests about Istio resources have no namespace, so only those
// about namespaces need to leave some out, and those about ConfigMaps are only those of our own.
func checkCommon(t *testing.T, name string, clientConfig admissionregistrationv1.WebhookClientConfig, versions []string,
	policy *admissionregistrationv1.MatchPolicyType, namespaces, objects *metav1.LabelSelector,
) {
	t.Helper()
	service := clientConfig.Service
	if service.Namespace != "meshfence-system" || service.Name != "meshfence" || service.Port != nil || clientConfig.CABundle != nil {
		t.Errorf("%s: asks %+v", name, clientConfig)
	}
	if !slices.Equal(versions, []string{"v1"}) || *policy != admissionregistrationv1.Equivalent || objects != nil {
		t.Errorf("%s: reviews %q, matches by %s, selects objects by %v", name, versions, *policy, objects)
	}
	var want *metav1.LabelSelector
	if strings.HasPrefix(name, "meshmap.") {
		want = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "meshfence-system"}}
	}
	if strings.HasPrefix(name, "namespace.") {
		want = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system", "meshfence-system"}},
		}}
	}
	if diff := cmp.Diff(want, namespaces); diff != "" {
		t.Errorf("%s: namespaceSelector (-want +got):\n%s", name, diff)
	}
}

// defaultLine is a line of the configuration that shows a default: a # and no space.
var defaultLine = regexp.MustCompile(`(?m)^#(\S)`)

func TestTheConfigurationShowsTheDefaults(t *testing.T) {
	text := find(t, "ConfigMap", "meshfence-configuration", &corev1.ConfigMap{}).Data["config.yaml"]
	installed, err := config.Load([]byte(text), webhook.RuleCodes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), installed); diff != "" {
		t.Errorf("as installed (-default +got):\n%s", diff)
	}
	uncommented := defaultLine.ReplaceAllString(text, "$1")
	shown, err := config.Load([]byte(uncommented), webhook.RuleCodes())
	if err != nil {
		t.Fatalf("%v in:\n%s", err, uncommented)
	}
	if diff := cmp.Diff(config.Default(), shown); diff != "" {
		t.Errorf("as its comments say (-default +got):\n%s", diff)
	}
	for _, name := range []string{"mode", "rules", "discoveryLabels", "exemptNamespaces", "exemptUsers", "controlPlaneNamespaces", "fillFrom", "meshMap"} {
		if !strings.Contains(uncommented, "\n"+name+":") {
			t.Errorf("the field %s is not shown", name)
		}
	}
}

// Every document about cert-manager must ask for what the rest relies on.
func TestCertificate(t *testing.T) {
	type reference struct{ Group, Kind, Name string }
	type spec struct {
		SecretName  string
		DNSNames    []string
		IsCA        bool
		SelfSigned  *struct{}
		CA          *struct{ SecretName string }
		CommonName  string
		Usages      []string
		Duration    string
		RenewBefore string
		IssuerRef   reference
		PrivateKey  struct {
			Algorithm, RotationPolicy string
			Size                      int
		}
	}
	got := map[string]spec{}
	for _, d := range documents(t) {
		if d.file != "certificate.yaml" {
			continue
		}
		var object struct {
			metav1.PartialObjectMetadata
			Spec spec
		}
		if err := yaml.UnmarshalStrict(d.text, &object); err != nil {
			t.Fatal(err)
		}
		got[d.meta.Kind+" "+d.meta.Name] = object.Spec
	}
	serving, ca, issuer := got["Certificate meshfence-serving"], got["Certificate meshfence-ca"], got["Issuer meshfence-ca"]
	service := find(t, "Service", "meshfence", &corev1.Service{})
	host := service.Name + "." + service.Namespace + ".svc"
	if diff := cmp.Diff([]string{host, host + ".cluster.local"}, serving.DNSNames); diff != "" {
		t.Errorf("the API server asks for %s (-want +got):\n%s", host, diff)
	}
	if serving.SecretName != "meshfence-certs" || serving.IsCA || serving.IssuerRef != (reference{"cert-manager.io", "Issuer", "meshfence-ca"}) {
		t.Errorf("the serving certificate is %+v", serving)
	}
	if !ca.IsCA || issuer.CA == nil || issuer.CA.SecretName != ca.SecretName || ca.IssuerRef != (reference{"cert-manager.io", "Issuer", "meshfence-self-signed"}) {
		t.Errorf("the CA is %+v, its issuer %+v", ca, issuer)
	}
	if got["Issuer meshfence-self-signed"].SelfSigned == nil {
		t.Error("the CA does not sign itself")
	}
	for name, s := range map[string]spec{"serving": serving, "ca": ca} {
		if s.PrivateKey.RotationPolicy != "Always" {
			t.Errorf("%s: a renewed certificate keeps its old key", name)
		}
	}
}

func TestTheWorkloadFitsTheRest(t *testing.T) {
	deployment := find(t, "Deployment", "meshfence", &appsv1.Deployment{})
	service := find(t, "Service", "meshfence", &corev1.Service{})
	budget := find(t, "PodDisruptionBudget", "meshfence", &policyv1.PodDisruptionBudget{})
	template := deployment.Spec.Template
	for what, selector := range map[string]map[string]string{
		"Deployment": deployment.Spec.Selector.MatchLabels, "Service": service.Spec.Selector, "PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
	} {
		if diff := cmp.Diff(template.Labels, selector); diff != "" {
			t.Errorf("the %s selects other pods (-pods +selector):\n%s", what, diff)
		}
	}
	container := template.Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"webhooks": 9443, "health": 8081, "metrics": 8080}, ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
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
	mounts := map[string]string{}
	for _, m := range container.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	if diff := cmp.Diff(map[string]string{"configuration": "/etc/meshfence", "certs": "/var/run/meshfence/certs"}, mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if v := template.Spec.Volumes; v[0].ConfigMap.Name != "meshfence-configuration" || v[1].Secret.SecretName != "meshfence-certs" {
		t.Errorf("volumes are %+v", v)
	}
}

// The Pod Security level restricted, which the namespace enforces; the user id stays open for OpenShift.
func TestTheWorkloadIsRestricted(t *testing.T) {
	spec := find(t, "Deployment", "meshfence", &appsv1.Deployment{}).Spec.Template.Spec
	yes, no := true, false
	wantPod := &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	if diff := cmp.Diff(wantPod, spec.SecurityContext); diff != "" {
		t.Errorf("pod (-want +got):\n%s", diff)
	}
	want := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if diff := cmp.Diff(want, spec.Containers[0].SecurityContext); diff != "" {
		t.Errorf("container (-want +got):\n%s", diff)
	}
	namespace := find(t, "Namespace", "meshfence-system", &corev1.Namespace{})
	if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("the namespace enforces %q", got)
	}
}

// What webhook/cluster says that it does (its package comment), and nothing else.
func TestRights(t *testing.T) {
	cluster := find(t, "ClusterRole", "meshfence", &rbacv1.ClusterRole{}).Rules
	own := find(t, "Role", "meshfence", &rbacv1.Role{}).Rules
	wantCluster := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"sailoperator.io"}, Resources: []string{"istios", "istiorevisions", "istiorevisiontags"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		{
			APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
			ResourceNames: []string{"meshfence"}, Verbs: []string{"get", "list", "watch", "patch"},
		},
	}
	if diff := cmp.Diff(wantCluster, cluster); diff != "" {
		t.Errorf("ClusterRole (-want +got):\n%s", diff)
	}
	wantOwn := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"meshfence-claims"}, Verbs: []string{"update"}},
	}
	if diff := cmp.Diff(wantOwn, own); diff != "" {
		t.Errorf("Role (-want +got):\n%s", diff)
	}
}
