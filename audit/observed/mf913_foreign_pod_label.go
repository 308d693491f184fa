package observed

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// foreignPodLabel finds pods whose own label asks for a revision of a mesh that does not discover their namespace. A pod's label counts only where
// the namespace has neither istio.io/rev nor istio-injection (the webhook rev.object of
// istio/manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml).
func foreignPodLabel(v *view) []policy.Offence {
	var found []policy.Offence
	pods := v.podsOf()
	for _, ns := range v.judged {
		names, asking := byName(pods[ns.Name], func(g podGroup) string { return g.asked })
		for _, name := range names {
			if r := v.fleet.Revision(name); r != nil && v.elsewhere(r.Meshes, ns.Name) {
				found = append(found, ofNamespace(ns.Name, v.askingPods(ns, name, asking[name])))
			}
		}
	}
	return found
}

func (v *view) askingPods(ns *mesh.Namespace, name string, groups []podGroup) policy.Finding {
	of := v.fleet.Revision(name).Meshes
	pods, owners := v.counted(groups)
	f := policy.Finding{
		Field:    "metadata.labels",
		Detail:   fmt.Sprintf("%s of it (%s) have the label istio.io/rev=%s, of %s, which does not discover it", podsText(pods), owners, name, theMeshes(of)),
		Effect:   "they get the sidecar of a mesh whose istiod knows nothing of this namespace",
		Ways:     []policy.Way{say("take istio.io/rev out of the labels of these pod templates, and choose the mesh by the labels of the namespace")},
		Subjects: append(references(of), name),
	}
	if pods == 1 {
		f.Detail = fmt.Sprintf("1 pod of it (%s) has the label istio.io/rev=%s, of %s, which does not discover it", owners, name, theMeshes(of))
	}
	if injection := mesh.InjectionOf(ns.Labels); injection.Label != "" {
		f.Effect = "the label has no effect while the namespace has " + injection.Label + "; without it they would get the sidecar of that mesh"
	}
	return f
}
