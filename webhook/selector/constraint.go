package selector

import (
	"slices"
	"strconv"
)

// constraint is the set of states that a selector allows for one label key. A state is "absent" or a value. The sets
// that requirements can describe are finite or leave out finitely many values, so two bits and a list hold any of them,
// and also their intersections and complements:
//
//	requirement    absent  except  values
//	In v, w        no      no      v, w
//	NotIn v, w     yes     yes     v, w
//	Exists         no      yes     -
//	DoesNotExist   yes     no      -
//	contradiction  no      no      -
//
// Kubernetes lets NotIn and DoesNotExist match an object without the key.
type constraint struct {
	key    string
	absent bool     // the key may be absent
	except bool     // values are the only ones that are not allowed; otherwise the only ones that are
	values []string // sorted, distinct, never written to: constraints share them
}

// allows reports whether a label map in which the key is present with this value, or not present, satisfies c.
func (c constraint) allows(value string, present bool) bool {
	if !present {
		return c.absent
	}
	return c.takes(value)
}

// takes reports whether the key may have the value.
func (c constraint) takes(value string) bool {
	_, listed := slices.BinarySearch(c.values, value)
	return listed != c.except
}

// not returns the complement of c.
func (c constraint) not() constraint {
	return constraint{key: c.key, absent: !c.absent, except: !c.except, values: c.values}
}

// and returns the intersection of c and d, which must be about the same key.
func (c constraint) and(d constraint) constraint {
	both := constraint{key: c.key, absent: c.absent && d.absent, except: c.except && d.except}
	switch {
	case c.except && d.except:
		both.values = union(c.values, d.values)
	case c.except:
		both.values = filter(d.values, c.takes)
	default:
		both.values = filter(c.values, d.takes)
	}
	return both
}

// possible reports whether some namespace that can exist satisfies c.
func (c constraint) possible() bool {
	return meet(c, c)
}

// meet reports whether some namespace that can exist satisfies both a and b, which must be about the same key. It is
// a.and(b).possible() without allocating, and costs a binary search for each value of the shorter question, or two
// comparisons for two lists of which one ends before the other begins.
func meet(a, b constraint) bool {
	if a.absent && b.absent && a.key != NameLabel {
		return true
	}
	if a.except && b.except {
		return true // values never run out
	}
	if a.except || !b.except && len(b.values) < len(a.values) {
		a, b = b, a
	}
	if !b.except && apart(a.values, b.values) {
		return false
	}
	return slices.ContainsFunc(a.values, func(value string) bool { return b.takes(value) && canBe(a.key, value) })
}

// apart reports whether one of two sorted lists ends before the other begins.
func apart(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || a[len(a)-1] < b[0] || b[len(b)-1] < a[0]
}

// canBe reports whether a namespace can carry the label, given that the value is a valid label value.
func canBe(key, value string) bool {
	return key != NameLabel || isDNSLabel(value)
}

// isDNSLabel reports whether a valid label value is an RFC 1123 DNS label, which is what a namespace's name must be. What
// else a DNS label is (at most 63 bytes, no dash at either end) valid label values are anyway. IsDNS1123Label of
// apimachinery uses regular expressions, which would take most of the time that comparing two selectors takes.
func isDNSLabel(value string) bool {
	for _, b := range []byte(value) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
			return false
		}
	}
	return value != ""
}

// pick returns the value that a witness shows for a key that must be present: the least of the allowed ones if they
// are listed, else the first of any, any-2, any-3, … that is not excluded. All of these are also valid namespace names.
// c must be possible and not allow absence.
func (c constraint) pick() string {
	if !c.except {
		return c.values[slices.IndexFunc(c.values, func(value string) bool { return canBe(c.key, value) })]
	}
	value := "any"
	for n := 2; !c.takes(value); n++ {
		value = "any-" + strconv.Itoa(n)
	}
	return value
}

// equal reports whether c and d are the same set for the same key.
func (c constraint) equal(d constraint) bool {
	return c.key == d.key && c.absent == d.absent && c.except == d.except && slices.Equal(c.values, d.values)
}

// filter returns the values that keep accepts, in order, sharing the slice if that is all of them.
func filter(values []string, keep func(string) bool) []string {
	first := slices.IndexFunc(values, func(value string) bool { return !keep(value) })
	if first < 0 {
		return values
	}
	kept := slices.Clone(values[:first])
	for _, value := range values[first+1:] {
		if keep(value) {
			kept = append(kept, value)
		}
	}
	return kept
}

// union returns the values of two sorted lists, sorted and each once.
func union(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
