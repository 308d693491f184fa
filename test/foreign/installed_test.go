package foreign

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// chartObjects is what a chart makes of values, one object a text.
func chartObjects(charts *chart.Chart, namespace string, values map[string]any) ([]string, error) {
	all, err := util.ToRenderValues(charts, values, common.ReleaseOptions{Name: "istiod", Namespace: namespace, IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Render(charts, all)
	if err != nil {
		return nil, err
	}
	var documents []string
	for _, name := range slices.Sorted(keysOf(texts)) {
		documents = append(documents, strings.Split(texts[name], "\n---")...)
	}
	return documents, nil
}

func keysOf(texts map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range texts {
			if !yield(name) {
				return
			}
		}
	}
}

// partsOf reads objects as meshfence lists them.
func partsOf(t *testing.T, documents []string) *istiod.Objects {
	t.Helper()
	all := &istiod.Objects{}
	for _, document := range documents {
		raw, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &head); err != nil || !istiod.Concerns(head.APIVersion, head.Kind, head.Metadata.Name) {
			continue
		}
		part, err := istiod.Decode(head.Kind, raw)
		if err != nil {
			t.Fatal(err)
		}
		if part != nil {
			all.Add(part)
		}
	}
	return all
}

func fleetOf(parts *istiod.Objects) *mesh.Fleet {
	return mesh.NewFleet(mesh.Objects{}.WithParts(*parts))
}

// TestAnIstiodThatHelmInstallsIsReadAsItRuns draws values and compares what the objects of the chart, of two versions, are read as with what the istiod that they install does.
func TestAnIstiodThatHelmInstallsIsReadAsItRuns(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	for version, folder := range istioCharts(t) {
		charts := loadChart(t, folder, append(comparedTemplates(), "templates/istiod-injector-configmap.yaml")...)
		r, seen := rand.New(rand.NewPCG(seed, seed)), map[string]int{} //nolint:gosec // a test
		compared := 0
		for begin := time.Now(); compared < renders/4 && time.Since(begin) < renderTime/2; {
			values := map[string]any{}
			if drawn, ok := drawSpec(r)["values"].(map[string]any); ok {
				values = withoutNulls(drawn)
			}
			revision := pick(r, "", "mesh-1")
			values["revision"] = revision
			documents, err := chartObjects(charts, "plane", fresh(t, values))
			if err != nil {
				seen["refused by the chart"]++
				continue
			}
			want, err := reads(map[string]string{"all": strings.Join(documents, "\n---")})
			if err != nil {
				t.Fatal(err)
			}
			parts := partsOf(t, documents)
			if len(parts.Deployments) == 0 { // a mesh configuration alone counts, as before its Deployment comes
				seen["no istiod here"]++
				continue
			}
			if len(parts.Injectors) == 0 && !slices.ContainsFunc(parts.ConfigMaps, func(c *istiod.ConfigMap) bool { return c.Config != nil }) {
				seen["a Deployment alone"]++ // which does not count: each tenant could make one
				continue
			}
			got := read(fleetOf(parts))
			compared++
			count(seen, want)
			if revision != "" {
				got.Default, want.Default = false, false
			}
			if !slices.ContainsFunc(parts.ConfigMaps, func(c *istiod.ConfigMap) bool { return c.Values != nil }) {
				got.Mounted, want.Mounted = "", "" // without its template, omitSidecarInjectorConfigMap, no pod mounts anything
			}
			if !reflect.DeepEqual(got, want) {
				text, _ := yaml.Marshal(values) //nolint:errcheck // it is only shown
				t.Fatalf("%s, seed %d, render %d: read as\n%+v, and it is\n%+v, for\n%s", version, seed, compared, got, want, text)
			}
		}
		t.Logf("%s, seed %d: %d renders compared: %v", version, seed, compared, seen)
		if compared < enough/4 {
			t.Errorf("%s: only %d renders", version, compared)
		}
		for _, kind := range []string{"discovers all", "discovers some", "renamed", "by default", "ambient", "no istiod here"} {
			if seen[kind] == 0 {
				t.Errorf("%s, seed %d: none was one that is %q", version, seed, kind)
			}
		}
	}
}

// read is what the model says of the one mesh of a fleet.
func read(fleet *mesh.Fleet) installed {
	var is installed
	for _, probe := range probes() {
		is.Discovers = append(is.Discovers, len(fleet.DiscoveredBy(probe)) > 0)
	}
	if len(fleet.Meshes()) == 0 {
		return is
	}
	m := fleet.Meshes()[0]
	own := m.Sources[0]
	is.Default = own.InjectsByDefault
	if own.Listing == mesh.Remote {
		return is
	}
	is.Ambient, is.ClusterTrustBundle = m.AmbientBy != "", own.ClusterTrustBundle
	is.Written, is.Mounted, is.Revoked = own.TrustBundle, own.MountedBundle, own.RevocationList
	return is
}

// fresh is a copy, as Helm gets it: JSON.
func fresh(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// loadChart loads a chart from a folder, with some of its templates.
func loadChart(t *testing.T, folder string, templates ...string) *chart.Chart {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(folder, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(templates, "templates/"+entry.Name()) {
			if err := os.Remove(filepath.Join(folder, "templates", entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	loaded, err := loader.LoadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// comparisons is how many namespaces are asked about at least.
const comparisons = 100000

// TestWhoInjectsIsWhatTheWebhooksSay asks of random namespaces, in clusters with istiods and tags that the charts of two versions make, which webhooks select a pod there, and compares
// that with the meshes that Injecting names.
func TestWhoInjectsIsWhatTheWebhooksSay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())  //nolint:gosec // any number will do
	r := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a test
	asked, injected, several := 0, 0, 0
	names := []string{"default", "a", "b", "stable", "prod", ""}
	for version, folder := range istioCharts(t) {
		charts := loadChart(t, folder, append(comparedTemplates(), "templates/revision-tags-mwc.yaml", "templates/revision-tags-svc.yaml", "templates/istiod-injector-configmap.yaml")...)
		for of := 0; of < comparisons/2; {
			var documents []string
			for _, plane := range []string{"plane-1", "plane-2", "istio-system"}[:1+r.IntN(3)] {
				values := map[string]any{
					"revision": pick(r, "", "a", "b"), "meshConfig": map[string]any{"discoverySelectors": []any{map[string]any{"matchLabels": map[string]any{"mesh": plane}}}},
					"sidecarInjectorWebhook": map[string]any{"enableNamespacesByDefault": r.IntN(4) == 0},
				}
				if tag := pick(r, "", "", "stable", "prod", "default"); tag != "" && tag != values["revision"] && (tag != "default" || values["revision"] != "") {
					values["revisionTags"] = []any{tag}
				}
				made, err := chartObjects(charts, plane, fresh(t, values))
				if err != nil {
					t.Fatal(err)
				}
				documents = append(documents, made...)
			}
			fleet, webhooks := fleetOf(partsOf(t, documents)), configurations(t, documents)
			for range 500 {
				labelled := map[string]string{mesh.NameLabel: pick(r, "shop", "cart", "kube-system", "kube-public", "istio-system")}
				if name := names[r.IntN(len(names))]; r.IntN(3) > 0 {
					labelled[mesh.RevisionLabel] = name
				}
				if r.IntN(3) == 0 {
					labelled[mesh.InjectionLabel] = pick(r, "enabled", "disabled", "")
				}
				want := map[string]bool{}
				for plane, all := range webhooks {
					if !mesh.NeverInjected(labelled[mesh.NameLabel]) && slices.ContainsFunc(all, func(w admissionregistrationv1.MutatingWebhook) bool { return takes(t, &w, labelled) }) {
						want[plane] = true
					}
				}
				got := map[string]bool{}
				for _, m := range fleet.Injecting(labelled) {
					got[m.Name] = true
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s, seed %d: namespace with %v is injected by %v, by the webhooks %v, in\n%s", version, seed, labelled, got, want, strings.Join(documents, "\n---"))
				}
				asked, of = asked+1, of+1
				if len(want) > 0 {
					injected++
				}
				if len(want) > 1 {
					several++
				}
			}
		}
	}
	if t.Logf("seed %d: %d comparisons, %d injected, %d by several", seed, asked, injected, several); asked < comparisons || injected == 0 || injected == asked || several == 0 {
		t.Error("that shows nothing")
	}
}

// configurations are the webhooks of webhook configurations, by the namespace of their istiod.
func configurations(t *testing.T, documents []string) map[string][]admissionregistrationv1.MutatingWebhook {
	t.Helper()
	all := map[string][]admissionregistrationv1.MutatingWebhook{}
	for _, document := range documents {
		var configuration admissionregistrationv1.MutatingWebhookConfiguration
		if err := yaml.Unmarshal([]byte(document), &configuration); err != nil {
			t.Fatal(err)
		}
		if configuration.Kind != "MutatingWebhookConfiguration" {
			continue
		}
		for _, w := range configuration.Webhooks {
			all[w.ClientConfig.Service.Namespace] = append(all[w.ClientConfig.Service.Namespace], w)
		}
	}
	return all
}
