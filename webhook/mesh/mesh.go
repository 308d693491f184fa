package mesh

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/sail"
	"github.com/meshfence/meshfence/webhook/selector"
)

// Ref names an object of the Sail operator's API: a mesh, or one of its revisions.
type Ref struct {
	Kind, Name string
}

// String returns the reference as kubectl prints it in messages, for example: Istio "mesh-1". Istiods of a namespace are no object; they are named in
// words.
func (r Ref) String() string {
	if r.Kind == KindIstiod && strings.Contains(r.Name, "/") { // one of them, by its ConfigMap
		return kindConfigMap + ` "` + r.Name + `"`
	}
	if r.Kind == KindIstiod {
		return `the istiod of namespace "` + r.Name + `"`
	}
	return r.Kind + ` "` + r.Name + `"`
}

// Mesh is one control plane installation: an Istio with its IstioRevisions, the IstioRevisions that an Istio has left behind, an
// IstioRevision that no Istio owns or takes over, or all istiods of a namespace that the Sail operator did not install: they share the Secret of their authority, a leader lock and a
// root certificate.
type Mesh struct {
	Ref
	// ControlPlane is the namespace of its istiod: spec.namespace.
	ControlPlane string
	// ActiveRevision is the revision that new workloads should use (see activeRevision); "" if nothing tells which of several istiods that is.
	ActiveRevision string
	// Revisions are the names of all its revisions, sorted: the active one and those of its stored IstioRevisions.
	Revisions []string
	// Sources are the objects whose selectors decide what the mesh discovers: itself first, then its IstioRevisions by
	// name. An older revision keeps the selectors that it had.
	Sources []Source
	// Owner is the name of the Istio that controlled this IstioRevision and is gone; "" for any other mesh. Until the
	// operator has uninstalled it, which takes seconds, its istiod runs on.
	Owner string
	// TakenOver is the IstioRevision of its active revision's name that no Istio owns; the zero value if there is none.
	TakenOver TakenOver
	// Allowed declares with which other meshes it may overlap.
	Allowed sail.AllowedOverlap
	// Version is spec.version of its object, for example v1.30.1 or v1.30-latest.
	Version string
	// AmbientBy is the path of the field that makes it a mesh of ambient mode; "" if it is none.
	AmbientBy string
	// NoFill says that its object carries meshfence.io/fill: "false": namespaces are discovered without being injected.
	NoFill bool
	// InstalledBy says who installed istiods that are not the Sail operator's, in a word for a person; "" if it is, or nothing tells.
	InstalledBy string
	// Malformed is why a part of its object could not be read; nil if all could.
	Malformed error
}

// TakenOver is an IstioRevision that no Istio owns and that has the name of an Istio's active revision, as kubectl delete
// --cascade=orphan leaves it, or a backup that is restored. The operator writes the version and the values of the Istio into
// it, but neither moves it to another namespace nor becomes its owner (CreateOrUpdate in
// sail-operator/pkg/revision/reconcile.go). So there is one istiod, and one mesh.
type TakenOver struct {
	Name string
	// ControlPlane is the namespace in which its istiod stays.
	ControlPlane string
}

// Source is one object's contribution to what a mesh discovers.
type Source struct {
	Ref
	// Revision is the name of the revision that it installs, and Release that of the Helm release which made it, "" for none.
	Revision, Release string
	// Version is that of its istiod, "" if nothing tells; only of istiods that the Sail operator did not install.
	Version string
	// Listing says what its list of selectors amounts to.
	Listing Listing
	// By is the path of the field because of which the list does not count; "" unless Listing is Unread or Remote.
	By string
	// Terms are its selectors: a namespace is discovered if any of them matches. A source that discovers everything has
	// one term that selects everything; a remote one has none.
	Terms []Term
	// Listed are the selectors that istiod would have if it read them; only if Listing is Unread.
	Listed []Term
	// Unreadable is why the text with the selectors could not be read at all; only of istiods that the Sail operator did not install.
	Unreadable error
	// Errors are the selectors that do not parse, by path.
	Errors field.ErrorList
	// TrustBundle is the name of the ConfigMap that its istiod writes the root certificate to.
	TrustBundle string
	// MountedBundle is the name of the ConfigMap that its pods mount for the root certificate.
	MountedBundle string
	// RevocationList is the name of the ConfigMap that its istiod writes the list of revoked certificates to.
	RevocationList string
	// ClusterTrustBundle says that its istiod writes the root certificate to the one ClusterTrustBundle of all istiods that
	// do so, and to no ConfigMap.
	ClusterTrustBundle bool
	// Shared says that its istiod has a second mesh configuration (SHARED_MESH_CONFIG), which is not read.
	Shared bool
	// InjectsByDefault says that its injector takes every namespace that does not say otherwise, once it is the one of the
	// name default.
	InjectsByDefault bool
	// RefusesTags says that the operator installs no tag for it, because its profile is remote
	// (sail-operator/controllers/istiorevisiontag/istiorevisiontag_controller.go).
	RefusesTags bool

	// items is the list of selectors as it stands in the object, and path where.
	items []*metav1.LabelSelector
	path  *field.Path
}

// Term is one selector and where it stands in its source.
type Term struct {
	Selector selector.Selector
	Path     string
}

// Listing says what a source's list of discovery selectors amounts to. The zero value is invalid.
type Listing int

// How a list of discovery selectors is to be read.
const (
	// Selective: the list's items decide.
	Selective Listing = iota + 1
	// Unset: the list is absent or empty, which means every namespace.
	Unset
	// Invalid: an item does not parse. A running istiod keeps its old selectors; at its next start it has none and
	// discovers everything. So the source counts as discovering everything, never as discovering nothing.
	Invalid
	// Remote: no istiod runs in this cluster, or the one that runs serves another cluster; the selectors discover nothing
	// here.
	Remote
	// Unread: istiod runs here without the mesh configuration in which the selectors are, and so discovers everything. By is "" if there is no
	// such configuration.
	Unread
)

// RevisionBased reports whether each version of the mesh has a revision of its own: update strategy RevisionBased.
func (m *Mesh) RevisionBased() bool { return m.Kind != KindIstiod && m.ActiveRevision != m.Name }

// Remote reports whether no source of the mesh runs an istiod that serves this cluster. An IstioRevision into which the operator is going to
// write the values of the Istio says nothing of its own.
func (m *Mesh) Remote() bool {
	return !slices.ContainsFunc(m.Sources, func(s Source) bool { return s.Listing != Remote && !m.Copied(&s) })
}

// Copied reports whether a source is the active IstioRevision of an Istio: the operator copies the Istio's values into it
// (reconcileActiveRevision in sail-operator/controllers/istio/istio_controller.go).
func (m *Mesh) Copied(s *Source) bool { return s.Ref != m.Ref && s.Name == m.ActiveRevision }

// Discovers returns the first term of the mesh that matches the labels, and its source; nil if none does.
func (m *Mesh) Discovers(labels map[string]string) (*Source, *Term) {
	for i := range m.Sources {
		source := &m.Sources[i]
		for j := range source.Terms {
			if source.Terms[j].Selector.Matches(labels) {
				return source, &source.Terms[j]
			}
		}
	}
	return nil, nil
}

// SameTerms reports whether two sources have the same selectors in the same order.
func (s *Source) SameTerms(other *Source) bool {
	if len(s.Terms) != len(other.Terms) {
		return false
	}
	if len(s.Terms) == 0 || &s.Terms[0] == &other.Terms[0] { // a list is read once, see lists
		return true
	}
	return slices.EqualFunc(s.Terms, other.Terms, func(a, b Term) bool { return a.Selector.Equal(b.Selector) })
}

// SameSelectors reports whether two versions of a mesh have the same sources with the same selectors.
func (m *Mesh) SameSelectors(other *Mesh) bool {
	return slices.EqualFunc(m.Sources, other.Sources, func(a, b Source) bool { return a.Ref == b.Ref && a.SameTerms(&b) })
}

// Has reports whether the mesh has a revision of that name.
func (m *Mesh) Has(revision string) bool {
	_, found := slices.BinarySearch(m.Revisions, revision)
	return found
}
