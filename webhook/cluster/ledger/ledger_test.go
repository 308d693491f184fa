package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// storage is an API server in the hands of a test.
type storage struct {
	// seen is what a watch has told of the page; nothing if it has no version.
	seen    Page
	page    Page
	objects mesh.Objects
	readErr error
	listErr error
	writes  []map[string]string
	reads   int
	// strict refuses to replace another page than the one that is stored.
	strict bool
	// wrote is called after a write, and returns what is answered. afterRead is called after a read.
	wrote     func() error
	afterRead func()
}

func (s *storage) Recent() (Page, bool) { return s.seen, s.seen.Version != "" }

func (s *storage) Read(context.Context) (Page, error) {
	s.reads++
	if s.afterRead != nil {
		defer s.afterRead()
	}
	return s.page, s.readErr
}

func (s *storage) Live(context.Context, string) (mesh.Objects, error) {
	return s.objects, s.listErr
}

func (s *storage) Write(_ context.Context, read Page, entries map[string]string) (types.UID, error) {
	if s.strict && read.Version != s.page.Version {
		return "", ErrConflict
	}
	s.writes = append(s.writes, entries)
	s.page = Page{UID: "ledger", Version: fmt.Sprint(len(s.writes)), Entries: entries}
	if s.wrote != nil {
		return "ledger", s.wrote()
	}
	return "ledger", nil
}

func newLedger(s *storage) *Ledger {
	l := New(s, s, Counters{Written: func() {}, Conflict: func() {}, Open: func(int) {}})
	l.background = func(f func()) { f() } // so that the storage needs no lock
	return l
}

func always(State) bool { return true }

func TestOnlyAnAllowedChangeThatBringsSomethingNewLeavesAClaim(t *testing.T) {
	stored := istio("a", "uid-a", "5", "x")
	relabelled := istio("a", "uid-a", "5", "x")
	relabelled.Metadata.Annotations = map[string]string{"somebody": "else"}
	malformed := istio("a", "uid-a", "5", "x")
	malformed.Malformed = errors.New("spec: found a number")
	for _, test := range []struct {
		name   string
		change Change
		allow  bool
		writes int
	}{
		{"create", Change{New: istio("b", "uid-b", "", "y")}, true, 1},
		{"create, refused", Change{New: istio("b", "uid-b", "", "y")}, false, 0},
		{"create, dry run", Change{New: istio("b", "uid-b", "", "y"), DryRun: true}, true, 0},
		{"update", Change{Old: stored, New: istio("a", "uid-a", "5", "y")}, true, 1},
		{"update, smaller", Change{Old: istio("a", "uid-a", "5", "x y"), New: istio("a", "uid-a", "5", "y")}, true, 1},
		{"update of nothing that is judged", Change{Old: stored, New: relabelled}, true, 0},
		{"update of what cannot be read", Change{Old: malformed, New: malformed}, true, 1},
		{"update of a version that is stored no more", Change{Old: istio("a", "uid-a", "4", "x"), New: istio("a", "uid-a", "4", "y")}, true, 0},
		{"update of what is gone", Change{Old: istio("c", "uid-c", "4", "x"), New: istio("c", "uid-c", "4", "y")}, true, 0},
	} {
		s := &storage{objects: mesh.Objects{Istios: []*sail.ControlPlane{stored}}}
		if err := newLedger(s).Admit(t.Context(), test.change, func(State) bool { return test.allow }); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if len(s.writes) != test.writes {
			t.Errorf("%s: %d writes, want %d", test.name, len(s.writes), test.writes)
		}
	}
}

func TestACreateOfWhatThereIsAlreadyIsRefusedAndLeavesNoClaim(t *testing.T) {
	s := &storage{objects: mesh.Objects{Istios: []*sail.ControlPlane{istio("a", "uid-a", "5", "x")}}}
	err := newLedger(s).Admit(t.Context(), Change{New: istio("a", "uid-b", "", "y")}, always)
	if err == nil || err.Error() != `Istio "a" exists already` || len(s.writes) > 0 {
		t.Errorf("got %v and %d writes", err, len(s.writes))
	}
}

func TestWhoWritesNextLeavesClosedClaimsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{}
		l := newLedger(s)
		admit := func(name string) (others []string) {
			t.Helper()
			if err := l.Admit(t.Context(), Change{New: istio(name, "uid-"+name, "", "x")}, func(state State) bool {
				for i := range state.Claims {
					others = append(others, state.Claims[i].Object.Metadata.Name)
				}
				return true
			}); err != nil {
				t.Fatal(err)
			}
			return others
		}
		steps := [][]string{admit("a")}
		<-time.After(time.Minute)
		steps = append(steps, admit("b"))
		s.objects.Istios = []*sail.ControlPlane{istio("a", "uid-a", "9", "x")}
		steps = append(steps, admit("c"))
		s.objects.Istios = nil // a was deleted, and its claim is not there any more
		steps = append(steps, admit("d"))
		l.Stored("uid-b") // b came and went
		steps = append(steps, admit("e"))
		<-time.After(Lifetime)
		steps = append(steps, admit("f"))
		want := [][]string{nil, {"a"}, {"b"}, {"b", "c"}, {"c", "d"}, nil}
		if diff := cmp.Diff(want, steps); diff != "" {
			t.Errorf("the claims of others (-want +got):\n%s", diff)
		}
		if len(s.page.Entries) != 1 {
			t.Errorf("%d claims are left, want one", len(s.page.Entries))
		}
	})
}

// What a clock says of when a claim was made is not relied on: one that is ahead would hold up others for long, and one that
// is behind would let them pass too early.
func TestAClaimEndsALifetimeAfterItWasSeenWhateverItsTimeSays(t *testing.T) {
	for name, made := range map[string]time.Duration{"now": 0, "in the future": 1000 * time.Hour, "long ago": -1000 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storage{}
				claim := Claim{Object: istio("a", "uid-a", "", "x"), Time: time.Now().Add(made)}
				text, err := claim.encode()
				if err != nil {
					t.Fatal(err)
				}
				s.page = Page{UID: "ledger", Version: "1", Entries: map[string]string{"k": text}}
				l, begin := newLedger(s), time.Now()
				for range 2 {
					if until := openUntil(t, l); !until.Equal(begin.Add(Lifetime)) {
						t.Errorf("open until %v, want %v", until, begin.Add(Lifetime))
					}
					// A watch that is behind, and shows a ledger without the claim, does not make it new again.
					s.seen = Page{UID: "ledger", Version: "0"}
					l.Saw(s.seen)
					if err := l.Admit(t.Context(), Change{New: istio("c", "uid-c", "", "x")}, func(State) bool { return false }); err != nil {
						t.Fatal(err)
					}
					<-time.After(Lifetime / 2)
				}
				if until := openUntil(t, l); !until.IsZero() {
					t.Errorf("still open until %v", until)
				}
			})
		})
	}
}

// slowList is an API server that takes time to list the meshes.
type slowList struct{ *storage }

func (s slowList) Live(ctx context.Context, kind string) (mesh.Objects, error) {
	<-time.After(2 * time.Second)
	return s.storage.Live(ctx, kind)
}

// What came of its request need not be in a list that had begun before the claim ended.
func TestAClaimThatEndsWhileTheMeshesAreListedIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{page: claimed(t, "5")}
		l := New(s, slowList{s}, Counters{Written: func() {}, Conflict: func() {}, Open: func(int) {}})
		l.Saw(s.page)
		<-time.After(Lifetime - time.Second)
		if until := openUntil(t, l); until.IsZero() {
			t.Error("it is closed")
		}
		if until := openUntil(t, l); !until.IsZero() {
			t.Errorf("the next change finds it open until %v", until)
		}
	})
}

// openUntil returns when the one claim of the ledger ends; zero if it is closed.
func openUntil(t *testing.T, l *Ledger) (until time.Time) {
	t.Helper()
	if err := l.Admit(t.Context(), Change{New: istio("b", "uid-b", "", "y"), DryRun: true}, func(state State) bool {
		for i := range state.Claims {
			until = state.Claims[i].Until
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return until
}

// The next change may come much later than the claim that it asks for.
func TestTheTimeOfAClaimBeginsWhenAWatchShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{page: claimed(t, "5")}
		l, begin := newLedger(s), time.Now()
		l.Saw(s.page)
		<-time.After(Lifetime - time.Second)
		if until := openUntil(t, l); !until.Equal(begin.Add(Lifetime)) {
			t.Errorf("open until %v, want %v", until, begin.Add(Lifetime))
		}
		<-time.After(time.Second)
		if until := openUntil(t, l); !until.IsZero() {
			t.Errorf("still open until %v", until)
		}
	})
}

func TestARequestThatIsRefusedAfterItsClaimWasWrittenTakesItBack(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name  string
		wrote func(write int, stop func()) error
		judge func(try int) bool
		err   error
		kept  bool
	}{
		{name: "admitted", kept: true},
		{name: "the answer to the write is lost", wrote: func(int, func()) error { return broken }, err: broken},
		{name: "the client has gone", wrote: func(_ int, stop func()) error { stop(); return nil }, err: context.Canceled},
		{
			name: "the write is tried again by the client, which is told of a conflict, and the change is refused then",
			wrote: func(write int, _ func()) error {
				if write == 1 {
					return ErrConflict
				}
				return nil
			},
			judge: func(try int) bool { return try == 1 },
		},
		{
			name: "and the change is admitted then",
			wrote: func(write int, _ func()) error {
				if write == 1 {
					return ErrConflict
				}
				return nil
			},
			kept: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storage{page: claimed(t, "5")}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				if test.wrote != nil {
					s.wrote = func() error { return test.wrote(len(s.writes), stop) }
				}
				tries := 0
				err := newLedger(s).Admit(ctx, Change{New: istio("a", "1", "", "y")}, func(State) bool {
					tries++
					return test.judge == nil || test.judge(tries)
				})
				synctest.Wait()
				if !errors.Is(err, test.err) {
					t.Errorf("got %v, want %v", err, test.err)
				}
				if _, there := s.page.Entries["k"]; !there || (len(s.page.Entries) == 2) != test.kept {
					t.Errorf("the ledger has %v, want the claim of the other request, and this one's: %t", s.page.Entries, test.kept)
				}
			})
		})
	}
}

func TestTakingBackAClaimGoesOnAfterWritesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, others := errors.New("broken"), 3
		s := &storage{page: claimed(t, "5"), strict: true}
		s.wrote = func() error {
			s.wrote = nil
			s.afterRead = func() {
				if others--; others >= 0 {
					s.page.Version += " and another's"
				}
			}
			return broken
		}
		err := newLedger(s).Admit(t.Context(), Change{New: istio("a", "1", "", "y")}, always)
		if _, there := s.page.Entries["k"]; !errors.Is(err, broken) || !there || len(s.page.Entries) != 1 || others >= 0 {
			t.Errorf("%v, and the ledger has %v, want the claim of the other request only", err, s.page.Entries)
		}
	})
}

// What it says of that object is replaced by the change, whichever of them is stored first.
func TestAChangeIsNotJudgedAgainstClaimsOnItsOwnObject(t *testing.T) {
	for kind, want := range map[string]int{sail.KindIstio: 0, sail.KindIstioRevision: 1} {
		change := Change{New: istio("other", "another-uid", "", "x")}
		change.New.Kind = kind
		if err := newLedger(&storage{page: claimed(t, "5")}).Admit(t.Context(), change, func(state State) bool {
			if len(state.Claims) != want {
				t.Errorf("%s: judged against %d claims, want %d", kind, len(state.Claims), want)
			}
			return true
		}); err != nil {
			t.Error(err)
		}
	}
}

// The second of two equal changes takes the place of the first one's claim. If it is refused after that, because its client has
// gone, its claim is the only one of the first, which may be stored.
func TestTheClaimOfAChangeThatIsRepeatedIsNotTakenBack(t *testing.T) {
	lost := errors.New("lost")
	for name, wrote := range map[string]func(write int, stop func()) error{
		"the client of the second has gone":    func(_ int, stop func()) error { stop(); return nil },
		"the answer to its write is lost":      func(int, func()) error { return lost },
		"its write is told of a conflict":      func(write int, _ func()) error { return []error{ErrConflict, nil}[write-1] },
		"its client goes while it tries again": func(_ int, stop func()) error { stop(); return ErrConflict },
		"its write is told of a conflict, and the answer to the next is lost": func(write int, _ func()) error {
			return []error{ErrConflict, lost, nil}[write-1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stored := istio("a", "uid-a", "5", "x")
				s := &storage{strict: true, objects: mesh.Objects{Istios: []*sail.ControlPlane{stored}}}
				l := newLedger(s)
				change := Change{Old: stored, New: istio("a", "uid-a", "5", "x y")}
				if err := l.Admit(t.Context(), change, always); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				s.wrote = func() error { return wrote(len(s.writes)-1, stop) }
				err := l.Admit(ctx, change, always)
				synctest.Wait()
				if len(s.page.Entries) != 1 {
					t.Errorf("%d claims are left, want the one that both requests need (%v)", len(s.page.Entries), err)
				}
			})
		})
	}
}

func TestAReplicaThatHasOnlyWatchedTheLedgerNoticesThatItWasDeleted(t *testing.T) {
	s := &storage{page: claimed(t, "5")}
	l := newLedger(s)
	l.Saw(s.page)
	s.page = Page{}
	l.Saw(s.page)
	err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always)
	if lost := (*LostError)(nil); !errors.As(err, &lost) {
		t.Errorf("got %v", err)
	}
}

// Whoever deletes the ledger holds up changes for a lifetime from then on, and not from the next change.
func TestTheTimeAfterWhichALostLedgerMattersNoMoreBeginsWhenAWatchShowsThatItIsGone(t *testing.T) {
	for name, after := range map[string]Page{"deleted": {}, "replaced": {UID: "another", Version: "77"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storage{page: claimed(t, "5")}
				l := newLedger(s)
				l.Saw(s.page)
				s.page, s.seen = after, after
				l.Saw(s.page)
				gone := time.Now()
				for _, passed := range []time.Duration{time.Second, Lifetime - 2*time.Second} {
					<-time.After(passed)
					err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always)
					if lost := (*LostError)(nil); !errors.As(err, &lost) || !lost.Until.Equal(gone.Add(Lifetime)) {
						t.Errorf("after %v: %v, want to wait until %v", time.Since(gone), err, gone.Add(Lifetime))
					}
				}
				<-time.After(time.Second)
				if err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What a watch that is behind shows of a ledger of before has been noticed already.
func TestAWatchThatIsBehindLosesNoLedgerAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{page: Page{UID: "first", Version: "5"}}
		l := newLedger(s)
		l.Saw(s.page)
		s.page = Page{UID: "second", Version: "7"}
		openUntil := func() time.Time {
			lost := (*LostError)(nil)
			if err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always); err != nil && !errors.As(err, &lost) {
				t.Fatal(err)
			}
			if lost == nil {
				return time.Time{}
			}
			return lost.Until
		}
		end := openUntil()
		<-time.After(Lifetime / 2)
		l.Saw(Page{})
		l.Saw(s.page)
		if until := openUntil(); until.IsZero() || !until.Equal(end) {
			t.Errorf("waits until %v, want %v", until, end)
		}
		<-time.After(Lifetime / 2)
		if until := openUntil(); !until.IsZero() {
			t.Errorf("still waits until %v", until)
		}
	})
}

func TestTheRequestsOfOneUserThatWaitForTheirTurnHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(&storage{})
		admit := func(user, name string) error {
			return l.Admit(t.Context(), Change{New: istio(name, name, "", "x"), User: user}, always)
		}
		l.turn <- struct{}{} // a request is being judged
		errs := make(chan error, maxWaiting)
		for i := range maxWaiting {
			go func() { errs <- admit("jane", fmt.Sprint("jane-", i)) }()
		}
		synctest.Wait()
		const want = "30 changes of meshes by this user are waiting to be judged already. Try again when they are done, with fewer at a time"
		full := (*FullError)(nil)
		if err := admit("jane", "one-more"); !errors.As(err, &full) || !full.Own() || err.Error() != want {
			t.Errorf("got %v", err)
		}
		others := make(chan error, 1)
		go func() { others <- admit("joe", "joe") }()
		synctest.Wait()
		<-l.turn
		for range maxWaiting {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if err := <-others; err != nil {
			t.Error(err)
		}
		if err := admit("jane", "one-more"); err != nil || len(l.queues) > 0 {
			t.Errorf("%v, and %d users wait", err, len(l.queues))
		}
	})
}

// However many requests one user sends, another one's waits for one of them only, besides the one that is being judged.
func TestARequestWaitsForOneRequestOfEachOtherUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(&storage{})
		l.turn <- struct{}{} // a request is being judged
		var order []string
		for i, user := range append(slices.Repeat([]string{"jane"}, maxWaiting), "jack", "joe", "joe") {
			go func() {
				name := fmt.Sprint(user, i)
				if err := l.Admit(t.Context(), Change{New: istio(name, name, "", "x"), User: user}, func(State) bool {
					order = append(order, user)
					return true
				}); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		<-l.turn
		synctest.Wait()
		if diff := cmp.Diff([]string{"jane", "jack", "joe", "jane", "joe", "jane"}, order[:6]); diff != "" || len(order) != maxWaiting+3 {
			t.Errorf("%d were judged, the first of whom (-want +got):\n%s", len(order), diff)
		}
	})
}

func TestARequestThatWaitsForItsTurnTooLongLeavesItsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(&storage{})
		l.turn <- struct{}{} // a request is being judged
		errs := make(chan error, 3)
		for i, user := range []string{"jane", "jane", "joe"} {
			go func() {
				errs <- l.Admit(t.Context(), Change{New: istio(fmt.Sprint(i), fmt.Sprint(i), "", "x"), User: user}, always)
			}()
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, errBusy) {
				t.Errorf("got %v", err)
			}
		}
		<-l.turn
		if err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x"), User: "jane"}, always); err != nil || len(l.queues) > 0 {
			t.Errorf("%v, and %d users wait", err, len(l.queues))
		}
	})
}

func TestAChangeThatIsTooLargeIsNotJudgedAndLeavesNoClaimButOneThatChangesNothingPasses(t *testing.T) {
	huge := incompressible("huge", 20000)
	huge.Metadata.ResourceVersion = "5"
	s := &storage{objects: mesh.Objects{Istios: []*sail.ControlPlane{huge}}}
	for _, dryRun := range []bool{false, true} {
		large := (*TooLargeError)(nil)
		err := newLedger(s).Admit(t.Context(), Change{New: huge, DryRun: dryRun}, func(State) bool { t.Error("judged"); return true })
		if !errors.As(err, &large) || len(s.writes) > 0 {
			t.Errorf("got %v and %d writes", err, len(s.writes))
		}
	}
	if err := newLedger(s).Admit(t.Context(), Change{Old: huge, New: huge}, always); err != nil || len(s.writes) > 0 {
		t.Errorf("got %v and %d writes", err, len(s.writes))
	}
}

// What one user holds up ends by itself, and other users go on meanwhile.
func TestAUserWithTooManyChangesInFlightWaitsAndOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{}
		l := newLedger(s)
		admit := func(user string, number int) error {
			name := fmt.Sprint(user, "-", number)
			return l.Admit(t.Context(), Change{New: istio(name, name, "", "x"), User: user}, always)
		}
		for i := range maxOfUser {
			if err := admit("jane", i); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		full := (*FullError)(nil)
		if err := admit("jane", maxOfUser); !errors.As(err, &full) || !full.Own() || !full.Until.Equal(time.Now().Add(Lifetime)) {
			t.Errorf("got %v", err)
		}
		if err := admit("joe", 0); err != nil {
			t.Error(err)
		}
		<-time.After(Lifetime)
		if err := admit("jane", maxOfUser); err != nil {
			t.Error(err)
		}
	})
}

func TestAnUpdateOfAVersionThatIsStoredNoMoreIsOutdated(t *testing.T) {
	stored := istio("a", "uid-a", "5", "x")
	for _, test := range []struct {
		name string
		old  *sail.ControlPlane
		want bool
	}{
		{"a create", nil, false},
		{"an update of what is stored", stored, false},
		{"an update of what was stored before", istio("a", "uid-a", "4", "x"), true},
		{"an update of what is gone", istio("b", "uid-b", "4", "x"), true},
	} {
		s := &storage{objects: mesh.Objects{Istios: []*sail.ControlPlane{stored}}}
		change := Change{Old: test.old, New: istio("c", "uid-c", "", "y")}
		if test.old != nil {
			change.New = istio(test.old.Metadata.Name, test.old.Metadata.UID, test.old.Metadata.ResourceVersion, "y")
		}
		got := !test.want
		if err := newLedger(s).Admit(t.Context(), change, func(state State) bool { got = state.Outdated; return true }); err != nil || got != test.want {
			t.Errorf("%s: outdated %v, %v", test.name, got, err)
		}
	}
}

func TestWhatCannotBeReadIsAnErrorThatSaysSo(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		storage *storage
		want    string
	}{
		{&storage{readErr: broken}, "it cannot read the ledger of changes in flight (broken)"},
		{&storage{listErr: broken}, "it cannot read the stored meshes (broken)"},
		{&storage{page: Page{Entries: map[string]string{"k": "x"}}},
			`the entry "k" of the ledger of changes in flight is no claim`},
	} {
		err := newLedger(test.storage).Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always)
		if err == nil || err.Error() != test.want || len(test.storage.writes) > 0 {
			t.Errorf("got %v and %d writes, want %s", err, len(test.storage.writes), test.want)
		}
	}
}

// claimed is a ledger with one claim, on the namespaces of "x".
func claimed(t *testing.T, version string) Page {
	t.Helper()
	claim := Claim{Object: istio("other", "uid-other", "", "x"), Time: time.Now()}
	text, err := claim.encode()
	if err != nil {
		t.Fatal(err)
	}
	return Page{UID: "ledger", Version: version, Entries: map[string]string{"k": text}}
}

func TestWhatWasSeenOfTheLedgerIsReliedOnOnlyWhereTheWriteConfirmsIt(t *testing.T) {
	empty := Page{UID: "ledger", Version: "5"}
	unusable := Page{UID: "ledger", Version: "5", Entries: map[string]string{"k": "x"}}
	noClaims := func(state State) bool { return len(state.Claims) == 0 }
	old := istio("a", "uid-a", "5", "x")
	for _, test := range []struct {
		name         string
		seen, stored Page
		judge        func(State) bool
		change       Change
		reads        int
		written      bool
	}{
		{"allowed", empty, empty, always, Change{New: istio("a", "1", "", "x")}, 0, true},
		{"allowed, somebody else has written", empty, claimed(t, "6"), always, Change{New: istio("a", "1", "", "x")}, 1, true},
		// The second time is to see whether the write that met a conflict has left a claim after all.
		{"refused because of a claim that somebody else has written", empty, claimed(t, "6"), noClaims, Change{New: istio("a", "1", "", "x")}, 2, false},
		{"a claim was in the way, and is there no more", claimed(t, "5"), Page{UID: "ledger", Version: "6"}, noClaims, Change{New: istio("a", "1", "", "x")}, 1, true},
		{"refused because of a claim", claimed(t, "5"), claimed(t, "5"), noClaims, Change{New: istio("a", "1", "", "x")}, 1, false},
		{"refused because of what is stored", empty, empty, func(State) bool { return false }, Change{New: istio("a", "1", "", "x")}, 0, false},
		{"a dry run", empty, empty, always, Change{New: istio("a", "1", "", "x"), DryRun: true}, 1, false},
		{"nothing that is judged changes", empty, empty, always, Change{Old: old, New: old}, 1, false},
		{"another ledger than before", Page{UID: "older", Version: "5"}, empty, always, Change{New: istio("a", "1", "", "x")}, 1, true},
		{"nothing that could be used", unusable, empty, always, Change{New: istio("a", "1", "", "x")}, 1, true},
		{"nothing", Page{}, empty, always, Change{New: istio("a", "1", "", "x")}, 1, true},
	} {
		s := &storage{seen: test.seen, page: test.stored, strict: true, objects: mesh.Objects{Istios: []*sail.ControlPlane{old}}}
		if test.change.Old == nil {
			s.objects = mesh.Objects{}
		}
		l := newLedger(s)
		l.uid = "ledger"
		if err := l.Admit(t.Context(), test.change, test.judge); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if s.reads != test.reads || (len(s.writes) > 0) != test.written {
			t.Errorf("%s: read %d times and wrote %d times, want %d and %t", test.name, s.reads, len(s.writes), test.reads, test.written)
		}
		if _, kept := s.page.Entries["k"]; kept != (test.stored.Entries["k"] != "") {
			t.Errorf("%s: somebody else's claim was there %t, is there %t", test.name, !kept, kept)
		}
	}
}

// What was seen may have more claims than what is stored by now.
func TestATooFullLedgerThatWasSeenIsReadBeforeAnyoneIsToldToWait(t *testing.T) {
	entries := map[string]string{}
	for i := range maxOfObject {
		text, err := (&Claim{Object: istio("a", fmt.Sprint(i), "", "x"), Time: time.Now()}).encode()
		if err != nil {
			t.Fatal(err)
		}
		entries[fmt.Sprint(i)] = text
	}
	s := &storage{seen: Page{UID: "ledger", Version: "5", Entries: entries}, page: Page{UID: "ledger", Version: "6"}, strict: true}
	l := newLedger(s)
	l.uid = "ledger"
	if err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always); err != nil || len(s.writes) != 1 {
		t.Errorf("%v, %d writes", err, len(s.writes))
	}
}

func TestClaimsThatHaveEndedAreForgottenAlsoIfTheLedgerIsNeverRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{page: Page{UID: "ledger", Version: "5"}}
		l := newLedger(s)
		l.uid = "ledger"
		for i := range 200 {
			s.seen = s.page
			if err := l.Admit(t.Context(), Change{New: istio(fmt.Sprint(i), fmt.Sprint(i), "", "x")}, always); err != nil {
				t.Fatal(err)
			}
			<-time.After(Lifetime / 10)
		}
		if s.reads > 0 || len(l.seen) > 20 {
			t.Errorf("read %d times, and %d claims are remembered", s.reads, len(l.seen))
		}
	})
}

func TestAfterTheLedgerWasLostWhatIsSeenOfItIsNotReliedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storage{page: Page{UID: "another", Version: "77"}, seen: Page{UID: "another", Version: "77"}}
		l := newLedger(s)
		l.uid = "ledger"
		for range 2 {
			err := l.Admit(t.Context(), Change{New: istio("a", "1", "", "x")}, always)
			if lost := (*LostError)(nil); !errors.As(err, &lost) {
				t.Fatalf("got %v", err)
			}
		}
	})
}

func TestIfTheLedgerIsDeletedOrReplacedThenNothingIsAdmittedUntilItsClaimsHaveEnded(t *testing.T) {
	for name, replacement := range map[string]Page{"deleted": {}, "replaced": {UID: "another", Version: "77"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storage{}
				l := newLedger(s)
				change := Change{New: istio("a", "1", "", "x")}
				if err := l.Admit(t.Context(), change, always); err != nil {
					t.Fatal(err)
				}
				s.page = replacement
				end := time.Now().Add(Lifetime)
				for range 2 {
					err := l.Admit(t.Context(), change, always)
					if lost := (*LostError)(nil); !errors.As(err, &lost) || !lost.Until.Equal(end) {
						t.Fatalf("got %v, want an error that says %v", err, end)
					}
					<-time.After(Lifetime / 3)
				}
				<-time.After(Lifetime / 3)
				if err := l.Admit(t.Context(), change, always); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestUIDsAreRememberedForAWhileAndNotForEver(t *testing.T) {
	l := newLedger(&storage{})
	for i := range 10 * maxRemembered {
		l.Stored(fmt.Sprint(i))
	}
	claims := map[string]Claim{"new": {Object: istio("a", fmt.Sprint(9*maxRemembered+1), "", "x")}, "old": {Object: istio("b", "1", "", "y")}}
	wasStored := l.storedOf(&page{claims: claims})
	if len(l.stored)+len(l.older) > 2*maxRemembered || !wasStored(fmt.Sprint(9*maxRemembered+1)) || wasStored("1") {
		t.Errorf("%d and %d are remembered", len(l.stored), len(l.older))
	}
}
