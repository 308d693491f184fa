package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// labelEdit is a change of one label.
type labelEdit = selector.Edit

// usesTag reports whether a tag of this name injects the namespace. One that is being deleted gets no new pods.
func usesTag(ns *mesh.Namespace, name string) bool {
	injection := mesh.InjectionOf(ns.Labels)
	return injection.By && injection.Revision == name && !ns.Deleting
}

// runHere reports whether these are meshes whose istiods run in this cluster, so that it matters what they discover.
func runHere(meshes []*mesh.Mesh) bool {
	return len(meshes) > 0 && !slices.ContainsFunc(meshes, (*mesh.Mesh).Remote)
}

// pointsAt is the revision that a tag stands for in its target's mesh.
func pointsAt(tag *mesh.Tag, m *mesh.Mesh) string {
	if tag.Target.Kind == mesh.KindIstio {
		return m.ActiveRevision
	}
	return tag.Target.Name
}

// labelCommands collects label commands for several namespaces: those that get the same labels for the same reason share
// one. Its order is that of the namespaces.
type labelCommands struct {
	groups []labelGroup
}

type labelGroup struct {
	why, arguments string
	namespaces     []string
}

// add notes the edits of a namespace. why is a format for the pronoun.
func (c *labelCommands) add(why string, ns *mesh.Namespace, edits []labelEdit) {
	keys := make([]string, len(edits))
	for i, e := range edits {
		keys[i] = e.Key
	}
	arguments := labelArguments(apply(ns.Labels, edits), keys)
	i := slices.IndexFunc(c.groups, func(g labelGroup) bool { return g.why == why && g.arguments == arguments })
	if i < 0 {
		i, c.groups = len(c.groups), append(c.groups, labelGroup{why: why, arguments: arguments})
	}
	c.groups[i].namespaces = append(c.groups[i].namespaces, ns.Name)
}

// ways are the commands, each with what it is for.
func (c *labelCommands) ways() remedy {
	ways := make(remedy, len(c.groups))
	for i, g := range c.groups {
		pronoun := "them"
		if len(c.groups) > 1 || len(g.namespaces) == 1 {
			pronoun = namespaceNames(g.namespaces)
		}
		ways[i] = run(fmt.Sprintf(g.why, pronoun), labelNamespaces(g.namespaces...)+g.arguments)
	}
	return ways
}
