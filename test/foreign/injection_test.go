package foreign

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// TestWhatInjectsANamespaceAgreesWithIstiosCharts asks of every combination of the labels that decide whether one of the webhooks of
// the chart, or of a tag's, takes a pod without labels of such a namespace, and compares that with Injecting.
func TestWhatInjectsANamespaceAgreesWithIstiosCharts(t *testing.T) {
	charts := chartWith(t, "templates/mutatingwebhook.yaml", "templates/revision-tags-mwc.yaml", "templates/_helpers.tpl", "templates/zzy_descope_legacy.yaml", "templates/zzz_profile.yaml")
	byDefault, selected := 0, 0
	for _, name := range []string{"default", "mesh-1"} {
		for _, tag := range []string{"", "default", "stable"} {
			for _, values := range []string{
				"{}", "{sidecarInjectorWebhook: {enableNamespacesByDefault: true}}", "{sidecarInjectorWebhook: {enableNamespacesByDefault: false}}",
				"{sidecarInjectorWebhook: {enableNamespacesByDefault: true}, global: {resourceScope: cluster}}",
				"{sidecarInjectorWebhook: {enableNamespacesByDefault: true}, profile: ambient}",
			} {
				if name == tag {
					continue // the operator refuses it
				}
				of, webhooks := modelOf(t, name, tag, values), webhooksOf(t, charts, name, tag, values)
				for _, labelled := range namespacesToInject() {
					want := slices.ContainsFunc(webhooks, func(w admissionregistrationv1.MutatingWebhook) bool { return takes(t, &w, labelled) })
					if got := len(of.Injecting(labelled)) > 0; got != want {
						t.Errorf("Istio %q with tag %q and %s: namespace with %v is injected: %t, by the chart %t", name, tag, values, labelled, got, want)
					}
					if want {
						selected++
					}
					if want && of.InjectionOf(labelled).ByDefault() {
						byDefault++
					}
				}
			}
		}
	}
	if t.Logf("%d are injected, %d of them by default", selected, byDefault); byDefault == 0 || byDefault == selected {
		t.Error("that shows nothing")
	}
}

// namespacesToInject are the labels of namespaces. Those of the system have none: which of them it does not inject although it is
// asked about them, istiod decides.
func namespacesToInject() []map[string]string {
	var all []map[string]string
	for _, name := range []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage", "kube-flannel", "istio-system"} {
		all = append(all, map[string]string{mesh.NameLabel: name})
	}
	for _, injection := range []string{"absent", "enabled", "disabled", ""} {
		for _, revision := range []string{"absent", "default", "mesh-1", "stable", "nobody", ""} {
			ns := map[string]string{mesh.NameLabel: "shop", "istio.io/dataplane-mode": "ambient"}
			if injection != "absent" {
				ns[mesh.InjectionLabel] = injection
			}
			if revision != "absent" {
				ns[mesh.RevisionLabel] = revision
			}
			all = append(all, ns)
		}
	}
	return all
}

func modelOf(t *testing.T, name, tag, values string) *mesh.Fleet {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(fmt.Sprintf("{kind: Istio, metadata: {name: %s}, spec: {version: v1.30.3, values: %s}}", name, values)))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := sail.DecodeControlPlane(raw)
	if err != nil || cp.Malformed != nil {
		t.Fatal(err, cp.Malformed)
	}
	objects := mesh.Objects{Istios: []*sail.ControlPlane{cp}}
	if tag != "" {
		objects.Tags = []*sail.Tag{{Metadata: sail.Meta{Name: tag}, Spec: sail.TagSpec{TargetRef: sail.TargetRef{Kind: sail.KindIstio, Name: name}}}}
	}
	return mesh.NewFleet(objects)
}

// webhooksOf are those that the operator installs for the Istio, and for the tag, which it makes of the same chart.
func webhooksOf(t *testing.T, charts *chart.Chart, name, tag, values string) []admissionregistrationv1.MutatingWebhook {
	t.Helper()
	spec := map[string]any{}
	if err := yaml.Unmarshal([]byte("{values: "+values+"}"), &spec); err != nil {
		t.Fatal(err)
	}
	merged, err := operated(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		merged["revisionTags"] = []any{tag}
	}
	all, err := util.ToRenderValues(charts, merged, common.ReleaseOptions{Name: name + "-istiod", Namespace: "istio-system", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := engine.Render(charts, all)
	if err != nil {
		t.Fatal(err)
	}
	var found []admissionregistrationv1.MutatingWebhook
	for _, text := range texts {
		for document := range strings.SplitSeq(text, "\n---") {
			var configuration admissionregistrationv1.MutatingWebhookConfiguration
			if err := yaml.Unmarshal([]byte(document), &configuration); err != nil {
				t.Fatalf("%v: %s", err, document)
			}
			found = append(found, configuration.Webhooks...)
		}
	}
	if len(found) == 0 {
		raw, _ := json.Marshal(merged) //nolint:errcheck // it is only shown
		t.Fatalf("the chart has no webhooks for %s", raw)
	}
	return found
}

// takes reports whether a webhook is asked about a pod without labels in a namespace.
func takes(t *testing.T, w *admissionregistrationv1.MutatingWebhook, namespace map[string]string) bool {
	t.Helper()
	matches := func(selector *metav1.LabelSelector, of map[string]string) bool {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Matches(labels.Set(of))
	}
	return matches(w.NamespaceSelector, namespace) && matches(w.ObjectSelector, nil)
}
