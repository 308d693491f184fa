package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// revisionNameTaken finds other owners of the mesh's revision names: the active one after the change, and those of its
// stored IstioRevisions. The operator installs no revision that has a tag's name, and of two meshes that share a
// revision name one has no istiod (validate in sail-operator/controllers/istiorevision/istiorevision_controller.go, and
// CreateOrUpdate in pkg/revision/reconcile.go there). The name default has a rule of its own. An IstioRevision that the
// operator takes over is the mesh's own.
func revisionNameTaken(m *mesh.Mesh, w *World) []Finding {
	found := takesOver(m, w)
	for _, name := range m.Revisions {
		if owners := otherOwners(name, m, w); name != mesh.DefaultRevision && len(owners) > 0 {
			found = append(found, Finding{
				Field:    namingField(name, m, w),
				Detail:   fmt.Sprintf("it would have the revision name %q, which is that of %s", name, joinAnd(owners)),
				Effect:   fmt.Sprintf("istio.io/rev=%s can only mean one of them", name),
				Ways:     append(remedy{say(anotherName(name, m, w))}, freeTag(name, owners, w)...),
				Subjects: append(owners, "revision "+name),
			})
		}
	}
	return found
}

// otherOwners are the objects besides m that have the name of a revision or a tag.
func otherOwners(name string, m *mesh.Mesh, w *World) []string {
	var owners []string
	for _, other := range w.Fleet.Meshes() {
		if other.Ref != m.Ref && other.Has(name) {
			owners = append(owners, other.String())
		}
	}
	if w.Fleet.HasTag(name) {
		owners = append(owners, tagNamed(w.Fleet, name))
	}
	return owners
}

// namingField is the field that gives the mesh the name and can be changed now: an object cannot be renamed.
func namingField(name string, m *mesh.Mesh, w *World) string {
	switch {
	case !w.Updating, name != m.ActiveRevision, m.Kind != "Istio":
		return "metadata.name"
	case name == m.Name:
		return "spec.updateStrategy.type"
	default:
		return "spec.version"
	}
}

// anotherName says how the mesh can get another revision name.
func anotherName(name string, m *mesh.Mesh, w *World) string {
	switch versioned := m.ActiveRevision != m.Name; {
	case m.Kind == mesh.KindIstiod:
		return fmt.Sprintf("install %s with another revision", m.Ref)
	case name != m.ActiveRevision:
		return fmt.Sprintf("give IstioRevision %q another metadata.name", name)
	case versioned && w.Updating:
		return fmt.Sprintf("choose another spec.version for %s", m.Ref)
	case versioned:
		return fmt.Sprintf("give %s another metadata.name or spec.version", m.Ref)
	case w.Updating && m.Kind == "Istio":
		return fmt.Sprintf("use spec.updateStrategy.type: RevisionBased for %s, which adds the version to the name", m.Ref)
	case w.Updating:
		return fmt.Sprintf("delete %s and create it again with another metadata.name", m.Ref)
	default:
		return fmt.Sprintf("give %s another metadata.name", m.Ref)
	}
}

// freeTag is the second way out if nothing but a tag has the name, and nothing uses it.
func freeTag(name string, owners []string, w *World) remedy {
	used := len(w.Fleet.MappedTo(name)) > 0 || slices.ContainsFunc(w.Namespaces, func(ns mesh.Namespace) bool { return usesTag(&ns, name) })
	switch {
	case !w.Fleet.HasTag(name) || len(owners) != 1:
		return nil
	case used:
		return remedy{say("or give what uses the tag another one, and then delete the tag")}
	default:
		return remedy{run("or delete the tag, which nothing uses, first", "kubectl delete "+tagObject(w.Fleet, name))}
	}
}
