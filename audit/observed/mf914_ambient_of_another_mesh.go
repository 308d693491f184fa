package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// ambientOfAnotherMesh finds namespaces in ambient mode whose mesh is not the one that the cluster's ztunnel asks. Namespaces that no mesh of ambient mode
// discovers are MF214's business.
func ambientOfAnotherMesh(v *view) []policy.Offence {
	var found []policy.Offence
	for i := range v.ztunnels {
		z := &v.ztunnels[i]
		asked := v.meshOfZTunnel(z)
		if asked == nil || z.Metadata.deleting() {
			continue
		}
		for _, ns := range v.judged {
			of := v.ambientMeshes(ns)
			if len(of) == 0 || v.discovers(asked, ns.Name) {
				continue
			}
			found = append(found, ofNamespace(ns.Name, policy.Finding{
				Field:  "metadata.labels[" + mesh.DataplaneModeLabel + "]",
				Detail: fmt.Sprintf("it is in ambient mode in %s, but ZTunnel %q asks the istiod of %s, which does not discover it", theMeshes(of), z.Metadata.Name, theMesh(asked)),
				Effect: "ztunnel takes its traffic and knows none of its pods",
				Ways: []policy.Way{
					v.discover(asked, ns.Name),
					run("or take it out of ambient mode", "kubectl label namespace "+policy.NameWord(ns.Name)+" "+mesh.DataplaneModeLabel+"-"),
				},
				Subjects: append(references(of), asked.String()),
			}))
		}
	}
	return found
}

// ambientMeshes are the meshes of ambient mode that discover a namespace in ambient mode.
func (v *view) ambientMeshes(ns *mesh.Namespace) []*mesh.Mesh {
	if ns.Labels[mesh.DataplaneModeLabel] != "ambient" {
		return nil
	}
	var all []*mesh.Mesh
	for _, m := range v.discovering[ns.Name] {
		if m.AmbientBy != "" {
			all = append(all, m)
		}
	}
	return all
}
