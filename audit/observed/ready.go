package observed

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// ready reports whether the Sail operator says that an object's control plane works, and otherwise why not, as it says. An object without the condition has
// not been looked at by the operator.
func (p *plane) ready() (ready bool, reason string) {
	for _, c := range p.Status.Conditions {
		if c.Type != "Ready" {
			continue
		}
		if c.Status == "True" {
			return true, ""
		}
		reason = c.Reason
		if c.Message != "" {
			reason += ": " + c.Message
		}
		return false, reason
	}
	return false, "the operator has not said anything of it yet"
}

// works reports whether the control plane of a mesh works, so that what it should have done is worth a word; where it does not, MF916 has said so.
func (v *view) works(m *mesh.Mesh) bool {
	if m.Kind == mesh.KindIstiod {
		return slices.ContainsFunc(m.Revisions, func(revision string) bool {
			d := v.istiodOf(m.ControlPlane, revision)
			return d != nil && d.Status.Available > 0
		})
	}
	ready, _ := v.plane(m.Ref).ready()
	if !ready {
		return false
	}
	d := v.istiodOf(m.ControlPlane, m.ActiveRevision)
	return d == nil || d.Status.Available > 0
}
