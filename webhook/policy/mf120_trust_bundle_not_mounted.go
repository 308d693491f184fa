package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
)

const (
	trustBundleField         = "spec.values.global.trustBundleName"
	trustBundleVariableField = "spec.values.pilot.env[PILOT_CA_CERT_CONFIGMAP]"
)

// trustBundleNotMounted finds a mesh whose istiod writes its root certificate to another ConfigMap than its pods mount: the
// variable renames the one, the value both.
func trustBundleNotMounted(m *mesh.Mesh, w *World) []Finding {
	own := &m.Sources[0]
	if own.TrustBundle == own.MountedBundle || own.Listing == mesh.Remote || own.ClusterTrustBundle {
		return nil
	}
	f := Finding{
		Field: trustBundleVariableField,
		Detail: fmt.Sprintf("its istiod would write its root certificate to the ConfigMap %q, but its pods mount %q (%s)", own.TrustBundle,
			own.MountedBundle, trustBundleField),
		Effect:   fmt.Sprintf("new pods would hang until there is a ConfigMap %q, and then get the root certificate of the mesh that wrote it", own.MountedBundle),
		Subjects: []string{own.TrustBundle, own.MountedBundle},
	}
	f.Ways = w.remedied(func() remedy { return mountBundle(m, f, w) })
	return []Finding{f}
}

// mountBundle has the pods mount what istiod writes. What is no name of a ConfigMap must go.
func mountBundle(m *mesh.Mesh, f Finding, w *World) remedy {
	name := m.Sources[0].TrustBundle
	switch {
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return remedy{say(fmt.Sprintf("name the ConfigMap in %s instead, and leave PILOT_CA_CERT_CONFIGMAP out", trustBundleField))}
	case w.Updating:
		if ways, kept := keepBundle(m, w, w.curedOf(m.Ref, f, trustBundleNotMounted)); kept && len(ways) > 0 {
			return ways
		}
		p := proposal{editing{m.Ref, mesh.Edit{TrustBundle: name}}, setValues(m, bundleSettings(m, name)...)}
		return w.ways("use one name for both", p, true, w.curedOf(m.Ref, f, trustBundleNotMounted)).or(fmt.Sprintf("leave PILOT_CA_CERT_CONFIGMAP out, or give %s the same name", trustBundleField))
	default:
		return remedy{run("use one name for both", valuesLine(m, fmt.Sprintf("global: {trustBundleName: %s}", yamlValue(name))))}
	}
}
