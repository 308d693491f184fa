package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/kube"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Kinds of objects that are judged and are not the operator's.
const (
	KindNamespace = "Namespace"
	KindConfigMap = "ConfigMap"
)

// Key names an object. Namespace is "" for kinds that are not namespaced.
type Key struct{ Kind, Namespace, Name string }

// String returns the key as messages name an object, for example: Istio "mesh-1". Without a name it is the kind, of all objects.
func (k Key) String() string {
	if k.Name == "" {
		return k.Kind
	}
	if k.Namespace != "" {
		return fmt.Sprintf("%s %q in namespace %q", k.Kind, k.Name, k.Namespace)
	}
	return fmt.Sprintf("%s %q", k.Kind, k.Name)
}

// compare orders objects as they are reported: by kind, namespace and name.
func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// Object is one object that is judged.
type Object struct {
	Key
	// Raw is the whole object as JSON.
	Raw []byte

	controlPlane *sail.ControlPlane
	tag          *sail.Tag
	namespace    *kube.Namespace
	configMap    *kube.ConfigMap
	istiod       *istiod.Part
}

// Judged reports whether the object is one that is judged, or that a judgement goes by: of those that Concerns names some are not, which only their labels
// tell.
func (o Object) Judged() bool {
	return o.controlPlane != nil || o.tag != nil || o.namespace != nil || o.configMap != nil || o.istiod != nil
}

// Scope says which objects are meshfence's business besides the operator's and namespaces.
type Scope struct {
	// Namespace is meshfence's own, which has the mesh map.
	Namespace string
	// MeshMap is the name of the mesh map.
	MeshMap string
}

// Concerns reports whether an object of this API version, kind and name is judged. A ConfigMap without a namespace is taken for one in meshfence's
// namespace if it has the mesh map's name: a file often leaves the namespace to kubectl's -n.
func (s Scope) Concerns(apiVersion, kind, namespace, name string) bool {
	group, _, grouped := strings.Cut(apiVersion, "/")
	switch {
	case istiod.Concerns(apiVersion, kind, name):
		return true
	case grouped && group == api.SailGroup:
		return kind == api.KindIstio || kind == api.KindIstioRevision || kind == api.KindIstioRevisionTag
	case apiVersion != "v1":
		return false
	default:
		return kind == KindNamespace || s.isMeshMap(kind, namespace, name)
	}
}

func (s Scope) isMeshMap(kind, namespace, name string) bool {
	return kind == KindConfigMap && name == s.MeshMap && (namespace == "" || namespace == s.Namespace)
}

// Decode reads an object that Concerns says is judged. An error means that the API server would not take it, or that nothing can be judged.
func (s Scope) Decode(kind, namespace, name string, raw []byte) (Object, error) {
	o := Object{Key: Key{Kind: kind, Name: name}, Raw: raw}
	var err error
	if s.isMeshMap(kind, namespace, name) {
		o.Namespace = cmp.Or(namespace, s.Namespace)
		o.configMap, err = kube.DecodeConfigMap(raw)
		return o, err
	}
	switch kind {
	case api.KindIstio, api.KindIstioRevision:
		if o.controlPlane, err = sail.DecodeControlPlane(raw); err == nil {
			o.controlPlane.Kind, o.controlPlane.Metadata.Name = kind, name
			err = o.controlPlane.Malformed
		}
	case api.KindIstioRevisionTag:
		if o.tag, err = sail.DecodeTag(raw); err == nil {
			o.tag.Metadata.Name = name
			err = o.tag.Malformed
		}
	case KindNamespace:
		o.namespace, err = kube.DecodeNamespace(raw)
	case istiod.KindInjector:
		o.istiod, err = istiod.Decode(kind, raw)
	case istiod.KindConfigMap, istiod.KindDeployment, istiod.KindService:
		o.Namespace = cmp.Or(namespace, api.DefaultControlPlaneNamespace)
		o.istiod, err = istiod.Decode(kind, raw)
	default:
		err = fmt.Errorf("kind %q is not judged", kind)
	}
	return o, err
}

// DecodeFile is Decode for an object that is to be applied: the API server drops its deletion timestamp.
func (s Scope) DecodeFile(kind, namespace, name string, raw []byte) (Object, error) {
	if bytes.Contains(raw, []byte("deletionTimestamp")) {
		without, err := jsonpatch.MergePatch(raw, []byte(`{"metadata":{"deletionTimestamp":null}}`))
		if err != nil {
			return Object{}, err
		}
		raw = without
	}
	return s.Decode(kind, namespace, name, raw)
}

// Labels returns the labels of a namespace, nil for other kinds.
func (o Object) Labels() map[string]string {
	if o.namespace == nil {
		return nil
	}
	return o.namespace.Metadata.Labels
}

// Inventory is what is known of a cluster, or of files. Its methods do not write the receiver unless they say so.
type Inventory struct {
	objects map[Key]Object
	// unknown are the kinds of which there may be objects besides, and why.
	unknown map[string]string
}

// Miss says that there may be more objects of a kind than the inventory has, and why: what is not in it is not known then, rather than absent. It
// writes the receiver.
func (i *Inventory) Miss(kind, why string) {
	if i.unknown == nil {
		i.unknown = map[string]string{}
	}
	i.unknown[kind] = why
}

// MissAll says so of all kinds: the inventory is of files alone. It writes the receiver.
func (i *Inventory) MissAll() {
	for _, kind := range []string{api.KindIstio, api.KindIstioRevision, api.KindIstioRevisionTag, KindNamespace, KindConfigMap} {
		i.Miss(kind, "")
	}
}

// Misses returns the first of some kinds of which there may be more objects, "" if all are known, and why.
func (i *Inventory) Misses(kinds ...string) (kind, why string) {
	for _, kind := range kinds {
		if why, missing := i.unknown[kind]; missing {
			return kind, why
		}
	}
	return "", ""
}

// Put adds an object, or replaces the one of its key. It writes the receiver.
func (i *Inventory) Put(o Object) {
	if i.objects == nil {
		i.objects = map[Key]Object{}
	}
	i.objects[o.Key] = o
}

// Get returns the object of a key.
func (i *Inventory) Get(key Key) (Object, bool) {
	o, ok := i.objects[key]
	return o, ok
}

// Keys returns the keys of all objects in the order of reports.
func (i *Inventory) Keys() []Key { return slices.SortedFunc(maps.Keys(i.objects), Key.compare) }

// Count returns how many objects of a kind there are, without those of istiods.
func (i *Inventory) Count(kind string) int {
	n := 0
	for key, o := range i.objects {
		if key.Kind == kind && o.istiod == nil {
			n++
		}
	}
	return n
}

// MeshConfigs returns how many mesh configurations of istiods there are that the Sail operator did not install.
func (i *Inventory) MeshConfigs() int {
	n := 0
	for _, o := range i.objects {
		if o.istiod != nil && o.istiod.IsConfig() && !o.istiod.BySailOperator() {
			n++
		}
	}
	return n
}

// clone returns a copy that can be written.
func (i *Inventory) clone() *Inventory {
	return &Inventory{objects: maps.Clone(i.objects), unknown: maps.Clone(i.unknown)}
}

// meshes returns what a fleet is made of.
func (i *Inventory) meshes() mesh.Objects {
	var all mesh.Objects
	var istiods istiod.Objects
	for _, key := range i.Keys() {
		switch o := i.objects[key]; {
		case o.istiod != nil:
			istiods.Add(o.istiod)
		case o.tag != nil:
			all.Tags = append(all.Tags, o.tag)
		case o.configMap != nil:
			all.Map, _ = mesh.ParseMap(o.configMap.Data)
		case o.controlPlane == nil:
		case key.Kind == api.KindIstioRevision:
			all.Revisions = append(all.Revisions, o.controlPlane)
		default:
			all.Istios = append(all.Istios, o.controlPlane)
		}
	}
	return all.WithParts(istiods)
}

// namespaces returns what is judged of all namespaces, by name.
func (i *Inventory) namespaces() []mesh.Namespace {
	var all []mesh.Namespace
	for _, key := range i.Keys() {
		if ns := i.objects[key].namespace; ns != nil && ns.Metadata.Name != "" {
			all = append(all, *ns.ToMesh())
		}
	}
	return all
}

// meshMap returns the mesh map, nil if there is none.
func (i *Inventory) meshMap() *mesh.Map {
	for key, o := range i.objects {
		if o.configMap != nil {
			return o.configMap.ToMesh(key.Namespace)
		}
	}
	return nil
}
