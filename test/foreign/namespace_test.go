package foreign

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fluxcd/pkg/ssa/jsondiff"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// repository is a namespace as Argo CD has it of a repository, which knows nothing of istio.io/rev.
const repository = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team-mesh: mesh-1}, " +
	"annotations: {argocd.argoproj.io/tracking-id: 'apps:/Namespace:/shop'}}}"

// filledIn shows what docs/install.md says of tools that look at a namespace whose istio.io/rev meshfence has filled in.
func (g *gitops) filledIn() {
	g.t.Helper()
	manifest := &unstructured.Unstructured{}
	g.do("read the manifest", yaml.Unmarshal([]byte(repository), &manifest.Object))
	g.sync(manifest)
	g.filled("applied on the client's side")
	file := filepath.Join(g.t.TempDir(), "shop.json")
	text, err := json.Marshal(manifest)
	g.do("write the manifest", err)
	g.do("write the manifest", os.WriteFile(file, text, 0o600))
	kubectl(g.t, g.Cluster, "diff", "-f", file) // fails if there is a difference
	if patch := g.threeWay(manifest, g.namespace()); patch != "{}" {
		g.t.Errorf("Argo CD would sync %s", patch)
	}
	g.noDrift(manifest)
	kubectl(g.t, g.Cluster, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "-f", file)
	g.filled("applied on the server's side")
	g.noDrift(manifest)
	kubectl(g.t, g.Cluster, "replace", "-f", file)
	g.filled("replaced")
	g.terraform()
}

func (g *gitops) namespace() *corev1.Namespace {
	g.t.Helper()
	ns := &corev1.Namespace{}
	g.do("read the namespace", g.Client.Get(g.t.Context(), client.ObjectKey{Name: "shop"}, ns))
	return ns
}

func (g *gitops) filled(when string) {
	g.t.Helper()
	ns := g.namespace()
	if ns.Labels["istio.io/rev"] != "mesh-1" || ns.Annotations["meshfence.io/filled-revision"] != "mesh-1" {
		g.t.Errorf("%s: labels %v, annotations %v", when, ns.Labels, ns.Annotations)
	}
}

// threeWay is what kubectl and Argo CD would change: both make a strategic merge patch of what was applied last, the manifest, and the
// cluster's object (gitops-engine, pkg/diff, ThreeWayDiff).
func (g *gitops) threeWay(manifest *unstructured.Unstructured, live *corev1.Namespace) string {
	g.t.Helper()
	wanted, err := json.Marshal(manifest)
	g.do("write the manifest", err)
	stored, err := json.Marshal(live)
	g.do("write the namespace", err)
	meta, err := strategicpatch.NewPatchMetaFromStruct(corev1.Namespace{})
	g.do("know how the type is merged", err)
	applied := live.Annotations[corev1.LastAppliedConfigAnnotation]
	patch, err := strategicpatch.CreateThreeWayMergePatch([]byte(applied), wanted, stored, meta, true)
	g.do("compare", err)
	var changes map[string]any
	g.do("read the patch", json.Unmarshal(patch, &changes))
	delete(changes, "apiVersion") // a client's object has none
	delete(changes, "kind")
	text, err := json.Marshal(changes)
	g.do("write the patch", err)
	return string(text)
}

func (g *gitops) noDrift(manifest *unstructured.Unstructured) {
	g.t.Helper()
	diff, err := jsondiff.Unstructured(g.t.Context(), g.Client, manifest, jsondiff.FieldOwner("kustomize-controller"))
	g.do("look for drift", err)
	if diff.Type == jsondiff.DiffTypeUpdate && len(g.aboutTheRevision(diff)) > 0 {
		g.t.Errorf("Flux sees %v", diff.Patch)
	}
}

// aboutTheRevision are the changes of a difference that are about what meshfence wrote.
func (g *gitops) aboutTheRevision(diff *jsondiff.Diff) []string {
	g.t.Helper()
	var found []string
	for _, operation := range diff.Patch {
		if strings.Contains(operation.Path, "istio.io") || strings.Contains(operation.Path, "meshfence.io") {
			found = append(found, operation.Path)
		}
	}
	return found
}

// terraform shows what the resource kubernetes_namespace sends of its own accord, and that the documented expressions ignore both keys. The
// provider cannot be imported: what it compares is in its kubernetes/structures.go (flattenMetadata, patchMetadata).
func (g *gitops) terraform() {
	g.t.Helper()
	kubectl(g.t, g.Cluster, "patch", "namespace", "shop", "--type=json", "-p",
		`[{"op":"remove","path":"/metadata/annotations/meshfence.io~1filled-revision"},{"op":"remove","path":"/metadata/labels/istio.io~1rev"}]`)
	g.filled("removed by Terraform")
	for field, key := range map[string]string{"ignore_annotations": "meshfence.io/filled-revision", "ignore_labels": "istio.io/rev"} {
		documented := regexp.MustCompile(field + ` *= \["(.*)"\]`).FindStringSubmatch(g.doc)
		if documented == nil {
			g.t.Fatalf("docs/install.md has no %s", field)
		}
		if expression := strings.ReplaceAll(documented[1], `\\`, `\`); !regexp.MustCompile(expression).MatchString(key) || regexp.MustCompile(expression).MatchString("x"+key) {
			g.t.Errorf("%s: %s is not just about %s", field, expression, key)
		}
	}
}
