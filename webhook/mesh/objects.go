package mesh

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/sail"
)

// Objects is what a Fleet is made of. Its methods return a copy with one object changed and do not write the receiver.
type Objects struct {
	Istios    []*sail.ControlPlane
	Revisions []*sail.ControlPlane
	Tags      []*sail.Tag
	// Map is the mesh map: mesh name to the revision or tag that is filled in. Only valid entries.
	Map map[string]string
}

// With puts an Istio or IstioRevision in the place of the one of its kind and name, or adds it.
func (o Objects) With(cp *sail.ControlPlane) Objects {
	o = o.Without(Ref{Kind: cp.Kind, Name: cp.Metadata.Name})
	if cp.Kind == sail.KindIstioRevision {
		o.Revisions = append(o.Revisions, cp)
	} else {
		o.Istios = append(o.Istios, cp)
	}
	return o
}

// Without takes an Istio or IstioRevision away, if it is there.
func (o Objects) Without(ref Ref) Objects {
	if ref.Kind == sail.KindIstioRevision {
		o.Revisions = without(o.Revisions, func(cp *sail.ControlPlane) bool { return cp.Metadata.Name == ref.Name })
	} else {
		o.Istios = without(o.Istios, func(cp *sail.ControlPlane) bool { return cp.Metadata.Name == ref.Name })
	}
	return o
}

// WithTag puts a tag in the place of the one of its name, or adds it.
func (o Objects) WithTag(tag *sail.Tag) Objects {
	o = o.WithoutTag(tag.Metadata.Name)
	o.Tags = append(o.Tags, tag)
	return o
}

// WithoutTag takes a tag away, if it is there.
func (o Objects) WithoutTag(name string) Objects {
	o.Tags = without(o.Tags, func(tag *sail.Tag) bool { return tag.Metadata.Name == name })
	return o
}

// without returns a copy of the list; its capacity is its own.
func without[T any](list []T, gone func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), gone)
}
