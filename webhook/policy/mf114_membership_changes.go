package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// membershipChanges counts the namespaces that join and leave a mesh with a change of its selectors. Namespaces that leave
// and that the mesh injects are strandsNamespaces' to tell. Nothing is said about a mesh whose istiod serves another
// cluster, unless it has served this one until now, nor while selectors do not parse: then it is not known what istiod does.
func membershipChanges(old, updated *mesh.Mesh, w *World) []Finding {
	if settled(updated).Remote() {
		return leavesTheCluster(old, w)
	}
	if unreadable(updated) || old != nil && unreadable(old) {
		return nil
	}
	joining, leaving := w.moves().joining, w.moves().leaving
	if len(joining)+len(leaving) == 0 {
		return nil
	}
	f := Finding{
		Field:  selectorsField,
		Detail: fmt.Sprintf("other selectors move namespaces: %s", movementText(joining, leaving)),
	}
	if old == nil {
		f.Detail = fmt.Sprintf("it discovers namespaces that exist already: %s", movementText(joining, nil))
		f.Ways = remedy{say("if that is not meant, narrow its selectors; with --dry-run=server this warning comes before anything is stored")}
		return append([]Finding{f}, comesAfter(updated, joining, w)...)
	}
	f.Ways = w.remedied(func() remedy { return remedy{putBack(old, updated, w)} })
	return append([]Finding{f}, idleFindings("whose istio.io/rev names nothing", updated, uninjected(updated, joining, namesNothing, w), w)...)
}

// leavesTheCluster counts what a mesh discovered that does not discover anything here any more. Its namespaces may be another istiod's from
// now on, which meshfence cannot see, so those that it injects are told like all others, and not refused (strandsNamespaces).
func leavesTheCluster(old *mesh.Mesh, w *World) []Finding {
	if old == nil || settled(old).Remote() {
		return nil
	}
	leaving := slices.Concat(w.moves().leaving, w.moves().stranded)
	if len(leaving) == 0 {
		return nil
	}
	slices.SortFunc(leaving, func(a, b *mesh.Namespace) int { return strings.Compare(a.Name, b.Name) })
	return []Finding{{
		Field:  "spec.values",
		Detail: fmt.Sprintf("no istiod of it would discover namespaces of this cluster any more: %s", movementText(nil, leaving)),
		Effect: "unless an istiod elsewhere discovers them, their root certificate would go stale",
		Ways:   remedy{say(undo)},
	}}
}

// undo is left where no command puts things right.
const undo = "if that is not meant, undo the change"

// putBack gives the mesh its old selectors again.
func putBack(old, updated *mesh.Mesh, w *World) Way {
	const label = "if that is not meant, put the old selectors back"
	p, ok := selecting(updated, old.Sources[0].Items(), "")
	if !ok || old.Sources[0].Listing != updated.Sources[0].Listing {
		return say(undo)
	}
	after := w.tried(w.base(), w.Namespaces, p.editing)
	if after == nil || !sameSelectors(settled(old), settled(after.Mesh(updated.Ref))) {
		return say(label + ", once the namespaces have the labels for them")
	}
	return run(label, p.commands...)
}

// comesAfter tells which of the namespaces that a new mesh discovers nothing injects.
func comesAfter(m *mesh.Mesh, joining []*mesh.Namespace, w *World) []Finding {
	return append(idleFindings("that choose no revision", m, uninjected(m, joining, choosesNothing, w), w),
		idleFindings("whose istio.io/rev names nothing", m, uninjected(m, joining, namesNothing, w), w)...)
}

// idleFindings is one finding about namespaces, described by which, that a mesh discovers and nothing injects; none if there are none.
func idleFindings(which string, m *mesh.Mesh, idle []*mesh.Namespace, w *World) []Finding {
	if len(idle) == 0 {
		return nil
	}
	inject := func(ns *mesh.Namespace) []selector.Edit { return injectBy(revisionOf(m, w.Fleet), ns.Labels) }
	return []Finding{{
		Field:    selectorsField,
		Detail:   fmt.Sprintf("it discovers namespaces %s: %s", which, namespaceNames(namesOf(idle))),
		Effect:   "nothing injects them",
		Subjects: namesOf(idle),
		Ways: w.remedied(func() remedy {
			if !all(idle[:min(len(idle), maxNamed)], func(ns *mesh.Namespace) bool { return w.allows(w.Fleet, ns, inject(ns)) }) {
				return remedy{say(fmt.Sprintf("to have sidecars there, give them istio.io/rev=%s", revisionOf(m, w.Fleet)))}
			}
			return remedy{run("have sidecars there"+likewise(idle), labelAll(idle, inject)...)}
		}),
	}}
}

// uninjected are the namespaces that a mesh comes to discover because it asks for their labels, and that nothing injects although no label
// of theirs says so: what is filled in when a label comes after the mesh is missing where the mesh comes after the label, and what was
// a revision once may be none any more. A mesh of ambient mode is not
// expected to inject, nor one that has opted out of that, nor anything in the namespace of a control plane. Where selectors ask for istio.io/rev, that label does more
// than to choose a revision, and is not proposed.
func uninjected(m *mesh.Mesh, joining []*mesh.Namespace, because func(map[string]string, *World) bool, w *World) []*mesh.Namespace {
	revision := revisionOf(m, w.Fleet)
	if m.NoFill || m.AmbientBy != "" || !isLabelValue(revision) || !belongs(w.Fleet.Revision(revision), m) || slices.Contains(w.Fleet.SelectorKeys(), mesh.RevisionLabel) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(joining), func(ns *mesh.Namespace) bool {
		return !because(ns.Labels, w) || len(w.Fleet.Injecting(ns.Labels)) > 0 || w.ControlPlane(ns.Name) || w.Fleet.ControlPlaneOf(ns.Name) != nil || !selectsByLabel(m, ns.Labels) ||
			len(wanted(w.Fleet.DiscoveredBy(ns.Labels), ns.Labels)) > 1
	})
}

func choosesNothing(labels map[string]string, _ *World) bool { return !choosesAlready(labels) }

// namesNothing reports whether what a namespace chooses is no revision, or no more, nor a tag of any. If that is so only since this change,
// then other rules tell it.
func namesNothing(labels map[string]string, w *World) bool {
	revision, chosen := labels[mesh.RevisionLabel]
	return chosen && len(owners(w.Before.Revision(revision))) == 0 && len(owners(w.Fleet.Revision(revision))) == 0 && !choosesAlready(withoutRevision(labels)) && !mesh.NeverInjected(labels[mesh.NameLabel])
}

// choosesAlready reports whether a label already decides what becomes of a namespace's pods.
func choosesAlready(labels map[string]string) bool {
	return slices.ContainsFunc([]string{mesh.RevisionLabel, mesh.InjectionLabel, mesh.DataplaneModeLabel, mesh.MaistraMemberLabel}, func(key string) bool {
		_, chosen := labels[key]
		return chosen
	})
}

// movementText counts and names what movementText.
func movementText(joining, leaving []*mesh.Namespace) string {
	var parts []string
	for _, side := range []struct {
		namespaces []*mesh.Namespace
		one, many  string
	}{{joining, "joins", "join"}, {leaving, "leaves", "leave"}} {
		switch n := len(side.namespaces); n {
		case 0:
		case 1:
			parts = append(parts, fmt.Sprintf("1 %s (%q)", side.one, side.namespaces[0].Name))
		default:
			parts = append(parts, fmt.Sprintf("%d %s (%s)", n, side.many, namespaceNames(namesOf(side.namespaces))))
		}
	}
	return strings.Join(parts, ", ")
}

// movement is what becomes of namespaces that exist when a mesh changes.
type movement struct {
	joining []*mesh.Namespace
	// leaving are those that the mesh does not inject, stranded those that it does.
	leaving, stranded []*mesh.Namespace
	// touched are all that come to be discovered or injected by others than before.
	touched []*mesh.Namespace
}

// strands reports whether a namespace is among those. They are by name, as all namespaces are.
func (moved *movement) strands(ns *mesh.Namespace) bool {
	_, found := slices.BinarySearchFunc(moved.stranded, ns.Name, func(other *mesh.Namespace, name string) int { return strings.Compare(other.Name, name) })
	return found
}

// newMovement compares what a mesh discovers before, if there is an old one, and after. The control-plane namespace of a new mesh
// is expected to join.
func newMovement(old, updated *mesh.Mesh, w *World) movement {
	before, rechosen, renamed := takenOver(updated, w), rechosen(w.without(), w.Fleet), false
	if old != nil {
		before, renamed = old, old.ActiveRevision != updated.ActiveRevision
	}
	if rechosen.none() && !renamed && sameSelectors(settled(before), settled(updated)) {
		return movement{}
	}
	var moved movement
	then, now, either := newServing(before, w.Before), newServing(updated, w.Fleet), mesh.NewFinder(settled(before), settled(updated))
	for i := range w.Namespaces {
		ns := &w.Namespaces[i]
		// Nearly all namespaces are other meshes' business, and one look tells.
		if ns.Deleting || w.exempted(ns) {
			continue
		}
		switch touched := rechosen.by(ns.Labels); {
		case either.Discover(ns.Labels):
			moved.add(ns, then.discovers(ns.Labels), now.discovers(ns.Labels), touched, old, updated, w)
		case touched:
			moved.touched = append(moved.touched, ns)
		}
	}
	return moved
}

// takenOver is the revision that a new mesh takes over, which has discovered namespaces so far; a mesh that discovers nothing if
// there is none.
func takenOver(m *mesh.Mesh, w *World) *mesh.Mesh {
	if before := w.Before.Mesh(mesh.Ref{Kind: mesh.KindIstioRevision, Name: m.TakenOver.Name}); before != nil {
		return before
	}
	return &mesh.Mesh{}
}

// add sorts a namespace in that the mesh discovered before, or discovers now.
func (moved *movement) add(ns *mesh.Namespace, in, stays, touched bool, old, updated *mesh.Mesh, w *World) {
	if touched || in != stays {
		moved.touched = append(moved.touched, ns)
	}
	switch {
	case in == stays, old == nil && (in || ns.Name == updated.ControlPlane):
	case stays:
		moved.joining = append(moved.joining, ns)
	case injects(old.Ref, w.Before, ns) && (!unchosen(ns) || injects(old.Ref, w.Fleet, ns)):
		moved.stranded = append(moved.stranded, ns)
	default:
		moved.leaving = append(moved.leaving, ns)
	}
}

// sameSelectors reports whether two versions of a mesh have the same selectors, so that nothing can move.
func sameSelectors(a, b *mesh.Mesh) bool {
	return slices.EqualFunc(a.Sources, b.Sources, func(left, right mesh.Source) bool {
		return slices.EqualFunc(left.Terms, right.Terms, func(l, r mesh.Term) bool { return l.Selector.Equal(r.Selector) })
	})
}

func unreadable(m *mesh.Mesh) bool { return m.Sources[0].Listing == mesh.Invalid }
