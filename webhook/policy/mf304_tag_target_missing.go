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
		Remedy:   meantTarget(tag, w),
		Subjects: []string{tag.Target.Kind + " " + tag.Target.Name},
	}}
}

// meantTarget proposes what the tag was probably to point at: what has the name but is of the other kind, else the nearest
// name of the kind.
func meantTarget(tag *mesh.Tag, w *World) string {
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
		return fmt.Sprintf("There is an %s of that name. ", other.Kind) + retarget(tag, mesh.Ref(other))
	}
	if target.Kind == mesh.KindIstioRevision && target.Name != tag.Name && w.Fleet.HasTag(target.Name) {
		return fmt.Sprintf("There is an IstioRevisionTag of that name, and a tag cannot point at a tag. To see where that one points: "+
			"kubectl get istiorevisiontag %s -o yaml", target.Name)
	}
	if target.Name = nearest(target.Name, names); target.Name != "" {
		return fmt.Sprintf("Did you mean %q? ", target.Name) + retarget(tag, mesh.Ref(target))
	}
	return "To see what there is to point at: kubectl get istios,istiorevisions"
}

func retarget(tag *mesh.Tag, target mesh.Ref) string {
	return fmt.Sprintf(`To point at %s: kubectl patch istiorevisiontag %s --type=merge -p '{"spec":{"targetRef":{"kind":%q,"name":%q}}}'`,
		target, tag.Name, target.Kind, target.Name)
}
