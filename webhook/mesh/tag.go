package mesh

import (
	"cmp"
	"slices"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Kinds of what a tag can point at.
const (
	KindIstio         = sail.KindIstio
	KindIstioRevision = sail.KindIstioRevision
	// KindIstiod is that of the istiods of one namespace that the Sail operator did not install. The name of such a mesh is the namespace's; that
	// of a tag's target is the namespace and the revision, with a slash between.
	KindIstiod = api.KindIstiod
)

// Tag is what is judged of an IstioRevisionTag.
type Tag struct {
	Name string
	// Target is what it points at: an Istio (its active revision) or an IstioRevision.
	Target sail.TargetRef
	// Malformed is why a part of its object could not be read; nil if all could.
	Malformed error
}

// TagOf returns what is judged of the object.
func TagOf(tag *sail.Tag) *Tag {
	return &Tag{Name: tag.Metadata.Name, Target: tag.Spec.TargetRef, Malformed: tag.Malformed}
}

// Tags returns what is judged of all tags, by name.
func (f *Fleet) Tags() []*Tag {
	tags := make([]*Tag, len(f.tags))
	for i, tag := range f.tags {
		tags[i] = TagOf(tag)
	}
	slices.SortFunc(tags, func(a, b *Tag) int { return cmp.Compare(a.Name, b.Name) })
	return tags
}

// Map is what is judged of the mesh map: the ConfigMap as it is, also what ParseMap refuses.
type Map struct {
	// Namespace and Name are the ConfigMap's.
	Namespace, Name string
	Data            map[string]string
	// Binary are the keys of binaryData, where no entry is looked for. kubectl create configmap --from-file puts there
	// what is not UTF-8.
	Binary []string
}
