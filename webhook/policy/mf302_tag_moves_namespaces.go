package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// tagMovesNamespaces finds the namespaces that a tag hands to a mesh that does not discover them: those that carry it when
// it is created, or when it gets another target. Those that the old target's mesh did not discover either are no worse off
// than before; of them it only warns. A mesh whose istiod serves another cluster discovers nothing here, and what it discovers
// there is not known: only what another mesh discovers here is handed over.
func tagMovesNamespaces(old, updated *mesh.Tag, w *World) []Finding {
	// A tag whose name is a revision's moves no namespace; that is another rule's matter.
	if r := w.Fleet.Revision(updated.Name); r == nil || !r.Tag {
		return nil
	}
	targets := w.Fleet.Target(updated.Target)
	if len(targets) == 0 {
		return nil
	}
	var before []*mesh.Mesh
	if old != nil {
		before = w.Fleet.Target(old.Target)
	}
	var moved, past []mesh.Namespace
	for _, ns := range w.Namespaces {
		switch {
		case !usesTag(&ns, updated.Name), !outside(targets, &ns, w):
		case len(before) > 0 && outside(before, &ns, w):
			past = append(past, ns)
		default:
			moved = append(moved, ns)
		}
	}
	var found []Finding
	if len(moved) > 0 {
		found = append(found, undiscovered(old, updated, moved, targets, w))
	}
	if len(past) > 0 {
		f := undiscovered(old, updated, past, targets, w)
		f.Action = Warn
		if len(f.Ways) > 0 && f.Ways[0].Label == beforeTheTag {
			f.Ways = f.Ways[1:]
		}
		found = append(found, f)
	}
	return found
}

// outside reports whether a namespace that these meshes inject is wrong there: none of them discovers it.
func outside(injecting []*mesh.Mesh, ns *mesh.Namespace, w *World) bool {
	discovering := w.Fleet.DiscoveredBy(ns.Labels)
	return crossed(discovering, injecting, ns.Labels) || hanging(discovering, injecting)
}

// beforeTheTag begins the remedy of a refusal.
const beforeTheTag = "change the namespaces before the tag"

// undiscovered is the finding about namespaces that the mesh of the tag's target does not discover.
func undiscovered(old, updated *mesh.Tag, users []mesh.Namespace, targets []*mesh.Mesh, w *World) Finding {
	names := make([]string, len(users))
	for i := range users {
		names[i] = users[i].Name
	}
	comesOfIt := fmt.Sprintf("the sidecars of their new pods would connect to the istiod of %s without its root certificate", plainly(targets))
	if !runHere(targets) {
		comesOfIt = "its istiod is not for this cluster: their new pods would have no sidecars, or sidecars without its root certificate"
	}
	return Finding{
		Field: "spec.targetRef",
		Detail: fmt.Sprintf("it points at %s, but %s does not discover namespaces that use the tag: %s", mesh.Ref(updated.Target), theMeshes(targets),
			namespaceNames(names)),
		Effect:   comesOfIt,
		Ways:     w.remedied(func() remedy { return waysForUsers(old, updated, users, targets, w) }),
		Subjects: names,
	}
}

// waysForUsers offers to leave the namespaces where they are, without the tag, or to take them along into the mesh that it
// points at. Either is done before the tag changes, and admitted then.
func waysForUsers(old, updated *mesh.Tag, users []mesh.Namespace, targets []*mesh.Mesh, w *World) remedy {
	stay, follow := &labelCommands{}, &labelCommands{}
	for i := range users[:min(maxNamed, len(users))] {
		ns := &users[i]
		if revision, m := revisionWithoutTag(ns, old, w); m != nil {
			stay.offer("keep %s in "+m.Name, ns, injectBy(revision, ns.Labels), updated.Name, w)
		} else {
			stay.offer("take the tag from %s", ns, w.released(ns), updated.Name, w)
		}
		if edits, ok := only(targets[0], ns.Labels, w); ok {
			edits = append(edits, injectBy(pointsAt(updated, targets[0]), ns.Labels)...)
			follow.offer("move %s to "+targets[0].Name, ns, sortedEdits(edits), updated.Name, w)
		}
	}
	ways := append(stay.ways(), follow.ways()...)
	if len(ways) == 0 {
		return remedy{say("leave the tag where it points, or have the owners of the meshes change their selectors first")}
	}
	return append(remedy{say(beforeTheTag)}, ways...)
}

// offer notes the edits if they are admitted, whether the tag changes or not, and if the namespace does not use the tag then.
func (c *labelCommands) offer(why string, ns *mesh.Namespace, edits []labelEdit, tag string, w *World) {
	after := &mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, edits)}
	if w.allowsAll([]*mesh.Namespace{ns}, func(*mesh.Namespace) []labelEdit { return edits }) && !usesTag(after, tag) {
		c.add(why, ns, edits)
	}
}

// revisionWithoutTag is the revision that keeps a namespace in the mesh that discovers it, when the tag no longer does, and
// that mesh: the tag's old target if that is its mesh; a nil mesh if no mesh discovers the namespace.
func revisionWithoutTag(ns *mesh.Namespace, old *mesh.Tag, w *World) (string, *mesh.Mesh) {
	discovering := w.Fleet.DiscoveredBy(ns.Labels)
	if old != nil {
		for _, m := range w.Fleet.Target(old.Target) {
			if slices.Contains(discovering, m) {
				return pointsAt(old, m), m
			}
		}
	}
	if len(discovering) == 0 {
		return "", nil
	}
	m := wanted(discovering, ns.Labels)[0]
	return m.ActiveRevision, m
}
