package policy

import (
	"fmt"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// tagTargetMissing finds a tag that points at nothing. The operator waits for the target (ReferenceNotFound,
// sail-operator/controllers/istiorevisiontag), and leaves what it has installed for an earlier one as it is.
func tagTargetMissing(tag *mesh.Tag, w *World) []Finding {
	unset := tag.Target.Kind == "" || tag.Target.Name == ""
	if !unset && len(w.Fleet.Target(tag.Target)) > 0 {
		return nil
	}
	what := fmt.Sprintf("points at %s, which does not exist: until it does", mesh.Ref(tag.Target))
	if unset {
		what = "points at nothing, because spec.targetRef has not got a kind and a name: until it has"
	}
	return []Finding{{
		Field:    "spec.targetRef",
		Detail:   fmt.Sprintf("IstioRevisionTag %q %s, the operator does nothing for the tag", tag.Name, what),
		Remedy:   w.remedied(func() remedy { return meantTarget(tag, w) }),
		Subjects: []string{tag.Target.Kind + " " + tag.Target.Name},
	}}
}

// meantTarget proposes what the tag was probably to point at: what has the name but is of the other kind, else the nearest
// name of the kind.
func meantTarget(tag *mesh.Tag, w *World) remedy {
	target, other := tag.Target, tag.Target
	other.Kind = mesh.KindIstio
	var names []string
	if target.Kind == mesh.KindIstio {
		other.Kind = mesh.KindIstioRevision
		for _, m := range w.Fleet.Meshes() {
			if m.Kind == mesh.KindIstio {
				names = append(names, m.Name)
			}
		}
	} else {
		for _, m := range w.Fleet.Meshes() {
			names = append(names, m.Revisions...)
		}
	}
	if len(w.Fleet.Target(other)) > 0 {
		return pointAt(fmt.Sprintf("There is an %s of that name. ", other.Kind), tag, mesh.Ref(other), w)
	}
	if target.Kind == mesh.KindIstioRevision && target.Name != tag.Name && w.Fleet.HasTag(target.Name) {
		return remedy{
			say("There is an IstioRevisionTag of that name, and a tag cannot point at a tag"),
			run("To see where that one points", showOne(kindTag, target.Name)),
		}
	}
	if target.Name = nearest(target.Name, names); target.Name != "" {
		return pointAt(fmt.Sprintf("Did you mean %q? ", target.Name), tag, mesh.Ref(target), w)
	}
	return remedy{run("To see what there is to point at", showAll(mesh.KindIstio, mesh.KindIstioRevision))}
}

// pointAt is the command that changes the target of a tag, if that is stored and may be changed so; else its field.
func pointAt(why string, tag *mesh.Tag, target mesh.Ref, w *World) remedy {
	label := fmt.Sprintf("%sTo point at %s", why, target)
	if w.base().Tag(tag.Name) == nil || !w.tagging(w.base(), tag.Name, target) {
		return remedy{say(fmt.Sprintf("%s, once its namespaces are discovered by that mesh: spec: {targetRef: {kind: %s, name: %s}}", label, target.Kind, target.Name))}
	}
	return remedy{run(label, retarget(tag.Name, target))}
}

func retarget(tag string, target mesh.Ref) string {
	return fmt.Sprintf(`kubectl patch %s --type=merge -p '{"spec":{"targetRef":{"kind":%q,"name":%q}}}'`, object(kindTag, tag), target.Kind, target.Name)
}
