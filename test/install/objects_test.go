package install

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/webhook/match"
)

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func istio(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("sailoperator.io/v1")
	u.SetKind("Istio")
	u.SetName(name)
	return u
}

// asked returns the condition under which a namespace is judged, as stored.
func (w *world) asked() string {
	w.t.Helper()
	c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: "meshfence"}, c); err != nil {
		w.t.Fatal(err)
	}
	for _, webhook := range c.Webhooks {
		for _, condition := range webhook.MatchConditions {
			if condition.Name == match.ConditionName {
				return condition.Expression
			}
		}
	}
	w.t.Fatalf("the ValidatingWebhookConfiguration lacks the condition: %v", c.Webhooks)
	return ""
}

// leftovers returns what is still there of an installation, by the label that all its objects have.
func (w *world) leftovers(instance string) []string {
	w.t.Helper()
	kinds := []string{
		"validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "flowschemas", "clusterroles", "clusterrolebindings",
		"deployments", "services", "secrets", "configmaps", "serviceaccounts", "roles", "rolebindings", "poddisruptionbudgets", "networkpolicies",
		"resourcequotas",
	}
	text := w.kubectl("get", strings.Join(kinds, ","), "-A", "-o", "name", "--ignore-not-found", "-l", "app.kubernetes.io/instance="+instance)
	return slices.DeleteFunc(strings.Fields(text), func(name string) bool { return name == "" })
}

// accepted creates a namespace that breaks MF204 in a dry run, which must be accepted, and returns what was printed.
func (w *world) accepted(name string) string {
	w.t.Helper()
	text, err := w.try(fmt.Sprintf(conflicting, name), "create", "--dry-run=server", "-f", "-")
	if err != nil {
		w.t.Fatalf("%v\n%s", err, text)
	}
	return text
}
