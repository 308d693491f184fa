package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/test/harness"
)

// gitops is a cluster in which meshfence has changed what the manifests say, and what the manifests say.
type gitops struct {
	*harness.Cluster
	t        *testing.T
	doc      string
	rendered []*unstructured.Unstructured
	// stored is what the API server makes of the webhook configurations in the manifests, by kind.
	stored map[string]*unstructured.Unstructured
}

// withKey is a mesh whose selector uses a label key of its own, which meshfence adds to the webhook configurations.
const withKey = `{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-1}, spec: {version: v1.30.3, namespace: istio-system-1, ` +
	`values: {meshConfig: {discoverySelectors: [{matchLabels: {team-mesh: mesh-1}}]}}}}`

// TestGitOps takes the rules of docs/install.md for tools that keep a cluster as a repository says, and shows of each that there is a difference
// without it and none with it. Flux's own packages judge its rules. Argo CD's cannot be imported without the whole of it; it evaluates
// rules with gojq, as here.
func TestGitOps(t *testing.T) {
	g := startGitOps(t)
	g.argo()
	g.fluxHelmRelease()
	g.fluxKustomization()
	g.filledIn()
}

func startGitOps(t *testing.T) *gitops {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gitops{Cluster: startCluster(t), t: t, doc: string(doc), stored: map[string]*unstructured.Unstructured{}}
	g.rendered = render(t, root)
	kubectl(t, g.Cluster, "create", "namespace", "meshfence-system")
	var configurations []*unstructured.Unstructured
	for _, object := range g.rendered {
		if strings.HasSuffix(object.GetKind(), "WebhookConfiguration") {
			configurations = append(configurations, object)
			continue
		}
		eventually(t, "cert-manager's kinds are known", func() error { return g.Client.Create(t.Context(), object.DeepCopy()) })
	}
	deployment := client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}
	eventually(t, "meshfence is up", func() error { return g.Node.WaitRollout(t.Context(), deployment) })
	for _, object := range configurations {
		stored := object.DeepCopy()
		g.do("store it for a try", g.Client.Create(t.Context(), stored, client.DryRunAll))
		g.stored[object.GetKind()] = stored
		g.sync(object)
	}
	eventually(t, "meshfence judges", func() error { return relabel(t.Context(), g.Cluster, "x") })
	mesh := &unstructured.Unstructured{}
	g.do("read the mesh", yaml.Unmarshal([]byte(withKey), &mesh.Object))
	g.do("create the mesh", g.Client.Create(t.Context(), mesh))
	g.changed()
	return g
}

// render returns what `helm template` prints, as Argo CD sees it.
func render(t *testing.T, root string) []*unstructured.Unstructured {
	t.Helper()
	helm := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "tools", "helm"), "template", "meshfence", filepath.Join(root, "deploy", "chart"),
		"--namespace", "meshfence-system", "--skip-tests")
	text, err := helm.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		if object.GetKind() != "" {
			all = append(all, object)
		}
	}
	return all
}

func (g *gitops) do(what string, err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatalf("%s: %v", what, err)
	}
}

// yamlWith returns the YAML block of docs/install.md that has this line.
func (g *gitops) yamlWith(line string, into any) {
	g.t.Helper()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(g.doc, -1) {
		if strings.Contains(block[1], line) {
			g.do("read the YAML with "+line, yaml.UnmarshalStrict([]byte(block[1]), into))
			return
		}
	}
	g.t.Fatalf("docs/install.md has no YAML with %s", line)
}

func (g *gitops) live(kind string) *unstructured.Unstructured {
	g.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("admissionregistration.k8s.io/v1")
	object.SetKind(kind)
	g.do("read the "+kind, g.Client.Get(g.t.Context(), client.ObjectKey{Name: "meshfence"}, object))
	return object
}

// changed waits until both configurations have what others write: meshfence's label key, the authority, and AKS's conditions.
func (g *gitops) changed() {
	g.t.Helper()
	g.enforce()
	eventually(g.t, "the webhook configurations have what is not in the manifests", func() error {
		for kind := range g.stored {
			text, err := json.Marshal(g.live(kind))
			if err != nil {
				return err
			}
			if !strings.Contains(string(text), "team-mesh") || !strings.Contains(string(text), `"caBundle":"`) {
				return fmt.Errorf("%s is %s", kind, text)
			}
		}
		return nil
	})
}

// enforce adds to each namespaceSelector what the admissions enforcer of AKS adds where no annotation keeps it from that (Azure/AKS issue 4002).
func (g *gitops) enforce() {
	g.t.Helper()
	added := []metav1.LabelSelectorRequirement{
		{Key: "control-plane", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"true"}},
		{Key: "kubernetes.azure.com/managedby", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"aks"}},
	}
	enforced := func(stored *metav1.LabelSelector) *metav1.LabelSelector {
		if slices.ContainsFunc(stored.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Key == added[0].Key }) {
			return stored
		}
		stored.MatchExpressions = append(stored.MatchExpressions, added...)
		return stored
	}
	eventually(g.t, "AKS has its conditions", func() error {
		validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
		key := client.ObjectKey{Name: "meshfence"}
		if err := errors.Join(g.Client.Get(g.t.Context(), key, validating), g.Client.Get(g.t.Context(), key, mutating)); err != nil {
			return err
		}
		for i := range validating.Webhooks {
			validating.Webhooks[i].NamespaceSelector = enforced(validating.Webhooks[i].NamespaceSelector)
		}
		for i := range mutating.Webhooks {
			mutating.Webhooks[i].NamespaceSelector = enforced(mutating.Webhooks[i].NamespaceSelector)
		}
		as := client.FieldOwner("admissionsenforcer")
		return errors.Join(g.Client.Update(g.t.Context(), validating, as), g.Client.Update(g.t.Context(), mutating, as))
	})
}

// sync applies an object as Argo CD does where nobody asks for server-side apply.
func (g *gitops) sync(object *unstructured.Unstructured) {
	g.t.Helper()
	text, err := json.Marshal(object)
	g.do("write the manifest", err)
	file := filepath.Join(g.t.TempDir(), "manifest.json")
	g.do("write the manifest", os.WriteFile(file, text, 0o600))
	kubectl(g.t, g.Cluster, "apply", "-f", file)
}

// leavesAlone reports whether a step changes nothing of what the API server has stored of a configuration. Its generation counts the changes.
func (g *gitops) leavesAlone(kind string, step func()) bool {
	g.t.Helper()
	g.changed()
	before := g.live(kind).GetGeneration()
	step()
	return g.live(kind).GetGeneration() == before
}

// application is the part of an Argo CD Application that is documented.
type application struct {
	Spec struct {
		IgnoreDifferences []struct {
			Group, Kind, Name string
			JQPathExpressions []string
		}
		SyncPolicy struct{ SyncOptions []string }
	}
}

func (g *gitops) argo() {
	g.t.Helper()
	documented := application{}
	g.yamlWith("ignoreDifferences:", &documented)
	if !slices.Equal(documented.Spec.SyncPolicy.SyncOptions, []string{"RespectIgnoreDifferences=true"}) {
		g.t.Errorf("the options are %q", documented.Spec.SyncPolicy.SyncOptions)
	}
	for kind, stored := range g.stored {
		var rules []string
		for _, rule := range documented.Spec.IgnoreDifferences {
			if rule.Group == "admissionregistration.k8s.io" && rule.Kind == kind && rule.Name == "meshfence" {
				rules = append(rules, rule.JQPathExpressions...)
			}
		}
		if len(rules) != 3 { // for the authority, the label keys, and AKS
			g.t.Fatalf("%s: the rules are %q", kind, rules)
		}
		live := g.live(kind)
		if diff := g.difference(stored, live, rules); diff != "" {
			g.t.Errorf("%s: with the rules there is still a difference (-manifests +cluster):\n%s", kind, diff)
		}
		// Without any of them there is one.
		for _, some := range [][]string{nil, rules[:2], rules[1:], {rules[0], rules[2]}} {
			if g.difference(stored, live, some) == "" {
				g.t.Errorf("%s: with %q alone there is no difference", kind, some)
			}
		}
		manifest := g.manifest(kind)
		if !g.leavesAlone(kind, func() { g.sync(g.respecting(kind, manifest, rules)) }) {
			g.t.Errorf("%s: with RespectIgnoreDifferences a sync changes it", kind)
		}
		if g.leavesAlone(kind, func() { g.sync(manifest) }) {
			g.t.Errorf("%s: without RespectIgnoreDifferences a sync changes nothing: it is not needed", kind)
		}
	}
}

func (g *gitops) manifest(kind string) *unstructured.Unstructured {
	g.t.Helper()
	i := slices.IndexFunc(g.rendered, func(object *unstructured.Unstructured) bool { return object.GetKind() == kind })
	if i < 0 {
		g.t.Fatalf("the manifests have no %s", kind)
	}
	return g.rendered[i]
}

// difference compares what is not ignored of two objects, as the API server stores them.
func (g *gitops) difference(manifest, live *unstructured.Unstructured, rules []string) string {
	g.t.Helper()
	return cmp.Diff(content(g.without(manifest, rules)), content(g.without(live, rules)))
}

// content is an object without what the API server and kubectl write into its metadata.
func content(object *unstructured.Unstructured) map[string]any {
	annotations := object.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	webhooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
	for _, webhook := range webhooks {
		// A list that a rule has emptied is none to the three-way patch by which Argo CD compares.
		fields := webhook.(map[string]any)
		if list, found, _ := unstructured.NestedSlice(fields, "namespaceSelector", "matchExpressions"); found && len(list) == 0 {
			unstructured.RemoveNestedField(fields, "namespaceSelector", "matchExpressions")
		}
	}
	return map[string]any{"name": object.GetName(), "labels": object.GetLabels(), "annotations": annotations, "webhooks": webhooks}
}

// without deletes the fields that rules name, as Argo CD does with both sides: `del(RULE)`, which must give one object.
func (g *gitops) without(object *unstructured.Unstructured, rules []string) *unstructured.Unstructured {
	g.t.Helper()
	text, err := json.Marshal(object)
	g.do("write the object", err)
	var value any
	g.do("read the object", json.Unmarshal(text, &value))
	for _, rule := range rules {
		query, err := gojq.Parse("del(" + rule + ")")
		g.do("read the rule "+rule, err)
		results := query.RunWithContext(g.t.Context(), value)
		first, ok := results.Next()
		if err, failed := first.(error); failed || !ok {
			g.t.Fatalf("the rule %s gives nothing: %v", rule, err)
		}
		if _, more := results.Next(); more {
			g.t.Fatalf("the rule %s gives several objects", rule)
		}
		value = first
	}
	return &unstructured.Unstructured{Object: value.(map[string]any)}
}

// respecting is what Argo CD applies with RespectIgnoreDifferences: the manifest with the cluster's values in the ignored fields. Those are
// found by a strategic merge patch from the object without them to the object with them.
func (g *gitops) respecting(kind string, manifest *unstructured.Unstructured, rules []string) *unstructured.Unstructured {
	g.t.Helper()
	typed := map[string]any{
		"ValidatingWebhookConfiguration": admissionregistrationv1.ValidatingWebhookConfiguration{},
		"MutatingWebhookConfiguration":   admissionregistrationv1.MutatingWebhookConfiguration{},
	}[kind]
	meta, err := strategicpatch.NewPatchMetaFromStruct(typed)
	g.do("know how the type is merged", err)
	live := g.live(kind)
	with, err := json.Marshal(live)
	g.do("write the object", err)
	ignoring, err := json.Marshal(g.without(live, rules))
	g.do("write the object", err)
	patch, err := strategicpatch.CreateThreeWayMergePatch(with, with, ignoring, meta, true)
	g.do("find what is ignored", err)
	target, err := json.Marshal(g.without(manifest, rules))
	g.do("write the manifest", err)
	merged, err := strategicpatch.StrategicMergePatch(target, patch, typed)
	g.do("put in what is ignored", err)
	result := &unstructured.Unstructured{}
	g.do("read the manifest", json.Unmarshal(merged, &result.Object))
	return result
}

// helmRelease is the part of a Flux HelmRelease that is documented.
type helmRelease struct {
	Spec struct {
		DriftDetection struct {
			Mode   string
			Ignore []struct {
				Paths  []string
				Target struct{ Kind, Name string }
			}
		}
	}
}

// fluxHelmRelease looks for drift as Flux does, in all objects of the release: only the webhook configurations have any.
func (g *gitops) fluxHelmRelease() {
	g.t.Helper()
	documented := helmRelease{}
	g.yamlWith("driftDetection:", &documented)
	var rules jsondiff.IgnoreRules
	for _, rule := range documented.Spec.DriftDetection.Ignore {
		rules = append(rules, jsondiff.IgnoreRule{Paths: rule.Paths, Selector: &jsondiff.Selector{Kind: rule.Target.Kind, Name: rule.Target.Name}})
	}
	if drifted := g.drift(rules); len(drifted) > 0 || documented.Spec.DriftDetection.Mode != "enabled" {
		g.t.Errorf("mode %s: with the rules these have drifted: %q", documented.Spec.DriftDetection.Mode, drifted)
	}
	if diff := cmp.Diff([]string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}, g.drift(nil)); diff != "" {
		g.t.Errorf("without the rules these have drifted (-want +got):\n%s", diff)
	}
}

func (g *gitops) drift(rules jsondiff.IgnoreRules) []string {
	g.t.Helper()
	g.changed()
	set, err := jsondiff.UnstructuredList(g.t.Context(), g.Client, g.rendered, jsondiff.FieldOwner("helm-controller"), rules)
	g.do("look for drift", err)
	var kinds []string
	for _, diff := range set {
		if diff.Type != jsondiff.DiffTypeNone {
			kinds = append(kinds, diff.DesiredObject.GetObjectKind().GroupVersionKind().Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// fluxKustomization applies the webhook configurations as Flux does, with and without the documented annotation.
func (g *gitops) fluxKustomization() {
	g.t.Helper()
	annotation := regexp.MustCompile("`(kustomize.toolkit.fluxcd.io/[a-z]+): ([A-Za-z]+)`").FindStringSubmatch(g.doc)
	if annotation == nil {
		g.t.Fatal("docs/install.md has no annotation for Flux's Kustomization")
	}
	manager := ssa.NewResourceManager(g.Client, nil, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	// What the kustomize-controller sets, whatever the manual says.
	options := ssa.DefaultApplyOptions()
	options.IfNotPresentSelector = map[string]string{"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}
	for kind := range g.stored {
		apply := func(object *unstructured.Unstructured) func() {
			return func() {
				_, err := manager.Apply(context.WithoutCancel(g.t.Context()), object.DeepCopy(), options)
				g.do("apply the "+kind, err)
			}
		}
		annotated := g.manifest(kind).DeepCopy()
		annotated.SetAnnotations(map[string]string{annotation[1]: annotation[2]})
		if !g.leavesAlone(kind, apply(annotated)) {
			g.t.Errorf("%s: with the annotation %s=%s Flux changes it", kind, annotation[1], annotation[2])
		}
		if g.leavesAlone(kind, apply(g.manifest(kind))) {
			g.t.Errorf("%s: without the annotation Flux changes nothing: it is not needed", kind)
		}
	}
	g.changed()
}
