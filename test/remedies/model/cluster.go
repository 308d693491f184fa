package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Kinds besides those of the Sail operator's API.
const (
	KindNamespace = "Namespace"
	KindConfigMap = "ConfigMap"
)

// MapKey is the mesh map.
var MapKey = Key{Kind: KindConfigMap, Namespace: "meshfence-system", Name: "mesh-map"}

// Key names an object. Namespace is "" for what belongs to none.
type Key struct{ Kind, Namespace, Name string }

// String is as in messages, for example: Istio "mesh-1".
func (k Key) String() string { return fmt.Sprintf("%s %q", k.Kind, k.Name) }

// KeyOf is the object's key.
func KeyOf(o *Object) Key { return keyOf(o.Unstructured) }

func keyOf(object *unstructured.Unstructured) Key {
	return Key{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
}

// Object is an object of the cluster, and what meshfence reads of it. It is not written after it was made.
type Object struct {
	*unstructured.Unstructured
	controlPlane *sail.ControlPlane
	tag          *sail.Tag
}

// NewObject reads an object.
func NewObject(object *unstructured.Unstructured) (*Object, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	o := &Object{Unstructured: object}
	switch object.GetKind() {
	case sail.KindIstio, sail.KindIstioRevision:
		if o.controlPlane, err = sail.DecodeControlPlane(raw); err == nil {
			o.controlPlane.Kind = object.GetKind()
		}
	case sail.KindIstioRevisionTag:
		o.tag, err = sail.DecodeTag(raw)
	}
	return o, err
}

// namespace is what is judged of a namespace.
func (o *Object) namespace() *mesh.Namespace {
	if o == nil {
		return nil
	}
	labels := maps.Clone(o.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[mesh.NameLabel] = o.GetName()
	return &mesh.Namespace{Name: o.GetName(), Labels: labels}
}

// meshMap is what is judged of the mesh map.
func (o *Object) meshMap() *mesh.Map {
	if o == nil {
		return nil
	}
	data, _, _ := unstructured.NestedStringMap(o.Object, "data")
	return &mesh.Map{Namespace: o.GetNamespace(), Name: o.GetName(), Data: data}
}

// Cluster is the objects of a cluster. Its methods return changed copies.
type Cluster map[Key]*Object

// With puts an object in the place of the one of its key.
func (c Cluster) With(o *Object) Cluster {
	after := maps.Clone(c)
	after[keyOf(o.Unstructured)] = o
	return after
}

// Without takes an object away; with an Istio its revisions, as the garbage collector does.
func (c Cluster) Without(key Key) Cluster {
	after := maps.Clone(c)
	delete(after, key)
	for other, o := range c {
		if key.Kind == sail.KindIstio && other.Kind == sail.KindIstioRevision && o.controlPlane.Metadata.Controller(sail.KindIstio) == key.Name {
			delete(after, other)
		}
	}
	return after
}

// Put is With, or Without if there is no object.
func (c Cluster) Put(key Key, o *Object) Cluster {
	if o == nil {
		return c.Without(key)
	}
	return c.With(o)
}

// Keys are those of all objects, in order.
func (c Cluster) Keys() []Key {
	return slices.SortedFunc(maps.Keys(c), func(a, b Key) int {
		return strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name)
	})
}

// objects are those that a fleet is made of.
func (c Cluster) objects() mesh.Objects {
	var all mesh.Objects
	for _, key := range c.Keys() {
		switch o := c[key]; key.Kind {
		case sail.KindIstio:
			all.Istios = append(all.Istios, o.controlPlane)
		case sail.KindIstioRevision:
			all.Revisions = append(all.Revisions, o.controlPlane)
		case sail.KindIstioRevisionTag:
			all.Tags = append(all.Tags, o.tag)
		case KindConfigMap:
			all.Map, _ = mesh.ParseMap(o.meshMap().Data)
		}
	}
	return all
}

// namespaces are the cluster's, by name.
func (c Cluster) namespaces() []mesh.Namespace {
	var all []mesh.Namespace
	for _, key := range c.Keys() {
		if key.Kind == KindNamespace {
			all = append(all, *c[key].namespace())
		}
	}
	return all
}

// judgedNamespaces are those that are not exempt.
func (c Cluster) judgedNamespaces() []mesh.Namespace {
	return slices.DeleteFunc(c.namespaces(), func(ns mesh.Namespace) bool { return exempt(ns.Name) })
}

// String lists the objects as JSON, one a line.
func (c Cluster) String() string {
	var lines []string
	for _, key := range c.Keys() {
		lines = append(lines, Text(c[key]))
	}
	return strings.Join(lines, "\n")
}

// Text is an object in one line.
func Text(o *Object) string {
	if o == nil {
		return "nothing"
	}
	raw, _ := json.Marshal(o.Object)
	return string(raw)
}

// Operate does what the operator does after an Istio was stored: it writes the Istio's values into the active revision.
func (c Cluster) Operate() Cluster {
	after := c
	for _, key := range c.Keys() {
		if key.Kind != sail.KindIstio {
			continue
		}
		for _, m := range mesh.NewFleet(c.objects()).Meshes() {
			active := Key{Kind: sail.KindIstioRevision, Name: m.ActiveRevision}
			if m.Kind == sail.KindIstio && m.Name == key.Name && c[active] != nil && slices.Contains(m.Revisions, active.Name) && len(m.Sources) > 1 {
				copied := c[active].DeepCopy()
				for _, field := range []string{"values", "version"} {
					value, found, _ := unstructured.NestedFieldCopy(c[key].Object, "spec", field)
					if found {
						_ = unstructured.SetNestedField(copied.Object, value, "spec", field)
					}
				}
				own(copied)
				if o, err := NewObject(copied); err == nil {
					after = after.With(o)
				}
			}
		}
	}
	return after
}

// own gives the values of an IstioRevision what they must have of their own.
func own(revision *unstructured.Unstructured) {
	namespace, _, _ := unstructured.NestedString(revision.Object, "spec", "namespace")
	_ = unstructured.SetNestedField(revision.Object, namespace, "spec", "values", "global", "istioNamespace")
	if revision.GetName() != "default" {
		_ = unstructured.SetNestedField(revision.Object, revision.GetName(), "spec", "values", "revision")
	}
}

// meshesOf finds the names of the meshes that discover a namespace.
func meshesOf(c Cluster) func(labels map[string]string) []string {
	fleet := mesh.NewFleet(c.objects())
	return func(labels map[string]string) []string {
		var names []string
		for _, m := range fleet.DiscoveredBy(labels) {
			names = append(names, m.String())
		}
		return names
	}
}
