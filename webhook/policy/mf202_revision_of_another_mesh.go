package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// revisionOfAnotherMesh finds a namespace that one mesh discovers and another one injects. Of several that discover it any may
// inject it; if none does, then it is the mesh that asks for its labels that counts, and not one that takes every namespace.
// As long as there is no mesh in the cluster, the mesh map alone tells what goes together.
func revisionOfAnotherMesh(ns *mesh.Namespace, w *World) []Finding {
	injection := w.Fleet.InjectionOf(ns.Labels)
	if !injection.By {
		return nil
	}
	if len(w.Fleet.Meshes()) == 0 {
		return mappedToAnotherMesh(ns, injection, w)
	}
	discovering := w.discovering(ns)
	injecting := owners(w.Fleet.Revision(injection.Revision))
	if !crossed(discovering, injecting, ns.Labels) {
		return nil
	}
	comes := comesOfIt(discovering, injecting, ns.Labels)
	discovering = wanted(discovering, ns.Labels)
	f := Finding{
		Action:   injectionAction(injection),
		Field:    injectionPath(injection),
		Detail:   fmt.Sprintf("%s, but %s", discoverIt(discovering, ns.Labels), chosen(injection, ns.Labels, injecting)),
		Effect:   comes,
		Subjects: append(meshSubjects(discovering), injectedBy(injecting)...),
	}
	f.Ways = w.remedied(func() remedy { return bothWaysOut(ns, f, discovering, injecting, w) })
	return []Finding{f}
}

// comesOfIt says what becomes of pods that one mesh injects where others discover. Where none of these writes the ConfigMap that the pods
// mount, such as beside OpenShift's gateway-only mesh, they wait for it; else they find another mesh's root certificate in it.
func comesOfIt(discovering, injecting []*mesh.Mesh, labels map[string]string) string {
	mounted, written := injecting[0].Sources[0].MountedBundle, []string{}
	for _, m := range discovering {
		source, _ := m.Discovers(labels)
		if source.TrustBundle == mounted {
			return fmt.Sprintf("its sidecars would connect to the istiod of %s and trust only the root certificate of %s",
				plainly(injecting), plainly(wanted(discovering, labels)))
		}
		if !slices.Contains(written, source.TrustBundle) {
			written = append(written, source.TrustBundle)
		}
	}
	return fmt.Sprintf("its pods would hang in Init:0/1, because they mount the ConfigMap %s of %s, and only %s is written there",
		mounted, plainly(injecting), joinAnd(written))
}

// injectionAction lowers what is wrong with a namespace's injection to a warning where no label of it has chosen that: it is the
// mesh that injects by default that has to change, see injectsByDefault.
func injectionAction(injection mesh.Injection) Action {
	if injection.ByDefault() {
		return Warn
	}
	return Deny
}

// injectionPath is the label that chooses what injects a namespace, or that could.
func injectionPath(injection mesh.Injection) string {
	if injection.ByDefault() {
		return labelPath(mesh.RevisionLabel)
	}
	return labelPath(injection.Label)
}

// injectedBy are the meshes that inject a namespace, as subjects. It is the mesh that is wrong there, and not the one of its
// revisions or tags that the namespace names: to go from one to another of the same mesh changes nothing.
func injectedBy(injecting []*mesh.Mesh) []string {
	subjects := refs(injecting)
	for i := range subjects {
		subjects[i] = "injected by " + subjects[i]
	}
	return subjects
}

// crossed reports whether a namespace that some meshes discover is injected by others only. An istiod of another cluster writes its
// root certificate to the namespaces of this one too (initializeCluster in istio's
// pilot/pkg/serviceregistry/kube/controller/multicluster.go), and what it discovers here is not known. So what it injects is right
// beside a mesh that takes every namespace and writes another ConfigMap, such as OpenShift's gateway-only one.
func crossed(discovering, injecting []*mesh.Mesh, labels map[string]string) bool {
	switch {
	case len(discovering) == 0, len(injecting) == 0, intersect(discovering, injecting):
		return false
	case runHere(injecting):
		return true
	default:
		mounted := injecting[0].Sources[0].MountedBundle
		return slices.ContainsFunc(discovering, func(m *mesh.Mesh) bool { return selectsByLabel(m, labels) || writesBundle(m, mounted, labels) })
	}
}

// writesBundle reports whether an istiod of the mesh that discovers a namespace writes a ConfigMap of that name to it.
func writesBundle(m *mesh.Mesh, bundle string, labels map[string]string) bool {
	return slices.ContainsFunc(m.Sources, func(s mesh.Source) bool { return s.TrustBundle == bundle && discoversThrough(&s, labels) })
}

func owners(r *mesh.Revision) []*mesh.Mesh {
	if r == nil {
		return nil
	}
	return r.Meshes
}

func intersect(a, b []*mesh.Mesh) bool {
	return slices.ContainsFunc(a, func(m *mesh.Mesh) bool { return slices.Contains(b, m) })
}

// chosen is a clause that names the label which chooses the revision, and whose revision that is.
func chosen(injection mesh.Injection, labels map[string]string, injecting []*mesh.Mesh) string {
	if injection.ByDefault() {
		return fmt.Sprintf("no label chooses a revision, so that %s injects it by default", theMeshes(injecting))
	}
	label := injection.Label + "=" + labels[injection.Label]
	if injection.Label == mesh.InjectionLabel {
		return fmt.Sprintf("%s chooses the revision %q of %s", label, injection.Revision, theMeshes(injecting))
	}
	return fmt.Sprintf("%s is a revision of %s", label, theMeshes(injecting))
}

// bothWaysOut offers to keep the namespace in a mesh that discovers it, or to move it to the mesh that injects it.
func bothWaysOut(ns *mesh.Namespace, f Finding, discovering, injecting []*mesh.Mesh, w *World) remedy {
	var offers []labelling
	for _, m := range discovering {
		offers = append(offers, labelling{"keep it in " + m.Name, injectBy(revisionOf(m, w.Fleet), ns.Labels)})
	}
	for _, m := range injecting {
		if edits, ok := only(m, ns.Labels, w); ok {
			offers = append(offers, labelling{"move it to " + m.Name, alone(edits, ns.Labels)})
		}
	}
	offers = append(offers, labelling{turnOff, release(ns.Labels, w.Fleet)})
	ways := w.labels(ns, f, revisionOfAnotherMesh, offers...)
	if len(ways) > 1 && ways[len(ways)-1].Label == turnOff { // the last resort
		ways = ways[:len(ways)-1]
	}
	return ways.or(unlabelled)
}

// turnOff is what a change of labels is for after which nothing injects a namespace.
const turnOff = "turn injection off"

// unlabelled is what is left where no change of a namespace's labels is a way out.
const unlabelled = "no change of its labels alone repairs that: leave them as they are stored, or have the owners of the meshes change their selectors first"

// mappedToAnotherMesh finds an istio.io/rev that the mesh map gives to another mesh than the one that a discovery label
// names.
func mappedToAnotherMesh(ns *mesh.Namespace, injection mesh.Injection, w *World) []Finding {
	mapped := w.Fleet.MappedTo(injection.Revision)
	if len(mapped) == 0 {
		return nil
	}
	var found []Finding
	for _, key := range w.DiscoveryLabels {
		if named, ok := ns.Labels[key]; ok && !slices.Contains(mapped, named) {
			found = append(found, mapFinding(ns, injection, key, mapped, w))
		}
	}
	return found
}

func mapFinding(ns *mesh.Namespace, injection mesh.Injection, key string, mapped []string, w *World) Finding {
	named := ns.Labels[key]
	f := Finding{
		Field: labelPath(injection.Label),
		Detail: fmt.Sprintf("%s=%s names mesh %q, but the mesh map gives the revision %q of %s=%s to mesh %s",
			key, named, named, injection.Revision, injection.Label, ns.Labels[injection.Label], strings.Join(quoted(mapped), " and mesh ")),
		Subjects: []string{key + "=" + named, "revision " + injection.Revision},
	}
	f.Ways = w.remedied(func() remedy {
		var offers []labelling
		if revision, ok := w.Fleet.Mapped(named); ok {
			edits := append(injectBy(revision, ns.Labels), editsToName(named, ns.Labels, w)...)
			offers = append(offers, labelling{"keep it in " + named, sortedEdits(edits)})
		}
		offers = append(offers, labelling{"move it to " + mapped[0], alone(editsToName(mapped[0], ns.Labels, w), ns.Labels)})
		return w.labels(ns, f, revisionOfAnotherMesh, offers...).or(unlabelled)
	})
	return f
}

// editsToName are the edits after which all discovery labels that are there name the mesh.
func editsToName(meshName string, labels map[string]string, w *World) []selector.Edit {
	var edits []selector.Edit
	for _, key := range w.DiscoveryLabels {
		if value, present := labels[key]; present && value != meshName {
			edits = append(edits, set(key, meshName))
		}
	}
	return edits
}
