package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

const (
	clusterTrustBundleVariable = "ENABLE_CLUSTER_TRUST_BUNDLE_API"
	clusterTrustBundleField    = "spec.values.pilot.env[" + clusterTrustBundleVariable + "]"
)

// sharedClusterTrustBundle finds other meshes whose istiods write a ClusterTrustBundle too: there is one, of a fixed name, for
// all istiods of a cluster (istio/pilot/pkg/controllers/clustertrustbundle), and selectors play no part in it.
func sharedClusterTrustBundle(m *mesh.Mesh, w *World) []Finding {
	source := writingClusterTrustBundle(m)
	if source == nil {
		return nil
	}
	others := slices.DeleteFunc(otherMeshes(m, w), func(other *mesh.Mesh) bool { return writingClusterTrustBundle(other) == nil })
	if len(others) == 0 {
		return nil
	}
	return []Finding{{
		Field: clusterTrustBundleField,
		Detail: fmt.Sprintf("%s has %s in the environment of its istiod, and so has %s: each istiod would overwrite the other's root certificate in the one "+
			"ClusterTrustBundle istio.io:istiod-ca:root-cert, whatever namespaces they discover", source.Ref, clusterTrustBundleVariable, theOthers(m, others)),
		Remedy:   leaveToOther(m, source, w),
		Subjects: refs(others),
	}}
}

// writingClusterTrustBundle returns the first object of the mesh whose istiod, in this cluster, writes it, or nil.
func writingClusterTrustBundle(m *mesh.Mesh) *mesh.Source {
	i := slices.IndexFunc(m.Sources, func(s mesh.Source) bool { return s.ClusterTrustBundle && s.Listing != mesh.Remote })
	if i < 0 {
		return nil
	}
	return &m.Sources[i]
}

// leaveToOther takes the variable away.
func leaveToOther(m *mesh.Mesh, source *mesh.Source, w *World) string {
	switch {
	case source != &m.Sources[0]:
		return revisionRemedy(m, source, "variable")
	case w.Updating:
		return "Leave it to one mesh: " + patchCommand(m.Ref, `{"values":{"pilot":{"env":{"`+clusterTrustBundleVariable+`":null}}}}`)
	default:
		return fmt.Sprintf("Leave it to one mesh: create %s without %s", m.Ref, clusterTrustBundleField)
	}
}
