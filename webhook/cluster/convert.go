package cluster

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// controlPlane reads an Istio or an IstioRevision as it is stored. It goes through JSON, so that a value of a surprising
// type costs that field only; what cannot be read at all still counts as a mesh, and as one that discovers everything.
func controlPlane(kind string) func(metav1.Object) *sail.ControlPlane {
	return func(object metav1.Object) *sail.ControlPlane {
		if read, ok := object.(*meshObject); ok {
			return read.controlPlane
		}
		raw, err := json.Marshal(object)
		cp := &sail.ControlPlane{}
		if err == nil {
			cp, err = sail.DecodeControlPlane(raw)
		}
		if err != nil {
			cp = &sail.ControlPlane{Metadata: sail.Meta{Name: object.GetName()}, Malformed: err}
		}
		cp.Kind = kind
		return cp
	}
}

// tag reads an IstioRevisionTag in the same way.
func tag(object metav1.Object) *sail.Tag {
	raw, err := json.Marshal(object)
	t := &sail.Tag{}
	if err == nil {
		t, err = sail.DecodeTag(raw)
	}
	if err != nil {
		t = &sail.Tag{Metadata: sail.Meta{Name: object.GetName()}, Malformed: err}
	}
	return t
}

// cachedControlPlane reads an Istio or an IstioRevision for the cache.
func cachedControlPlane(kind string) func(metav1.Object) *sail.ControlPlane {
	read := controlPlane(kind)
	return func(object metav1.Object) *sail.ControlPlane {
		kept := *read(object)
		kept.Metadata = cached(kept.Metadata)
		return &kept
	}
}

// cachedTag reads an IstioRevisionTag for the cache.
func cachedTag(object metav1.Object) *sail.Tag {
	t := tag(object)
	t.Metadata = cached(t.Metadata)
	return t
}

// cached drops what changes without meaning anything for a judgement, so that a status update does not make a new fleet.
// What others write, such as kubectl's own annotation, was not read in the first place.
func cached(m sail.Meta) sail.Meta {
	m.ResourceVersion = ""
	return m
}

// meshMap is the mesh map ConfigMap: the entries that can be used, how many cannot, and what is wrong with those.
type meshMap struct {
	name     string
	entries  map[string]string
	ignored  int
	problems []string
}

// readMeshMap reads the ConfigMap's data. Nothing of another type than string can be stored there.
func readMeshMap(object metav1.Object) meshMap {
	var data map[string]string
	if u, ok := object.(*unstructured.Unstructured); ok {
		data, _, _ = unstructured.NestedStringMap(u.Object, "data")
	}
	entries, errs := mesh.ParseMap(data)
	m := meshMap{name: object.GetName(), entries: entries, ignored: len(data) - len(entries)}
	for _, err := range errs {
		m.problems = append(m.problems, err.Error())
	}
	return m
}
