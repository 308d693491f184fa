package mesh

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/sail"
)

// Edit is a change of an Istio or IstioRevision that a message may propose. The zero value changes nothing.
type Edit struct {
	// Selectors replace the list of selectors; nil leaves it.
	Selectors []*metav1.LabelSelector
	// Reads is the field because of which istiod does not read its mesh configuration, in which the selectors are: it is given another
	// value. "" leaves it.
	Reads string
	// NotByDefault has it inject only namespaces that choose it.
	NotByDefault bool
	// TrustBundle renames the ConfigMap of the root certificate; "" leaves its name.
	TrustBundle string
	// Allowed replaces the annotation that declares overlaps; nil leaves it.
	Allowed []string
	// Until replaces the annotation that ends them; "" leaves it.
	Until string
}

// Edited is the fleet after a change of one object, and after the operator has written the values of an Istio into its active
// IstioRevision; before it has, if operated is false. It returns nil if there is no such object.
func (f *Fleet) Edited(ref Ref, edit Edit, operated bool) *Fleet {
	if ref.Kind == KindIstiod {
		return f.editedIstiods(ref, edit)
	}
	stored := f.object(ref)
	if stored == nil {
		return nil
	}
	changed := edit.apply(stored)
	objects := f.objects.With(changed)
	if m := f.Mesh(ref); operated && ref.Kind == sail.KindIstio && m.source(m.ActiveRevision) != &m.Sources[0] {
		active := *f.object(m.source(m.ActiveRevision).Ref)
		active.Spec.Values = changed.Spec.Values
		objects = objects.With(&active)
	}
	return f.Next(objects)
}

// editedIstiods is the fleet after a change of all istiods of a namespace.
func (f *Fleet) editedIstiods(ref Ref, edit Edit) *Fleet {
	objects, found := f.objects, false
	for _, cp := range f.objects.Istiods {
		if cp.Spec.Namespace != ref.Name {
			continue
		}
		changed := edit.apply(cp)
		if edit.Selectors != nil {
			read := *cp.Installed
			read.NoConfig = false
			changed.Installed = &read
		}
		objects, found = objects.With(changed), true
	}
	if !found {
		return nil
	}
	return f.Next(objects)
}

// object returns the object that a fleet is made of, or nil.
func (f *Fleet) object(ref Ref) *sail.ControlPlane {
	for _, object := range *f.objects.of(ref.Kind) {
		if object.Metadata.Name == ref.Name {
			return object
		}
	}
	return nil
}

// apply returns a changed copy.
func (e Edit) apply(stored *sail.ControlPlane) *sail.ControlPlane {
	changed := *stored
	if e.Selectors != nil {
		changed.Spec.Values.MeshConfig.DiscoverySelectors = e.Selectors
	}
	switch read := true; {
	case e.Reads == "":
	case strings.HasSuffix(envField("REVISION"), e.Reads):
		changed.Spec.Values.Pilot.Env.Revision = nil
	default:
		changed.Spec.Values.Pilot.ConfigMap = &read
	}
	if e.NotByDefault {
		changed.Spec.Values.Injector.EnableNamespacesByDefault = false
		if changed.Installed != nil {
			quiet := *changed.Installed
			quiet.ByDefault = false
			changed.Installed = &quiet
		}
	}
	if e.TrustBundle != "" {
		changed.Spec.Values.Global.TrustBundleName = e.TrustBundle
		if changed.Installed != nil { // the chart puts it into the environment, too
			changed.Spec.Values.Pilot.Env.TrustBundle = e.TrustBundle
		}
	}
	if e.Allowed != nil || e.Until != "" {
		changed.Metadata.Annotations = maps.Clone(stored.Metadata.Annotations)
		if changed.Metadata.Annotations == nil {
			changed.Metadata.Annotations = map[string]string{}
		}
	}
	if e.Allowed != nil {
		changed.Metadata.Annotations[sail.AllowOverlapAnnotation] = strings.Join(e.Allowed, ",")
	}
	if e.Until != "" {
		changed.Metadata.Annotations[sail.AllowOverlapUntilAnnotation] = e.Until
	}
	return &changed
}

// Items are a source's selectors as they stand in its object. The slice must not be written.
func (s *Source) Items() []*metav1.LabelSelector { return s.items }

// Tagged is the fleet after a tag was created, or pointed at something else.
func (f *Fleet) Tagged(name string, target Ref) *Fleet {
	tag := &sail.Tag{Metadata: sail.Meta{Name: name}}
	if i := slices.IndexFunc(f.tags, func(tag *sail.Tag) bool { return tag.Metadata.Name == name }); i >= 0 {
		stored := *f.tags[i]
		tag = &stored
	}
	tag.Spec.TargetRef = sail.TargetRef(target)
	return f.Next(f.objects.WithTag(tag))
}

// Tag returns the tag of that name, or nil.
func (f *Fleet) Tag(name string) *Tag {
	i := slices.IndexFunc(f.tags, func(tag *sail.Tag) bool { return tag.Metadata.Name == name })
	if i < 0 {
		return nil
	}
	return TagOf(f.tags[i])
}
