package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// rootNamespaceElsewhere finds meshes that share a root namespace, or do not discover their own. Where it is the control plane's, whether it is
// discovered is MF104's business.
func rootNamespaceElsewhere(v *view) []policy.Offence {
	const field = "spec.values.meshConfig.rootNamespace"
	var found []policy.Offence
	for _, m := range v.fleet.Meshes() {
		if m.Remote() {
			continue
		}
		root := v.rootNamespace(m)
		if others := v.rootedIn(root, m); len(others) > 0 {
			f := policy.Finding{
				Field:    field,
				Detail:   fmt.Sprintf("its root namespace %q is that of %s too", root, theMeshes(others)),
				Effect:   "what is configured there for one whole mesh holds for the other as well",
				Subjects: references(others),
			}
			if root != m.ControlPlane {
				f.Ways = []policy.Way{rootAtHome(m)}
			} else {
				f.Ways = []policy.Way{rootAtHome(others[0])}
			}
			found = append(found, ofMesh(m, f))
			continue
		}
		if root != m.ControlPlane && !v.discovers(m, root) {
			found = append(found, ofMesh(m, policy.Finding{
				Field:    field,
				Detail:   fmt.Sprintf("it does not discover its root namespace %q", root),
				Effect:   "its istiod does not read what is configured there for the whole mesh",
				Ways:     []policy.Way{v.discover(m, root), rootAtHome(m)},
				Subjects: []string{root},
			}))
		}
	}
	return found
}

// rootedIn are the other meshes with this root namespace.
func (v *view) rootedIn(root string, m *mesh.Mesh) []*mesh.Mesh {
	var others []*mesh.Mesh
	for _, other := range v.fleet.Meshes() {
		if other.Ref != m.Ref && !other.Remote() && v.rootNamespace(other) == root {
			others = append(others, other)
		}
	}
	return others
}

// rootAtHome makes a mesh's own control-plane namespace its root namespace.
func rootAtHome(m *mesh.Mesh) policy.Way {
	if m.Kind == mesh.KindIstiod {
		return say(fmt.Sprintf("give mesh %s the root namespace %s: meshConfig.rootNamespace, and global.istioNamespace, in the values of its chart", m.Name, m.ControlPlane))
	}
	return run(fmt.Sprintf("make the control-plane namespace of %s its root namespace", theMesh(m)),
		fmt.Sprintf(`kubectl patch %s --type=merge -p '{"spec":{"values":{"meshConfig":{"rootNamespace":%q}}}}'`, kubectlName(m.Ref), policy.NameWord(m.ControlPlane)))
}
