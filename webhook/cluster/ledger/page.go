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
	// maxShare is how many of them the claims on one object may have, and those of one user. It is also the most that one
	// claim may have. A mesh with 10,000 selectors for different values takes about a tenth of it.
	maxShare = 250 << 10
	// maxOfObject is how many claims on one object may be open. Each makes others be judged in one more world.
	maxOfObject = 10
	// maxOfUser is how many claims of one user may be open: more than a tool sends at the same time, and few enough that
	// the changes of other users have room.
	maxOfUser = 200
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

// with returns the entries of the next ledger: the open claims and this one. It is a *FullError if they are too many or
// too large.
func (p *page) with(key string, claim *Claim) (map[string]string, error) {
	text, err := claim.encode()
	if err != nil {
		return nil, err
	}
	entries := map[string]string{key: text}
	all, ofObject, ofUser := newShare(key, text), newShare(key, text), newShare(key, text)
	for other, earlier := range p.claims {
		if other == key || claim.replaces(&earlier, p.Entries[other]) {
			continue
		}
		entries[other] = p.Entries[other]
		all.add(other, entries[other], earlier.Until)
		if earlier.Ref() == claim.Ref() {
			ofObject.add(other, entries[other], earlier.Until)
		}
		if earlier.User == claim.User {
			ofUser.add(other, entries[other], earlier.Until)
		}
	}
	switch {
	case ofObject.claims > maxOfObject, ofObject.bytes > maxShare:
		return nil, &FullError{Of: OfObject, Ref: claim.Ref(), Open: ofObject.claims - 1, Until: ofObject.until}
	case ofUser.claims > maxOfUser, ofUser.bytes > maxShare:
		return nil, &FullError{Of: OfUser, Open: ofUser.claims - 1, Until: ofUser.until}
	case all.bytes > maxLedger:
		return nil, &FullError{Of: OfAll, Open: all.claims - 1, Until: all.until}
	}
	return entries, nil
}

// share is what some claims take of the ledger together, and when the first of them ends at the latest.
type share struct {
	claims, bytes int
	until         time.Time
}

func newShare(key, text string) share { return share{claims: 1, bytes: len(key) + len(text)} }

func (s *share) add(key, text string, until time.Time) {
	s.claims++
	s.bytes += len(key) + len(text)
	if s.until.IsZero() || until.Before(s.until) {
		s.until = until
	}
}

// FullOf says whose claims are too many. The zero value is invalid.
type FullOf int

// There may be too many claims on one object, of one user, or altogether.
const (
	OfObject FullOf = iota + 1
	OfUser
	OfAll
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

// Own reports whether the request's own user or object has too many claims, so that others may go on.
func (e *FullError) Own() bool { return e.Of != OfAll }

// Error says what there is too much of, and when it will be less at the latest.
func (e *FullError) Error() string {
	var whose string
	switch e.Of {
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
