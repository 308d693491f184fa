package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/policy"
)

// rootCertificateMissing finds namespaces that a mesh discovers without its root certificate having arrived, although its
// control plane works.
func rootCertificateMissing(v *view) []policy.Offence {
	var found []policy.Offence
	for _, ns := range v.judged {
		for _, w := range v.writers(ns) {
			if v.certificates[objectKey{ns.Name, w.bundle}] != nil || !v.works(w.mesh) {
				continue
			}
			found = append(found, ofNamespace(ns.Name, policy.Finding{
				Field:  "metadata.labels",
				Detail: fmt.Sprintf("%s discovers it, but it has no ConfigMap %q with the root certificate", theMesh(w.mesh), w.bundle),
				Effect: "new pods with a sidecar wait in Init:0/1 for the ConfigMap that they mount",
				Ways: []policy.Way{
					run("see whether istiod runs, and what it says", fmt.Sprintf("kubectl logs --selector=app=istiod --namespace %s --tail=50", policy.NameWord(w.mesh.ControlPlane))),
				},
				Subjects: []string{w.mesh.String(), w.bundle},
			}))
		}
	}
	return found
}
