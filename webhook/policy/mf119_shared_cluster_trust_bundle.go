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
	subject := "it"
	if source.Ref != m.Ref {
		subject = source.String()
	}
	return []Finding{{
		Field:  clusterTrustBundleField,
		Detail: fmt.Sprintf("%s sets this variable, and so does %s", subject, theOthers(m, others)),
		Effect: "each istiod would overwrite the other's root certificate in the one ClusterTrustBundle istio.io:istiod-ca:root-cert, whatever namespaces they " +
			"discover",
		Ways:     leaveToOther(m, source, w),
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
func leaveToOther(m *mesh.Mesh, source *mesh.Source, w *World) remedy {
	switch {
	case source != &m.Sources[0]:
		return remedy{say(revisionRemedy(m, source, "variable"))}
	case w.Updating:
		if commands := setValues(m, setting{"pilot.env." + clusterTrustBundleVariable, "null"}); len(commands) > 0 {
			return remedy{run("leave it to one mesh", commands...)}
		}
		return remedy{say("leave it to one mesh: take the variable away here")}
	default:
		return remedy{say("leave it to one mesh: create this one without the variable")}
	}
}
