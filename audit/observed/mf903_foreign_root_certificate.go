package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/policy"
)

// foreignRootCertificate finds namespaces whose root certificate is not that of the mesh that discovers them. Contents are compared: the
// field managers of all istiods have one name (pilot-discovery).
func foreignRootCertificate(v *view) []policy.Offence {
	var found []policy.Offence
	for _, ns := range v.judged {
		for _, w := range v.writers(ns) {
			there, own := v.certificates[objectKey{ns.Name, w.bundle}], v.roots[w.mesh.Ref]
			if there == nil || len(own) == 0 || len(own.common(there.certificates)) > 0 && !there.rewritten {
				continue
			}
			found = append(found, ofNamespace(ns.Name, v.foreign(ns.Name, w, there)))
		}
	}
	return found
}

func (v *view) foreign(namespace string, w writer, there *rootCertificate) policy.Finding {
	others := v.whose(there.certificates)
	f := policy.Finding{
		Field:    "metadata.labels",
		Effect:   "its pods do not trust the certificates of their own mesh, so they reach neither istiod nor each other",
		Subjects: append(references(others), w.bundle),
	}
	switch {
	case there.rewritten:
		f.Detail = fmt.Sprintf("its ConfigMap %q was written again while the cluster was read: several istiods overwrite each other's root certificate", w.bundle)
		f.Effect = "its pods trust now one mesh, now the other"
	case len(there.certificates) == 0:
		f.Detail = fmt.Sprintf("its ConfigMap %q has no certificate in %s, while %s discovers it", w.bundle, rootCertificateKey, theMesh(w.mesh))
	case len(others) > 0:
		f.Detail = fmt.Sprintf("its ConfigMap %q has the root certificate of %s, while %s discovers it", w.bundle, theMeshes(others), theMesh(w.mesh))
	default:
		f.Detail = fmt.Sprintf("its ConfigMap %q has a root certificate that is no known mesh's, while %s discovers it", w.bundle, theMesh(w.mesh))
	}
	f.Ways = []policy.Way{
		run("see which istiods discover it", fmt.Sprintf("meshfence explain namespace %s", namespace)),
		run("have istiod write it anew, and restart its pods", fmt.Sprintf("kubectl delete configmap %s --namespace %s", policy.NameWord(w.bundle), policy.NameWord(namespace)), restart(namespace).Commands[0]),
	}
	return f
}

// Suspects returns the ConfigMaps to read a second time, so that a fight of istiods shows: those whose root certificate is not that of
// the mesh that discovers their namespace, and those of namespaces that several meshes write to; at most limit of them.
func (c *Cluster) Suspects(e policy.Existing, limit int) []ConfigMap {
	v := c.view(e)
	var all []ConfigMap
	for _, ns := range v.judged {
		writers := v.writers(ns)
		for i, w := range writers {
			there, own := v.certificates[objectKey{ns.Name, w.bundle}], v.roots[w.mesh.Ref]
			contested := i > 0 && writers[i-1].bundle == w.bundle
			if there != nil && (contested || len(own) > 0 && len(own.common(there.certificates)) == 0) && len(all) < limit {
				all = append(all, ConfigMap{ns.Name, w.bundle})
			}
		}
	}
	return all
}

// ConfigMap names a ConfigMap.
type ConfigMap struct{ Namespace, Name string }
