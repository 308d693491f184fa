package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// ambientOutsideMesh finds a namespace of ambient mode that no mesh of ambient mode discovers: ztunnel, of which there is one in a
// cluster, takes its traffic, and the istiod that ztunnel asks does not know its workloads. While no such mesh runs here there is
// no ztunnel either, and labels may come before meshes. A label that injects keeps the pods out of ambient mode, which
// ambientWithRevision tells.
func ambientOutsideMesh(ns *mesh.Namespace, w *World) []Finding {
	if ns.Labels[mesh.DataplaneModeLabel] != ambientMode || w.Fleet.InjectionOf(ns.Labels).By {
		return nil
	}
	ambient := slices.DeleteFunc(slices.Clone(w.Fleet.Meshes()), func(m *mesh.Mesh) bool { return m.AmbientBy == "" || m.Remote() })
	discovering := w.discovering(ns)
	if len(ambient) == 0 || intersect(discovering, ambient) {
		return nil
	}
	by := ""
	if len(discovering) > 0 {
		by = ", and " + becauseAll(discovering, ns.Labels) + " " + do(discovering)
	}
	f := Finding{
		Field:    labelPath(mesh.DataplaneModeLabel),
		Detail:   fmt.Sprintf("%s=%s is set, but %s, which has ambient mode, does not discover it%s", mesh.DataplaneModeLabel, ambientMode, theMeshes(ambient), by),
		Effect:   fmt.Sprintf("ztunnel would take its traffic, and the istiod of %s would not know its workloads", plainly(ambient)),
		Subjects: append(meshSubjects(ambient), discoveredBy(discovering)...),
	}
	f.Ways = w.remedied(func() remedy { return joinAmbient(ns, f, ambient, w) })
	return []Finding{f}
}

// do stands for discover.
func do(meshes []*mesh.Mesh) string {
	if len(meshes) == 1 {
		return "does"
	}
	return "do"
}

// discoveredBy are the meshes that discover a namespace, as subjects beside others.
func discoveredBy(meshes []*mesh.Mesh) []string {
	subjects := meshSubjects(meshes)
	for i := range subjects {
		subjects[i] = "discovered by " + subjects[i]
	}
	return subjects
}

// joinAmbient offers the labels with which a mesh of ambient mode discovers the namespace, and to leave ambient mode.
func joinAmbient(ns *mesh.Namespace, f Finding, ambient []*mesh.Mesh, w *World) remedy {
	var offers []labelling
	for _, m := range ambient {
		if edits, ok := only(m, ns.Labels, w); ok {
			offers = append(offers, labelling{"put it into " + m.Name, alone(edits, ns.Labels)})
		}
	}
	offers = append(offers, labelling{"leave ambient mode", []selector.Edit{remove(mesh.DataplaneModeLabel)}})
	return w.labels(ns, f, ambientOutsideMesh, offers...).or(unlabelled)
}
