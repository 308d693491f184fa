package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// sharedCNI finds meshes that count on the one IstioCNI of the cluster, which is missing or too far from their version.
func sharedCNI(v *view) []policy.Offence {
	var found []policy.Offence
	for _, m := range v.fleet.Meshes() {
		by, asks := v.asksForCNI(m)
		if m.Remote() || !asks || m.Kind == mesh.KindIstiod { // whose node agent has a chart of its own
			continue
		}
		switch {
		case len(v.cnis) == 0:
			found = append(found, ofMesh(m, policy.Finding{
				Field:  by,
				Detail: "it counts on the node agent of Istio, and the cluster has no IstioCNI",
				Effect: "the traffic of its pods is not redirected: new ones fail in istio-validation, or go around the mesh",
				Ways:   []policy.Way{run("install it", v.createCNI(m))},
			}))
		case mesh.Skew(m.Version, v.cnis[0].Spec.Version) > mesh.MaxSkew:
			c := &v.cnis[0]
			found = append(found, ofMesh(m, policy.Finding{
				Field:    "spec.version",
				Detail:   fmt.Sprintf("%s is more than one minor version away from IstioCNI %q (%s), which all meshes share", m.Version, c.Metadata.Name, c.Spec.Version),
				Effect:   "the node agent is tested with control planes of its own minor version and of the next one only",
				Ways:     []policy.Way{run("bring it near enough to all meshes", fmt.Sprintf(`kubectl patch %s %s --type=merge -p '{"spec":{"version":%q}}'`, CNIs, policy.NameWord(c.Metadata.Name), policy.NameWord(m.Version)))},
				Subjects: []string{c.Metadata.Name},
			}))
		}
	}
	return found
}

// createCNI makes the IstioCNI that the guide has.
func (v *view) createCNI(m *mesh.Mesh) string {
	return fmt.Sprintf(`echo '{"apiVersion": "sailoperator.io/v1", "kind": "IstioCNI", "metadata": {"name": "default"}, "spec": {"namespace": "istio-cni", "version": %q}}' | kubectl apply -f -`, policy.NameWord(m.Version))
}

// asksForCNI reports whether a mesh counts on the node agent: by its own object, or by its active IstioRevision, for which the operator has filled in the
// values of the profile and the platform.
func (v *view) asksForCNI(m *mesh.Mesh) (by string, asks bool) {
	if by, asks = v.plane(m.Ref).asksForCNI(m.AmbientBy); asks {
		return by, true
	}
	_, asks = v.plane(mesh.Ref{Kind: mesh.KindIstioRevision, Name: m.ActiveRevision}).asksForCNI("")
	return "spec.profile", asks
}
