package selector

import (
	"math/bits"
	"slices"
)

// Index finds, among many selectors, those that can overlap with another one, without trying each. It is immutable.
//
// For a key of which the other selector lists the values (In, matchLabels) only those are left that list one of them too,
// or list none; for one that must be absent or present, those that do not ask for the opposite. That leaves out all that
// does not overlap, except where NotIn excludes every value that a selector lists.
type Index struct {
	all  set
	size int
	keys map[string]*places
}

// places are the selectors of an index by what they say about one key. A set has a bit for each selector of the index.
type places struct {
	byValue map[string][]int32 // those that list this value
	open    set                // those that do not list the values that the key may have
	present set                // those that ask for the key
	absent  set                // those that ask for its absence
}

// NewIndex makes an index of selectors, which are known by their places in the list.
func NewIndex(selectors []Selector) *Index {
	x := &Index{all: full(len(selectors)), size: len(selectors), keys: map[string]*places{}}
	for i, s := range selectors {
		for _, c := range s.constraints {
			x.at(c.key).add(i, c)
		}
	}
	return x
}

// at returns the places of a key, at first those of selectors that say nothing about it.
func (x *Index) at(key string) *places {
	at := x.keys[key]
	if at == nil {
		at = &places{byValue: map[string][]int32{}, open: slices.Clone(x.all), present: make(set, words(x.size)), absent: make(set, words(x.size))}
		x.keys[key] = at
	}
	return at
}

func (p *places) add(i int, c constraint) {
	switch {
	case c.absent && !c.except && len(c.values) == 0:
		p.absent.add(i)
	case !c.absent:
		p.present.add(i)
	}
	if !c.except {
		p.open.remove(i)
		for _, value := range c.values {
			p.byValue[value] = append(p.byValue[value], int32(i)) //nolint:gosec // a request has not that many bytes
		}
	}
}

// Candidates appends the places, in order, of all selectors that overlap with s, and perhaps of some more.
func (x *Index) Candidates(to []int, s Selector) []int {
	if !s.set {
		return to
	}
	var room [8]uint64
	left := append(set(room[:0]), x.all...)
	for i := range s.constraints {
		if at := x.keys[s.constraints[i].key]; at != nil {
			at.reduce(left, &s.constraints[i])
		}
	}
	return left.appendTo(to)
}

// reduce takes away the selectors that do not overlap with what c says about the key.
func (p *places) reduce(left set, c *constraint) {
	switch {
	case c.absent && !c.except && len(c.values) == 0:
		left.minus(p.present)
	case c.absent:
	case c.except:
		left.minus(p.absent)
	default:
		var room [8]uint64
		listing := append(set(room[:0]), p.open...)
		for _, value := range c.values {
			for _, i := range p.byValue[value] {
				listing.add(int(i))
			}
		}
		left.and(listing)
	}
}

// set is a set of small numbers, a bit for each.
type set []uint64

func words(size int) int { return (size + 63) / 64 }

// full returns the set of all numbers below size.
func full(size int) set {
	s := make(set, words(size))
	for i := range s {
		s[i] = ^uint64(0)
	}
	if rest := size % 64; rest > 0 {
		s[len(s)-1] = 1<<rest - 1
	}
	return s
}

func (s set) add(i int)    { s[i/64] |= 1 << (i % 64) }
func (s set) remove(i int) { s[i/64] &^= 1 << (i % 64) }

func (s set) minus(other set) {
	for i := range s {
		s[i] &^= other[i]
	}
}

func (s set) and(other set) {
	for i := range s {
		s[i] &= other[i]
	}
}

func (s set) appendTo(to []int) []int {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			to = append(to, 64*i+bits.TrailingZeros64(word))
		}
	}
	return to
}
