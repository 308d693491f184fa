package policy

import (
	"fmt"
	"slices"
	"sync"
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
		f := strandsFinding(old, updated, choosing, "", w)
		if old.Sources[0].Listing == mesh.Invalid {
			f.Action = Warn
		}
		found = append(found, f)
	}
	if len(others) > 0 {
		f := strandsFinding(old, updated, others, " by default, although they choose no revision", w)
		f.Action = Warn
		found = append(found, f)
	}
	return found
}

// strandsFinding is the finding about some of the namespaces. how is how the mesh injects them.
func strandsFinding(old, updated *mesh.Mesh, stranded []*mesh.Namespace, how string, w *World) Finding {
	f := Finding{
		Field:  selectorsField,
		Detail: fmt.Sprintf("it would no longer discover namespaces that it injects%s: %s", how, namespaceNames(namesOf(stranded))),
		Effect: fmt.Sprintf("the mesh would lose their services, and the ConfigMap %s there would go stale", old.Sources[0].TrustBundle),
		Ways:   w.remedied(func() remedy { return keepOrRelease(old, updated, stranded, w) }),
	}
	if older := mesh.NewFinder(settled(updated)); !all(stranded, func(ns *mesh.Namespace) bool { return !older.Discover(ns.Labels) }) {
		f.Effect += " once its older revisions are gone"
	}
	return f
}

// keepOrRelease offers to bring the namespaces under the new selectors, and to take them out of the mesh.
func keepOrRelease(old, updated *mesh.Mesh, stranded []*mesh.Namespace, w *World) remedy {
	shown := stranded[:min(len(stranded), maxNamed)]
	before, after := newSide(w.without(), updated.Ref), newSide(w.Fleet, updated.Ref)
	join := func(ns *mesh.Namespace) []selector.Edit { return joinEdits(updated, ns, w) }
	var ways remedy
	switch {
	case !all(shown, func(ns *mesh.Namespace) bool { return len(join(ns)) > 0 && after.right(ns, join(ns)) }):
		ways = remedy{say("keep them by a selector that matches them")}
	case all(shown, func(ns *mesh.Namespace) bool { return before.admits(ns, join(ns), w) }):
		ways = remedy{run("keep them by other labels, which they get first"+likewise(stranded), labelAll(stranded, join)...)}
	default:
		ways = keepInSteps(old, updated, stranded, join, w)
	}
	if all(shown, func(ns *mesh.Namespace) bool {
		edits := w.released(ns)
		out := &mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, edits)}
		return before.admits(ns, edits, w) && !injects(old.Ref, w.Before, out)
	}) {
		ways = append(ways, run("take them out of the mesh first"+likewise(stranded), labelAll(stranded, w.released)...))
	}
	return ways
}

// right reports whether a namespace is right where it is after a change of labels.
func (s *side) right(ns *mesh.Namespace, edits []selector.Edit) bool {
	at := s.standing(apply(ns.Labels, edits))
	return !at.crossed() && !at.hanging()
}

// keepInSteps has the mesh select by the old and the new selectors for as long as it takes to change the labels.
func keepInSteps(old, updated *mesh.Mesh, stranded []*mesh.Namespace, join func(*mesh.Namespace) []selector.Edit, w *World) remedy {
	both := slices.Concat(old.Sources[0].Items(), updated.Sources[0].Items())
	byHand := remedy{say("keep them by the old and the new selectors together at first; then change their labels, and then make this change again")}
	p, ok := selecting(updated, both, "")
	if !ok || old.Sources[0].Listing != mesh.Selective || updated.Sources[0].Listing != mesh.Selective {
		return byHand
	}
	between := w.tried(w.Before, w.Namespaces, p.editing)
	if between == nil {
		return byHand
	}
	edits := map[string][]selector.Edit{}
	for _, ns := range stranded[:min(len(stranded), maxNamed)] {
		if edits[ns.Name] = join(ns); !w.allows(between, ns, edits[ns.Name]) {
			return byHand
		}
	}
	last := w.in(w.Fleet)
	last.Before, last.Namespaces = between, relabelled(w.Namespaces, edits)
	last.moves = sync.OnceValue(func() movement { return newMovement(between.Mesh(updated.Ref), updated, last) })
	if len(last.moves().stranded) > max(0, len(stranded)-maxNamed) {
		return byHand
	}
	return remedy{run("keep them by both selectors and then by other labels, and then make this change again"+likewise(stranded),
		append(p.commands, labelAll(stranded, join)...)...)}
}

// all reports whether all namespaces satisfy a condition.
func all(namespaces []*mesh.Namespace, condition func(*mesh.Namespace) bool) bool {
	return !slices.ContainsFunc(namespaces, func(ns *mesh.Namespace) bool { return !condition(ns) })
}

// joinEdits are the fewest label changes after which the mesh, and none that it fights with, discovers a namespace; nil if
// no labels do that without touching those that choose the revision.
func joinEdits(m *mesh.Mesh, ns *mesh.Namespace, w *World) []selector.Edit {
	var best []selector.Edit
	sources := settled(m).Sources
	if usesActive(m, w.Fleet, ns.Labels) {
		sources = sources[:1]
	}
	for _, source := range sources {
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

// foughtOver reports whether a namespace, after the edits, is one that its labels put into two meshes of the fleet.
func foughtOver(ns *mesh.Namespace, edits []selector.Edit, fleet *mesh.Fleet, now time.Time) bool {
	labels := apply(ns.Labels, edits)
	asked, _ := fightsOver(fleet.DiscoveredBy(labels), labels, now)
	return len(asked) > 0
}
