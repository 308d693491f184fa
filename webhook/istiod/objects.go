package istiod

import (
	"cmp"
	"maps"
	"slices"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Objects are the objects of istiods. Those that belong to the Sail operator's are left out of what is read of them: its own say more.
type Objects struct {
	ConfigMaps  []*ConfigMap
	Deployments []*Deployment
	Injectors   []*Injector
	Services    []*Service
}

// place is one istiod: a revision in a namespace.
type place struct{ namespace, revision string }

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.namespace, other.namespace), cmp.Compare(p.revision, other.revision))
}

// installation is what there is of one istiod.
type installation struct {
	config     *ConfigMap
	values     *sail.Values
	deployment *Deployment
	injector   *Injector
	byDefault  bool
	// metas are those of all its objects.
	metas []*Meta
}

// ControlPlanes reads each istiod as the IstioRevision that would install it, in the order of their namespaces and revisions.
func (o *Objects) ControlPlanes() []*sail.ControlPlane {
	found := o.installations()
	var all []*sail.ControlPlane
	for _, at := range slices.SortedFunc(maps.Keys(found), place.compare) {
		if in := found[at]; in.is() {
			all = append(all, in.controlPlane(at))
		}
	}
	return all
}

// installations puts the objects of each istiod together.
func (o *Objects) installations() map[place]*installation {
	all := map[place]*installation{}
	at := func(namespace, revision string, m *Meta) *installation {
		p := place{namespace, cmp.Or(revision, DefaultRevision)}
		if all[p] == nil {
			all[p] = &installation{}
		}
		all[p].metas = append(all[p].metas, m)
		return all[p]
	}
	for _, c := range o.ConfigMaps {
		if in := at(c.Namespace, c.OfRevision, &c.Meta); c.Config != nil {
			in.config = c
		} else {
			in.values = c.Values
		}
	}
	for _, d := range o.Deployments {
		at(d.Namespace, d.Revision, &d.Meta).deployment = d
	}
	for _, i := range o.Injectors {
		in := at(i.Service, i.Revision, &i.Meta)
		if i.Tag == "" {
			in.injector = i
		}
		in.byDefault = in.byDefault || i.ByDefault // a tag called default has such webhooks too
	}
	return all
}

// is reports whether there is an istiod, or webhooks that call one, and the Sail operator has not installed it. The injector's ConfigMap alone makes none, and neither
// does a Service Mesh 2 (MF208 knows its members). Nor does what is not judged when it is written, as a Deployment or a ConfigMap of the Sail library, unless there are
// webhooks, which only administrators of the cluster can make: a tenant's Deployment must not stand in the way of all meshes. For the same reason it says nothing about
// who has installed the istiod: else a tenant's ConfigMap could hide one.
func (in *installation) is() bool {
	if in.injector != nil && byOther(in.injector.Installer) || in.config != nil && byOther(in.config.Installer) {
		return false
	}
	return in.injector != nil || in.config != nil && in.config.Installer < SailLibrary
}

// byOther reports whether an istiod is known by other objects, or none of ours.
func byOther(by Installer) bool { return by == SailOperator || by == Maistra }

// installer is what the objects say, those that say most.
func (in *installation) installer() Installer {
	by := Unknown
	for _, m := range in.metas {
		by = max(by, m.Installer)
	}
	return by
}

func (in *installation) controlPlane(at place) *sail.ControlPlane {
	cp := &sail.ControlPlane{
		Kind:     api.KindIstiod,
		Metadata: sail.Meta{Name: at.namespace + "/" + ConfigMapName(at.revision)},
		Installed: &sail.Installed{
			Revision: at.revision, By: in.installer().String(), NoConfig: in.config == nil || !in.config.Config.Text,
			NotHere: in.config == nil && in.deployment == nil,
		},
	}
	cp.Spec.Namespace = at.namespace
	if in.values != nil {
		// The pods' templates use them. istiod reads its environment and its mesh configuration, so what these values say of it counts for nothing: their ConfigMap is
		// not judged when it is written.
		cp.Spec.Values.Global.TrustBundleName = in.values.Global.TrustBundleName
	}
	for _, m := range in.metas {
		cp.Installed.Release = cmp.Or(cp.Installed.Release, m.Release)
		if m.Version != "" {
			cp.Spec.Version = "v" + m.Version
		}
	}
	if d := in.deployment; d != nil {
		cp.Spec.Values.Pilot.Env = d.Env
		if in.values == nil { // no template for pods, so none mounts another ConfigMap than the istiod writes
			cp.Spec.Values.Global.TrustBundleName = d.Env.TrustBundle
		}
	}
	cp.Installed.ByDefault = in.byDefault
	in.readConfig(cp)
	return cp
}

// readConfig reads the ConfigMap of the mesh configuration.
func (in *installation) readConfig(cp *sail.ControlPlane) {
	if in.config == nil {
		return
	}
	m := &in.config.Meta
	cp.Metadata.UID, cp.Metadata.ResourceVersion, cp.Metadata.CreationTimestamp = m.UID, m.ResourceVersion, m.CreationTimestamp
	cp.Metadata.Annotations = m.Annotations
	cp.Malformed = in.config.Config.Err
	if mesh := in.config.Config.Mesh; mesh != nil {
		cp.Spec.Values.MeshConfig.DiscoverySelectors = mesh.DiscoverySelectors
	}
}

// String is a word for a person, "" for an installer that is not known.
func (i Installer) String() string {
	switch i {
	case Istioctl:
		return "istioctl"
	case Helm:
		return "Helm"
	case SailLibrary:
		return sailLibrary
	case Maistra:
		return "Service Mesh 2"
	case SailOperator:
		return "the Sail operator"
	default:
		return ""
	}
}

// Tags reads the tags that webhook configurations and Services stand for, by name, as the IstioRevisionTags that would install the same. Of several of one
// name the first counts: two are possible in two namespaces, and are then of two meshes.
func (o *Objects) Tags() []*sail.Tag {
	var all []*sail.Tag
	add := func(m *Meta, namespace string) {
		if byOther(m.Installer) {
			return
		}
		tag := &sail.Tag{Metadata: sail.Meta{Name: m.Tag, UID: m.UID, CreationTimestamp: m.CreationTimestamp}}
		tag.Spec.TargetRef = sail.TargetRef{Kind: api.KindIstiod, Name: namespace + "/" + cmp.Or(m.Revision, DefaultRevision)}
		if !slices.ContainsFunc(all, func(other *sail.Tag) bool {
			return other.Metadata.Name == tag.Metadata.Name && other.Spec.TargetRef == tag.Spec.TargetRef
		}) {
			all = append(all, tag)
		}
	}
	for _, i := range o.Injectors {
		if i.Tag != "" {
			add(&i.Meta, i.Service)
		}
	}
	for _, s := range o.Services { // a Service alone could be a tenant's: the webhooks of its revision are not
		if slices.ContainsFunc(o.Injectors, func(i *Injector) bool { return i.Service == s.Namespace && i.Revision == s.Revision }) {
			add(&s.Meta, s.Namespace)
		}
	}
	slices.SortStableFunc(all, func(a, b *sail.Tag) int { return cmp.Compare(a.Metadata.Name, b.Metadata.Name) })
	return all
}
