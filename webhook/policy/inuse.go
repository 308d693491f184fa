package policy

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// injects reports whether a mesh of the fleet injects the namespace: whether that is in use by it.
func injects(ref mesh.Ref, fleet *mesh.Fleet, ns *mesh.Namespace) bool {
	return slices.ContainsFunc(fleet.Injecting(ns.Labels), func(m *mesh.Mesh) bool { return m.Ref == ref })
}

// existing returns the namespaces, in their order, that are wanted, not exempt, and not being deleted: one that is gets no new
// pods.
func existing(w *World, wanted func(*mesh.Namespace) bool) []*mesh.Namespace {
	var found []*mesh.Namespace
	for i := range w.Namespaces {
		if ns := &w.Namespaces[i]; !ns.Deleting && !w.exempted(ns) && wanted(ns) {
			found = append(found, ns)
		}
	}
	return found
}

func namesOf(namespaces []*mesh.Namespace) []string {
	names := make([]string, len(namespaces))
	for i, ns := range namespaces {
		names[i] = ns.Name
	}
	return names
}

// settled is the mesh as it will be a moment later: the operator copies the Istio's values into its active IstioRevision. Until then that has
// the old selectors, and would hide what a change of the Istio's does. Older revisions keep theirs.
func settled(m *mesh.Mesh) *mesh.Mesh {
	after := *m
	after.Sources = slices.DeleteFunc(slices.Clone(m.Sources), func(s mesh.Source) bool { return m.Copied(&s) })
	return &after
}

// usesActive reports whether it is the active revision of an Istio that injects a namespace with these labels.
func usesActive(m *mesh.Mesh, fleet *mesh.Fleet, labels map[string]string) bool {
	injection := fleet.InjectionOf(labels)
	return m.Kind == mesh.KindIstio && injection.By && fleet.LeadsTo(injection.Revision) == m.ActiveRevision && belongs(fleet.Revision(injection.Revision), m)
}

// serving is what a mesh, once it is settled, discovers of what it injects: what its active revision injects has to be discovered by that
// one. That an older revision discovers it too keeps nothing in the mesh: the sidecars are connected to the active istiod,
// and the operator removes the older one once nothing uses it.
type serving struct {
	mesh  *mesh.Mesh
	fleet *mesh.Fleet
	// all is about all revisions; active about the active one alone, nil if there are no others.
	all, active *mesh.Finder
}

func newServing(m *mesh.Mesh, fleet *mesh.Fleet) *serving {
	after := settled(m)
	s := &serving{mesh: m, fleet: fleet, all: mesh.NewFinder(after)}
	if m.Kind == mesh.KindIstio && len(after.Sources) > 1 {
		own := *after
		own.Sources = own.Sources[:1]
		s.active = mesh.NewFinder(&own)
	}
	return s
}

func (s *serving) discovers(labels map[string]string) bool {
	if s.active != nil && usesActive(s.mesh, s.fleet, labels) {
		return s.active.Discover(labels)
	}
	return s.all.Discover(labels)
}

// labelAll are the commands that make the edits to the first namespaces: those with the same edits share one. One without
// edits is left out.
func labelAll(namespaces []*mesh.Namespace, edits func(*mesh.Namespace) []selector.Edit) []string {
	var order []string
	groups := map[string][]string{}
	for _, ns := range namespaces[:min(len(namespaces), maxNamed)] {
		changes := edits(ns)
		if len(changes) == 0 {
			continue
		}
		keys := make([]string, len(changes))
		for i, e := range changes {
			keys[i] = e.Key
		}
		arguments := labelArguments(apply(nil, changes), keys)
		if groups[arguments] == nil {
			order = append(order, arguments)
		}
		groups[arguments] = append(groups[arguments], ns.Name)
	}
	for i, arguments := range order {
		order[i] = labelNamespaces(groups[arguments]...) + arguments
	}
	return order
}

// likewise says that commands are shown for the first namespaces only.
func likewise(namespaces []*mesh.Namespace) string {
	if len(namespaces) <= maxNamed {
		return ""
	}
	return " (shown for the first ten)"
}

// unchosen reports whether no label of a namespace decides what injects it: what does, does so by default.
func unchosen(ns *mesh.Namespace) bool { return mesh.InjectionOf(ns.Labels) == mesh.Injection{} }

// chosenAndNot separates the namespaces whose labels choose what injects them from the others.
func chosenAndNot(namespaces []*mesh.Namespace) (choosing, others []*mesh.Namespace) {
	for _, ns := range namespaces {
		if unchosen(ns) {
			others = append(others, ns)
		} else {
			choosing = append(choosing, ns)
		}
	}
	return choosing, others
}

// release are the edits after which nothing injects a namespace that something injects now: not by default either, in any of the fleets.
func release(labels map[string]string, fleets ...*mesh.Fleet) []selector.Edit {
	var edits []selector.Edit
	for _, key := range []string{mesh.InjectionLabel, mesh.RevisionLabel} {
		if _, ok := labels[key]; ok {
			edits = append(edits, remove(key))
		}
	}
	without := apply(labels, edits)
	if slices.ContainsFunc(fleets, func(fleet *mesh.Fleet) bool { return fleet.InjectionOf(without).ByDefault() }) {
		edits = slices.DeleteFunc(edits, func(e selector.Edit) bool { return e.Key == mesh.InjectionLabel })
		edits = append(edits, set(mesh.InjectionLabel, injectionDisabled))
	}
	return sortedEdits(edits)
}

// released is release for a command that may be run before the change and after it.
func (w *World) released(ns *mesh.Namespace) []selector.Edit {
	return release(ns.Labels, w.Before, w.Fleet)
}

// injectionDisabled is the value of mesh.InjectionLabel that people use to switch injection off.
const injectionDisabled = "disabled"
