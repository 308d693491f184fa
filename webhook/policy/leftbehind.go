package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// leftBehind says whether other is an IstioRevision without an owner that has the name of the Istio's active revision, as
// kubectl delete --cascade=orphan leaves it. The operator would write the new Istio's values into it, but never own or
// remove it (CreateOrUpdate in sail-operator/pkg/revision/reconcile.go).
func leftBehind(other, istio *mesh.Mesh) bool {
	return istio.Kind == "Istio" && other.Kind == "IstioRevision" && other.Name == istio.ActiveRevision
}

func deleteLeftBehind(other *mesh.Mesh) string {
	return fmt.Sprintf("%s is not owned by any Istio, and has the name that the active revision of this one gets. Delete it first, and the "+
		"operator creates it again: kubectl delete %s %s", other.Ref, resource(other), other.Name)
}

// theOthers names meshes as theMeshes does, with the kind where the name alone would be that of m itself.
func theOthers(m *mesh.Mesh, others []*mesh.Mesh) string {
	texts := make([]string, len(others))
	for i, other := range others {
		if texts[i] = theMesh(other); other.Name == m.Name {
			texts[i] = other.String()
		}
	}
	return joinAnd(texts)
}
