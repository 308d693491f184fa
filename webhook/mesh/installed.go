package mesh

import (
	"cmp"
	"maps"
	"slices"

	"github.com/meshfence/meshfence/webhook/sail"
)

// installedMeshes makes a mesh of all istiods of a namespace that the Sail operator did not install. What an IstioRevision stands for is not counted a second
// time: some versions of the operator leave objects without an owner.
func installedMeshes(objects *Objects, read lists) []*Mesh {
	if len(objects.Istiods) == 0 {
		return nil
	}
	known := map[[2]string]bool{}
	for _, cp := range objects.Istios {
		known[[2]string{controlPlaneNamespace(cp), activeRevision(cp)}] = true
	}
	for _, cp := range objects.Revisions {
		known[[2]string{controlPlaneNamespace(cp), cp.Metadata.Name}] = true
	}
	groups := map[string][]*sail.ControlPlane{}
	for _, cp := range objects.Istiods {
		if !known[[2]string{cp.Spec.Namespace, cp.Installed.Revision}] {
			groups[cp.Spec.Namespace] = append(groups[cp.Spec.Namespace], cp)
		}
	}
	var all []*Mesh
	for _, namespace := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, newInstalled(namespace, groups[namespace], read))
	}
	return all
}

// SourceRef names an object as a mesh has it among its sources.
func SourceRef(cp *sail.ControlPlane) Ref {
	if cp.Kind == KindIstiod {
		return Ref{Kind: kindConfigMap, Name: cp.Metadata.Name}
	}
	return Ref{Kind: cp.Kind, Name: cp.Metadata.Name}
}

// newInstalled makes the mesh of a namespace. Its sources are in the order of their revisions.
func newInstalled(namespace string, istiods []*sail.ControlPlane, read lists) *Mesh {
	slices.SortFunc(istiods, func(a, b *sail.ControlPlane) int { return cmp.Compare(a.Installed.Revision, b.Installed.Revision) })
	m := &Mesh{Ref: Ref{Kind: KindIstiod, Name: namespace}, ControlPlane: namespace}
	for _, cp := range istiods {
		revision := cp.Installed.Revision
		m.Revisions = append(m.Revisions, revision)
		source := newSource(cp, revision, read)
		source.Version = cp.Spec.Version
		m.Sources = append(m.Sources, source)
		m.InstalledBy = cmp.Or(m.InstalledBy, cp.Installed.By)
		m.Version = cmp.Or(cp.Spec.Version, m.Version)
		m.AmbientBy = cmp.Or(m.AmbientBy, ambientBy(cp))
		m.NoFill = m.NoFill || cp.Metadata.Annotations[sail.FillAnnotation] == "false"
		m.Malformed = cmp.Or(m.Malformed, cp.Malformed)
		if declared := cp.Metadata.AllowedOverlap(); len(m.Allowed.Meshes) == 0 {
			m.Allowed = declared
		}
		if len(istiods) == 1 || revision == DefaultRevision {
			m.ActiveRevision = revision
		}
	}
	// The first source is the one that is looked at first: that which says most.
	slices.SortStableFunc(m.Sources, func(a, b Source) int { return cmp.Compare(reach(&a), reach(&b)) })
	return m
}

// reach orders sources: first those that discover everything, last those that run no istiod here.
func reach(s *Source) int {
	switch s.Listing {
	case Unread, Invalid, Unset:
		return 0
	case Selective:
		return 1
	default:
		return 2
	}
}
