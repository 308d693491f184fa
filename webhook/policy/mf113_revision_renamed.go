package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// revisionRenamed finds the namespaces and the mesh map entries that name a revision which the change makes an older one.
// They go on as before, but the operator removes the old revision only when no namespace uses it any more, and what is filled in
// from the mesh map still leads to it.
func revisionRenamed(old, updated *mesh.Mesh, w *World) []Finding {
	if old == nil || old.ActiveRevision == updated.ActiveRevision {
		return nil
	}
	users := existing(w, func(ns *mesh.Namespace) bool {
		return mesh.InjectionOf(ns.Labels).Revision == old.ActiveRevision
	})
	mapped := w.Fleet.MappedTo(old.ActiveRevision)
	if len(users)+len(mapped) == 0 {
		return nil
	}
	return []Finding{{
		Field:  renamingField(old, updated),
		Detail: fmt.Sprintf("the active revision changes from %q to %q, but %s", old.ActiveRevision, updated.ActiveRevision, stillNaming(users, mapped)),
		Ways:   w.remedied(func() remedy { return renameEverywhere(users, mapped, old, updated, w) }),
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

// renameEverywhere gives those that name the old revision the tag that follows the mesh, or, if there is none or several do, the
// new revision, and the labels that its selectors ask for.
func renameEverywhere(users []*mesh.Namespace, mapped []string, old, m *mesh.Mesh, w *World) remedy {
	name := followingTag(m, w.Fleet)
	if name == "" {
		name = m.ActiveRevision
	}
	use := func(ns *mesh.Namespace) []selector.Edit { return use(name, m, ns, w) }
	after := newSide(w.Fleet, m.Ref)
	var able, unable []*mesh.Namespace
	for _, ns := range users[:min(len(users), maxNamed)] {
		if after.cures(ns, use(ns), w) && mesh.InjectionOf(apply(ns.Labels, use(ns))).Revision != old.ActiveRevision {
			able = append(able, ns)
		} else {
			unable = append(unable, ns)
		}
	}
	var ways remedy
	if len(able) > 0 {
		ways = append(ways, run("change their labels when the new istiod is ready"+likewise(users), labelAll(able, use)...))
	}
	if len(unable) > 0 {
		ways = append(ways, say(fmt.Sprintf("istio.io/rev=%s alone does not put %s right: their owners have to correct their other labels too, "+
			"or have a selector changed", name, namespaceNames(namesOf(unable)))))
	}
	if len(mapped) > 0 {
		ways = append(ways, say(fmt.Sprintf("in the mesh map, give %q to %s", name, quoteAll(mapped))))
	}
	return append(ways, say(unchangingName(m, w)))
}

// unchangingName names the tags that follow the mesh, or says how to make one.
func unchangingName(m *mesh.Mesh, w *World) string {
	switch tags := chosenTags(m, w.Fleet); len(tags) {
	case 0:
		return fmt.Sprintf("an IstioRevisionTag with targetRef: {kind: %s, name: %s} is a name that need not change next time", m.Kind, m.Name)
	case 1:
		return fmt.Sprintf("the tag %q follows %s, so it need not change next time", tags[0], m.Ref)
	default:
		return fmt.Sprintf("the tags %s follow %s: with one of them instead, nothing need change next time", namespaceNames(tags), m.Ref)
	}
}
