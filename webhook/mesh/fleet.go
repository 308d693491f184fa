package mesh

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/meshfence/meshfence/webhook/sail"
)

// Fleet is all meshes of the cluster, the tags, and the mesh map: everything a judgement needs; an immutable snapshot.
type Fleet struct {
	meshes    []*Mesh // by name, then kind
	byRef     map[Ref]*Mesh
	byName    map[string]*Mesh
	planes    map[string]*Mesh // by control-plane namespace
	index     lazy[index]
	keys      lazy[[]string] // of all selectors
	revisions map[string]*Revision
	own       map[string][]*Mesh // by the name of a revision, whether a tag hides it or not
	tags      []*sail.Tag
	meshMap   map[string]string
	// unlabelled are the meshes that inject a namespace without a label that chooses a revision.
	unlabelled []*Mesh
	objects    Objects // of which all this is made
}

// Revision is a name that istio.io/rev can have: a revision, or a tag that points at one.
type Revision struct {
	Name string
	// Tag says that the name is an IstioRevisionTag's, which may hide a revision of the same name that is younger.
	Tag bool
	// Meshes are the meshes that it belongs to, by name: one, or none for a tag whose target does not exist. More than
	// one only in a cluster where two meshes already claim one revision name.
	Meshes []*Mesh

	// injecting are those that inject what chooses the name.
	injecting []*Mesh
}

// NewFleet makes a snapshot. It keeps references into objects, which must not be written afterwards.
func NewFleet(objects Objects) *Fleet {
	f := newFleet(objects, nil)
	f.Prepare()
	return f
}

// Prepare makes what is made late of a fleet that Next returned, so that no request has to wait for it.
func (f *Fleet) Prepare() {
	f.finder()
	f.SelectorKeys()
}

// Next is NewFleet for objects that are mostly those of f: it costs little for them. What only some judgements need of the
// snapshot is made when it is first asked for.
func (f *Fleet) Next(objects Objects) *Fleet { return newFleet(objects, listsOf(f.meshes)) }

func newFleet(objects Objects, read lists) *Fleet {
	f := &Fleet{revisions: map[string]*Revision{}, tags: slices.Concat(objects.Tags, objects.IstiodTags), meshMap: objects.Map, objects: objects}
	istios := map[string]*sail.ControlPlane{}
	for _, istio := range objects.Istios {
		istios[istio.Metadata.Name] = istio
	}
	owned, takenOver, active := map[string][]*sail.ControlPlane{}, map[string]TakenOver{}, byActiveRevision(objects.Istios)
	var left []*sail.ControlPlane
	for _, r := range objects.Revisions {
		owner := r.Metadata.Controller(sail.KindIstio)
		switch taker, taken := active[r.Metadata.Name]; {
		case istios[owner] != nil:
			owned[owner] = append(owned[owner], r)
		case taken && owner == "":
			owned[taker] = append(owned[taker], r)
			takenOver[taker] = TakenOver{Name: r.Metadata.Name, ControlPlane: controlPlaneNamespace(r)}
		case owner == "" && olderOf(r, istios[origin(r)]):
			owned[origin(r)] = append(owned[origin(r)], r)
		default:
			left = append(left, r)
		}
	}
	for _, revisions := range byOrigin(left) {
		m := newMesh(revisions[0], revisions[1:], read)
		m.Owner = ownerOf(revisions)
		f.meshes = append(f.meshes, m)
	}
	for _, istio := range objects.Istios {
		m := newMesh(istio, owned[istio.Metadata.Name], read)
		m.TakenOver = takenOver[m.Name]
		f.meshes = append(f.meshes, m)
	}
	f.meshes = append(f.meshes, installedMeshes(&objects, read)...)
	slices.SortFunc(f.meshes, func(a, b *Mesh) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	f.nameMeshes()
	f.nameRevisions(&objects)
	return f
}

// byActiveRevision returns the names of Istios by their active revisions; of two with one name the first.
func byActiveRevision(istios []*sail.ControlPlane) map[string]string {
	names := make(map[string]string, len(istios))
	for _, istio := range istios {
		name, revision := istio.Metadata.Name, activeRevision(istio)
		if other, taken := names[revision]; !taken || name < other {
			names[revision] = name
		}
	}
	return names
}

// nameMeshes fills the tables of meshes; the first one of a name has it.
func (f *Fleet) nameMeshes() {
	f.byRef, f.byName, f.planes = map[Ref]*Mesh{}, map[string]*Mesh{}, map[string]*Mesh{}
	for _, m := range slices.Backward(f.meshes) {
		f.byRef[m.Ref], f.byName[m.Name], f.planes[m.ControlPlane] = m, m, m
	}
}

// nameRevisions fills the tables of names.
func (f *Fleet) nameRevisions(objects *Objects) {
	f.own = map[string][]*Mesh{}
	for _, m := range f.meshes {
		for _, name := range m.Revisions {
			f.own[name] = append(f.own[name], m)
		}
	}
	for name, meshes := range f.own {
		f.revisions[name] = &Revision{Name: name, Meshes: meshes, injecting: meshes}
	}
	for _, tag := range f.tags {
		name := tag.Metadata.Name
		_, taken := f.own[name]
		installed := tag.Spec.TargetRef.Kind == KindIstiod
		if taken && !installed && !tagComesFirst(tag, objects) {
			continue
		}
		meshes := f.Target(tag.Spec.TargetRef)
		r := &Revision{Name: name, Tag: true, Meshes: meshes, injecting: installing(meshes, tag.Spec.TargetRef)}
		if other := f.revisions[name]; other != nil && installed { // each has webhooks of its own, which all inject
			r.Tag, r.Meshes, r.injecting = other.Tag, union(other.Meshes, r.Meshes), union(other.injecting, r.injecting)
		}
		f.revisions[name] = r
	}
	f.unlabelled = f.injectingUnlabelled()
}

// injectingUnlabelled returns the meshes of the revision or tag called default whose values have it inject every namespace that
// does not say otherwise: only the webhooks of that name have such a rule (templates/mutatingwebhook.yaml and
// templates/revision-tags-mwc.yaml of the chart).
func (f *Fleet) injectingUnlabelled() []*Mesh {
	r := f.revisions[DefaultRevision]
	if r == nil {
		return nil
	}
	target := sail.TargetRef{Kind: KindIstioRevision, Name: DefaultRevision}
	if r.Tag {
		target = f.tag(DefaultRevision).Spec.TargetRef
	}
	return slices.DeleteFunc(slices.Clone(r.injecting), func(m *Mesh) bool {
		if m.Kind == KindIstiod { // whose webhooks say so themselves
			return !slices.ContainsFunc(m.Sources, func(s Source) bool { return s.InjectsByDefault })
		}
		return !m.settledSource(revisionOf(m, target)).InjectsByDefault
	})
}

// settledSource is source once the operator has copied the Istio's values into the active IstioRevision.
func (m *Mesh) settledSource(revision string) *Source {
	if revision == m.ActiveRevision {
		return &m.Sources[0]
	}
	return m.source(revision)
}

// installing leaves out the meshes for whose revision the operator refuses to install a tag. The change of an Istio decides that,
// not the copy of it that follows.
func installing(meshes []*Mesh, target sail.TargetRef) []*Mesh {
	return slices.DeleteFunc(slices.Clone(meshes), func(m *Mesh) bool { return m.settledSource(revisionOf(m, target)).RefusesTags })
}

// revisionOf names the revision of a mesh that a tag stands for.
func revisionOf(m *Mesh, target sail.TargetRef) string {
	switch target.Kind {
	case sail.KindIstio:
		return m.ActiveRevision
	case KindIstiod:
		_, revision, _ := strings.Cut(target.Name, "/")
		return revision
	default:
		return target.Name
	}
}

// source is the mesh's object that installs a revision: the IstioRevision of that name, or what it is going to be made of.
func (m *Mesh) source(revision string) *Source {
	i := slices.IndexFunc(m.Sources, func(s Source) bool { return s.Kind != sail.KindIstio && s.Revision == revision })
	return &m.Sources[max(i, 0)]
}

// tagComesFirst reports whether the operator installs the tag and not the revision of the same name: the older of the two, and
// of two from one second the one whose uid comes first (ResourceTakesPrecedence in sail-operator/pkg/validation/validation.go).
// A revision that is not stored yet is not older than its Istio. Where a time is unknown, the revision comes first.
func tagComesFirst(tag *sail.Tag, objects *Objects) bool {
	revision, stored := revisionNamed(tag.Metadata.Name, objects)
	at, since := tag.Metadata.CreationTimestamp, revision.CreationTimestamp
	if at == "" || since == "" {
		return false
	}
	// Times are in UTC and of one length.
	return at < since || at == since && stored && tag.Metadata.UID < revision.UID
}

// revisionNamed returns the metadata of the IstioRevision of that name, or else that of the Istio that it is going to be made
// of.
func revisionNamed(name string, objects *Objects) (meta sail.Meta, stored bool) {
	for _, r := range objects.Revisions {
		if r.Metadata.Name == name {
			return r.Metadata, true
		}
	}
	for _, istio := range objects.Istios {
		if activeRevision(istio) == name && (meta.CreationTimestamp == "" || istio.Metadata.CreationTimestamp < meta.CreationTimestamp) {
			meta = istio.Metadata
		}
	}
	return meta, false
}

// Target returns the meshes of what a tag points at, as Revision.Meshes. A tag never points at a tag.
func (f *Fleet) Target(ref sail.TargetRef) []*Mesh {
	switch ref.Kind {
	case sail.KindIstio:
		if m := f.Mesh(Ref{Kind: sail.KindIstio, Name: ref.Name}); m != nil {
			return []*Mesh{m}
		}
		return nil
	case KindIstiod:
		namespace, revision, _ := strings.Cut(ref.Name, "/")
		return slices.DeleteFunc(slices.Clone(f.own[revision]), func(m *Mesh) bool { return m.ControlPlane != namespace })
	default:
		return f.own[ref.Name]
	}
}

// Meshes returns all meshes by name. The slice must not be written.
func (f *Fleet) Meshes() []*Mesh { return f.meshes }

// Mesh returns the mesh of that reference, or nil.
func (f *Fleet) Mesh(ref Ref) *Mesh { return f.byRef[ref] }

// MeshOf returns the mesh that an object belongs to: that of its own reference, or that of the Istio that owns it or takes it
// over; nil if there is none.
func (f *Fleet) MeshOf(ref Ref) *Mesh {
	if m := f.byRef[ref]; m != nil {
		return m
	}
	for _, m := range f.meshes {
		if slices.ContainsFunc(m.Sources, func(s Source) bool { return s.Ref == ref }) {
			return m
		}
	}
	return nil
}

// Named returns the mesh of that name, an Istio before an IstioRevision, or nil.
func (f *Fleet) Named(name string) *Mesh { return f.byName[name] }

// Revision returns what istio.io/rev=name names, or nil.
func (f *Fleet) Revision(name string) *Revision { return f.revisions[name] }

// SameRevision reports whether two names lead to one revision, so that it does not matter which of them a namespace has. A tag
// leads to the revision that it points at, or to the active one of the Istio that it points at.
func (f *Fleet) SameRevision(a, b string) bool {
	if a == b {
		return true
	}
	left, right := f.LeadsTo(a), f.LeadsTo(b)
	return left != "" && left == right
}

// LeadsTo returns the name of the revision that istio.io/rev=name chooses, "" if there is none.
func (f *Fleet) LeadsTo(name string) string {
	r := f.revisions[name]
	if r == nil {
		return ""
	}
	if !r.Tag {
		return name
	}
	switch ref := f.tag(name).Spec.TargetRef; {
	case len(r.Meshes) == 0:
		return ""
	case ref.Kind == sail.KindIstio:
		return r.Meshes[0].ActiveRevision
	default:
		return revisionOf(r.Meshes[0], ref)
	}
}

// tag returns the tag of that name, or nil.
func (f *Fleet) tag(name string) *sail.Tag {
	i := slices.IndexFunc(f.tags, func(tag *sail.Tag) bool { return tag.Metadata.Name == name })
	if i < 0 {
		return nil
	}
	return f.tags[i]
}

// HasTag reports whether there is a tag of that name, also one that cannot be used because a revision has the name.
func (f *Fleet) HasTag(name string) bool { return f.tag(name) != nil }

// Following returns the names of the tags, sorted, that follow a mesh from one active revision to the next: those whose target
// is the Istio, or an istiod that the Sail operator did not install, and whose name is no revision's.
func (f *Fleet) Following(m *Mesh) []string {
	var names []string
	for _, tag := range f.tags {
		r := f.revisions[tag.Metadata.Name]
		if r != nil && r.Tag && follows(tag.Spec.TargetRef, m) && len(r.Meshes) == 1 {
			names = append(names, tag.Metadata.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// follows reports whether a tag's target is the mesh rather than one of its revisions. Those of istiods that the Sail operator did not install are moved
// from one revision to the next by hand.
func follows(target sail.TargetRef, m *Mesh) bool {
	if target.Kind == KindIstiod {
		namespace, revision, _ := strings.Cut(target.Name, "/")
		return m.Kind == KindIstiod && m.Name == namespace && m.Has(revision)
	}
	return target.Kind == sail.KindIstio && m.Ref == (Ref{Kind: target.Kind, Name: target.Name})
}

// union is the meshes of two lists, each once.
func union(a, b []*Mesh) []*Mesh {
	all := slices.Clone(a)
	for _, m := range b {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// InjectionOf is InjectionOf in this cluster: where the labels choose no revision, the one called default may inject the
// namespace all the same (sidecarInjectorWebhook.enableNamespacesByDefault). No label decides that, so Label is "" then.
func (f *Fleet) InjectionOf(labels map[string]string) Injection {
	injection := InjectionOf(labels)
	if len(f.unlabelled) > 0 && injection == (Injection{}) && !NeverInjected(labels[NameLabel]) {
		return Injection{Revision: DefaultRevision, By: true}
	}
	return injection
}

// Injecting returns the meshes that inject a namespace with these labels: one, or none. A tag of a revision of the profile
// remote, which the operator refuses, injects nothing.
func (f *Fleet) Injecting(labels map[string]string) []*Mesh {
	switch injection := f.InjectionOf(labels); {
	case !injection.By:
		return nil
	case injection.ByDefault():
		return f.unlabelled
	case f.revisions[injection.Revision] == nil:
		return nil
	default:
		return f.revisions[injection.Revision].injecting
	}
}

// RevisionNames returns the names of all revisions and tags, sorted.
func (f *Fleet) RevisionNames() []string {
	names := make([]string, 0, len(f.revisions))
	for name := range f.revisions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Mapped returns the mesh map's entry for a mesh.
func (f *Fleet) Mapped(meshName string) (revision string, ok bool) {
	revision, ok = f.meshMap[meshName]
	return revision, ok
}

// MappedTo returns the names of the meshes, sorted, that the mesh map gives this revision.
func (f *Fleet) MappedTo(revision string) []string {
	var names []string
	for name, value := range f.meshMap {
		if value == revision {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// DiscoveredBy returns the meshes, by name, that discover a namespace with these labels.
func (f *Fleet) DiscoveredBy(labels map[string]string) []*Mesh {
	return f.AppendDiscoveredBy(nil, labels)
}

// AppendDiscoveredBy is DiscoveredBy that appends to a slice of the caller's; it allocates only where that has no room, or
// where more than a few selectors match.
func (f *Fleet) AppendDiscoveredBy(to []*Mesh, labels map[string]string) []*Mesh {
	var room [8]int32
	for _, i := range f.finder().matching(room[:0], labels) {
		to = append(to, f.meshes[i])
	}
	return to
}

// Effort is how many labels and selectors AppendDiscoveredBy looks at for these labels.
func (f *Fleet) Effort(labels map[string]string) int { return f.finder().effort(labels) }

// SelectorKeys returns the label keys, sorted, that a selector of some mesh uses. The slice must not be written.
func (f *Fleet) SelectorKeys() []string {
	return *f.keys.get(func() []string { return selectorKeys(f.meshes) })
}

func (f *Fleet) finder() *index {
	return f.index.get(func() index { return newIndex(f.meshes) })
}

// lazy is a value that is made when it is first asked for.
type lazy[T any] struct {
	once  sync.Once
	value T
}

func (l *lazy[T]) get(makeIt func() T) *T {
	l.once.Do(func() { l.value = makeIt() })
	return &l.value
}

func selectorKeys(meshes []*Mesh) []string {
	var keys []string
	for _, m := range meshes {
		for _, s := range m.Sources {
			for _, t := range s.Terms {
				keys = append(keys, t.Selector.Keys()...)
			}
		}
	}
	slices.Sort(keys)
	return slices.Clip(slices.Compact(keys))
}

// ControlPlaneOf returns the mesh, the first by name, whose control-plane namespace this is, or nil.
func (f *Fleet) ControlPlaneOf(namespace string) *Mesh { return f.planes[namespace] }
