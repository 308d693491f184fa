package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

const (
	// admitTimeout bounds one admission, with its waiting for others. It is a little shorter than what the webhook
	// configuration gives a request (timeoutSeconds: 10), so that people are told what is the matter.
	admitTimeout = 8 * time.Second
	// takeBackTimeout bounds the attempt to take back the claim of a request that was refused after all.
	takeBackTimeout = 5 * time.Second
	// maxRemembered is how many uids are remembered at least; after twice as many the older half is forgotten.
	maxRemembered = 5000
)

// ErrConflict is what a Store returns if the ledger is not the one that was read.
var ErrConflict = errors.New("the ledger has been written in the meantime")

// Store keeps the ledger.
type Store interface {
	// Recent returns the ledger as it was last seen, without asking, which is usually what is stored; false if nothing has
	// been seen.
	Recent() (Page, bool)
	// Read returns the ledger as it is stored at some moment during the call; a zero Page if there is none.
	Read(ctx context.Context) (Page, error)
	// Write replaces the entries of the page, if it is still the one that is stored, and returns the new one's uid. Else
	// it changes nothing and returns ErrConflict.
	Write(ctx context.Context, read Page, entries map[string]string) (types.UID, error)
}

// Page is the ledger as it is stored.
type Page struct {
	// UID is that of the ConfigMap, and Version its resourceVersion.
	UID     types.UID
	Version string
	// Entries are the claims.
	Entries map[string]string
}

// Meshes lists what is stored: everything whose storing was over before the call began. It is an error if objects of the
// kind are not served.
type Meshes interface {
	Live(ctx context.Context, kind string) (mesh.Objects, error)
}

// Change is a CREATE (Old is nil) or UPDATE of an Istio or IstioRevision.
type Change struct {
	Old, New *sail.ControlPlane
	// User is the name of the user whose request it is.
	User string
	// DryRun says that the change will not be stored.
	DryRun bool
}

// State is what a change is judged against.
type State struct {
	Stored mesh.Objects
	// Claims are the open claims on other objects, oldest first.
	Claims []Claim
	// Outdated says that the change is an UPDATE of a version that is stored no more. The API server cannot store it, and
	// asks again about the version that there is: what is found out now is not about anything that will be.
	Outdated bool
}

// Ledger admits changes. It is safe for concurrent use. Make one with New.
type Ledger struct {
	store    Store
	meshes   Meshes
	counters Counters
	now      func() time.Time
	lifetime time.Duration
	// background runs what no request waits for.
	background func(func())
	// turn is held, by the request that has put something in, during an admission: requests of one replica would only make each
	// other start over.
	turn chan struct{}

	mu sync.Mutex
	// uid is that of the ledger that was last seen; if it is another one, claims have been lost and until says how long
	// that matters.
	uid   types.UID
	until time.Time
	// shown is the uid of the ledger that a watch has shown last.
	shown types.UID
	// stored and older are uids of objects that were stored once.
	stored, older map[string]bool
	// seen is when this replica saw each entry of the ledger first.
	seen map[string]time.Time
	// queues are those of the users whose requests wait for their turn or have it.
	queues map[string]*queue
}

// Counters count what a ledger does.
type Counters struct {
	// Written is called when a claim was written, Conflict when the ledger was not the one that was judged with, because
	// another replica was faster. Open is told how many claims
	// were open at the last look.
	Written, Conflict func()
	Open              func(int)
}

// New returns a Ledger.
func New(store Store, meshes Meshes, counters Counters) *Ledger {
	return &Ledger{
		store: store, meshes: meshes, counters: counters, now: time.Now, lifetime: lifetime(), turn: make(chan struct{}, 1),
		background: func(f func()) { go f() },
		stored:     map[string]bool{}, older: map[string]bool{}, seen: map[string]time.Time{},
		queues: map[string]*queue{},
	}
}

// Stored notes that an object with this uid is stored, or was: the watch that sees all objects come says so, because an object
// may be gone before the next change asks for it. That only makes claims end earlier.
func (l *Ledger) Stored(uid string) {
	if uid == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.stored) >= maxRemembered {
		l.stored, l.older = map[string]bool{}, l.stored
	}
	l.stored[uid] = true
}

// storedOf says which of a page's objects are known now to have been stored.
func (l *Ledger) storedOf(read *page) func(uid string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := map[string]bool{}
	for _, claim := range read.claims {
		uid := claim.Object.Metadata.UID
		stored[uid] = l.stored[uid] || l.older[uid]
	}
	return func(uid string) bool { return stored[uid] }
}

// Admit calls judge with the state that the change is to be judged against, which reports whether it is allowed, and returns
// nil when the last call's answer may be given: if it is allowed, the claim is written. It may call judge several times,
// because another request was faster. What judge does that must be done before the change is stored is done before it is
// claimed. An error says why the change cannot be admitted now; nothing may be allowed then, and no claim is left, except
// that of a replica that ends or loses the API server before it has taken it back.
func (l *Ledger) Admit(ctx context.Context, change Change, judge func(State) bool) error {
	a, err := l.admission(change, judge)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	leave, err := l.enter(bounded, nameless(change.User))
	if err != nil {
		return err
	}
	defer leave()
	err = l.run(bounded, a)
	if err == nil {
		err = ctx.Err() // then the answer would come too late
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("there was not enough time for it (%w)", err)
	}
	// A claim that has taken the place of an earlier one says what that one said, whose request may be stored.
	if a.attempted && !a.replaced && (err != nil || !a.claimed) {
		l.background(func() { l.takeBack(context.WithoutCancel(ctx), a.key) })
	}
	return err
}

// admission is one call of Admit.
type admission struct {
	Change
	judge func(State) bool
	// key is that of the claim in the ledger.
	key string
	// claims says that the change leaves a claim if it is allowed and turns out to be one of what is stored.
	claims bool
	// attempted says that the claim may have been written, and claimed that it was. The answer to a write that has happened
	// can get lost, and a client that then tries it again by itself is told of a conflict.
	attempted, claimed bool
	// replaced says that the claim, once written, is the only one of another request too.
	replaced bool
}

// admission begins one. It is an error if the change is too large to be claimed, which is so whatever else there is.
func (l *Ledger) admission(change Change, judge func(State) bool) (*admission, error) {
	a := &admission{Change: change, judge: judge, key: string(uuid.NewUUID()), claims: enabled() && !same(change.Old, change.New)}
	if a.claims {
		if _, err := a.claim(l.now()).encode(); err != nil {
			return nil, err
		}
	}
	a.claims = a.claims && !change.DryRun
	return a, nil
}

// claim is the one that the change would leave.
func (a *admission) claim(now time.Time) *Claim {
	claim := &Claim{Object: judged(a.New), Time: now, User: nameless(a.User)}
	if a.Old != nil {
		claim.OldVersion = a.Old.Metadata.ResourceVersion
	}
	return claim
}

// run tries until no other request was faster, or the time is over.
func (l *Ledger) run(ctx context.Context, a *admission) error {
	pause := wait.Backoff{Duration: 3 * time.Millisecond, Factor: 1.5, Jitter: 1, Steps: 100, Cap: 100 * time.Millisecond}
	// What has been seen of the ledger will do for a change that is to leave a claim: see the package comment.
	if a.claims {
		switch err := l.try(ctx, a, l.recent); {
		case errors.Is(err, ErrConflict):
			l.counters.Conflict()
		case !errors.Is(err, errReadFirst):
			return err
		}
	}
	for {
		err := l.try(ctx, a, l.read)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		l.counters.Conflict()
		select {
		case <-time.After(pause.Step()):
		case <-ctx.Done():
			return errBusy
		}
	}
}

// takeBack removes the claim of a request that is refused although the claim was written, or may have been: the answer
// would have come too late. So it holds up no other request. If that fails, the claim ends by its age.
func (l *Ledger) takeBack(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, takeBackTimeout)
	defer cancel()
	for ctx.Err() == nil {
		read, err := l.store.Read(ctx)
		if _, there := read.Entries[key]; err != nil || !there {
			return
		}
		rest := maps.Clone(read.Entries)
		delete(rest, key)
		if _, err := l.store.Write(ctx, read, rest); !errors.Is(err, ErrConflict) {
			return
		}
	}
}

// queue is where the requests of one user wait. The one at its head, which has put something into first, waits for its turn with
// the heads of other users' queues: so a request waits for one request of each other user at most, however many they send.
type queue struct {
	length int
	first  chan struct{}
}

// enter waits until it is a request's turn, unless as many of its user wait already. Requests are judged one after the other, so
// those of one user could otherwise take all the time that there is.
func (l *Ledger) enter(ctx context.Context, user string) (leave func(), err error) {
	q, err := l.join(user)
	if err != nil {
		return nil, err
	}
	var got []chan struct{}
	leave = func() {
		for _, place := range slices.Backward(got) {
			<-place
		}
		l.unjoin(user, q)
	}
	for _, place := range []chan struct{}{q.first, l.turn} {
		select {
		case place <- struct{}{}:
			got = append(got, place)
		case <-ctx.Done():
			leave()
			return nil, errBusy
		}
	}
	return leave, nil
}

func (l *Ledger) join(user string) (*queue, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[user]
	if q == nil {
		q = &queue{first: make(chan struct{}, 1)}
		l.queues[user] = q
	}
	if q.length >= maxWaiting {
		return nil, &FullError{Of: OfWaiting, Open: maxWaiting}
	}
	q.length++
	return q, nil
}

func (l *Ledger) unjoin(user string, q *queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.length--; q.length == 0 {
		delete(l.queues, user)
	}
}

// errBusy is for a request that has waited too long for its turn.
var errBusy = fmt.Errorf("too many meshes are being changed at the same time, and this request has waited for %s", admitTimeout)

// errReadFirst says that nothing can be decided with what was last seen of the ledger.
var errReadFirst = errors.New("the ledger has to be read")

// try is one round of the protocol, with a ledger that get returns. The comments count its steps.
func (l *Ledger) try(ctx context.Context, a *admission, get func(context.Context) (page, error)) error {
	point("before-read")
	read, err := get(ctx) // 1
	if err != nil {
		return err
	}
	point("after-read")
	// The age of claims, and what is known to have been stored, are those of before the list, which so shows what came of
	// the claims that are closed because of them. A watch may well tell of an object that the list has just missed.
	now, wasStored := l.now(), l.storedOf(&read)
	l.date(&read, now)
	stored, err := l.meshes.Live(ctx, a.New.Kind) // 2
	if err != nil {
		return fmt.Errorf("it cannot read the stored meshes (%w)", err)
	}
	point("after-list")
	inventory := newInventory(stored)
	read.keepOpen(inventory, wasStored, now)
	l.counters.Open(len(read.claims))
	claim := a.claim(now)
	claim.Until = now.Add(l.lifetime)
	outdated := a.Old != nil && !claim.open(inventory, wasStored, now)
	others := read.others(claim.Ref())
	if !a.judge(State{Stored: stored, Claims: others, Outdated: outdated}) { // 3
		if read.unconfirmed && len(others) > 0 { // one of them may be in the way, and there no more
			return errReadFirst
		}
		return nil
	}
	if stored, taken := inventory[claim.Ref()]; taken && a.Old == nil && stored.UID != a.New.Metadata.UID {
		return &ExistsError{Ref: claim.Ref()}
	}
	if !a.claims || outdated {
		return nil
	}
	point("before-write")
	if err := l.write(ctx, a, &read, claim); err != nil { // 4
		return err
	}
	l.counters.Written()
	point("after-write")
	return nil // 5
}

// date says of each claim when it ends at the latest: a lifetime after this replica has first seen it. It was made before,
// so its request has ended by then, however wrong the clock is that its time was taken from, or this one: only a span of
// this replica's own time is measured.
func (l *Ledger) date(read *page, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(read.Entries, now, !read.unconfirmed)
	for key, claim := range read.claims {
		claim.Until = l.seen[key].Add(l.lifetime)
		read.claims[key] = claim
	}
}

// Saw notes the claims of a ledger that a watch has shown, so that their time begins when they are written and not with the
// next change that asks for them; and that the ledger of before is gone, so that the time of the claims in it begins then.
// A watch shows what was stored in the order in which it was. It may be behind what was read or written here; so only what
// follows the very ledger that is known to be the last shows that this one is gone.
func (l *Ledger) Saw(shown Page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if gone := l.shown != "" && l.shown != shown.UID && l.shown == l.uid; gone {
		l.uid, l.until = shown.UID, now.Add(l.lifetime)
	}
	l.shown = shown.UID
	if l.uid == "" { // so that a replica which has admitted nothing yet notices if the ledger is deleted
		l.uid = shown.UID
	}
	l.remember(shown.Entries, now, false)
}

// remember notes when entries of the ledger were first seen. Others are forgotten if these are all that there are, and else
// when they have ended: what is shown may be older than what was seen last, and a claim that it lacks may come again.
func (l *Ledger) remember(entries map[string]string, now time.Time, all bool) {
	maps.DeleteFunc(l.seen, func(key string, first time.Time) bool {
		_, there := entries[key]
		return !there && (all || now.Sub(first) >= l.lifetime)
	})
	for key := range entries {
		if _, known := l.seen[key]; !known {
			l.seen[key] = now
		}
	}
}

// recent returns the ledger as it was last seen. It is errReadFirst if that cannot be used, because nothing was seen, or what
// was seen is not in order, which only a read can tell people about.
func (l *Ledger) recent(context.Context) (page, error) {
	if !enabled() {
		return page{}, errReadFirst
	}
	seen, ok := l.store.Recent()
	if !ok || !l.known(seen.UID) {
		return page{}, errReadFirst
	}
	p, err := newPage(seen)
	if err != nil {
		return page{}, errReadFirst
	}
	p.unconfirmed = true
	return p, nil
}

// known reports whether this is the ledger of before, of which nothing has been lost.
func (l *Ledger) known(uid types.UID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uid == l.uid && !l.now().Before(l.until)
}

// read returns the ledger. If it is another one than before, claims have been lost, and nothing can be admitted until
// they would have ended.
func (l *Ledger) read(ctx context.Context) (page, error) {
	if !enabled() {
		return page{}, nil
	}
	read, err := l.store.Read(ctx)
	if err != nil {
		return page{}, fmt.Errorf("it cannot read the ledger of changes in flight (%w)", err)
	}
	if until := l.lost(read.UID); !until.IsZero() {
		return page{}, &LostError{Until: until}
	}
	return newPage(read)
}

// lost compares the ledger's uid with that of the last one, and returns until when claims that are missing may matter;
// zero if none is missing.
func (l *Ledger) lost(uid types.UID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uid != "" && l.uid != uid {
		l.until = l.now().Add(l.lifetime)
	}
	l.uid = uid
	if l.now().Before(l.until) {
		return l.until
	}
	return time.Time{}
}

func (l *Ledger) write(ctx context.Context, a *admission, read *page, claim *Claim) error {
	entries, replaced, err := read.with(a.key, claim)
	if err != nil && read.unconfirmed {
		return errReadFirst
	}
	if err != nil {
		return err
	}
	a.attempted, a.replaced = true, a.replaced || replaced
	uid, err := l.store.Write(ctx, read.Page, entries)
	if errors.Is(err, ErrConflict) {
		return err
	}
	if err != nil {
		return fmt.Errorf("it cannot write the ledger of changes in flight (%w)", err)
	}
	a.claimed = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uid, l.seen[a.key] = uid, claim.Time
	return nil
}

// DamagedError says that an entry of the ledger is no claim: it was edited.
type DamagedError struct {
	// Key is that of the entry.
	Key string
	Err error
}

// Error says which entry it is. What stands there is not for every user who makes a request: see Unwrap.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("the entry %q of the ledger of changes in flight is no claim", e.Key)
}

// Unwrap returns what is wrong with the entry.
func (e *DamagedError) Unwrap() error { return e.Err }

// ExistsError says that a CREATE is of an object that there is already. It would fail a moment later in the API server
// too, after it had left a claim that nothing closes but its age.
type ExistsError struct {
	Ref mesh.Ref
}

// Error names the object.
func (e *ExistsError) Error() string { return e.Ref.String() + " exists already" }

// LostError says that the ledger was deleted or replaced, so that it is not known what is in flight.
type LostError struct {
	// Until is when all that was in flight then has ended.
	Until time.Time
}

// Error says what is waited for and until when.
func (e *LostError) Error() string {
	return "the ledger of changes in flight was deleted or replaced; meshfence waits until " + e.Until.UTC().Format(time.RFC3339) +
		", when no request of before can be in flight any more"
}
