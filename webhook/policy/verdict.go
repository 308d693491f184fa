package policy

import (
	"reflect"
	"slices"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/selector"
)

// Answer is what a request is told. The zero value is invalid, so that a forgotten assignment cannot allow anything.
type Answer int

// Answers.
const (
	Allowed Answer = iota + 1
	Denied
)

// Verdict is the answer to one request: allow, allow with warnings, or deny. Findings are in the order of the catalogue,
// and within one rule in the order of the rule.
type Verdict struct {
	Answer Answer
	// Denials are the findings that deny; empty if and only if the answer is Allowed.
	Denials []Finding
	// Warnings are told to the user whatever the answer is.
	Warnings []Finding
	// Untold is what a request that is denied would have caused, which is not told: it does not come to pass. It becomes
	// warnings if all denials are overridden.
	Untold []Finding
	// Overridden are the codes, in the order of the catalogue, of findings that would deny if the object did not override
	// them with right. They are among the warnings.
	Overridden []Code
	// Notes are told to the user too; no rule is broken.
	Notes []string
}

// Findings returns all findings, denials first.
func (v Verdict) Findings() []Finding {
	if len(v.Denials) == 0 {
		return v.Warnings
	}
	return slices.Concat(v.Denials, v.Warnings)
}

// World is what an object is judged against.
type World struct {
	// Fleet is the fleet with the change in it.
	Fleet *mesh.Fleet
	// Before is the fleet without the change. In judgements of a namespace or of the mesh map, which do not change who
	// discovers or injects, it is the same as Fleet.
	Before *mesh.Fleet
	// Namespaces are the cluster's namespaces, by name, as far as they are known; only messages and rules about
	// existing namespaces use them. Nil in judgements of a namespace.
	Namespaces []mesh.Namespace
	// Now is the time of the request.
	Now time.Time
	// DiscoveryLabels are the configured keys whose value names a mesh.
	DiscoveryLabels []string
	// ControlPlane says whether the configuration sets a namespace of that name aside for a control plane.
	ControlPlane func(namespace string) bool
	// Stored are the labels of the stored namespace that is judged, from which remedies start; nil on CREATE.
	Stored map[string]string
	// Updating says that the object exists already, so that a remedy can change it.
	Updating bool
	// User, Rights and Pods are as in NamespaceChange; only in judgements of a namespace.
	User   string
	Rights map[mesh.Ref]Right
	Pods   *mesh.Pods
	// searches bounds what is asked about overlaps that were there before; what was not looked at counts as new. Only a
	// mesh with very many selectors that all change and all overlap gets there.
	searches *selector.Searches
	// effort is what the search for remedies has cost so far, see maxEffort.
	effort int
	// moves is what a change of a mesh does to the existing namespaces; only in judgements of a mesh.
	moves func() movement
	// beside is Fleet without the change; nil if that is Before. The two differ in judgements of a mesh beside changes of other
	// meshes that are in flight.
	beside *mesh.Fleet
	// exempt says whether a namespace of that name is not judged; nil if none is.
	exempt func(namespace string) bool
	// creating says that the request is a CREATE, also if it is of a part of a mesh that there is.
	creating bool

	// all returns the cluster's namespaces; nil if they cannot be had. Only in judgements of a namespace.
	all func() []mesh.Namespace
	// past is what stored returns.
	past *World
	// rules are those by which commands are tried.
	rules *ruleSet
	// actions are those of the configuration.
	actions Actions
	// passes reports whether the request is admitted, so that what it changes is stored when its commands are run; nil in judgements
	// of a namespace or of the mesh map. It judges the request a second time.
	passes func() bool
	// judged is the mesh that is judged; only in judgements of a mesh.
	judged mesh.Ref
	// silent says that findings are only looked for, not told: they need no remedy.
	silent bool
	// trials is how many changes of meshes have been tried, see maxTrials.
	trials int

	// discovered is what discovering remembers.
	discovered [2]discovered
}

// maxSearches is how many searches of the greatest length one judgement may make.
const maxSearches = 64

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
	// unchanged says whether an UPDATE leaves alone all that the rule judges of the object, so that what it finds by state was
	// there before and is not told again; nil where a request must leave alone the whole object for that.
	unchanged func(old, updated *T, w *World) bool
	// unchangedFor is unchanged for rules that judge one part of the object after the other, each by itself.
	unchangedFor func(f Finding, old, updated *T) bool
	// held says whether the old object already had a finding of state about the new one, for rules where comparing
	// subjects is not enough; nil otherwise.
	held func(f Finding, old, updated *T, w *World) bool
	// worse says whether a finding that the old object had too, by its subjects, does more harm with the new one; nil if it
	// cannot.
	worse func(f Finding, old, updated *T, w *World) bool
}

// judge runs the rules over an object. old is nil on CREATE, updated on DELETE. What the old object broke already cannot
// deny: the change is refused, not the past. It is a warning where the request changes what is judged and leaves it wrong; a
// tool that applies an unchanged object every few minutes is told nothing.
func judge[T any](rules []rule[T], old, updated *T, w *World, actions Actions) Verdict {
	verdict := Verdict{Answer: Allowed}
	w.actions = actions
	var of []*rule[T] // the rules of the warnings
	for i := range rules {
		r := &rules[i]
		action := actions.of(r.Rule)
		if action == Off {
			continue
		}
		found := r.find(old, updated, w)
		untouched := len(found) > 0 && r.leavesAlone(old, updated, w)
		var before past
		for _, f := range found {
			switch f.Action = min(f.Action, action); {
			case f.Action == Deny && !r.hadBefore(&before, f, old, updated, w):
				verdict.Denials = append(verdict.Denials, f)
			case untouched, old != nil && updated != nil && r.unchangedFor != nil && r.unchangedFor(f, old, updated):
				// told when it came
			default:
				f.Action = Warn
				verdict.Warnings, of = append(verdict.Warnings, f), append(of, r)
			}
		}
	}
	if len(verdict.Denials) > 0 {
		verdict.Answer = Denied
		verdict.Warnings, verdict.Untold = separate(verdict.Warnings, of, old, updated, w)
	}
	return verdict
}

// separate tells the warnings about what was there before, or about why a request is denied, from those about what it would
// have caused. of are their rules.
func separate[T any](warnings []Finding, of []*rule[T], old, updated *T, w *World) (was, caused []Finding) {
	var before past
	for i, f := range warnings {
		if i > 0 && of[i] != of[i-1] {
			before = past{}
		}
		if f.Explains || of[i].hadBefore(&before, f, old, updated, w) {
			was = append(was, f)
		} else {
			caused = append(caused, f)
		}
	}
	return was, caused
}

// leavesAlone says whether the request changes nothing of what the rule judges.
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
		return r.complete(r.removal(old, w))
	case updated != nil && r.change != nil:
		return r.complete(r.change(old, updated, w))
	case updated != nil && r.state != nil:
		return r.complete(r.state(updated, w))
	default:
		return nil
	}
}

// complete fills in what the rule's function left to the frame. A finding that does not lower its action may do whatever
// the configuration says, also more than the catalogue's default.
func (r *rule[T]) complete(found []Finding) []Finding {
	for i := range found {
		found[i].Rule = r.Rule
		if found[i].Action == 0 {
			found[i].Action = Deny
		}
	}
	return found
}

// hadBefore says whether the old object had the finding already. What is wrong with a change is new with every change.
func (r *rule[T]) hadBefore(before *past, f Finding, old, updated *T, w *World) bool {
	switch {
	case old == nil || r.state == nil, r.worse != nil && r.worse(f, old, updated, w):
		return false
	case r.held != nil:
		return r.held(f, old, updated, w)
	case !before.known:
		*before = newPast(r.complete(silently(r.state, old, w.stored())))
	}
	return before.has(f)
}

// silently finds what is only compared with something else.
func silently[T any](state func(*T, *World) []Finding, object *T, w *World) []Finding {
	defer func(before bool) { w.silent = before }(w.silent)
	w.silent = true
	return state(object, w)
}

// past is what a rule finds wrong with the old object: found once, and looked up by subject, because an object can break a
// rule thousands of times. The zero value is not known yet.
type past struct {
	known     bool
	all       []Finding
	bySubject map[string][]Finding
}

func newPast(all []Finding) past {
	p := past{known: true, all: all, bySubject: make(map[string][]Finding, len(all))}
	for _, f := range all {
		for _, subject := range f.Subjects {
			p.bySubject[subject] = append(p.bySubject[subject], f)
		}
	}
	return p
}

// has says whether there is a finding with at least these subjects and as strict an action.
func (p *past) has(f Finding) bool {
	candidates := p.all
	if len(f.Subjects) > 0 {
		candidates = p.bySubject[f.Subjects[0]]
	}
	return slices.ContainsFunc(candidates, func(before Finding) bool {
		return before.Action >= f.Action && containsAll(before.Subjects, f.Subjects)
	})
}

// stored is the world in which the old object is judged: everything else is as it is stored, whatever may come true at the
// same time as the change.
func (w *World) stored() *World {
	if w.Before == w.Fleet {
		return w
	}
	if w.past == nil {
		past := *w
		past.Fleet, past.discovered = w.Before, [2]discovered{}
		w.past = &past
	}
	return w.past
}

func containsAll(set, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(set, s) })
}
