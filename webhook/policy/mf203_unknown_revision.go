package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// seeNames lists what istio.io/rev can name.
func seeNames() Way { return run("see the names that exist", showNames()) }

// unknownRevision finds an istio.io/rev that is the name of nothing: pods then start without a sidecar, and nothing says
// so. While no mesh discovers the namespace it is a warning, because labels may come before meshes; so is it while only
// meshes do that discover everything, and the namespace names one that is still to come.
func unknownRevision(ns *mesh.Namespace, w *World) []Finding {
	injection := mesh.InjectionOf(ns.Labels)
	if injection.Label != mesh.RevisionLabel {
		return nil
	}
	discovering := w.discovering(ns)
	if r := w.Fleet.Revision(injection.Revision); r != nil {
		return withoutTarget(ns, r, discovering, w)
	}
	coming := namesComingMesh(ns, discovering, w)
	if coming {
		discovering = nil
	}
	f := Finding{Field: labelPath(mesh.RevisionLabel), Subjects: append(meshSubjects(discovering), "revision "+injection.Revision)}
	f.Detail = fmt.Sprintf("istio.io/rev=%s is the name of no revision or tag", injection.Revision)
	f.Effect = "its pods would start without sidecars"
	if len(discovering) == 0 {
		f.Action = Warn
	} else {
		f.Detail += ", and " + discoverIt(discovering, ns.Labels)
	}
	f.Ways = w.remedied(func() remedy {
		if coming {
			return remedy{seeNames()}
		}
		return rename(ns, f, injection.Revision, wanted(discovering, ns.Labels), w)
	})
	return []Finding{f}
}

// withoutTarget finds an istio.io/rev that names a tag whose target does not exist. The tag may come before its target, or be
// left alone by it, so it is a warning.
func withoutTarget(ns *mesh.Namespace, r *mesh.Revision, discovering []*mesh.Mesh, w *World) []Finding {
	if !r.Tag || len(r.Meshes) > 0 {
		return nil
	}
	f := Finding{
		Action:   Warn,
		Field:    labelPath(mesh.RevisionLabel),
		Detail:   fmt.Sprintf("istio.io/rev=%s is a tag whose target does not exist", r.Name),
		Effect:   "until the target exists, its pods start without sidecars, unless the operator has installed the tag for an earlier target",
		Subjects: []string{"tag " + r.Name},
	}
	if byWebhooks(w.Fleet, r.Name) {
		f.Detail = fmt.Sprintf("istio.io/rev=%s is a tag whose revision is not installed", r.Name)
		f.Effect = "its new pods are refused, because the istiod that they are sent to is not there"
	}
	f.Ways = w.remedied(func() remedy {
		var ways remedy
		for _, m := range wanted(discovering, ns.Labels) {
			edits := injectBy(revisionOf(m, w.Fleet), ns.Labels)
			if ways = w.labels(ns, f, unknownRevision, labelling{fmt.Sprintf("use %s, which discovers it, without the tag", m.Name), edits}); len(ways) > 0 {
				break
			}
		}
		return append(ways, run("see where the tag points", "kubectl get "+tagObject(w.Fleet, r.Name)+" -o yaml"))
	})
	return []Finding{f}
}

// namesComingMesh reports whether a discovery label names a mesh that does not exist, and only meshes that discover everything
// discover the namespace meanwhile, such as OpenShift's gateway-only Istio.
func namesComingMesh(ns *mesh.Namespace, discovering []*mesh.Mesh, w *World) bool {
	if slices.ContainsFunc(discovering, func(m *mesh.Mesh) bool { return selectsByLabel(m, ns.Labels) }) {
		return false
	}
	return len(discovering) > 0 && slices.ContainsFunc(w.DiscoveryLabels, func(key string) bool {
		named, present := ns.Labels[key]
		return present && w.Fleet.Named(named) == nil
	})
}

// rename proposes the name that was probably meant. If a mesh discovers the namespace, only its names make sense; if none
// does, the command also makes the name's mesh discover it.
func rename(ns *mesh.Namespace, f Finding, revision string, discovering []*mesh.Mesh, w *World) remedy {
	meant := nearest(revision, candidates(discovering, w.Fleet))
	question := didYouMean(meant)
	if meant == "" && len(discovering) > 0 {
		meant = revisionOf(discovering[0], w.Fleet)
		question = fmt.Sprintf("use the revision %q", meant)
	}
	if meant == "" {
		return remedy{seeNames()}
	}
	edits := []selector.Edit{set(mesh.RevisionLabel, meant)}
	if len(discovering) == 0 {
		join, ok := editsToJoin(w.Fleet.Revision(meant).Meshes, ns.Labels, w)
		if !ok {
			return remedy{say(question + " No label would make the mesh of that revision discover this namespace: its owner has to change its selectors first")}
		}
		edits = append(edits, join...)
	}
	if ways := w.labels(ns, f, unknownRevision, labelling{question, sortedEdits(edits)}); len(ways) > 0 {
		return ways
	}
	return remedy{seeNames()}
}

// didYouMean is a label that asks for a name.
func didYouMean(name string) string { return fmt.Sprintf("did you mean %q?", name) }

// candidates are the names that belong to one of the meshes; all names if there is no mesh.
func candidates(discovering []*mesh.Mesh, fleet *mesh.Fleet) []string {
	return slices.DeleteFunc(fleet.RevisionNames(), func(name string) bool {
		return len(discovering) > 0 && !intersect(discovering, fleet.Revision(name).Meshes)
	})
}

// editsToJoin are the label changes that make the first of the meshes discover the namespace; ok is false if there are none.
// A revision without a mesh, or of a mesh whose istiod runs in another cluster, needs none.
func editsToJoin(meshes []*mesh.Mesh, labels map[string]string, w *World) (edits []selector.Edit, ok bool) {
	if len(meshes) == 0 || slices.ContainsFunc(meshes, (*mesh.Mesh).Remote) {
		return nil, true
	}
	return only(meshes[0], labels, w)
}
