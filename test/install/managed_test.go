package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What managed clusters do to webhooks and their pods, as far as an API server alone can do it.

// TestAKS has another client write the namespaceSelectors before an upgrade, as the admissions enforcer of AKS does (Azure/AKS issue 4002).
func TestAKS(t *testing.T) {
	w := start(t, nil)
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed")
	w.rollout("meshfence-system", "meshfence")
	w.apply(mesh)
	w.eventually("the mesh's label is asked about", w.asksAboutTheMesh)
	if w.enforce() {
		t.Fatal("the annotation is not there by default")
	}
	upgrade := []string{"upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values"}
	w.helm(upgrade...)

	// As a version before the annotation has left it.
	w.kubectl("annotate", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "meshfence", "admissions.enforcer/disabled-")
	if !w.enforce() {
		t.Fatal("the annotation cannot be taken away")
	}
	const conflict = `conflict with "admissionsenforcer"`
	text, err := w.run(exec.CommandContext(t.Context(), filepath.Join(w.root, "bin", "tools", "helm"), upgrade...), "")
	doc, unread := os.ReadFile(filepath.Join(w.root, "docs", "install.md"))
	if err == nil || !strings.Contains(text, "admissionsenforcer") || unread != nil || !strings.Contains(string(doc), conflict) {
		t.Errorf("an upgrade onto what AKS has written, which docs/install.md calls a %s: %v\n%s", conflict, err, text)
	}
	w.replay("upgrade-on-aks")
	w.do("look at what is asked about", w.asksAboutTheMesh())
	if w.enforce() {
		t.Error("the upgrade has not brought the annotation")
	}
	w.helm(upgrade...)
	w.eventually("meshfence judges", w.guarded)
}

// enforce does what the admissions enforcer does, and reports whether the annotation let it.
func (w *world) enforce() bool {
	w.t.Helper()
	added := []metav1.LabelSelectorRequirement{
		{Key: "control-plane", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"true"}},
		{Key: "kubernetes.azure.com/managedby", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"aks"}},
	}
	changed := false
	for _, object := range []client.Object{judging(), filling()} {
		w.eventually("the admissions enforcer writes", func() error {
			if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			if object.GetAnnotations()["admissions.enforcer/disabled"] == "true" {
				return nil
			}
			changed = true
			for _, selector := range selectorsOf(object) {
				selector.MatchExpressions = append(selector.MatchExpressions, added...)
			}
			return w.Client.Update(w.t.Context(), object, client.FieldOwner("admissionsenforcer"))
		})
	}
	return changed
}

// limitedResources has the API server allow pods of these priority classes only where a quota speaks of them, as GKE's does (Gatekeeper issue 1120).
const limitedResources = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - resource: pods
      matchScopes:
      - scopeName: PriorityClass
        operator: In
        values: [system-node-critical, system-cluster-critical]
`

// TestGKE shows that pods of the chart are allowed where priority classes are limited, because of its quota and not otherwise.
func TestGKE(t *testing.T) {
	file := filepath.Join(t.TempDir(), "admission.yaml")
	if err := os.WriteFile(file, []byte(limitedResources), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, map[string]string{"admission-control-config-file": file})
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed,priorityQuota=false")
	if err := w.podOf("meshfence-system", "meshfence"); err == nil || !strings.Contains(err.Error(), "insufficient quota to match these scopes") {
		t.Errorf("without the quota: %v", err)
	}
	w.helm("upgrade", "meshfence", w.chart(), "--namespace", "meshfence-system", "--reset-then-reuse-values", "--set", "priorityQuota=true")
	// What the quota controller does, which is a part of kube-controller-manager: it says how much is used.
	quota := &corev1.ResourceQuota{}
	w.do("read the quota", w.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence-priority"}, quota))
	used := quota.Spec.Hard["pods"].DeepCopy()
	used.Sub(used)
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"pods": used}}
	w.do("write how much of it is used", w.Client.Status().Update(t.Context(), quota))
	w.eventually("with the quota a pod is allowed", func() error { return w.podOf("meshfence-system", "meshfence") })

	// Twice the replicas, which an update takes, and no more.
	d := quota.DeepCopy()
	d.Status.Used = d.Spec.Hard
	w.do("use all of it", w.Client.Status().Update(t.Context(), d))
	w.eventually("a pod more than the quota says is not", func() error {
		if err := w.podOf("meshfence-system", "meshfence"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: meshfence-priority") {
			return errors.Join(errors.New("the quota does not refuse it"), err)
		}
		return nil
	})
}

// selectorsOf are the namespaceSelectors of a webhook configuration.
func selectorsOf(object client.Object) []*metav1.LabelSelector {
	var all []*metav1.LabelSelector
	switch object := object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range object.Webhooks {
			all = append(all, object.Webhooks[i].NamespaceSelector)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range object.Webhooks {
			all = append(all, object.Webhooks[i].NamespaceSelector)
		}
	}
	return all
}
