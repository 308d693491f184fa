package selector

import (
	"slices"
	"strconv"
	"strings"
)

// Coverage is the answer of Uncovered. Its zero value is no answer.
type Coverage int

// The answers of Uncovered.
const (
	_          Coverage = iota
	Covered             // every namespace that s selects is selected by one of covers
	NotCovered          // there can be a namespace that s selects and none of covers does
	Unknown             // the search was given up: the selectors are too entangled
)

// String returns the name of the constant.
func (c Coverage) String() string {
	switch c {
	case Covered:
		return "Covered"
	case NotCovered:
		return "NotCovered"
	case Unknown:
		return "Unknown"
	default:
		return "Coverage(" + strconv.Itoa(int(c)) + ")"
	}
}

// coverBudget bounds the work of one Uncovered, in constraints compared and listed values looked up. It is far more
// than hundreds of meshes with a few labels each need, and is used up within some tens of milliseconds
// (BenchmarkUncovered/given_up).
const coverBudget = 1 << 16

// Uncovered reports whether there can be a namespace that s selects and none of covers does. With NotCovered, and only
// then, it returns the labels of one, never nil: s matches them and none of covers does. They include NameLabel only if
// the answer turns on it, and are not necessarily the fewest. The answer is the same for the same arguments.
//
// Covered and NotCovered are exact. One cover that selects all of s, and covers that each leave open one key of s (such
// as `mesh=a`, `mesh=b`, …), cost one pass over covers; so do covers that are disjoint from s. Beyond that the question
// is that of tautology, which no known algorithm answers fast in every case: covers that turn on several keys each and
// interlock can cost exponentially much. After a bounded amount of work the answer is Unknown.
func Uncovered(s Selector, covers []Selector) (map[string]string, Coverage) {
	return (&Searches{Left: coverBudget}).Uncovered(s, covers)
}

// Searches are several runs of Uncovered that share a budget, so that many of them are bounded together. Not safe for
// concurrent use.
type Searches struct {
	// Left is the work that may still be done, in the unit of one search's bound (see SearchBudget).
	Left int
}

// SearchBudget is the most that one search takes from the budget of Searches.
const SearchBudget = coverBudget

// Uncovered is the function Uncovered, except that its work is bounded by what is left too.
func (b *Searches) Uncovered(s Selector, covers []Selector) (map[string]string, Coverage) {
	search := coverSearch{budget: min(coverBudget, b.Left)}
	b.Left -= search.budget
	witness, answer := search.begin(s, covers)
	b.Left += max(search.budget, 0)
	return witness, answer
}

func (c *coverSearch) begin(s Selector, covers []Selector) (map[string]string, Coverage) {
	if s.Nothing() {
		return nil, Covered
	}
	open := make([][]constraint, 0, len(covers))
	for _, cover := range covers {
		if cover.set {
			open = append(open, cover.constraints)
		}
		if cover.mentions(NameLabel) {
			// Without its name the witness could match a cover that no namespace matches, such as one that asks for
			// the name's absence.
			s = And(s, only(constraint{key: NameLabel, except: true}))
		}
	}
	return c.uncovered(s, open)
}

// coverSearch is one run of Uncovered.
type coverSearch struct {
	budget int // what is left of coverBudget; below zero the search is over
}

// uncovered answers for the part s of the original selector, which is possible, and for covers of which only those
// constraints are left that s did not imply earlier. It narrows s to what covers with a single such constraint leave,
// then splits it along the constraints of the cover with the fewest.
func (c *coverSearch) uncovered(s Selector, covers [][]constraint) (map[string]string, Coverage) {
	for {
		outside, open, covered := c.narrow(s, covers)
		left := And(s, outside)
		switch {
		case c.budget < 0:
			return nil, Unknown
		case covered || left.Nothing():
			return nil, Covered
		case len(open) == 0:
			return left.witness(), NotCovered
		case len(outside.constraints) == 0:
			return c.split(s, open)
		}
		s, covers = left, open
	}
}

// narrow compares s with every cover. covered says that one of them selects all of s. Otherwise outside selects what is
// outside all covers of which s leaves one constraint open, and open are the others that overlap s, each reduced to the
// constraints that s leaves open.
func (c *coverSearch) narrow(s Selector, covers [][]constraint) (outside Selector, open [][]constraint, covered bool) {
	var complements []constraint
	for _, cover := range covers {
		loose, disjoint := c.loose(s, cover)
		switch {
		case c.budget < 0:
			return Selector{}, nil, false
		case disjoint:
		case len(loose) == 0:
			return Selector{}, nil, true
		case len(loose) == 1:
			complements = append(complements, loose[0].not())
		default:
			open = append(open, loose)
		}
	}
	return Selector{set: true, constraints: normalize(complements)}, open, false
}

// loose returns the constraints of cover that s does not imply; disjoint says that no namespace matches both.
func (c *coverSearch) loose(s Selector, cover []constraint) (loose []constraint, disjoint bool) {
	for _, required := range cover {
		given := s.constraint(required.key)
		if !c.meet(given, required) {
			return nil, true
		}
		if c.meet(given, required.not()) {
			loose = append(loose, required)
		}
	}
	return loose, false
}

// split looks for a witness outside the cover with the fewest constraints: in the part of s that breaks the first of
// them, then in the part that keeps the first and breaks the second, and so on.
func (c *coverSearch) split(s Selector, covers [][]constraint) (map[string]string, Coverage) {
	narrowest := 0
	for i, cover := range covers {
		if len(cover) < len(covers[narrowest]) {
			narrowest = i
		}
	}
	others := slices.Concat(covers[:narrowest], covers[narrowest+1:])
	for _, required := range covers[narrowest] {
		witness, answer := c.uncovered(And(s, only(required.not())), others)
		if answer != Covered {
			return witness, answer
		}
		s = And(s, only(required))
	}
	return nil, Covered
}

// meet is the function meet, paid from the budget.
func (c *coverSearch) meet(a, b constraint) bool {
	c.budget--
	if !a.except {
		c.budget -= len(a.values)
	}
	if !b.except {
		c.budget -= len(b.values)
	}
	return meet(a, b)
}

// only returns the selector with the single constraint c.
func only(c constraint) Selector {
	return Selector{set: true, constraints: []constraint{c}}
}

// mentions reports whether s has a requirement on the key.
func (s Selector) mentions(key string) bool {
	_, found := s.find(key)
	return found
}

// constraint returns what s says about the key; if nothing, the constraint that allows everything.
func (s Selector) constraint(key string) constraint {
	if i, found := s.find(key); found {
		return s.constraints[i]
	}
	return constraint{key: key, absent: true, except: true}
}

// find returns the position of the key's constraint.
func (s Selector) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.constraints, key, func(c constraint, key string) int {
		return strings.Compare(c.key, key)
	})
}
