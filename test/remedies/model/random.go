package model

import (
	"fmt"
	"math/rand/v2"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshfence/meshfence/webhook/sail"
)

// Random makes clusters and changes as they may be where meshfence is installed: every kind of object, right, wrong and out of the
// ordinary.
type Random struct{ *rand.Rand }

func (r Random) pick(choices ...string) string { return choices[r.IntN(len(choices))] }

// oneIn is true once in n times.
func (r Random) oneIn(n int) bool { return r.IntN(n) == 0 }

// Cluster makes up to three meshes, some of whose selectors overlap, with tags, a mesh map, and namespaces. Some meshes inject by
// default, by their own name or that of a tag.
func (r Random) Cluster() Cluster {
	c := Cluster{}
	for i := range 1 + r.IntN(3) {
		name := fmt.Sprintf("mesh-%d", i+1)
		if i == 2 && r.oneIn(2) {
			name = "default"
		}
		istio := r.controlPlane(sail.KindIstio, name)
		if r.oneIn(8) {
			istio = r.controlPlane(sail.KindIstioRevision, name)
		}
		c = c.With(istio)
		for _, version := range []string{"v1-29-0", "v1-30-0"} {
			if istio.GetKind() == sail.KindIstio && r.oneIn(5) {
				c = c.With(r.revisionOf(istio, name+"-"+version))
			}
		}
		if istio.GetKind() == sail.KindIstio && r.oneIn(3) {
			c = c.With(r.revisionOf(istio, name))
		}
	}
	for _, name := range []string{"default", "stable"} {
		// Of a tag and a revision of one name the older one counts, and here nothing has an age.
		taken := c[Key{Kind: sail.KindIstio, Name: name}] != nil || c[Key{Kind: sail.KindIstioRevision, Name: name}] != nil
		if r.oneIn(2) && !taken {
			c = c.With(r.tag(name))
		}
	}
	if r.oneIn(3) {
		c = c.With(r.meshMap())
	}
	c = c.Operate()
	for _, name := range NamespaceNames() {
		if !r.oneIn(6) {
			c = c.With(r.namespace(name))
		}
	}
	return c
}

// NamespaceNames are the namespaces that a cluster may have.
func NamespaceNames() []string {
	return []string{"app-1", "app-2", "app-3", "app-4", "exempt-1", "istio-system-1", "istio-system-2", "istio-system-3"}
}

// Change makes a change of one object of a cluster.
func (r Random) Change(c Cluster) Change {
	keys := c.Keys()
	key := keys[r.IntN(len(keys))]
	if r.oneIn(2) {
		key = keys[r.IntN(len(keys))]
		for range 5 {
			if key.Kind == sail.KindIstio {
				break
			}
			key = keys[r.IntN(len(keys))]
		}
	}
	if r.oneIn(6) {
		key.Name = map[string]string{KindNamespace: "app-9", sail.KindIstio: r.pick("mesh-4", "default"), sail.KindIstioRevision: "mesh-4", KindConfigMap: MapKey.Name}[key.Kind]
		if key.Name == "" {
			key.Name = "canary"
		}
	}
	old := c[key]
	if old != nil && r.oneIn(8) && key.Kind != KindNamespace {
		return Change{Key: key, Old: old}
	}
	return Change{Key: key, Old: old, New: r.changed(key, old)}
}

// changed is another version of an object, or a new one.
func (r Random) changed(key Key, old *Object) *Object {
	switch key.Kind {
	case KindNamespace:
		return r.relabelled(key.Name, old)
	case KindConfigMap:
		return r.meshMap()
	case sail.KindIstioRevisionTag:
		return r.tag(key.Name)
	}
	updated := r.controlPlane(key.Kind, key.Name)
	if old == nil {
		return updated
	}
	after := old.merged(nil).DeepCopy()
	spec, _ := updated.Object["spec"].(map[string]any)
	values, _, _ := unstructured.NestedMap(updated.Object, "spec", "values")
	switch r.IntN(4) {
	case 0: // other selectors alone
		_ = unstructured.SetNestedField(after.Object, values["meshConfig"], "spec", "values", "meshConfig")
	case 1: // one of its other fields
		for _, field := range []string{"version", "updateStrategy", "profile"} {
			if value, there := spec[field]; there && r.oneIn(2) {
				_ = unstructured.SetNestedField(after.Object, value, "spec", field)
			}
		}
	case 2: // all values
		_ = unstructured.SetNestedField(after.Object, spec["values"], "spec", "values")
	default:
		after.SetAnnotations(updated.GetAnnotations())
		_ = unstructured.SetNestedField(after.Object, values, "spec", "values")
	}
	if key.Kind == sail.KindIstioRevision {
		own(after)
	}
	o, err := NewObject(after)
	if err != nil {
		panic(err)
	}
	return o
}

// controlPlane is an Istio or an IstioRevision.
func (r Random) controlPlane(kind, name string) *Object {
	number := strings.TrimPrefix(strings.Replace(name, "default", "mesh-3", 1), "mesh-")
	spec := map[string]any{"namespace": "istio-system-" + number, "version": r.pick("v1.30.0", "v1.30.0", "v1.30.0", "v1.29.0", "v1.27.0")}
	if r.oneIn(16) {
		spec["namespace"] = "istio-system-1"
	}
	if kind == sail.KindIstio && r.oneIn(4) {
		spec["updateStrategy"] = map[string]any{"type": sail.RevisionBased}
	}
	if r.oneIn(12) {
		spec["profile"] = r.pick(sail.ProfileRemote, "ambient")
	}
	values := map[string]any{"meshConfig": r.meshConfig(name)}
	switch r.IntN(20) {
	case 0:
		values["global"] = map[string]any{"trustBundleName": "own-root"}
	case 1, 2:
		values["pilot"] = map[string]any{"configMap": false}
	case 3:
		values["pilot"] = map[string]any{"env": map[string]any{"ENABLE_CLUSTER_TRUST_BUNDLE_API": "true"}}
	case 4:
		values["pilot"] = map[string]any{"env": map[string]any{"PILOT_CA_CERT_CONFIGMAP": "other-root"}}
	case 5:
		values["pilot"] = map[string]any{"env": map[string]any{"REVISION": "other"}}
	case 6:
		values["pilot"] = map[string]any{"env": map[string]any{"PILOT_ENABLE_AMBIENT": "true"}}
	}
	if r.oneIn(6) {
		values["sidecarInjectorWebhook"] = map[string]any{"enableNamespacesByDefault": true}
	}
	spec["values"] = values
	annotations := map[string]any{}
	if r.oneIn(8) {
		annotations["meshfence.io/allow-overlap"] = r.pick("mesh-1", "mesh-2", "mesh-1,mesh-3")
		if r.oneIn(3) {
			annotations["meshfence.io/allow-overlap-until"] = r.pick("2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z", "tomorrow")
		}
	}
	if kind == sail.KindIstioRevision {
		spec["type"] = "Local"
		if values["global"] == nil {
			values["global"] = map[string]any{}
		}
		values["global"].(map[string]any)["istioNamespace"] = spec["namespace"]
		if name != "default" {
			values["revision"] = name
		}
		delete(spec, "profile")
		delete(spec, "type")
	}
	return r.object("sailoperator.io/v1", kind, name, annotations, map[string]any{"spec": spec})
}

// meshConfig has selectors that are more often right than not.
func (r Random) meshConfig(name string) map[string]any {
	var list []any
	if !r.oneIn(3) {
		list = append(list, r.selector("istio-discovery="+name))
	}
	for range r.IntN(3) {
		list = append(list, r.selector(r.pick(
			"istio-discovery=mesh-1", "istio-discovery=mesh-2", "istio-discovery in (mesh-1,mesh-2)", "istio-discovery", "mesh="+name,
			"istio-discovery=mesh-1,team=a", "istio-discovery,team notin (b)", "team=a", "team=b", "team", "!team,istio-discovery",
			"team notin (a)", "!istio-discovery", "", "team in a", "istio.io/rev="+name, "kubernetes.io/metadata.name in (app-1,istio-system-1)",
			"istio-injection=enabled", "team=a,team=b,team",
		)))
	}
	if list == nil {
		return map[string]any{}
	}
	return map[string]any{"discoverySelectors": list}
}

// selector reads what kubectl's --selector takes; "team in a" stands for an operator that does not exist.
func (r Random) selector(text string) any {
	if text == "team in a" {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": "team", "operator": "in", "values": []any{"a"}}}}
	}
	parsed, err := metav1.ParseToLabelSelector(text)
	if err != nil {
		panic(err)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(parsed)
	if err != nil {
		panic(err)
	}
	return object
}

// revisionOf is an IstioRevision of an Istio.
func (r Random) revisionOf(istio *Object, name string) *Object {
	revision := r.controlPlane(sail.KindIstioRevision, name).DeepCopy()
	_ = unstructured.SetNestedField(revision.Object, istio.Object["spec"].(map[string]any)["namespace"], "spec", "namespace")
	own(revision)
	controller := true
	revision.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: "sailoperator.io/v1", Kind: sail.KindIstio, Name: istio.GetName(), UID: "00000000-0000-0000-0000-000000000000", Controller: &controller,
	}})
	o, err := NewObject(revision)
	if err != nil {
		panic(err)
	}
	return o
}

func (r Random) tag(name string) *Object {
	target := map[string]any{"kind": sail.KindIstio, "name": r.pick("mesh-1", "mesh-1", "mesh-2", "mesh-2", "mesh-3", "default", "gone")}
	if r.oneIn(4) {
		target = map[string]any{"kind": sail.KindIstioRevision, "name": r.pick("mesh-1", "mesh-2", "mesh-1-v1-29-0", "gone")}
	}
	return r.object("sailoperator.io/v1", sail.KindIstioRevisionTag, name, nil, map[string]any{"spec": map[string]any{"targetRef": target}})
}

func (r Random) meshMap() *Object {
	data := map[string]any{}
	for _, name := range []string{"mesh-1", "mesh-2", "mesh-9"} {
		if !r.oneIn(3) {
			data[name] = r.pick("mesh-1", "mesh-2", "mesh-1-v1-30-0", "stable", "stabel", "not a label", "default")
		}
	}
	o := r.object("v1", KindConfigMap, MapKey.Name, nil, map[string]any{"data": data})
	o.SetNamespace(MapKey.Namespace)
	return o
}

// namespace has labels that go together, or any.
func (r Random) namespace(name string) *Object {
	labels := map[string]any{}
	if r.oneIn(2) {
		m := r.pick("mesh-1", "mesh-2", "mesh-3", "default")
		if number, found := strings.CutPrefix(name, "istio-system-"); found {
			m = "mesh-" + number
		}
		labels["istio-discovery"] = m
		if r.oneIn(2) {
			labels["istio.io/rev"] = m
		}
	} else {
		labels = r.labels()
	}
	return r.object("v1", KindNamespace, name, nil, nil).merged(map[string]any{"metadata": map[string]any{"labels": labels}})
}

func (r Random) labels() map[string]any {
	labels := map[string]any{}
	for _, choice := range []struct {
		key    string
		rare   int
		values []string
	}{
		{"istio-discovery", 2, []string{"mesh-1", "mesh-2", "mesh-3", "default", "mesh-9", "mesh1"}},
		{"mesh", 8, []string{"mesh-1", "mesh-2", "other"}},
		{"team", 3, []string{"a", "b"}},
		{"istio.io/rev", 2, []string{"mesh-1", "mesh-2", "mesh-3", "mesh-1-v1-30-0", "mesh-1-v1-29-0", "stable", "default", "nobody", "mesh1"}},
		{"istio-injection", 5, []string{"enabled", "enabled", "disabled", "true"}},
		{"istio.io/dataplane-mode", 6, []string{"ambient", "none"}},
		{"maistra.io/member-of", 12, []string{"istio-system"}},
		{"maistra.io/ignore-namespace", 12, []string{"true", "false"}},
	} {
		if r.oneIn(choice.rare) {
			labels[choice.key] = r.pick(choice.values...)
		}
	}
	return labels
}

// relabelled changes one label of a namespace, or all.
func (r Random) relabelled(name string, old *Object) *Object {
	if old == nil {
		return r.namespace(name)
	}
	labels := r.labels()
	if r.oneIn(2) {
		for key := range old.GetLabels() {
			if _, set := labels[key]; !set && !strings.HasPrefix(key, "kubernetes.io/") {
				labels[key] = nil
			}
		}
	} else if keys := old.GetLabels(); r.oneIn(2) {
		for key := range keys {
			if !strings.HasPrefix(key, "kubernetes.io/") {
				labels = map[string]any{key: nil}
				break
			}
		}
	}
	return old.merged(map[string]any{"metadata": map[string]any{"labels": labels}})
}

func (r Random) object(version, kind, name string, annotations, more map[string]any) *Object {
	metadata := map[string]any{"name": name}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	object := map[string]any{"apiVersion": version, "kind": kind, "metadata": metadata}
	for key, value := range more {
		object[key] = value
	}
	o, err := NewObject(&unstructured.Unstructured{Object: object})
	if err != nil {
		panic(err)
	}
	return o
}
