package explain_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/explain"
	"github.com/meshfence/meshfence/audit/manifest"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

var scope = audit.Scope{Namespace: "meshfence-system", MeshMap: "mesh-map"}

func checker() *audit.Checker {
	return &audit.Checker{
		Policy: policy.New(policy.Settings{
			DiscoveryLabels: []string{"istio-discovery", "mesh"}, FillFrom: []policy.FillSource{policy.MeshMap, policy.FollowingTag, policy.ActiveRevision},
			ControlPlane: func(namespace string) bool { return strings.HasPrefix(namespace, "istio-system") },
		}),
		DiscoveryLabels: []string{"istio-discovery", "mesh"}, Scope: scope, Now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC),
	}
}

// inventory is what texts say. What cannot be judged is left out.
func inventory(texts ...string) *audit.Inventory {
	all := &audit.Inventory{}
	for _, text := range texts {
		for _, d := range manifest.Parse("f", []byte(text)).Documents {
			if !scope.Concerns(d.APIVersion, d.Kind, d.Namespace, d.Name) {
				continue
			}
			if o, err := scope.Decode(d.Kind, d.Namespace, d.Name, d.Object); err == nil {
				all.Put(o)
			}
		}
	}
	return all
}

const cluster = `
{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-1}, spec: {version: v1.30.3, namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}}
---
{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-2}, spec: {version: v1.30.3, namespace: istio-system-2, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-2}, matchExpressions: [{key: team, operator: In, values: [a, b]}]}]}}}}
---
{apiVersion: sailoperator.io/v1, kind: IstioRevisionTag, metadata: {name: stable}, spec: {targetRef: {kind: Istio, name: mesh-1}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system-1, labels: {istio-discovery: mesh-1}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-discovery: mesh-1, istio.io/rev: stable}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: typo, labels: {istio-discovery: mesh1, istio.io/rev: gone}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: almost, labels: {istio-discovery: mesh-2, team: c}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: plain}}
`

func edit(values ...string) map[string]*string {
	edits := map[string]*string{}
	for _, value := range values {
		if key, gone := strings.CutSuffix(value, "-"); gone {
			edits[key] = nil
		} else {
			key, set, _ := strings.Cut(value, "=")
			edits[key] = &set
		}
	}
	return edits
}

func TestExplanations(t *testing.T) {
	e := explain.Explainer{Checker: checker(), Inventory: inventory(cluster)}
	var b strings.Builder
	for _, one := range []func() (*explain.Explanation, error){
		func() (*explain.Explanation, error) { return e.Namespace("shop", nil) },
		func() (*explain.Explanation, error) {
			return e.Namespace("shop", edit("istio-discovery=mesh-2", "team=a"))
		},
		func() (*explain.Explanation, error) { return e.Namespace("shop", edit("istio.io/rev-")) },
		func() (*explain.Explanation, error) { return e.Namespace("typo", nil) },
		func() (*explain.Explanation, error) { return e.Namespace("almost", edit("team=b")) },
		func() (*explain.Explanation, error) { return e.Namespace("plain", edit("istio-discovery=mesh-1")) },
		func() (*explain.Explanation, error) { return e.Namespace("plain", nil) },
		func() (*explain.Explanation, error) { return e.Mesh("mesh-1") },
		func() (*explain.Explanation, error) { return e.Revision("stable") },
		func() (*explain.Explanation, error) { return e.Revision("mesh-2") },
	} {
		x, err := one()
		if err != nil {
			t.Fatal(err)
		}
		text, err := x.Write(explain.Text)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(text + "----\n")
	}
	const file = "testdata/explanations.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNotThereIsSaidWithTheNearestName(t *testing.T) {
	e := explain.Explainer{Checker: checker(), Inventory: inventory(cluster)}
	_, namespace := e.Namespace("shp", nil)
	_, ofMesh := e.Mesh("mesh1")
	_, revision := e.Revision("stabel")
	_, far := e.Mesh("something-else")
	got := []string{namespace.Error(), ofMesh.Error(), revision.Error(), far.Error()}
	want := []string{
		`there is no Namespace "shp"; did you mean "shop"?`, `there is no mesh "mesh1"; did you mean "mesh-1"?`,
		`there is no revision or tag "stabel"; did you mean "stable"?`, `there is no mesh "something-else"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJSONAndYAMLSayTheSame(t *testing.T) {
	x, err := (&explain.Explainer{Checker: checker(), Inventory: inventory(cluster)}).Namespace("shop", edit("istio-discovery=mesh-2"))
	if err != nil {
		t.Fatal(err)
	}
	var a, b explain.Explanation
	asJSON, _ := x.Write(explain.JSON)
	asYAML, _ := x.Write(explain.YAML)
	if err := json.Unmarshal([]byte(asJSON), &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(asYAML), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b) + cmp.Diff(*x, a); diff != "" || !a.Answer.Refused {
		t.Error(diff, a.Answer)
	}
	if _, err := x.Write("xml"); err == nil {
		t.Error("xml is written")
	}
}

// Every namespace of every case is explained, and what is said of discovery and injection is the model's.
func TestEveryNamespaceOfEveryCaseIsExplained(t *testing.T) {
	files, err := filepath.Glob("../../test/cases/*.txtar")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	explained := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, f := range archive.Files {
			texts = append(texts, string(f.Data))
		}
		all := inventory(texts...)
		c := checker()
		e, fleet := explain.Explainer{Checker: c, Inventory: all}, c.Existing(all).Fleet
		for _, key := range all.Keys() {
			if key.Kind != audit.KindNamespace {
				continue
			}
			o, _ := all.Get(key)
			x, err := e.Namespace(key.Name, nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", file, key, err)
			}
			explained++
			var discovered, injected []string
			for _, d := range x.Now.DiscoveredBy {
				discovered = append(discovered, d.Mesh)
			}
			if x.Now.Injection.Mesh != "" {
				injected = append(injected, x.Now.Injection.Mesh)
			}
			if want := namesOf(fleet.DiscoveredBy(o.Labels())); !slices.Equal(discovered, want) {
				t.Errorf("%s, %s: discovered by %q, the model says %q", file, key, discovered, want)
			}
			if want := namesOf(fleet.Injecting(o.Labels())); !slices.Equal(injected, want) {
				t.Errorf("%s, %s: injected by %q, the model says %q", file, key, injected, want)
			}
		}
	}
	if explained < 20 {
		t.Errorf("%d namespaces were explained", explained)
	}
}

func namesOf(meshes []*mesh.Mesh) []string {
	var names []string
	for _, m := range meshes {
		names = append(names, m.Name)
	}
	return names
}
