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
		Field: "metadata.name",
		Detail: fmt.Sprintf("IstioRevisionTag %q has the name of a revision of %s: istio.io/rev=%s chooses that revision, and the operator "+
			"does nothing for the tag", tag.Name, theMeshes(r.Meshes), tag.Name),
		Remedy:   remedy{say("Choose a name that nothing has yet"), run("To see those that are taken", showNames())}.String(),
		Subjects: meshSubjects(r.Meshes),
	}
	if tag.Name == mesh.DefaultRevision {
		f.Detail = fmt.Sprintf("IstioRevisionTag %q would be a second owner of that name, beside a revision of %s, which "+
			"istio-injection=enabled and istio.io/rev=default choose: the operator does nothing for the tag", tag.Name, theMeshes(r.Meshes))
	}
	switch targets := w.Fleet.Target(tag.Target); {
	case intersect(targets, r.Meshes):
		f.Remedy = fmt.Sprintf("No tag is needed: %q is a revision of %s already. For a tag beside it, choose a name that nothing has yet",
			tag.Name, theMeshes(r.Meshes))
	case w.Updating:
		f.Remedy = remedy{
			say("A name cannot be changed: for a tag, create one under another name, and give that to the namespaces that mean the tag"),
			run("This one does nothing; to delete it", "kubectl delete "+object(kindTag, tag.Name)),
		}.String()
	}
	return []Finding{f}
}
