package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// secondAmbientMesh finds other meshes in ambient mode: the one ztunnel of a cluster asks one istiod, and traffic of every
// mesh is redirected to it (istio issue 55440).
func secondAmbientMesh(m *mesh.Mesh, w *World) []Finding {
	if m.AmbientBy == "" {
		return nil
	}
	others := slices.DeleteFunc(otherMeshes(m, w), func(other *mesh.Mesh) bool { return other.AmbientBy == "" })
	if len(others) == 0 {
		return nil
	}
	because := make([]string, len(others))
	for i, other := range others {
		if because[i] = theMesh(other); other.AmbientBy != m.AmbientBy {
			because[i] += " (" + other.AmbientBy + ")"
		}
	}
	return []Finding{{
		Field:    m.AmbientBy,
		Detail:   fmt.Sprintf("it is set to ambient mode, and so is %s", joinAnd(because)),
		Effect:   "a cluster has one ztunnel, and it belongs to one mesh",
		Ways:     remedy{say("keep ambient mode in one of them, and give the others sidecars: another profile, and no PILOT_ENABLE_AMBIENT in spec.values.pilot.env")},
		Subjects: refs(others),
	}}
}
