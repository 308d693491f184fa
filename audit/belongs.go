package audit

import (
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// MeshOf names the mesh that a finding is counted for: the one that it is about, or the one that discovers the namespace that it is about or whose object it
// is about; of several the first by name. It is "" if there is none. e is what was judged.
func MeshOf(o policy.Offence, e policy.Existing) string {
	switch {
	case o.Kind == KindNamespace:
		return meshOfNamespace(o.Name, e)
	case o.Kind == api.KindIstio || o.Kind == api.KindIstioRevision:
		return nameOf(e.Fleet.MeshOf(mesh.Ref{Kind: o.Kind, Name: o.Name}))
	case o.Kind == api.KindIstioRevisionTag:
		if tag := e.Fleet.Tag(o.Name); tag != nil {
			return firstOf(e.Fleet.Injecting(map[string]string{mesh.RevisionLabel: o.Name}))
		}
		return ""
	case o.Namespace != "":
		if m := e.Fleet.ControlPlaneOf(o.Namespace); m != nil {
			return m.Name
		}
		return meshOfNamespace(o.Namespace, e)
	}
	return ""
}

func nameOf(m *mesh.Mesh) string {
	if m == nil {
		return ""
	}
	return m.Name
}

func firstOf(meshes []*mesh.Mesh) string {
	if len(meshes) == 0 {
		return ""
	}
	return meshes[0].Name
}

func meshOfNamespace(name string, e policy.Existing) string {
	i, there := slices.BinarySearchFunc(e.Namespaces, name, func(ns mesh.Namespace, name string) int { return strings.Compare(ns.Name, name) })
	if !there {
		return ""
	}
	return nameOf(meshOfLabels(e.Fleet, e.Namespaces[i].Labels))
}

// meshOfLabels is the mesh that discovers a namespace, of several the one that injects it, else the first by name; nil if there is none.
func meshOfLabels(fleet *mesh.Fleet, labels map[string]string) *mesh.Mesh {
	discovering := fleet.DiscoveredBy(labels)
	if len(discovering) > 1 {
		for _, m := range fleet.Injecting(labels) {
			if slices.Contains(discovering, m) {
				return m
			}
		}
	}
	if len(discovering) == 0 {
		return nil
	}
	return discovering[0]
}

// NamespaceState is how a namespace stands to the meshes.
type NamespaceState string

// States of namespaces.
const (
	// Injected: one mesh discovers and injects it.
	Injected NamespaceState = "injected"
	// Discovered: one mesh discovers it, and none injects it.
	Discovered NamespaceState = "discovered"
	// Mismatched: meshes that fight over it discover it, or one injects it that does not discover it (MF201, MF202, MF205).
	Mismatched NamespaceState = "mismatched"
	// Outside: no mesh discovers or injects it.
	Outside NamespaceState = "outside"
)

// Standing is a mesh, "" for none, and how namespaces stand to it.
type Standing struct {
	Mesh  string
	State NamespaceState
}

// CountNamespaces counts the namespaces that are judged by how they stand, of which findings are what is wrong: for the mesh that discovers them, else for the one
// that injects them.
func CountNamespaces(e policy.Existing, findings []policy.Offence) map[Standing]int {
	mismatched := map[string]bool{}
	for _, o := range findings {
		if o.Kind == KindNamespace && slices.Contains([]policy.Code{"MF201", "MF202", "MF205"}, o.Rule.Code) {
			mismatched[o.Name] = true
		}
	}
	counts := map[Standing]int{}
	for i := range e.Namespaces {
		ns := &e.Namespaces[i]
		if ns.Deleting || e.Exempt != nil && e.Exempt(ns.Name) {
			continue
		}
		standing := standing(e.Fleet, ns.Labels)
		if mismatched[ns.Name] {
			standing.State = Mismatched
		}
		counts[standing]++
	}
	return counts
}

func standing(fleet *mesh.Fleet, labels map[string]string) Standing {
	discovering, injecting := meshOfLabels(fleet, labels), fleet.Injecting(labels)
	switch {
	case len(injecting) > 0 && discovering == nil:
		return Standing{injecting[0].Name, Injected} // of another cluster, or found to be mismatched
	case len(injecting) > 0:
		return Standing{discovering.Name, Injected}
	case discovering != nil:
		return Standing{discovering.Name, Discovered}
	default:
		return Standing{"", Outside}
	}
}
