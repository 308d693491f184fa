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
	what, until := fmt.Sprintf("it points at %s, which does not exist", mesh.Ref(tag.Target)), "until it exists"
	if unset {
		what, until = "it points at nothing, because its kind or its name is not set", "until both are set"
	}
	return []Finding{{
		Field:    "spec.targetRef",
		Detail:   what,
		Effect:   until + ", the operator does nothing for the tag",
		Ways:     w.remedied(func() remedy { return meantTarget(tag, w) }),
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
		return pointAt(fmt.Sprintf("point at %s, which exists", mesh.Ref(other)), tag, mesh.Ref(other), w)
	}
	if target.Kind == mesh.KindIstioRevision && target.Name != tag.Name && w.Fleet.HasTag(target.Name) {
		return remedy{
			say("there is an IstioRevisionTag of that name, and a tag cannot point at a tag"),
			run("see where that one points", showOne(kindTag, target.Name)),
		}
	}
	if target.Name = nearest(target.Name, names); target.Name != "" {
		return pointAt(didYouMean(target.Name), tag, mesh.Ref(target), w)
	}
	return remedy{run("see what there is to point at", showAll(mesh.KindIstio, mesh.KindIstioRevision))}
}

// pointAt is the command that changes the target of a tag, if that is stored and may be changed so; else its field.
func pointAt(label string, tag *mesh.Tag, target mesh.Ref, w *World) remedy {
	if w.base().Tag(tag.Name) == nil || !w.tagging(w.base(), tag.Name, target) {
		return remedy{
			run(label, fmt.Sprintf("spec: {targetRef: {kind: %s, name: %s}}", target.Kind, yamlValue(target.Name))),
			say("the mesh that the tag points at has to discover the namespaces that use the tag"),
		}
	}
	return remedy{run(label, retarget(tag.Name, target))}
}

func retarget(tag string, target mesh.Ref) string {
	return mergePatch(object(kindTag, tag), fmt.Sprintf(`{"spec":{"targetRef":{"kind":%q,"name":%q}}}`, target.Kind, target.Name))
}
