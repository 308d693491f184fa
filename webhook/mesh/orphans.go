package mesh

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/sail"
)

// IstioRevisions that no Istio owns stay when their Istio is deleted: until the garbage collector comes, or for good after kubectl delete
// --cascade=orphan. Their istiods run on, in one namespace, and with it share the Secret of their authority, a leader lock and a root
// certificate. So those of one Istio are one mesh, as they were before; the newest stands for it.

// origin names the Istio that an IstioRevision comes from: its owner, or the one whose name and version are its name (see
// activeRevision). It is "" for one that was made by itself.
func origin(r *sail.ControlPlane) string {
	if owner := r.Metadata.Controller(sail.KindIstio); owner != "" {
		return owner
	}
	version := strings.ReplaceAll(r.Spec.Version, ".", "-")
	if parts := strings.SplitN(version, "-", 3); len(parts) == 3 { // v1.30-latest is the name of the version that it stands for
		if name, ok := strings.CutSuffix(r.Metadata.Name, "-"+parts[0]+"-"+parts[1]+"-latest"); ok {
			return name
		}
	}
	name, ok := strings.CutSuffix(r.Metadata.Name, "-"+version)
	if !ok || version == "" {
		return ""
	}
	return name
}

// olderOf reports whether an IstioRevision without an owner is an older one of an Istio that was made again; nil for no Istio.
func olderOf(r, istio *sail.ControlPlane) bool {
	return istio != nil && controlPlaneNamespace(r) == controlPlaneNamespace(istio)
}

// byOrigin puts those together that come from one Istio and are in one namespace, the newest first.
func byOrigin(revisions []*sail.ControlPlane) [][]*sail.ControlPlane {
	type place struct{ origin, namespace string }
	var groups [][]*sail.ControlPlane
	at := map[place]int{}
	for _, r := range revisions {
		of := place{origin(r), controlPlaneNamespace(r)}
		i, known := at[of]
		if of.origin == "" || !known {
			i, at[of] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	for _, group := range groups {
		slices.SortFunc(group, func(a, b *sail.ControlPlane) int { return newer(b, a) })
	}
	return groups
}

// newer compares two IstioRevisions by age, and by version and name where that is not known.
func newer(a, b *sail.ControlPlane) int {
	left, _ := ParseVersion(a.Spec.Version)
	right, _ := ParseVersion(b.Spec.Version)
	return cmp.Or(strings.Compare(a.Metadata.CreationTimestamp, b.Metadata.CreationTimestamp), cmp.Compare(left.Major, right.Major),
		cmp.Compare(left.Minor, right.Minor), strings.Compare(a.Metadata.Name, b.Metadata.Name))
}

// ownerOf is the Istio that controlled any of them and is gone, "" for none.
func ownerOf(revisions []*sail.ControlPlane) string {
	for _, r := range revisions {
		if owner := r.Metadata.Controller(sail.KindIstio); owner != "" {
			return owner
		}
	}
	return ""
}
