package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// sharedRootCA finds meshes that trust each other's certificates. Meshes that declare an overlap have to (MF115), and are left out.
func sharedRootCA(v *view) []policy.Offence {
	var found []policy.Offence
	for _, m := range v.fleet.Meshes() {
		var others []*mesh.Mesh
		var shared string
		for _, other := range v.fleet.Meshes() {
			both := v.roots[m.Ref].common(v.roots[other.Ref])
			if other.Ref == m.Ref || len(both) == 0 {
				continue
			}
			if _, declared := mesh.Declaration(m, other, v.existing.Now); declared {
				continue
			}
			others = append(others, other)
			shared = v.roots[m.Ref].named(both[0])
		}
		if len(others) == 0 {
			continue
		}
		found = append(found, ofMesh(m, policy.Finding{
			Field:  "spec.namespace",
			Detail: fmt.Sprintf("it has a root certificate (%s) in common with %s", shared, theMeshes(others)),
			Effect: "a pod of one mesh has a certificate that the other accepts, so mutual TLS does not keep them apart",
			Ways: []policy.Way{
				run("give it a certificate authority of its own, and restart istiod and its pods",
					fmt.Sprintf("kubectl create secret generic cacerts --namespace %s --from-file=ca-cert.pem --from-file=ca-key.pem --from-file=root-cert.pem --from-file=cert-chain.pem", policy.NameWord(m.ControlPlane))),
				run("declare it, if they are to trust each other", fmt.Sprintf("kubectl annotate %s meshfence.io/allow-overlap=%s", annotated(m), policy.NameWord(others[0].Name))),
			},
			Subjects: references(others),
		}))
	}
	return found
}
