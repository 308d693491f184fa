package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

const selectorsField = "spec.values.meshConfig.discoverySelectors"

// strandsNamespaces finds the namespaces that the mesh injects and, after the change, no longer discovers. Those of a mesh
// whose istiod will run in another cluster are left alone, as injectedNotDiscovered does. A change that replaces selectors
// which do not parse is a repair: it is told what it leaves behind, and let through. So is a change that strands namespaces which
// no label of theirs gives to the mesh: it is enableNamespacesByDefault that is wrong then, which injectsByDefault finds.
func strandsNamespaces(old, updated *mesh.Mesh, w *World) []Finding {
	if old == nil || settled(updated).Remote() {
		return nil
	}
	choosing, others := chosenAndNot(w.moves().stranded)
	var found []Finding
	if len(choosing) > 0 {
		f := stranding(old, updated, choosing, "", w)
		if old.Sources[0].Listing == mesh.Invalid {
			f.Action = Warn
		}
		found = append(found, f)
	}
	if len(others) > 0 {
		f := stranding(old, updated, others, " by default, although they choose no revision", w)
		f.Action = Warn
		found = append(found, f)
	}
	return found
}

// stranding is the finding about some of the namespaces. how is how the mesh injects them.
func stranding(old, updated *mesh.Mesh, stranded []*mesh.Namespace, how string, w *World) Finding {
	return Finding{
		Field: selectorsField,
		Detail: fmt.Sprintf("%s would no longer discover namespaces that it injects%s: %s; the mesh would lose their services, and the "+
			"ConfigMap %s there would go stale", updated.Ref, how, namespaceNames(namesOf(stranded)), old.Sources[0].TrustBundle),
		Remedy: keepOrRelease(old, updated, stranded, w),
	}
}

// keepOrRelease offers to bring the namespaces under the new selectors, and to take them out of the mesh.
func keepOrRelease(old, updated *mesh.Mesh, stranded []*mesh.Namespace, w *World) string {
	out := "To take them out of the mesh first" + likewise(stranded) + ": " + labelAll(stranded, w.released)
	join := func(ns *mesh.Namespace) []selector.Edit { return joinEdits(updated, ns, w) }
	shown := stranded[:min(len(stranded), named)]
	switch {
	case slices.ContainsFunc(shown, func(ns *mesh.Namespace) bool { return len(join(ns)) == 0 }):
		return fmt.Sprintf("To keep them, keep a selector in %s that matches them. %s", selectorsField, out)
	case slices.ContainsFunc(shown, func(ns *mesh.Namespace) bool { return !staysIn(old, ns, join(ns), w) }):
		return fmt.Sprintf("To keep them, put the new selectors beside the old ones, then change the labels%s, then remove the old selectors: %s. %s",
			likewise(stranded), labelAll(stranded, join), out)
	default:
		return fmt.Sprintf("To keep them, change their labels first%s: %s. %s", likewise(stranded), labelAll(stranded, join), out)
	}
}

// joinEdits are the fewest label changes after which the mesh, and none that it fights with, discovers a namespace; nil if
// no labels do that without touching those that choose the revision.
func joinEdits(m *mesh.Mesh, ns *mesh.Namespace, w *World) []selector.Edit {
	var best []selector.Edit
	for _, source := range settled(m).Sources {
		for _, term := range source.Terms {
			edits, ok := term.Selector.Edits(ns.Labels)
			if !ok || best != nil && len(edits) >= len(best) || edited(edits, mesh.RevisionLabel) || edited(edits, mesh.InjectionLabel) {
				continue
			}
			if !foughtOver(ns, edits, w.Fleet, w.Now) {
				best = edits
			}
		}
	}
	return best
}

// staysIn says whether the edits can be made before the change: the mesh still discovers the namespace.
func staysIn(old *mesh.Mesh, ns *mesh.Namespace, edits []selector.Edit, w *World) bool {
	source, _ := settled(old).Discovers(apply(ns.Labels, edits))
	return source != nil && !foughtOver(ns, edits, w.Before, w.Now)
}

// foughtOver says whether a namespace, after the edits, is one that its labels put into two meshes of the fleet.
func foughtOver(ns *mesh.Namespace, edits []selector.Edit, fleet *mesh.Fleet, now time.Time) bool {
	labels := apply(ns.Labels, edits)
	asked, _ := fightsOver(fleet.DiscoveredBy(labels), labels, now)
	return len(asked) > 0
}
