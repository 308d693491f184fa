package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// misplacesNamespaces finds the namespaces that a change of a mesh puts where their own labels would be refused: they come to be
// injected by a mesh that does not discover them, or lose their injector. It compares all namespaces before and after, by the
// rules about namespaces. A new mesh is only told of them: the typo of a team must not stop an administrator. So are those that
// were wrong before, in another way.
//
// Those that strandsNamespaces names are left to it, and those that choose the old name of the active revision to
// revisionRenamed: the operator keeps that revision as long as they do.
func misplacesNamespaces(old, updated *mesh.Mesh, w *World) []Finding {
	moved := w.moves()
	if len(moved.touched) == 0 {
		return nil
	}
	before, after := newSide(w.without(), updated.Ref), newSide(w.Fleet, updated.Ref)
	found := misplaced(moved.touched, before, after)
	if old != nil {
		here := !settled(updated).Remote()
		found = found.where(func(d *displaced) bool {
			stranded := here && moved.strands(d.Namespace)
			renamed := old.ActiveRevision != updated.ActiveRevision && mesh.InjectionOf(d.Labels).Revision == old.ActiveRevision
			return !stranded && (!renamed || d.after.injected)
		})
	}
	return found.findings("spec", before, after, w)
}

// tagMisplacesNamespaces finds the namespaces that lose their injector because a tag gets a target that does not exist, or for
// which the operator installs no tag. Those that it hands to another mesh are tagMovesNamespaces' to tell.
func tagMisplacesNamespaces(_, updated *mesh.Tag, w *World) []Finding {
	unlabelled := rechosen(w.Before, w.Fleet).byDefault
	users := existing(w, func(ns *mesh.Namespace) bool { return usesTag(ns, updated.Name) || unlabelled && unchosen(ns) })
	before, after := &side{fleet: w.Before}, &side{fleet: w.Fleet}
	found := misplaced(users, before, after)
	found = found.where(func(d *displaced) bool { return d.unchosen() || !d.after.crossed() && !d.after.hanging() })
	return found.findings("spec.targetRef", before, after, w)
}

// deletionMisplacesNamespaces tells of the namespaces that something still injects after a DELETE of a mesh, or of one of its
// IstioRevisions, but no mesh that discovers them: an older revision was the only one that discovered them, or a revision hid a tag of
// its name. Those that nothing injects any more are deletedInUse's to tell.
func deletionMisplacesNamespaces(old *mesh.Mesh, w *World) []Finding {
	rechosen := rechosen(w.Before, w.Fleet)
	return deletionMisplaces(w, func(ns *mesh.Namespace) bool {
		source, _ := old.Discovers(ns.Labels)
		return source != nil || rechosen.by(ns.Labels)
	})
}

// tagDeletionMisplacesNamespaces is the same for a tag that hid a revision of its name.
func tagDeletionMisplacesNamespaces(tag *mesh.Tag, w *World) []Finding {
	return deletionMisplaces(w, func(ns *mesh.Namespace) bool { return usesTag(ns, tag.Name) })
}

func deletionMisplaces(w *World, touched func(*mesh.Namespace) bool) []Finding {
	before, after := &side{fleet: w.Before}, &side{fleet: w.Fleet}
	found := misplaced(existing(w, touched), before, after)
	found = found.where(func(d *displaced) bool { return d.after.injected && !d.unchosen() && !d.wrongBefore() })
	return found.told(true, "", "metadata.name", before, after, w)
}

// mapMisplacesNamespaces finds the namespaces that a change of the mesh map gives to another mesh than their discovery label
// names. It does so only as long as there is no mesh; then the map decides nothing but what is filled in.
func mapMisplacesNamespaces(old, updated *mesh.Map, w *World) []Finding {
	if len(w.Fleet.Meshes()) > 0 {
		return nil
	}
	before, after := onlyMap(old, w), onlyMap(updated, w)
	wrong := existing(w, func(ns *mesh.Namespace) bool {
		was := newPast(revisionOfAnotherMesh(ns, before))
		return slices.ContainsFunc(revisionOfAnotherMesh(ns, after), func(f Finding) bool { return !was.has(f) })
	})
	if len(wrong) == 0 {
		return nil
	}
	f := Finding{
		Field: "data",
		Detail: fmt.Sprintf("the discovery label of namespaces would name another mesh than the one that has their revision: %s",
			namespaceNames(namesOf(wrong))),
		Ways: w.remedied(func() remedy {
			return waysOut(wrong, &side{fleet: before.Fleet}, &side{fleet: after.Fleet}, w.creating, w)
		}),
		Subjects: namesOf(wrong),
	}
	if w.creating {
		f.Action = Warn
	}
	return []Finding{f}
}

// onlyMap is a world without meshes and with this mesh map; nil is an empty one.
func onlyMap(m *mesh.Map, w *World) *World {
	var entries map[string]string
	if m != nil {
		entries, _ = mesh.ParseMap(m.Data)
	}
	fleet := mesh.NewFleet(mesh.Objects{Map: entries})
	only := w.in(fleet)
	only.Updating = w.Updating
	return only
}

// findings is one for each way to be wrong that is new, and one for each that is not. Of namespaces whose
// labels do not choose what injects them there is only something to tell: they are not what has to change.
func (m *misplacement) findings(field string, before, after *side, w *World) []Finding {
	choosing, byDefault := m.where(func(d *displaced) bool { return !d.unchosen() }), m.where((*displaced).unchosen)
	others := byDefault.told(true, " by default", field, before, after, w)
	if w.creating {
		return append(choosing.told(true, "", field, before, after, w), others...)
	}
	fresh, past := choosing.where(func(d *displaced) bool { return !d.wrongBefore() }), choosing.where((*displaced).wrongBefore)
	return slices.Concat(fresh.told(false, "", field, before, after, w), past.told(true, "", field, before, after, w), others)
}

// told is one finding for each way to be wrong. Those that only warn name what can be done after the change. how is empty, or
// says that the meshes inject by default.
func (m *misplacement) told(warns bool, how, field string, before, after *side, w *World) []Finding {
	var found []Finding
	add := func(wrong []displaced, detail, effect string) {
		namespaces := make([]*mesh.Namespace, len(wrong))
		for i := range wrong {
			namespaces[i] = wrong[i].Namespace
		}
		f := Finding{
			Field: field, Detail: detail + ": " + namespaceNames(namesOf(namespaces)), Effect: effect, Subjects: namesOf(namespaces),
			Ways: w.remedied(func() remedy { return waysOut(namespaces, before, after, warns, w) }),
		}
		if warns {
			f.Action = Warn
		}
		found = append(found, f)
	}
	injecting := func(d *displaced) []*mesh.Mesh { return d.after.injecting }
	if len(m.crossed) > 0 {
		inject, discover := together(m.crossed, injecting), together(m.crossed, func(d *displaced) []*mesh.Mesh { return d.after.discovering })
		add(m.crossed, fmt.Sprintf("existing namespaces would be injected%s by %s and discovered by %s", how, theMeshes(inject), theMeshes(discover)),
			fmt.Sprintf("the sidecars of their new pods would connect to the istiod of %s and trust only the root certificate of %s", plainly(inject), plainly(discover)))
	}
	if len(m.hanging) > 0 {
		add(m.hanging, fmt.Sprintf("existing namespaces would be injected%s by %s and discovered by no mesh", how, theMeshes(together(m.hanging, injecting))),
			"their new pods would hang in Init:0/1")
	}
	if len(m.lost) > 0 {
		injected := together(m.lost, func(d *displaced) []*mesh.Mesh { return d.before.injecting })
		add(m.lost, fmt.Sprintf("nothing would inject existing namespaces any more that %s injects%s now", theMeshes(injected), how), withoutSidecars)
	}
	return found
}

// together returns the meshes of all, each once.
func together(wrong []displaced, of func(*displaced) []*mesh.Mesh) []*mesh.Mesh {
	all := map[*mesh.Mesh]bool{}
	for i := range wrong {
		for _, m := range of(&wrong[i]) {
			all[m] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b *mesh.Mesh) int { return strings.Compare(a.String(), b.String()) })
}

// changeFirst begins the remedy of a refusal.
const changeFirst = "correct their labels first"

// waysOut offers for each of the first namespaces the label changes that put it right: to keep it in a mesh that discovers it,
// to move it to the mesh that injects it, or to have nothing inject it. Only what is admitted and helps is offered: for a
// change that is refused, what can be done before it is tried again; afterwards says that it is not.
func waysOut(namespaces []*mesh.Namespace, before, after *side, afterwards bool, w *World) remedy {
	keep, move, without := &labelCommands{}, &labelCommands{}, &labelCommands{}
	for _, ns := range namespaces[:min(maxNamed, len(namespaces))] {
		add := func(to *labelCommands, why string, edits []selector.Edit) {
			if edits = sortedEdits(edits); len(edits) > 0 && after.cures(ns, edits, w) && (afterwards || before.admits(ns, edits, w)) {
				to.add(why, ns, edits)
			}
		}
		at, stored := after.standing(ns.Labels), after.world(ns, w)
		for _, m := range wanted(at.discovering, ns.Labels) {
			add(keep, "keep %s in "+m.Name, injectBy(revisionOf(m, after.fleet), ns.Labels))
		}
		for _, m := range at.injecting {
			if edits, ok := only(m, ns.Labels, stored); ok {
				add(move, "put %s into "+m.Name, alone(edits, ns.Labels))
			}
		}
		if at.injected || !unchosen(ns) {
			add(without, "turn injection off in %s", release(ns.Labels, before.fleet, after.fleet))
		}
	}
	ways := slices.Concat(followed(namespaces, before, after, w), keep.ways(), move.ways(), without.ways())
	switch {
	case len(ways) == 0:
		return remedy{say("no change of their labels repairs that: change the selectors of the meshes so that the one that injects them, and no other, discovers them")}
	case afterwards:
		return ways
	default:
		return append(remedy{say(changeFirst + likewise(namespaces))}, ways...)
	}
}

// followed offers to let the tags that a change of a mesh would leave without a target follow that mesh instead.
func followed(namespaces []*mesh.Namespace, before, after *side, w *World) remedy {
	if after.changed == nil || after.changed.Kind != mesh.KindIstio {
		return nil
	}
	var ways remedy
	for _, ns := range namespaces[:min(maxNamed, len(namespaces))] {
		name := mesh.InjectionOf(ns.Labels).Revision
		was, is := before.fleet.Revision(name), after.fleet.Revision(name)
		if was == nil || is == nil || !is.Tag || len(is.Meshes) > 0 || !within(was.Meshes, []*mesh.Mesh{after.changed}) {
			continue
		}
		label := fmt.Sprintf("let the tag %q follow %s", name, after.changed.Ref)
		told := slices.ContainsFunc(ways, func(other Way) bool { return other.Label == label })
		if !told && w.tagging(w.base(), name, after.changed.Ref) {
			ways = append(ways, run(label, retarget(name, after.changed.Ref)))
		}
	}
	return ways
}

// world is the one in which the labels of a stored namespace are changed.
func (s *side) world(ns *mesh.Namespace, w *World) *World {
	return &World{
		Before: s.fleet, Fleet: s.fleet, Now: w.Now, Updating: true, Stored: ns.Labels, DiscoveryLabels: w.DiscoveryLabels, ControlPlane: w.ControlPlane,
		silent: true, rules: w.rules, actions: w.actions,
	}
}

// admits reports whether a change of labels would be admitted.
func (s *side) admits(ns *mesh.Namespace, edits []selector.Edit, w *World) bool {
	return w.allows(s.fleet, ns, edits)
}

// cures reports whether a change of labels would be admitted and leave the namespace right.
func (s *side) cures(ns *mesh.Namespace, edits []selector.Edit, w *World) bool {
	if slices.ContainsFunc(edits, func(e selector.Edit) bool { return !e.Remove && !isLabelValue(e.Value) }) {
		return false
	}
	changed := &mesh.Namespace{Name: ns.Name, Labels: apply(ns.Labels, edits)}
	at, after := s.standing(changed.Labels), s.world(ns, w)
	if at.crossed() || at.hanging() || len(revisionOfAnotherMesh(changed, after)) > 0 || len(unknownRevision(changed, after)) > 0 {
		return false
	}
	return s.admits(ns, edits, w)
}
