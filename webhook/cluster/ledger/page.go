package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/mesh"
)

const (
	// maxLedger is how many bytes all claims may have. The API server takes no ConfigMap with more than 1 MiB of data.
	maxLedger = 1000 << 10
	// maxShare is how many of them the claims on one object may have, and those of one user, so that it takes a dozen users to
	// fill it. It is also the most that one claim may have. A mesh with 10,000 selectors for different values takes half of it.
	maxShare = 80 << 10
	// maxExpandedShare is how many bytes they may have before they are compressed, and maxExpandedLedger all claims: to read
	// them takes memory and time.
	maxExpandedShare  = 2 << 20
	maxExpandedLedger = 8 << 20
	// maxOfObject is how many claims on one object may be open. Each makes others be judged in one more world.
	maxOfObject = 10
	// maxOfUser is how many claims of one user may be open: more than a tool sends at the same time, and few enough that
	// the changes of other users have room.
	maxOfUser = 200
	// maxWaiting is how many requests of one user may wait for their turn. One takes a few milliseconds, and a fifth of a second
	// with ten thousand selectors.
	maxWaiting = 30
)

// page is the ledger as it was read.
type page struct {
	Page
	claims map[string]Claim
	// unconfirmed says that the page was seen and not read, so that it need not be what is stored.
	unconfirmed bool
}

// newPage decodes what was read. An entry that is no claim is an error: it may have been one, so nothing can be allowed.
func newPage(read Page) (page, error) {
	p := page{Page: read, claims: make(map[string]Claim, len(read.Entries))}
	for _, key := range slices.Sorted(maps.Keys(read.Entries)) {
		claim, err := decode(read.Entries[key])
		if err != nil {
			return page{}, &DamagedError{Key: key, Err: err}
		}
		p.claims[key] = claim
	}
	return p, nil
}

// keepOpen drops closed claims.
func (p *page) keepOpen(stored inventory, wasStored func(uid string) bool, now time.Time) {
	for key, claim := range p.claims {
		if !claim.open(stored, wasStored, now) {
			delete(p.claims, key)
		}
	}
}

// others returns the claims on other objects, oldest first.
func (p *page) others(ref mesh.Ref) []Claim {
	var list []Claim
	for _, key := range slices.Sorted(maps.Keys(p.claims)) {
		if claim := p.claims[key]; claim.Ref() != ref {
			list = append(list, claim)
		}
	}
	slices.SortStableFunc(list, func(a, b Claim) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Ref().String(), b.Ref().String()))
	})
	return list
}

// with returns the entries of the next ledger: the open claims and this one, and whether this one takes the place of others. It
// is a *FullError if they are too many or too large.
func (p *page) with(key string, claim *Claim) (entries map[string]string, replaced bool, err error) {
	text, err := claim.encode()
	if err != nil {
		return nil, false, err
	}
	entries = map[string]string{key: text}
	all, ofObject, ofUser := newShare(key, text, claim), newShare(key, text, claim), newShare(key, text, claim)
	for other, earlier := range p.claims {
		if other == key {
			continue
		}
		if claim.replaces(&earlier, p.Entries[other]) {
			replaced = true
			continue
		}
		entries[other] = p.Entries[other]
		all.add(other, entries[other], &earlier)
		if earlier.Ref() == claim.Ref() {
			ofObject.add(other, entries[other], &earlier)
		}
		if earlier.User == claim.User {
			ofUser.add(other, entries[other], &earlier)
		}
	}
	switch {
	case ofObject.claims > maxOfObject, ofObject.tooLarge(maxShare, maxExpandedShare):
		return nil, false, &FullError{Of: OfObject, Ref: claim.Ref(), Open: ofObject.claims - 1, Until: ofObject.until}
	case ofUser.claims > maxOfUser, ofUser.tooLarge(maxShare, maxExpandedShare):
		return nil, false, &FullError{Of: OfUser, Open: ofUser.claims - 1, Until: ofUser.until}
	case all.tooLarge(maxLedger, maxExpandedLedger):
		return nil, false, &FullError{Of: OfAll, Open: all.claims - 1, Until: all.until}
	}
	return entries, replaced, nil
}

// share is what some claims take of the ledger together, as they are stored and before they are compressed, and when the
// first of them ends at the latest.
type share struct {
	claims, bytes, expanded int
	until                   time.Time
}

func newShare(key, text string, claim *Claim) share {
	return share{claims: 1, bytes: len(key) + len(text), expanded: claim.expanded}
}

func (s *share) add(key, text string, claim *Claim) {
	s.claims++
	s.bytes += len(key) + len(text)
	s.expanded += claim.expanded
	if s.until.IsZero() || claim.Until.Before(s.until) {
		s.until = claim.Until
	}
}

// tooLarge reports whether there are several claims that are too large together; a single one has bounds of its own.
func (s *share) tooLarge(most, mostExpanded int) bool {
	return s.claims > 1 && (s.bytes > most || s.expanded > mostExpanded)
}

// FullOf says whose claims are too many. The zero value is invalid.
type FullOf int

// There may be too many claims on one object, of one user, or altogether.
const (
	OfObject FullOf = iota + 1
	OfUser
	OfAll
	// OfWaiting: not claims, but requests of one user that wait for their turn.
	OfWaiting
)

// FullError says that there is no room for another claim.
type FullError struct {
	Of FullOf
	// Ref is the object whose claims are too many, if it is that.
	Ref mesh.Ref
	// Open is how many claims are open, and Until when the first of them ends at the latest.
	Open  int
	Until time.Time
}

// Own reports whether it is the request's own user or object that has too many, so that others may go on.
func (e *FullError) Own() bool { return e.Of != OfAll }

// Error says what there is too much of, and when it will be less at the latest.
func (e *FullError) Error() string {
	var whose string
	switch e.Of {
	case OfWaiting:
		return fmt.Sprintf("%d changes of meshes by this user are waiting to be judged already. Try again when they are done, with fewer at a time", e.Open)
	case OfObject:
		whose = e.Ref.String()
	case OfUser:
		whose = "meshes by this user"
	case OfAll:
		whose = "meshes"
	}
	return fmt.Sprintf("%d changes of %s were admitted and are not stored, as many as may be in flight; another webhook or the API server may refuse them. "+
		"The first of them ends at %s", e.Open, whose, untilText(e.Until))
}
