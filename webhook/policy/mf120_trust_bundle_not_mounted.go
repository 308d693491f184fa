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
		Detail: fmt.Sprintf("the istiod of %s would write its root certificate to ConfigMaps %q (%s), but its pods mount %q (%s): new pods hang until "+
			"there is one of that name, and get the root certificate of whichever mesh has written it", m.Ref, own.TrustBundle, trustBundleVariableField,
			own.MountedBundle, trustBundleField),
		Subjects: []string{own.TrustBundle, own.MountedBundle},
	}
	f.Remedy = w.remedied(func() remedy { return mountBundle(m, f, w) })
	return []Finding{f}
}

// mountBundle has the pods mount what istiod writes. What is no name of a ConfigMap must go.
func mountBundle(m *mesh.Mesh, f Finding, w *World) remedy {
	name := m.Sources[0].TrustBundle
	switch {
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return remedy{say(fmt.Sprintf("Name the ConfigMap in %s instead, and leave PILOT_CA_CERT_CONFIGMAP out", trustBundleField))}
	case w.Updating:
		p := proposal{editing{m.Ref, mesh.Edit{TrustBundle: name}}, patchCommand(m.Ref, fmt.Sprintf(`{"values":{"global":{"trustBundleName":%q}}}`, name))}
		return w.ways("Use one name for both", p, true, w.curedOf(m.Ref, f, trustBundleNotMounted)).or(fmt.Sprintf("Leave PILOT_CA_CERT_CONFIGMAP out, or give %s the same name", trustBundleField))
	default:
		return remedy{say(fmt.Sprintf("Use one name for both: spec: {values: {global: {trustBundleName: %s}}}", yamlValue(name)))}
	}
}
