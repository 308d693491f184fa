package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// revisionRenamed finds the namespaces and the mesh map entries that name a revision which the change makes an older one.
// They go on as before, but the operator removes the old revision only when nobody uses it any more, and what is filled in
// from the mesh map still leads to it.
func revisionRenamed(old, updated *mesh.Mesh, w *World) []Finding {
	if old == nil || old.ActiveRevision == updated.ActiveRevision {
		return nil
	}
	users := existing(w.Namespaces, func(ns *mesh.Namespace) bool {
		return mesh.InjectionOf(ns.Labels).Revision == old.ActiveRevision
	})
	mapped := w.Fleet.MappedTo(old.ActiveRevision)
	if len(users)+len(mapped) == 0 {
		return nil
	}
	return []Finding{{
		Field: renamingField(old, updated),
		Detail: fmt.Sprintf("the active revision of %s changes from %q to %q, but %s", updated.Ref, old.ActiveRevision, updated.ActiveRevision,
			stillNaming(users, mapped)),
		Remedy: renameEverywhere(users, mapped, updated),
	}}
}

// renamingField is the field that names the revision anew. Only a mesh with update strategy RevisionBased has a revision
// whose name is not its own.
func renamingField(old, updated *mesh.Mesh) string {
	if old.ActiveRevision == old.Name || updated.ActiveRevision == updated.Name {
		return "spec.updateStrategy.type"
	}
	return "spec.version"
}

func stillNaming(users []*mesh.Namespace, mapped []string) string {
	var who []string
	if len(users) > 0 {
		who = append(who, "these namespaces still use the old one: "+namespaceNames(namesOf(users)))
	}
	if len(mapped) > 0 {
		who = append(who, "the mesh map still gives the old one to "+quoteAll(mapped))
	}
	return strings.Join(who, "; and ")
}

func renameEverywhere(users []*mesh.Namespace, mapped []string, m *mesh.Mesh) string {
	var ways []string
	if len(users) > 0 {
		ways = append(ways, fmt.Sprintf("When the new istiod is ready%s: %s", likewise(users),
			labelAll(users, func(ns *mesh.Namespace) []selector.Edit { return injectBy(m.ActiveRevision, ns.Labels) })))
	}
	if len(mapped) > 0 {
		ways = append(ways, fmt.Sprintf("In the mesh map, give %q to %s", m.ActiveRevision, quoteAll(mapped)))
	}
	return strings.Join(ways, ". ") + fmt.Sprintf(". An IstioRevisionTag with targetRef: {kind: %s, name: %s} is a name that need not change next time",
		m.Kind, m.Name)
}
