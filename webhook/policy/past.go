package policy

import "slices"

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

// has reports whether there is a finding with at least these subjects and as strict an action.
func (p *past) has(f Finding) bool {
	candidates := p.all
	if len(f.Subjects) > 0 {
		candidates = p.bySubject[f.Subjects[0]]
	}
	return slices.ContainsFunc(candidates, func(before Finding) bool {
		return before.Action >= f.Action && containsAll(before.Subjects, f.Subjects)
	})
}

func containsAll(set, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(set, s) })
}
