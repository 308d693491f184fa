package policy

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// tagDeletedInUse finds the namespaces and the mesh map entries that use a tag that is deleted, and that no revision of its name injects. A tag whose name is a
// revision's is used by no namespace: what names it means the revision.
func tagDeletedInUse(tag *mesh.Tag, w *World) []Finding {
	if r := w.Before.Revision(tag.Name); r == nil || !r.Tag {
		return nil
	}
	var users []mesh.Namespace
	var names []string
	for _, ns := range w.Namespaces {
		if usesTag(&ns, tag.Name) && len(w.Fleet.Injecting(ns.Labels)) == 0 || losesDefault(&ns, w) {
			users, names = append(users, ns), append(names, ns.Name)
		}
	}
	mapped := w.Fleet.MappedTo(tag.Name)
	var who, effects []string
	if len(users) > 0 {
		who, effects = append(who, "namespaces use it: "+namespaceNames(names)), append(effects, withoutSidecars)
	}
	if len(mapped) > 0 {
		who = append(who, fmt.Sprintf("the mesh map gives it to mesh %s", strings.Join(quoted(mapped), " and mesh ")))
		effects = append(effects, "it would still be filled in for new namespaces of "+joinAnd(mapped))
	}
	if len(who) == 0 {
		return nil
	}
	return []Finding{{
		Field:    "metadata.name",
		Detail:   strings.Join(who, "; and "),
		Effect:   strings.Join(effects, ", and "),
		Ways:     w.remedied(func() remedy { return withoutTag(tag, users, mapped, w) }),
		Subjects: append(names, mapped...),
	}}
}

// losesDefault reports whether a namespace that works chooses no revision, and is injected by default only as long as the tag exists.
func losesDefault(ns *mesh.Namespace, w *World) bool {
	if ns.Deleting || !w.Before.InjectionOf(ns.Labels).ByDefault() || len(w.Fleet.Injecting(ns.Labels)) > 0 {
		return false
	}
	return !hanging(w.Before.DiscoveredBy(ns.Labels), w.Before.Injecting(ns.Labels))
}

// withoutTag gives each namespace the revision that the tag stood for, or takes the label away if no mesh discovers it.
func withoutTag(tag *mesh.Tag, users []mesh.Namespace, mapped []string, w *World) remedy {
	commands := &labelCommands{}
	for i := range users[:min(maxNamed, len(users))] {
		ns := &users[i]
		if revision, m := revisionWithoutTag(ns, tag, w); m != nil {
			commands.offer("keep %s in "+m.Name, ns, injectBy(revision, ns.Labels), tag.Name, w)
		} else {
			why := "take its name from %s"
			if unchosen(ns) {
				why = "turn injection off in %s"
			}
			commands.offer(why, ns, w.released(ns), tag.Name, w)
		}
	}
	ways := commands.ways()
	if len(users) > 0 && len(ways) == 0 {
		ways = remedy{say("have the namespaces choose another revision first")}
	}
	if len(mapped) > 0 {
		ways = append(ways, run("see what the mesh map can have instead", showNames()))
	}
	return ways
}
