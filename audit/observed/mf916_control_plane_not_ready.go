package observed

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// controlPlaneNotReady finds control planes that do not work: an Istio or IstioRevision whose condition Ready is not true, and an istiod without a pod that is
// available. One cause is told once: a revision's only where its Istio says nothing of it, a Deployment's only where its mesh is said to be ready.
func controlPlaneNotReady(v *view) []policy.Offence {
	var found []policy.Offence
	for _, m := range v.fleet.Meshes() {
		if ready, reason := v.plane(m.Ref).ready(); !ready && m.Kind != mesh.KindIstiod {
			found = append(found, ofMesh(m, notReady(m.Ref, reason)))
			continue
		}
		for i := range m.Sources {
			ref := m.Sources[i].Ref
			if ref == m.Ref || ref.Kind != api.KindIstioRevision {
				continue
			}
			if ready, reason := v.plane(ref).ready(); !ready {
				found = append(found, policy.Offence{Kind: ref.Kind, Name: ref.Name, Finding: notReady(ref, reason)})
			}
		}
		for _, revision := range m.Revisions {
			if d := v.istiodOf(m.ControlPlane, revision); d != nil && d.Status.Available == 0 {
				found = append(found, policy.Offence{Kind: "Deployment", Namespace: d.Metadata.Namespace, Name: d.Metadata.Name, Finding: unavailable(d, m)})
			}
		}
	}
	return found
}

func notReady(ref mesh.Ref, reason string) policy.Finding {
	return policy.Finding{
		Field:  "status.conditions",
		Detail: "it is not ready: " + oneLine(reason),
		Effect: "its istiod may not run: namespaces get no root certificate, pods no sidecar and no configuration",
		Ways:   []policy.Way{run("see what the operator says", "kubectl describe "+kubectlName(ref))},
	}
}

func unavailable(d *istiodDeployment, m *mesh.Mesh) policy.Finding {
	f := policy.Finding{
		Field:    "status.availableReplicas",
		Detail:   fmt.Sprintf("no pod of it is available, so revision %q of %s has no istiod", d.revision(), theMesh(m)),
		Effect:   "namespaces get no root certificate, pods no sidecar and no configuration",
		Ways:     []policy.Way{run("see its pods", "kubectl get pods --selector app=istiod --namespace "+d.Metadata.Namespace)},
		Subjects: []string{m.String()},
	}
	if d.replicas() == 0 {
		f.Ways = []policy.Way{run("it is scaled to 0; scale it up", fmt.Sprintf("kubectl scale deployment %s --namespace %s --replicas 1", d.Metadata.Name, d.Metadata.Namespace))}
	}
	return f
}

// oneLine is a text that something else wrote, without line breaks and not too long for a line.
func oneLine(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
