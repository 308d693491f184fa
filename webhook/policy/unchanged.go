package policy

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// What of an object a rule of kind state judges, for rule.unchanged: a request that leaves that alone is not told again what
// was wrong before. Each function reports whether it does.

func sameLists(old, updated *mesh.Mesh, _ *World) bool { return updated.SameLists(old) }

func sameOverlap(old, updated *mesh.Mesh, _ *World) bool { return updated.SameOverlap(old) }

func sameControlPlane(old, updated *mesh.Mesh, _ *World) bool {
	return old.ControlPlane == updated.ControlPlane
}

func sameControlPlaneAndLists(old, updated *mesh.Mesh, w *World) bool {
	return sameControlPlane(old, updated, w) && sameLists(old, updated, w)
}

func sameRevisionsAndOwner(old, updated *mesh.Mesh, w *World) bool {
	return sameRevisions(old, updated, w) && old.TakenOver == updated.TakenOver
}

func sameRevisions(old, updated *mesh.Mesh, _ *World) bool {
	return slices.Equal(old.Revisions, updated.Revisions)
}

func sameInjectionByDefault(old, updated *mesh.Mesh, w *World) bool {
	return (injectingByDefault(old) == nil) == (injectingByDefault(updated) == nil) && sameRevisions(old, updated, w)
}

func sameAmbientMode(old, updated *mesh.Mesh, _ *World) bool {
	return old.AmbientBy == updated.AmbientBy
}

func sameClusterTrustBundle(old, updated *mesh.Mesh, _ *World) bool {
	return (writingClusterTrustBundle(old) == nil) == (writingClusterTrustBundle(updated) == nil)
}

func sameMountedBundle(old, updated *mesh.Mesh, _ *World) bool {
	before, own := &old.Sources[0], &updated.Sources[0]
	return before.TrustBundle == own.TrustBundle && before.MountedBundle == own.MountedBundle && before.ClusterTrustBundle == own.ClusterTrustBundle &&
		(before.Listing == mesh.Remote) == (own.Listing == mesh.Remote)
}

func sameVersion(old, updated *mesh.Mesh, _ *World) bool {
	return old.Version == updated.Version
}

// sameDiscoveryLabels is about the labels that decide which mesh discovers a namespace.
func sameDiscoveryLabels(old, updated *mesh.Namespace, w *World) bool {
	return sameLabels(old, updated, w.Fleet.SelectorKeys()...) && sameLabels(old, updated, w.DiscoveryLabels...)
}

// sameInjectionLabels is about the labels that decide what injects a namespace, and how its pods take part in a mesh.
func sameInjectionLabels(old, updated *mesh.Namespace, _ *World) bool {
	return sameLabels(old, updated, mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel, maistraIgnoreLabel)
}

func sameMeshLabels(old, updated *mesh.Namespace, w *World) bool {
	return sameInjectionLabels(old, updated, w) && sameDiscoveryLabels(old, updated, w)
}

func sameLabels(old, updated *mesh.Namespace, keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool { return !same(old.Labels, updated.Labels, key) })
}

// sameEntry is about the one entry of the mesh map that a finding is about: another entry is another matter.
func sameEntry(f Finding, old, updated *mesh.Map) bool {
	for name := range updated.Data {
		if f.Field == entryPath(name) {
			return same(old.Data, updated.Data, name)
		}
	}
	return slices.ContainsFunc(old.Binary, func(name string) bool { return f.Field == binaryPath(name) })
}
