package observed

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// staleRootCertificate finds root certificates that a mesh has left behind: istiod stops writing a ConfigMap when it stops discovering its namespace, and
// does not delete it. Only what is a known mesh's is told, so that the ConfigMaps of istiods that are not known stay out of it.
func staleRootCertificate(v *view) []policy.Offence {
	var found []policy.Offence
	bundles := TrustBundles(v.fleet)
	for _, ns := range v.judged {
		writers := v.writers(ns)
		for _, bundle := range bundles {
			there := v.certificates[objectKey{ns.Name, bundle}]
			if there == nil || slices.ContainsFunc(writers, func(w writer) bool { return w.bundle == bundle }) {
				continue
			}
			left := slices.DeleteFunc(v.whose(there.certificates), func(m *mesh.Mesh) bool { return !writes(m, bundle) })
			if len(left) == 0 {
				continue
			}
			found = append(found, ofNamespace(ns.Name, policy.Finding{
				Field:  "metadata.labels",
				Detail: fmt.Sprintf("its ConfigMap %q has the root certificate of %s, which does not discover it", bundle, theMeshes(left)),
				Effect: "pods with a sidecar start with it and find no istiod that answers them; it is not renewed any more",
				Ways: []policy.Way{
					v.discover(left[0], ns.Name),
					run("remove it, if the namespace has left the mesh and no pod mounts it", fmt.Sprintf("kubectl delete configmap %s --namespace %s", policy.NameWord(bundle), policy.NameWord(ns.Name))),
				},
				Subjects: append(references(left), bundle),
			}))
		}
	}
	return found
}

// writes reports whether an istiod of the mesh writes to a ConfigMap of that name.
func writes(m *mesh.Mesh, bundle string) bool {
	return slices.ContainsFunc(m.Sources, func(s mesh.Source) bool { return s.TrustBundle == bundle && s.Listing != mesh.Remote })
}
