package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// sharedControlPlaneNamespace finds other meshes with the same spec.namespace, which cannot be changed later.
func sharedControlPlaneNamespace(m *mesh.Mesh, w *World) []Finding {
	var sharing []*mesh.Mesh
	for _, other := range w.Fleet.Meshes() {
		if other.Ref != m.Ref && other.ControlPlane == m.ControlPlane {
			sharing = append(sharing, other)
		}
	}
	if len(sharing) == 0 {
		return nil
	}
	way := "spec.namespace cannot be changed later: create the mesh"
	if w.Updating {
		way = "spec.namespace cannot be changed: delete the mesh and create it again"
	}
	remedy := fmt.Sprintf("%s with spec.namespace: istio-system-%s, after kubectl create namespace istio-system-%s", way, m.Name, m.Name)
	return []Finding{{
		Field: "spec.namespace",
		Detail: fmt.Sprintf("%s has spec.namespace %q, the control-plane namespace of %s: two istiods in one namespace share a leader lock, "+
			"and one of them stops writing its root certificate", m.Ref, m.ControlPlane, theOthers(m, sharing)),
		Remedy:   remedy,
		Subjects: meshSubjects(sharing),
	}}
}
