package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// otherMeshes returns all meshes, by name, but m: remote ones too, which inject although they discover nothing here.
func otherMeshes(m *mesh.Mesh, w *World) []*mesh.Mesh {
	var others []*mesh.Mesh
	for _, other := range w.Fleet.Meshes() {
		if other.Ref != m.Ref {
			others = append(others, other)
		}
	}
	return others
}

// refs names the objects of meshes, which tells an Istio from an IstioRevision of the same name.
func refs(meshes []*mesh.Mesh) []string {
	texts := make([]string, len(meshes))
	for i, m := range meshes {
		texts[i] = m.String()
	}
	return texts
}

// joinAnd joins what is said of several meshes: of the first ones, if there are many.
func joinAnd(texts []string) string {
	if len(texts) <= maxNamed {
		return strings.Join(texts, " and ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:maxNamed], ", "), len(texts)-maxNamed)
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
