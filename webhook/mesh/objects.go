package mesh

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Objects is what a Fleet is made of. Its methods return a copy with one object changed and do not write the receiver.
type Objects struct {
	Istios    []*sail.ControlPlane
	Revisions []*sail.ControlPlane
	Tags      []*sail.Tag
	// Istiods are those that the Sail operator did not install, each read as the IstioRevision that would install it; IstiodTags are their tags,
	// of which two can have one name.
	Istiods    []*sail.ControlPlane
	IstiodTags []*sail.Tag
	// Parts is what Istiods and IstiodTags were read from. No fleet is made of it.
	Parts istiod.Objects
	// Map is the mesh map: mesh name to the revision or tag that is filled in. Only valid entries.
	Map map[string]string
}

// With puts an Istio, IstioRevision or istiod in the place of the one of its kind and name, or adds it.
func (o Objects) With(cp *sail.ControlPlane) Objects {
	o = o.Without(Ref{Kind: cp.Kind, Name: cp.Metadata.Name})
	list := o.of(cp.Kind)
	*list = append(*list, cp)
	return o
}

// Without takes an Istio, IstioRevision or istiod away, if it is there.
func (o Objects) Without(ref Ref) Objects {
	list := o.of(ref.Kind)
	*list = without(*list, func(cp *sail.ControlPlane) bool { return cp.Metadata.Name == ref.Name })
	return o
}

// WithParts replaces the istiods that the Sail operator did not install, and their tags, by what is read from their objects.
func (o Objects) WithParts(parts istiod.Objects) Objects {
	o.Istiods, o.IstiodTags, o.Parts = parts.ControlPlanes(), parts.Tags(), parts
	return o
}

// of is the list of a kind.
func (o *Objects) of(kind string) *[]*sail.ControlPlane {
	switch kind {
	case sail.KindIstioRevision:
		return &o.Revisions
	case KindIstiod:
		return &o.Istiods
	default:
		return &o.Istios
	}
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
