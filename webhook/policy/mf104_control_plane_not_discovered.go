package policy

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// controlPlaneNotDiscovered finds a control-plane namespace that exists and that the mesh's own selectors leave out. An
// older revision's selectors do not help: it is the current istiod that reads the configuration there. A namespace that
// is being deleted will be another one when it comes back.
func controlPlaneNotDiscovered(m *mesh.Mesh, w *World) []Finding {
	own := &m.Sources[0]
	if own.Listing != mesh.Selective {
		return nil // it discovers everything, or runs no istiod here
	}
	i := slices.IndexFunc(w.Namespaces, func(ns mesh.Namespace) bool { return ns.Name == m.ControlPlane })
	if i < 0 || w.Namespaces[i].Deleting || discoversThrough(own, w.Namespaces[i].Labels) {
		return nil
	}
	ns := &w.Namespaces[i]
	return []Finding{{
		Field:    "spec.values.meshConfig.discoverySelectors",
		Detail:   fmt.Sprintf("it does not discover its own control-plane namespace %q", ns.Name),
		Effect:   undiscoveredEffect(own),
		Ways:     w.remedied(func() remedy { return remedy{discoverControlPlane(m, ns, w)} }),
		Subjects: []string{ns.Name},
	}}
}

// controlPlaneComes finds a control-plane namespace that is created after its mesh, without the labels by which that would
// discover it. The mesh is asked about when it comes later.
func controlPlaneComes(old, created *mesh.Namespace, w *World) []Finding {
	if old != nil || w.Fleet.ControlPlaneOf(created.Name) == nil {
		return nil
	}
	var found []Finding
	for _, m := range w.Fleet.Meshes() {
		own := &m.Sources[0]
		if m.ControlPlane != created.Name || own.Listing != mesh.Selective || discoversThrough(own, created.Labels) {
			continue
		}
		found = append(found, Finding{
			Field:    "metadata.labels",
			Detail:   fmt.Sprintf("it is the control-plane namespace of %s, which does not discover it", theMesh(m)),
			Effect:   undiscoveredEffect(own),
			Ways:     w.remedied(func() remedy { return remedy{discoverControlPlane(m, created, w)} }),
			Subjects: []string{m.String()},
		})
	}
	return found
}

// undiscoveredEffect says what comes of a control-plane namespace that its mesh does not discover.
func undiscoveredEffect(s *mesh.Source) string {
	return fmt.Sprintf("the namespace gets no ConfigMap %s: gateways in it hang, and mesh-wide policies in it, such as a STRICT PeerAuthentication, "+
		"do not take effect", s.TrustBundle)
}

func discoversThrough(s *mesh.Source, labels map[string]string) bool {
	return slices.ContainsFunc(s.Terms, func(t mesh.Term) bool { return t.Selector.Matches(labels) })
}

// discoverControlPlane labels the control-plane namespace; if no label does it, because of other meshes or because the
// selectors go by name, the mesh gets one more selector.
func discoverControlPlane(m *mesh.Mesh, ns *mesh.Namespace, w *World) Way {
	var edits []selector.Edit
	found, given := false, w.given(ns.Labels)
	for _, term := range m.Sources[0].Terms {
		if these, ok := onlyThrough(term.Selector, m, ns.Labels, given, w); ok && (!found || len(these) < len(edits)) {
			edits, found = these, true
		}
	}
	if !found {
		return selectControlPlane(m, ns, w)
	}
	edits = sortedEdits(append(edits, injectedToo(m, ns.Labels, w.Fleet)...))
	if !w.allows(w.base(), ns, edits) || !discoversThrough(&m.Sources[0], apply(ns.Labels, edits)) {
		return selectControlPlane(m, ns, w)
	}
	stored := &World{Fleet: w.Fleet, DiscoveryLabels: w.DiscoveryLabels, Stored: ns.Labels, Updating: true}
	return run(fmt.Sprintf("make %s discover it", m.Name), relabel(ns, stored, edits...))
}

// selectControlPlane is a selector for the one namespace that keeps apart from the other meshes'.
func selectControlPlane(m *mesh.Mesh, ns *mesh.Namespace, w *World) Way {
	own, ok := apart(metav1.LabelSelector{MatchLabels: map[string]string{mesh.NameLabel: ns.Name}}, m, w)
	if parsed, errs := selector.Parse(&own, nil); !ok || len(errs) > 0 || !parsed.Matches(ns.Labels) {
		return say(fmt.Sprintf("change the discoverySelectors of %s so that one of them matches it, and no other mesh's does", m.Ref))
	}
	return run(fmt.Sprintf("add to the discoverySelectors of %s", m.Ref), selectorYAML(own))
}
