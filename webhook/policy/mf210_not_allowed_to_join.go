package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// The right that a user needs to put a namespace into a mesh, where MF210 is on: UseVerb on the mesh's object, in UseGroup.
// RBAC does not know the verb, but can grant it.
const (
	UseVerb  = "use"
	UseGroup = api.SailGroup
)

// UseResource is the resource of a mesh's object: istios, or istiorevisions for an IstioRevision that no Istio owns.
func UseResource(m mesh.Ref) string { return strings.ToLower(m.Kind) + "s" }

// Joins returns the meshes that the user must be asked about for a change: those that discover the namespace with it and
// not without it. None if the rules do not want to know.
func (p *Policy) Joins(c NamespaceChange) []mesh.Ref {
	if c.New.Deleting || !p.judges("MF210") {
		return nil
	}
	var refs []mesh.Ref
	for _, m := range newlyDiscovering(c.Old, c.New, c.Fleet) {
		refs = append(refs, m.Ref)
	}
	return refs
}

// newlyDiscovering returns the meshes, by name, that discover updated but not old.
func newlyDiscovering(old, updated *mesh.Namespace, fleet *mesh.Fleet) []*mesh.Mesh {
	var room [4]*mesh.Mesh
	before := room[:0]
	if old != nil {
		before = fleet.AppendDiscoveredBy(before, old.Labels)
	}
	return slices.DeleteFunc(fleet.DiscoveredBy(updated.Labels), func(m *mesh.Mesh) bool { return slices.Contains(before, m) })
}

// notAllowedToJoin finds meshes that the namespace joins although the user may not use them. A right that could not be
// asked for is none.
func notAllowedToJoin(old, updated *mesh.Namespace, w *World) []Finding {
	var found []Finding
	for _, m := range newlyDiscovering(old, updated, w.Fleet) {
		right := w.Rights[m.Ref]
		if right == Granted || w.silent && right == Unasked {
			continue
		}
		f := Finding{
			Field: joinedThrough(m, updated.Labels), Subjects: []string{m.Name}, Forbidden: true,
			Detail: fmt.Sprintf("the namespace would join %s, and user %q may not use %s", theMesh(m), w.User, m.Ref),
			Ways:   remedy{run("an administrator can allow it", grant("meshfence-use-"+m.Name, UseVerb, UseGroup, m.Name, w.User)...)},
		}
		if right != Refused {
			f.Detail = fmt.Sprintf("the namespace would join %s, and meshfence could not check whether user %q may use %s", theMesh(m), w.User, m.Ref)
			f.Ways = remedy{say("try again in a few seconds")}
		}
		found = append(found, f)
	}
	return found
}

// joinedThrough is the path of the label through which a mesh discovers the namespace, or of all labels if there are
// several, or none.
func joinedThrough(m *mesh.Mesh, labels map[string]string) string {
	_, term := m.Discovers(labels)
	if keys := term.Selector.Keys(); len(keys) == 1 {
		if _, present := labels[keys[0]]; present {
			return labelPath(keys[0])
		}
	}
	return "metadata.labels"
}
