package policy

import (
	"reflect"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// rule is a catalogue entry together with the function that finds its offence: one of state, change and removal. Rule and,
// unless it is lower than the rule's, Action of the findings are left to the frame.
type rule[T any] struct {
	Rule
	// state finds what is wrong with an object as it stands.
	state func(*T, *World) []Finding
	// change finds what is wrong with a change rather than with what comes of it; old is nil on CREATE.
	change func(old, updated *T, w *World) []Finding
	// removal finds what is wrong with a DELETE.
	removal func(old *T, w *World) []Finding
	// unchanged reports whether an UPDATE leaves alone all that the rule judges of the object, so that what it finds by state was
	// there before and is not told again; nil where a request must leave alone the whole object for that.
	unchanged func(old, updated *T, w *World) bool
	// unchangedFor is unchanged for rules that judge one part of the object after the other, each by itself.
	unchangedFor func(f Finding, old, updated *T) bool
	// held reports whether the old object already had a finding of state about the new one, for rules where comparing
	// subjects is not enough; nil otherwise.
	held func(f Finding, old, updated *T, w *World) bool
	// worse reports whether a finding that the old object had too, by its subjects, does more harm with the new one; nil if it
	// cannot.
	worse func(f Finding, old, updated *T, w *World) bool
}

// leavesAlone reports whether the request changes nothing of what the rule judges.
func (r *rule[T]) leavesAlone(old, updated *T, w *World) bool {
	switch {
	case old == nil || updated == nil:
		return false
	case r.state != nil && r.unchanged != nil:
		return r.unchanged(old, updated, w)
	default:
		return reflect.DeepEqual(old, updated)
	}
}

// find runs the rule's function, if it has one for the operation.
func (r *rule[T]) find(old, updated *T, w *World) []Finding {
	switch {
	case updated == nil && r.removal != nil:
		return r.complete(r.removal(old, w), old)
	case updated != nil && r.change != nil:
		return r.complete(r.change(old, updated, w), updated)
	case updated != nil && r.state != nil:
		return r.complete(r.state(updated, w), updated)
	default:
		return nil
	}
}

// complete fills in what the rule's function left to the frame. A finding that does not lower its action may do whatever
// the configuration says, also more than the catalogue's default.
func (r *rule[T]) complete(found []Finding, about *T) []Finding {
	if m, isMesh := any(about).(*mesh.Mesh); isMesh && m != nil && m.Kind == mesh.KindIstiod {
		inWordsOfTheChart(found)
	}
	for i := range found {
		found[i].Rule = r.Rule
		if found[i].Action == 0 {
			found[i].Action = Deny
		}
	}
	return found
}

// hadBefore reports whether the old object had the finding already. What is wrong with a change is new with every change.
func (r *rule[T]) hadBefore(before *past, f Finding, old, updated *T, w *World) bool {
	switch {
	case old == nil || r.state == nil, r.worse != nil && r.worse(f, old, updated, w):
		return false
	case r.held != nil:
		return r.held(f, old, updated, w)
	case !before.known:
		*before = newPast(r.complete(silently(r.state, old, w.stored()), old))
	}
	return before.has(f)
}
