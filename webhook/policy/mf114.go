package policy

import (
	"fmt"
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
	joining, leaving := moving(old, updated, w)
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

// moving returns the namespaces that join and leave. The control-plane namespace of a new mesh is expected to join.
func moving(old, updated *mesh.Mesh, w *World) (joining, leaving []*mesh.Namespace) {
	after := settled(updated)
	if old == nil {
		return existing(w.Namespaces, func(ns *mesh.Namespace) bool { return ns.Name != updated.ControlPlane && discovers(after, ns) }), nil
	}
	before := settled(old)
	joining = existing(w.Namespaces, func(ns *mesh.Namespace) bool { return !discovers(before, ns) && discovers(after, ns) })
	leaving = existing(w.Namespaces, func(ns *mesh.Namespace) bool {
		return discovers(before, ns) && !discovers(after, ns) && !injects(old.Ref, w.Before, ns)
	})
	return joining, leaving
}

func unreadable(m *mesh.Mesh) bool { return m.Sources[0].Listing == mesh.Invalid }
