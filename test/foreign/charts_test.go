package foreign

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"istio.io/istio/manifests"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

const (
	// renders is how many random values are compared. One takes some ten milliseconds.
	renders = 2000
	// renderTime ends the comparison earlier on a machine that is very busy; fewer renders than enough tell nothing.
	renderTime = 60 * time.Second
	enough     = 200
)

// istiodChart is Istio's own chart of istiod. What grants rights, autoscales and so on is not compared; the templates take most
// of the time of a render.
func istiodChart(t *testing.T) *chart.Chart { return chartWith(t, comparedTemplates()...) }

// chartWith is the chart with some of its templates.
func chartWith(t *testing.T, templates ...string) *chart.Chart {
	t.Helper()
	const root = "charts/istio-control/istio-discovery"
	var files []*archive.BufferedFile
	err := fs.WalkDir(manifests.FS, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(manifests.FS, path)
		if name := strings.TrimPrefix(path, root+"/"); !strings.HasPrefix(name, "templates/") || slices.Contains(templates, name) {
			files = append(files, &archive.BufferedFile{Name: name, Data: data})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// comparedTemplates are those of what is compared, and those that all need.
func comparedTemplates() []string {
	return []string{
		"templates/deployment.yaml", "templates/configmap.yaml", "templates/mutatingwebhook.yaml",
		"templates/_helpers.tpl", "templates/zzy_descope_legacy.yaml", "templates/zzz_profile.yaml",
	}
}

// installed is what a mesh's values bring into the cluster, as far as it decides anything.
type installed struct {
	// Discovers says of each of the namespaces of probes whether the istiod discovers it.
	Discovers []bool
	// Default reports whether namespaces without labels are injected; only compared for a revision called default.
	Default bool
	// Ambient and ClusterTrustBundle are switched on in the istiod's environment.
	Ambient, ClusterTrustBundle bool
	// Written, Mounted and Revoked are names of ConfigMaps: of the root certificate that istiod writes and that pods mount, and
	// of the list of revoked certificates. Empty if no istiod runs here.
	Written, Mounted, Revoked string
}

// probes are label sets that tell the drawn selectors apart.
func probes() []map[string]string {
	return []map[string]string{{}, {"env": "dev"}, {"env": "prod"}, {"team": "a"}, {"env": "dev", "team": "a"}}
}

// TestTheModelOfAMeshAgreesWithIstiosCharts draws whole spec.values, with the fields that decide, absent ones and nulls, and
// compares what Istio's chart makes of them with what the mesh model says. A field of the charts that decides and that the
// model does not know shows up here once the generator draws it.
func TestTheModelOfAMeshAgreesWithIstiosCharts(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	if given := os.Getenv("CHARTS_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	compared, seen := compareCharts(t, seed)
	t.Logf("seed %d: %d renders compared: %v", seed, compared, seen)
	if compared < enough {
		t.Errorf("only %d renders in %s, want %d", compared, renderTime, enough)
	}
	for _, kind := range []string{"discovers all", "discovers some", "discovers none", "renamed", "not mounted", "by default", "ambient", "cluster trust bundle", "refused by the chart"} {
		if seen[kind] == 0 {
			t.Errorf("seed %d: none of the meshes was one that is %q", seed, kind)
		}
	}
}

// compareCharts compares, and stops at the first difference.
func compareCharts(t *testing.T, seed uint64) (compared int, seen map[string]int) {
	t.Helper()
	charts, seen := istiodChart(t), map[string]int{}
	r := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a test
	for begin := time.Now(); compared < renders && time.Since(begin) < renderTime; {
		spec := drawSpec(r)
		name := pick(r, "default", "mesh-1")
		got, ok := modelled(t, name, spec)
		want, err := rendered(charts, name, spec)
		if err != nil {
			// The operator keeps what it installed before. Neither is there anything to compare.
			seen["refused by the chart"]++
			continue
		}
		compared++
		count(seen, want)
		if name != "default" {
			got.Default, want.Default = false, false
		}
		if !ok || !reflect.DeepEqual(got, want) {
			text, _ := yaml.Marshal(spec) //nolint:errcheck // it is only shown
			t.Fatalf("CHARTS_SEED=%d, render %d, Istio %q: the model says\n%+v, the chart\n%+v, for\n%s", seed, compared, name, got, want, text)
		}
	}
	return compared, seen
}

func count(seen map[string]int, i installed) {
	kind := "discovers some"
	switch {
	case !slices.Contains(i.Discovers, true):
		kind = "discovers none"
	case !slices.Contains(i.Discovers, false):
		kind = "discovers all"
	}
	seen[kind]++
	for kind, is := range map[string]bool{
		"renamed": i.Written != "" && i.Written != "istio-ca-root-cert", "not mounted": i.Written != i.Mounted, "by default": i.Default,
		"ambient": i.Ambient, "cluster trust bundle": i.ClusterTrustBundle,
	} {
		if is {
			seen[kind]++
		}
	}
}

// modelled is what the mesh model says of an Istio with this spec.
func modelled(t *testing.T, name string, spec map[string]any) (installed, bool) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"kind": "Istio", "metadata": map[string]any{"name": name}, "spec": spec})
	if err != nil {
		t.Fatal(err)
	}
	cp, err := sail.DecodeControlPlane(raw)
	if err != nil {
		t.Fatal(err)
	}
	fleet := mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{cp}})
	m := fleet.Meshes()[0]
	own := m.Sources[0]
	is := installed{Default: own.InjectsByDefault}
	for _, probe := range probes() {
		is.Discovers = append(is.Discovers, len(fleet.DiscoveredBy(probe)) > 0)
	}
	if own.Listing == mesh.Remote {
		return is, cp.Malformed == nil
	}
	is.Ambient, is.ClusterTrustBundle = m.AmbientBy != "", own.ClusterTrustBundle
	is.Written, is.Mounted, is.Revoked = own.TrustBundle, own.MountedBundle, own.RevocationList
	return is, cp.Malformed == nil
}

// rendered is what the operator and the chart make of it.
func rendered(charts *chart.Chart, name string, spec map[string]any) (installed, error) {
	values, err := operated(name, spec)
	if err != nil {
		return installed{}, err
	}
	all, err := util.ToRenderValues(charts, values, common.ReleaseOptions{Name: name + "-istiod", Namespace: "istio-system", IsInstall: true}, nil)
	if err != nil {
		return installed{}, err
	}
	texts, err := engine.Render(charts, all)
	if err != nil {
		return installed{}, err
	}
	return reads(texts)
}

// operated are the values that the operator hands to the chart: its profile, what the Istio has, and what cannot be
// configured (ComputeValues in sail-operator/pkg/revision/values.go). A null is an absent field, because the operator's types
// drop it.
func operated(name string, spec map[string]any) (map[string]any, error) {
	values := map[string]any{"global": map[string]any{}}
	switch spec["profile"] {
	case "remote":
		values["profile"] = "remote"
	case "ambient", "openshift-ambient":
		values["profile"] = "ambient"
	}
	own, _ := spec["values"].(map[string]any)
	merge(values, withoutNulls(own))
	if name == "default" {
		name = ""
	}
	values["revision"] = name
	values["global"].(map[string]any)["istioNamespace"] = "istio-system"
	// Helm gets them as JSON.
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	var fresh map[string]any
	return fresh, json.Unmarshal(raw, &fresh)
}

func merge(into, values map[string]any) {
	for key, value := range values {
		inner, isMap := value.(map[string]any)
		old, wasMap := into[key].(map[string]any)
		if isMap && wasMap {
			merge(old, inner)
			continue
		}
		into[key] = value
	}
}

// withoutNulls drops them from maps; in a list they stay.
func withoutNulls(values map[string]any) map[string]any {
	kept := map[string]any{}
	for key, value := range values {
		if inner, ok := value.(map[string]any); ok {
			value = withoutNulls(inner)
		}
		if value != nil {
			kept[key] = value
		}
	}
	return kept
}

// reads is what istiod makes of what is installed.
func reads(texts map[string]string) (installed, error) {
	var deployment *appsv1.Deployment
	mesh, byDefault := map[string]string{}, false
	for name, text := range texts {
		for document := range strings.SplitSeq(text, "\n---") {
			var object struct {
				metav1.TypeMeta `json:",inline"`
				Metadata        metav1.ObjectMeta       `json:"metadata"`
				Data            map[string]string       `json:"data"`
				Webhooks        []struct{ Name string } `json:"webhooks"`
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				return installed{}, fmt.Errorf("%s: %w", name, err)
			}
			switch object.Kind {
			case "Deployment":
				deployment = &appsv1.Deployment{}
				if err := yaml.Unmarshal([]byte(document), deployment); err != nil {
					return installed{}, err
				}
			case "ConfigMap":
				mesh[object.Metadata.Name] = object.Data["mesh"]
			case "MutatingWebhookConfiguration":
				byDefault = slices.ContainsFunc(object.Webhooks, func(w struct{ Name string }) bool { return strings.HasPrefix(w.Name, "auto.") })
			}
		}
	}
	is := installed{Default: byDefault, Discovers: make([]bool, len(probes()))}
	if deployment == nil {
		return is, nil
	}
	env := environment(deployment.Spec.Template.Spec.Containers[0].Env)
	if env.enabled("EXTERNAL_ISTIOD") {
		return is, nil
	}
	is.Ambient, is.ClusterTrustBundle = env.enabled("PILOT_ENABLE_AMBIENT"), env.enabled("ENABLE_CLUSTER_TRUST_BUNDLE_API")
	is.Written, is.Revoked = env.text("PILOT_CA_CERT_CONFIGMAP", "istio-ca-root-cert"), env.text("PILOT_CRL_CONFIGMAP", "istio-ca-crl")
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Name == "istio-csr-ca-configmap" && volume.ConfigMap != nil {
			is.Mounted = volume.ConfigMap.Name // by the same expression as in the template for pods
		}
	}
	config := "istio"
	if revision := env["REVISION"]; revision != "" && revision != "default" {
		config += "-" + revision
	}
	matches, err := discovery(mesh[config])
	for i, probe := range probes() {
		is.Discovers[i] = slices.ContainsFunc(matches, func(s labels.Selector) bool { return s.Matches(labels.Set(probe)) })
	}
	return is, err
}

// discovery are the selectors of a mesh configuration as istiod reads them (pkg/kube/namespace/filter.go in istio/istio): none
// is everything, and so is a list with one that does not parse once istiod has started anew.
func discovery(text string) ([]labels.Selector, error) {
	var config struct {
		DiscoverySelectors []*metav1.LabelSelector `json:"discoverySelectors"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return nil, err
	}
	var all []labels.Selector
	for _, item := range config.DiscoverySelectors {
		if item == nil {
			item = &metav1.LabelSelector{}
		}
		parsed, err := metav1.LabelSelectorAsSelector(item)
		if err != nil {
			return []labels.Selector{labels.Everything()}, nil //nolint:nilerr // that is what istiod makes of it
		}
		all = append(all, parsed)
	}
	if len(all) == 0 {
		all = []labels.Selector{labels.Everything()}
	}
	return all, nil
}

// vars are an istiod's environment: of two variables of one name the last counts.
type vars map[string]string

func environment(list []corev1.EnvVar) vars {
	all := vars{}
	for _, v := range list {
		all[v.Name] = v.Value
	}
	return all
}

// enabled reads a variable as istiod does (pkg/env/var.go in istio/istio).
func (v vars) enabled(name string) bool {
	on, err := strconv.ParseBool(v[name])
	return err == nil && on
}

func (v vars) text(name, unset string) string {
	if value, ok := v[name]; ok {
		return value
	}
	return unset
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// field is a field that may be drawn: how many of ten meshes have it, and its values.
type field struct {
	path   string
	often  int
	values []any
}

// fields are those of an Istio's spec that decide, beside some that do not.
func fields() []field {
	bools, texts := []any{true, false, nil}, []any{"true", "false", "1", "T", "yes", nil}
	return []field{
		{"profile", 4, []any{"remote", "remote", "ambient", "default", "demo", "stable", "openshift-ambient", nil}},
		{"values.profile", 2, []any{"remote", "ambient", "preview", "", "openshift", nil}},
		{"values.istiodRemote.enabled", 2, bools},
		{"values.istiodRemote.enabledLocalInjectorIstiod", 3, bools},
		{"values.pilot.istiodRemote.enabled", 1, bools},
		{"values.pilot.istiodRemote.enabledLocalInjectorIstiod", 1, bools},
		{"values.pilot.configMap", 3, bools},
		{"values.pilot.crlConfigMapName", 2, []any{"crl", nil}},
		{"values.global.resourceScope", 2, []any{"all", "all", "namespace", "cluster", "undefined", nil}},
		{"values.global.trustBundleName", 2, []any{"bundle", "", nil}},
		{"values.global.externalIstiod", 2, bools},
		{"values.global.operatorManageWebhooks", 1, bools},
		{"values.global.omitSidecarInjectorConfigMap", 1, bools},
		{"values.global.configCluster", 1, bools},
		{"values.global.remotePilotAddress", 1, []any{"10.0.0.1"}},
		{"values.sidecarInjectorWebhook.enableNamespacesByDefault", 3, bools},
		{"values.pilot.env.EXTERNAL_ISTIOD", 2, append([]any{""}, texts...)},
		{"values.pilot.env.PILOT_ENABLE_AMBIENT", 2, append([]any{""}, texts...)},
		{"values.pilot.env.PILOT_CA_CERT_CONFIGMAP", 2, []any{"env-bundle", nil}},
		{"values.pilot.env.PILOT_CRL_CONFIGMAP", 1, []any{"env-crl", nil}},
		{"values.pilot.env.ENABLE_CLUSTER_TRUST_BUNDLE_API", 1, texts},
		{"values.pilot.env.REVISION", 1, []any{"default", "mesh-1", "mesh-2", "", nil}},
		{"values.pilot.env.OTHER", 2, []any{"x"}},
		{"values.pilot.envVarFrom", 1, []any{
			nil, []any{},
			[]any{map[string]any{"name": "ENABLE_CLUSTER_TRUST_BUNDLE_API", "value": "true"}},
			[]any{map[string]any{"name": "PILOT_CA_CERT_CONFIGMAP", "value": "from"}, map[string]any{"name": "REVISION", "value": "mesh-1"}},
		}},
		{"values.compatibilityVersion", 1, []any{"1.28", nil}},
		{"values.global.platform", 1, []any{"openshift", "k3s", nil}},
		{"values.meshConfig.trustDomain", 2, []any{"a.b"}},
		{"values.meshConfig.discoverySelectors", 8, selectorLists()},
	}
}

// selectorLists are lists of selectors: the algebra of selectors has tests of its own.
func selectorLists() []any {
	dev := map[string]any{"matchLabels": map[string]any{"env": "dev"}}
	not := map[string]any{"matchExpressions": []any{map[string]any{"key": "env", "operator": "NotIn", "values": []any{"dev"}}}}
	bad := map[string]any{"matchExpressions": []any{map[string]any{"key": "env", "operator": "in", "values": []any{"dev"}}}}
	return []any{[]any{dev}, []any{dev}, []any{not}, []any{dev, not}, []any{dev, nil}, []any{nil}, []any{map[string]any{}}, []any{dev, bad}, []any{}, nil}
}

// drawSpec draws the spec of an Istio.
func drawSpec(r *rand.Rand) map[string]any {
	spec := map[string]any{"version": "v1.30.3", "namespace": "istio-system"}
	for _, f := range fields() {
		if r.IntN(10) >= f.often {
			continue
		}
		at := spec
		path := strings.Split(f.path, ".")
		for _, key := range path[:len(path)-1] {
			inner, ok := at[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[key] = inner
			}
			at = inner
		}
		at[path[len(path)-1]] = pick(r, f.values...)
	}
	return spec
}
