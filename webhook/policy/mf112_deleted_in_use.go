package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// deletedInUse finds the namespaces that something of the mesh injects now and nothing after the deletion: of the whole mesh,
// or of one IstioRevision that its Istio outlives. The operator deletes older revisions itself, but only those that no namespace
// uses; the active one, which it would create anew, still counts as the mesh's.
func deletedInUse(old *mesh.Mesh, w *World) []Finding {
	inUse, byDefault := chosenAndNot(existing(w, func(ns *mesh.Namespace) bool {
		return injects(old.Ref, w.Before, ns) && len(w.Fleet.Injecting(ns.Labels)) == 0
	}))
	found := deletedDefault(old, byDefault, w)
	if len(inUse) == 0 {
		return found
	}
	f := Finding{Field: "metadata.name", Effect: withoutSidecars}
	if after := w.Fleet.Mesh(old.Ref); after == nil {
		f.Detail = fmt.Sprintf("namespaces use its revisions or tags: %s", namespaceNames(namesOf(inUse)))
		f.Ways = w.remedied(func() remedy { return moveOrRelease(inUse, w) })
	} else {
		gone := slices.DeleteFunc(slices.Clone(old.Revisions), after.Has)
		f.Detail = fmt.Sprintf("namespaces use IstioRevision %s of %s, by its name or through a tag: %s", quoteAll(gone), old.Ref, namespaceNames(namesOf(inUse)))
		f.Ways = w.remedied(func() remedy { return useRevision(after, inUse, w) })
	}
	return append([]Finding{f}, found...)
}

// withoutSidecars is what comes of namespaces that nothing injects any more.
const withoutSidecars = "their new pods would start without sidecars"

// deletedDefault is about the namespaces that the mesh injects without being chosen. Those of them that it does not discover do
// not work as it is.
func deletedDefault(old *mesh.Mesh, byDefault []*mesh.Namespace, w *World) []Finding {
	working := slices.DeleteFunc(byDefault, func(ns *mesh.Namespace) bool { return hanging(w.Before.DiscoveredBy(ns.Labels), []*mesh.Mesh{old}) })
	if len(working) == 0 {
		return nil
	}
	return []Finding{{
		Field:  "metadata.name",
		Detail: fmt.Sprintf("it injects, by default, namespaces that choose no revision: %s", namespaceNames(namesOf(working))),
		Effect: withoutSidecars,
		Ways: w.remedied(func() remedy {
			return moveAll(working, w).or("where sidecars are needed, have another mesh inject these namespaces first")
		}),
	}}
}

// useRevision gives the namespaces the name of the revision that remains, and the labels that its selectors ask for; what cannot have them
// can do without sidecars.
func useRevision(m *mesh.Mesh, inUse []*mesh.Namespace, w *World) remedy {
	revision := revisionOf(m, w.Fleet)
	use := func(ns *mesh.Namespace) []selector.Edit { return use(revision, m, ns, w) }
	if w.injectedAfter(inUse, use) {
		return remedy{run(fmt.Sprintf("use the revision %q%s", revision, likewise(inUse)), labelAll(inUse, use)...)}
	}
	return append(remedy{say(fmt.Sprintf("have a selector of %s match them, and then have them use the revision %q", m.Ref, revision))}, w.withoutInjection(inUse)...)
}

// use are the edits after which a namespace is injected by a revision of a mesh, and discovered by the mesh as far as labels decide that.
func use(revision string, m *mesh.Mesh, ns *mesh.Namespace, w *World) []selector.Edit {
	edits := injectBy(revision, ns.Labels)
	return sortedEdits(append(edits, joinEdits(m, &mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, edits)}, w)...))
}

// injectedAfter reports whether changes of the first namespaces' labels are admitted, also after the deletion, and something injects
// them then.
func (w *World) injectedAfter(inUse []*mesh.Namespace, edits func(*mesh.Namespace) []selector.Edit) bool {
	return w.allowsAll(inUse, edits) && all(inUse[:min(len(inUse), maxNamed)], func(ns *mesh.Namespace) bool {
		return len(w.Fleet.Injecting(apply(ns.Labels, edits(ns)))) > 0
	})
}

// allowsAll reports whether changes of the first namespaces' labels are admitted, before the change that is judged and after it.
func (w *World) allowsAll(namespaces []*mesh.Namespace, edits func(*mesh.Namespace) []selector.Edit) bool {
	return all(namespaces[:min(len(namespaces), maxNamed)], func(ns *mesh.Namespace) bool {
		changes := edits(ns)
		return len(changes) > 0 && w.allows(w.Before, ns, changes) && w.allows(w.Fleet, ns, changes)
	})
}

// moveOrRelease offers to move the namespaces of a mesh that goes, and to leave them without sidecars.
func moveOrRelease(inUse []*mesh.Namespace, w *World) remedy {
	return append(moveAll(inUse, w), w.withoutInjection(inUse)...).or("give the namespaces the labels of another mesh, or take those away that choose this one")
}

// withoutInjection offers to leave namespaces without sidecars.
func (w *World) withoutInjection(namespaces []*mesh.Namespace) remedy {
	if !w.allowsAll(namespaces, w.released) {
		return nil
	}
	return remedy{run("turn injection off there"+likewise(namespaces), labelAll(namespaces, w.released)...)}
}

// moveAll offers to move namespaces to the first mesh that can have them all. What a deleted Istio has left behind is no place to go
// to.
func moveAll(inUse []*mesh.Namespace, w *World) remedy {
	for _, other := range w.Fleet.Meshes() {
		move := func(ns *mesh.Namespace) []selector.Edit { return moveEdits(other, ns, w) }
		if other.Owner == "" && w.injectedAfter(inUse, move) {
			return remedy{run(fmt.Sprintf("move them to %s%s", other.Name, likewise(inUse)), labelAll(inUse, move)...)}
		}
	}
	return nil
}

// moveEdits are the label changes after which a mesh discovers and injects a namespace; nil if no labels do that.
func moveEdits(m *mesh.Mesh, ns *mesh.Namespace, w *World) []selector.Edit {
	edits, ok := only(m, ns.Labels, w)
	if !ok {
		return nil
	}
	return sortedEdits(append(edits, injectBy(revisionOf(m, w.Fleet), ns.Labels)...))
}
