package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// membershipChanges counts the namespaces that join and leave a mesh with a change of its selectors. Namespaces that leave
// and that the mesh injects are strandsNamespaces' to tell. Nothing is said about a mesh whose istiod runs in another
// cluster, nor while selectors do not parse: then nobody knows what istiod does.
func membershipChanges(old, updated *mesh.Mesh, w *World) []Finding {
	if settled(updated).Remote() || unreadable(updated) || old != nil && unreadable(old) {
		return nil
	}
	joining, leaving := w.moves().joining, w.moves().leaving
	if len(joining)+len(leaving) == 0 {
		return nil
	}
	f := Finding{
		Field:  selectorsField,
		Detail: fmt.Sprintf("the change of %s moves namespaces: %s", updated.Ref, moves(joining, leaving)),
		Remedy: fmt.Sprintf("If that is not meant, put the old selectors back: kubectl edit %s %s", resource(updated), updated.Name),
	}
	if old == nil {
		f.Detail = fmt.Sprintf("%s discovers namespaces that exist already: %s", updated.Ref, moves(joining, nil))
		f.Remedy = "If that is not meant, narrow its selectors; with --dry-run=server this is told before anything is stored"
	}
	return []Finding{f}
}

// moves counts and names what moves.
func moves(joining, leaving []*mesh.Namespace) string {
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
}

// moving compares what a mesh discovers before, if there is an old one, and after. The control-plane namespace of a new mesh
// is expected to join.
func moving(old, updated *mesh.Mesh, w *World) movement {
	after := settled(updated)
	if old == nil {
		finder, already := mesh.NewFinder(after), takenOver(updated, w)
		return movement{joining: existing(w.Namespaces, func(ns *mesh.Namespace) bool {
			return ns.Name != updated.ControlPlane && finder.Discover(ns.Labels) && !already.Discover(ns.Labels)
		})}
	}
	before := settled(old)
	if sameSelectors(before, after) {
		return movement{}
	}
	var moved movement
	then, now, either := mesh.NewFinder(before), mesh.NewFinder(after), mesh.NewFinder(before, after)
	for i := range w.Namespaces {
		ns := &w.Namespaces[i]
		// Nearly all namespaces are other meshes' business, and one look tells.
		if ns.Deleting || !either.Discover(ns.Labels) {
			continue
		}
		switch in, stays := then.Discover(ns.Labels), now.Discover(ns.Labels); {
		case !in && stays:
			moved.joining = append(moved.joining, ns)
		case !in || stays:
		case injects(old.Ref, w.Before, ns):
			moved.stranded = append(moved.stranded, ns)
		default:
			moved.leaving = append(moved.leaving, ns)
		}
	}
	return moved
}

// takenOver finds what the revision that a new mesh takes over has discovered so far.
func takenOver(m *mesh.Mesh, w *World) *mesh.Finder {
	if before := w.Before.Mesh(mesh.Ref{Kind: mesh.KindIstioRevision, Name: m.TakenOver.Name}); before != nil {
		return mesh.NewFinder(before)
	}
	return mesh.NewFinder()
}

// sameSelectors says whether two versions of a mesh have the same selectors, so that nothing can move.
func sameSelectors(a, b *mesh.Mesh) bool {
	return slices.EqualFunc(a.Sources, b.Sources, func(left, right mesh.Source) bool {
		return slices.EqualFunc(left.Terms, right.Terms, func(l, r mesh.Term) bool { return l.Selector.Equal(r.Selector) })
	})
}

func unreadable(m *mesh.Mesh) bool { return m.Sources[0].Listing == mesh.Invalid }
