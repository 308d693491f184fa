package policy

import "slices"

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

// judge runs the rules over an object. old is nil on CREATE, updated on DELETE. What the old object broke already cannot
// deny: the change is refused, not the past. It is a warning where the request changes what is judged and leaves it wrong; a
// tool that applies an unchanged object every few minutes is told nothing.
func judge[T any](rules []rule[T], old, updated *T, w *World, actions Actions) Verdict {
	verdict := Verdict{Answer: Allowed}
	w.actions = actions
	var of []*rule[T] // the rules of the warnings
	for i := range rules {
		r := &rules[i]
		action := actions.Of(r.Rule)
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
