package policy

import (
	"maps"
	"slices"
	"sync"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// A command is told only if it is admitted and helps. What this file does to find that out is what a person would do: run the
// command, by itself, and look whether the finding is gone.

// Bounds of what changes of meshes are tried in one judgement. A trial judges such a change whole, with all selectors and namespaces.
const (
	// maxTrials is how many there may be where there are few namespaces. For each thousand of these a trial counts once more.
	maxTrials = 48
	// maxTried is how many selectors the fleet may have. Where it has more, only words are left.
	maxTried = 2000
)

// affords counts a trial, and reports whether there may be one.
func (w *World) affords(in *mesh.Fleet, namespaces []mesh.Namespace) bool {
	w.trials += 1 + len(namespaces)/1000
	if w.trials > maxTrials {
		return false
	}
	selectors := 0
	for _, m := range in.Meshes() {
		if selectors += terms(m); selectors > maxTried {
			return false
		}
	}
	return true
}

// passes judges a request for World.passes.
func passes[T any](rules []rule[T], old, updated *T, w *World, actions Actions) func() bool {
	return sync.OnceValue(func() bool {
		trial := w.trial()
		trial.passes, trial.searches = nil, &selector.Searches{Left: maxSearches * selector.SearchBudget}
		return judge(rules, old, updated, trial, actions).Answer == Allowed
	})
}

// base is the fleet in which the commands of a message are run: with the change if it is admitted.
func (w *World) base() *mesh.Fleet {
	if w.passes == nil || w.passes() {
		return w.Fleet
	}
	return w.Before
}

// labelling is a way out by a change of a namespace's labels.
type labelling struct {
	label string
	edits []selector.Edit
}

// labels are those ways out that are admitted and end the finding. state is what has found it.
func (w *World) labels(ns *mesh.Namespace, f Finding, state func(*mesh.Namespace, *World) []Finding, offers ...labelling) remedy {
	var ways remedy
	for _, offer := range offers {
		if w.mendedBy(ns, f, state, offer.edits) {
			ways = append(ways, run(offer.label, relabel(ns, w, offer.edits...)))
		}
	}
	return ways
}

// mendedBy reports whether a change of labels is admitted and ends the finding: a change of those that are asked for, if they are
// admitted, else of those that are stored.
func (w *World) mendedBy(ns *mesh.Namespace, f Finding, state func(*mesh.Namespace, *World) []Finding, edits []selector.Edit) bool {
	if w.exhausted() || slices.ContainsFunc(edits, func(e selector.Edit) bool { return !e.Remove && !isLabelValue(e.Value) }) {
		return false
	}
	wanted := w.trying(ns.Labels, edits)
	if !w.Updating {
		return w.admitted(nil, wanted, ns.Name) && !stillThere(f, wanted, ns.Name, state, w)
	}
	stored := w.Stored
	if w.admitted(w.Stored, ns.Labels, ns.Name) {
		stored = ns.Labels
	}
	after := apply(stored, editsFrom(wanted, w.changedKeys(wanted, edits)))
	return w.admitted(stored, after, ns.Name) && !stillThere(f, after, ns.Name, state, w)
}

// editsFrom are the edits that give keys the values of other labels.
func editsFrom(wanted map[string]string, keys []string) []selector.Edit {
	edits := make([]selector.Edit, len(keys))
	for i, key := range keys {
		value, present := wanted[key]
		edits[i] = selector.Edit{Key: key, Value: value, Remove: !present}
	}
	return edits
}

// admitted reports whether a change of a namespace's labels is admitted, or its creation if there are none stored.
func (w *World) admitted(stored, after map[string]string, name string) bool {
	trial := w.trial()
	trial.Updating, trial.Stored = stored != nil, stored
	w.effort += w.Fleet.Effort(after)
	var old *mesh.Namespace
	if stored != nil {
		old = &mesh.Namespace{Name: name, Labels: stored}
		if maps.Equal(stored, after) {
			return true
		}
	}
	return judge(w.rules.namespaces, old, &mesh.Namespace{Name: name, Labels: after}, trial, w.actions).Answer == Allowed
}

func stillThere(f Finding, labels map[string]string, name string, state func(*mesh.Namespace, *World) []Finding, w *World) bool {
	return among(f, state(&mesh.Namespace{Name: name, Labels: labels}, w.trial()))
}

// among reports whether findings have one about the same field, and about any of the same subjects.
func among(f Finding, found []Finding) bool {
	return slices.ContainsFunc(found, func(g Finding) bool {
		return g.Field == f.Field && (len(f.Subjects) == 0 || slices.ContainsFunc(f.Subjects, func(s string) bool { return slices.Contains(g.Subjects, s) }))
	})
}

// trial is a world in which a command is tried: nothing is said there, and the rights that were not asked for are taken as given.
func (w *World) trial() *World {
	trial := *w
	trial.silent, trial.past, trial.discovered, trial.effort = true, nil, [2]discovered{}, 0
	return &trial
}

// in is a trial in another fleet.
func (w *World) in(fleet *mesh.Fleet) *World {
	return &World{
		Before: fleet, Fleet: fleet, Namespaces: w.Namespaces, Now: w.Now, Updating: true, DiscoveryLabels: w.DiscoveryLabels, ControlPlane: w.ControlPlane,
		exempt: w.exempt, silent: true, rules: w.rules, actions: w.actions,
	}
}

// allows reports whether a change of labels of a stored namespace is admitted in a fleet.
func (w *World) allows(fleet *mesh.Fleet, ns *mesh.Namespace, edits []selector.Edit) bool {
	if slices.ContainsFunc(edits, func(e selector.Edit) bool { return !e.Remove && !isLabelValue(e.Value) }) {
		return false
	}
	return w.in(fleet).admitted(ns.Labels, apply(ns.Labels, edits), ns.Name)
}

// editing is a change of a mesh's object, in a fleet.
type editing struct {
	ref  mesh.Ref
	edit mesh.Edit
}

// tried returns the fleet after a change of a mesh that is stored in another fleet, and after the operator has followed it; nil if that is
// refused, or if enough has been tried.
func (w *World) tried(in *mesh.Fleet, namespaces []mesh.Namespace, e editing) *mesh.Fleet {
	if !w.affords(in, namespaces) {
		return nil
	}
	after := in.Edited(e.ref, e.edit, false)
	if after == nil {
		return nil
	}
	trial := w.in(after)
	trial.Before, trial.Namespaces, trial.searches = in, namespaces, &selector.Searches{Left: selector.SearchBudget}
	old, updated := in.MeshOf(e.ref), after.MeshOf(e.ref)
	if old == nil || updated == nil {
		return nil
	}
	trial.moves = sync.OnceValue(func() movement { return newMovement(old, updated, trial) })
	if judge(w.rules.meshes, old, updated, trial, w.actions).Answer != Allowed {
		return nil
	}
	return in.Edited(e.ref, e.edit, true)
}

// tagging reports whether a tag can be created, or pointed at something else, in a fleet.
func (w *World) tagging(in *mesh.Fleet, name string, target mesh.Ref) bool {
	if !w.affords(in, w.Namespaces) {
		return false
	}
	old, after := in.Tag(name), in.Tagged(name, target)
	trial := w.in(after)
	trial.Before, trial.Updating, trial.creating = in, old != nil, old == nil
	return judge(w.rules.tags, old, after.Tag(name), trial, w.actions).Answer == Allowed
}
