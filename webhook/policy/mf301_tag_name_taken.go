package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// tagNameTaken finds the revision that has the tag's name already. The operator does nothing for such a tag
// (NameAlreadyExists, sail-operator/controllers/istiorevisiontag), so namespaces that name it get the revision, wherever
// the tag points. The name default is no exception: the revision of that name is what istio-injection=enabled uses.
func tagNameTaken(tag *mesh.Tag, w *World) []Finding {
	r := w.Fleet.Revision(tag.Name)
	if r == nil || r.Tag {
		return nil
	}
	f := Finding{
		Field:    "metadata.name",
		Detail:   fmt.Sprintf("it has the name of a revision of %s, which istio.io/rev=%s chooses", theMeshes(r.Meshes), tag.Name),
		Effect:   "the operator does nothing for the tag",
		Ways:     remedy{say("choose a name that nothing has yet"), run("see those that are taken", showNames())},
		Subjects: meshSubjects(r.Meshes),
	}
	if tag.Name == mesh.DefaultRevision {
		f.Detail = fmt.Sprintf("it has the name of a revision of %s, which istio-injection=enabled and istio.io/rev=%s choose", theMeshes(r.Meshes), tag.Name)
	}
	switch targets := w.Fleet.Target(tag.Target); {
	case intersect(targets, r.Meshes):
		f.Ways = remedy{say(fmt.Sprintf("no tag is needed: %q is a revision of %s already", tag.Name, theMeshes(r.Meshes))),
			say("for a tag beside it, choose a name that nothing has yet")}
	case w.Updating:
		f.Ways = remedy{
			say("a name cannot be changed: create a tag of another name, and give that to the namespaces that are to use the tag"),
			run("delete this one, which does nothing", "kubectl delete "+object(kindTag, tag.Name)),
		}
	}
	return []Finding{f}
}
