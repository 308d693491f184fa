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
	do := "create the mesh"
	if w.Updating {
		do = "delete the mesh and create it again"
	}
	way := say(fmt.Sprintf("%s with spec.namespace: istio-system-%s, after kubectl create namespace istio-system-%[2]s: spec.namespace cannot be changed", do, NameWord(m.Name)))
	if m.Kind == mesh.KindIstiod {
		way = say("uninstall one of them, and install it in a namespace of its own")
	}
	return []Finding{{
		Field:    "spec.namespace",
		Detail:   fmt.Sprintf("%q is the control-plane namespace of %s", m.ControlPlane, theOthers(m, sharing)),
		Effect:   "two istiods in one namespace share a leader lock, and one of them stops writing its root certificate",
		Ways:     remedy{way},
		Subjects: meshSubjects(sharing),
	}}
}
