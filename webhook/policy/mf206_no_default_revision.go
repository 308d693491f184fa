package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// noDefaultRevision finds istio-injection=enabled while nothing is called default: no injector answers for the label, and
// nothing says so. In a member of an OpenShift Service Mesh 2 mesh that one's injector may answer.
func noDefaultRevision(ns *mesh.Namespace, w *World) []Finding {
	injection := mesh.InjectionOf(ns.Labels)
	if injection.Label != mesh.InjectionLabel || !injection.By || maistraInjects(ns.Labels) || w.Fleet.Revision(mesh.DefaultRevision) != nil {
		return nil
	}
	f := Finding{
		Field:  labelPath(mesh.InjectionLabel),
		Detail: fmt.Sprintf("istio-injection=enabled chooses the revision %q, but no revision or tag has that name", mesh.DefaultRevision),
		Effect: "its pods would start without sidecars",
	}
	f.Ways = w.remedied(func() remedy { return nameRevision(ns, f, w) })
	return []Finding{f}
}

// nameRevision offers to let istio.io/rev choose a mesh that discovers the namespace, also without istio-injection; if none
// does, to remove the label.
func nameRevision(ns *mesh.Namespace, f Finding, w *World) remedy {
	var offers []labelling
	for _, m := range wanted(w.discovering(ns), ns.Labels) {
		revision := ns.Labels[mesh.RevisionLabel]
		if !belongs(w.Fleet.Revision(revision), m) {
			revision = revisionOf(m, w.Fleet)
		}
		offers = append(offers, labelling{fmt.Sprintf("use %s, which discovers it", m.Name), injectBy(revision, ns.Labels)})
	}
	ways := w.labels(ns, f, noDefaultRevision, offers...)
	if len(ways) == 0 {
		without := labelling{turnOff, alone([]selector.Edit{remove(mesh.InjectionLabel)}, ns.Labels)}
		ways = append(w.labels(ns, f, noDefaultRevision, without), run("see what istio.io/rev can name instead", showNames()))
	}
	return ways
}

// wanted leaves out the meshes that discover the namespace only because they discover everything, if another one asks for
// its labels: OpenShift's gateway-only Istio is not there to inject.
func wanted(discovering []*mesh.Mesh, labels map[string]string) []*mesh.Mesh {
	asking := slices.DeleteFunc(slices.Clone(discovering), func(m *mesh.Mesh) bool { return !selectsByLabel(m, labels) })
	if len(asking) == 0 {
		return discovering
	}
	return asking
}
