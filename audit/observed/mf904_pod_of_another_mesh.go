package observed

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// podOfAnotherMesh finds pods with the sidecar of a mesh that does not discover their namespace: they were injected before it moved, or while
// meshfence did not run. Pods of a revision that no known mesh has are left out: of what istiod they are is not known.
func podOfAnotherMesh(v *view) []policy.Offence {
	var found []policy.Offence
	pods := v.podsOf()
	for _, ns := range v.judged {
		revisions, injected := byName(pods[ns.Name], func(g podGroup) string { return g.injected })
		for _, revision := range revisions {
			if v.elsewhere(v.revisions[revision], ns.Name) {
				found = append(found, ofNamespace(ns.Name, v.foreignPods(ns, revision, injected[revision])))
			}
		}
	}
	return found
}

func (v *view) foreignPods(ns *mesh.Namespace, revision string, groups []podGroup) policy.Finding {
	of := v.revisions[revision]
	pods, owners := v.counted(groups)
	who := "no mesh discovers it"
	if discovering := v.discovering[ns.Name]; len(discovering) > 0 {
		who = "it is discovered by " + theMeshes(discovering)
	}
	f := policy.Finding{
		Field:    "metadata.labels",
		Detail:   fmt.Sprintf("%s, but it has %s with the sidecar of revision %q of %s (%s)", who, podsText(pods), revision, theMeshes(of), owners),
		Effect:   "their istiod knows nothing of this namespace, so calls to them and from them fail or go around the mesh",
		Subjects: append(references(of), revision),
	}
	if choosing := v.fleet.Injecting(ns.Labels); len(choosing) > 0 && slices.ContainsFunc(of, func(m *mesh.Mesh) bool { return slices.Contains(choosing, m) }) {
		f.Ways = []policy.Way{run("see what its labels lead to, and set those of the mesh that discovers it; then restart the pods", "meshfence explain namespace "+ns.Name)}
		return f
	}
	if commands := restartOwners(groups); len(commands) > 0 {
		f.Ways = []policy.Way{run("restart these pods", commands...)}
	} else {
		f.Ways = []policy.Way{restart(ns.Name)}
	}
	return f
}
