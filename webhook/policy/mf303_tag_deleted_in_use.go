package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// tagDeletedInUse finds the namespaces and the mesh map entries that use a tag that is deleted. A tag whose name is a
// revision's is used by nobody: what names it means the revision.
func tagDeletedInUse(tag *mesh.Tag, w *World) []Finding {
	if r := w.Before.Revision(tag.Name); r == nil || !r.Tag {
		return nil
	}
	var users []mesh.Namespace
	var names []string
	for _, ns := range w.Namespaces {
		if usesTag(&ns, tag.Name) || losesDefault(&ns, w) {
			users, names = append(users, ns), append(names, ns.Name)
		}
	}
	mapped := w.Fleet.MappedTo(tag.Name)
	var who, ways []string
	if len(users) > 0 {
		who = append(who, fmt.Sprintf("namespaces use it, whose new pods come up without sidecars: %s", namespaceNames(names)))
		ways = append(ways, waysWithoutTag(tag, users, w))
	}
	if len(mapped) > 0 {
		who = append(who, fmt.Sprintf("the mesh map still gives it to mesh %s, whose new namespaces get it filled in",
			strings.Join(quoted(mapped), " and mesh ")))
		ways = append(ways, "To see what the mesh map can have instead: kubectl get istiorevisions,istiorevisiontags")
	}
	if len(who) == 0 {
		return nil
	}
	return []Finding{{
		Field:    "metadata.name",
		Detail:   fmt.Sprintf("IstioRevisionTag %q is deleted, but ", tag.Name) + strings.Join(who, "; and "),
		Remedy:   join(ways),
		Subjects: append(names, mapped...),
	}}
}

// losesDefault says whether a namespace that works chooses no revision, and is injected by default only as long as the tag exists.
func losesDefault(ns *mesh.Namespace, w *World) bool {
	if ns.Deleting || !w.Before.InjectionOf(ns.Labels).ByDefault() || len(w.Fleet.Injecting(ns.Labels)) > 0 {
		return false
	}
	return !hanging(w.Before.DiscoveredBy(ns.Labels), w.Before.Injecting(ns.Labels))
}

// waysWithoutTag gives each namespace the revision that the tag stood for, or takes the label away if no mesh discovers it.
func waysWithoutTag(tag *mesh.Tag, users []mesh.Namespace, w *World) string {
	commands := &labelCommands{}
	for i := range users[:min(named, len(users))] {
		ns := &users[i]
		if revision, m := revisionWithoutTag(ns, tag, w); m != nil {
			commands.add(fmt.Sprintf("To keep %%s in %s", theMesh(m)), ns, injectBy(revision, ns.Labels))
		} else {
			commands.add("To take its name from %s", ns, present([]labelEdit{remove(mesh.RevisionLabel), remove(mesh.InjectionLabel)}, ns.Labels))
		}
	}
	return join(commands.sentences())
}
