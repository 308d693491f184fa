package review

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// patience is how long a test waits for what should come much sooner.
const patience = 30 * time.Second

// options are for a handler of its own. A request that is refused unread gets 503 if it may be sent again, else 400.
func options() Options {
	return Options{
		Logger: logr.Discard(), Budget: NewBudget(), Duration: prometheus.NewHistogram(prometheus.HistogramOpts{}),
		Refuse: func(_ context.Context, err error) admission.Response {
			code := http.StatusBadRequest
			if errors.Is(err, ErrNoRoom) || errors.Is(err, ErrTooManyLarge) {
				code = http.StatusServiceUnavailable
			}
			return admission.Errored(int32(code), err)
		},
	}
}

// evaluating is a handler that allows everything after it has called evaluate.
func evaluating(evaluate func()) *handler {
	return newHandler(admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
		evaluate()
		return admission.Allowed("")
	}), options())
}

// impatient serves a handler that allows everything, with a short limit for the body.
func impatient(t *testing.T, limit time.Duration) net.Conn {
	t.Helper()
	server := httptest.NewServer(withReadDeadline(evaluating(func() {}), limit))
	t.Cleanup(server.Close)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// begin sends the head of a request whose body has so many bytes.
func begin(t *testing.T, connection net.Conn, length int) {
	t.Helper()
	if _, err := fmt.Fprintf(connection, "POST / HTTP/1.1\r\nHost: meshfence\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", length); err != nil {
		t.Fatal(err)
	}
}

// answerOn reads the answer on a connection.
func answerOn(t *testing.T, connection net.Conn) *admissionv1.AdmissionResponse {
	t.Helper()
	if err := connection.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(answer.Body).Decode(&review); err != nil {
		t.Fatal(err)
	}
	return review.Response
}

func checkTooSlow(t *testing.T, got *admissionv1.AdmissionResponse) {
	t.Helper()
	if got.Allowed || got.Result.Code != http.StatusBadRequest ||
		!strings.HasPrefix(got.Result.Message, "its body cannot be read: ") ||
		!strings.HasSuffix(got.Result.Message, "i/o timeout") {
		t.Errorf("%+v", got)
	}
}

func TestABodyThatStallsIsRefusedAfterTheLimit(t *testing.T) {
	connection := impatient(t, 50*time.Millisecond)
	begin(t, connection, 1000)
	if _, err := connection.Write([]byte(`{"kind":`)); err != nil {
		t.Fatal(err)
	}
	checkTooSlow(t, answerOn(t, connection))
}

func TestABodyOfWhichNothingComesIsRefusedAfterTheLimit(t *testing.T) {
	connection := impatient(t, 50*time.Millisecond)
	begin(t, connection, 1000)
	checkTooSlow(t, answerOn(t, connection))
}

// The limit is for the whole body: each byte does not win new time.
func TestABodyThatComesByteByByteIsRefusedAfterTheLimit(t *testing.T) {
	connection := impatient(t, 100*time.Millisecond)
	begin(t, connection, 1<<20)
	done := make(chan struct{})
	go func() {
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
				if _, err := connection.Write([]byte(" ")); err != nil {
					return
				}
			}
		}
	}()
	checkTooSlow(t, answerOn(t, connection))
	close(done)
}

func TestAConnectionThatIsIdleBetweenRequestsIsLeftAlone(t *testing.T) {
	const limit = 50 * time.Millisecond
	connection := impatient(t, limit)
	const body = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"}}`
	for range 2 {
		begin(t, connection, len(body))
		if _, err := connection.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
		if got := answerOn(t, connection); !got.Allowed {
			t.Fatalf("%+v", got)
		}
		// Nothing comes, also not the end of the connection, for longer than the limit.
		if err := connection.SetReadDeadline(time.Now().Add(3 * limit)); err != nil {
			t.Fatal(err)
		}
		if n, err := connection.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("while idle: %d bytes, %v", n, err)
		}
	}
}

// dated is an answer that remembers until when its request may be read.
type dated struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (d *dated) SetReadDeadline(deadline time.Time) error {
	d.deadline = deadline
	return nil
}

// body is a review of so many bytes.
func bodyOf(size int) string {
	const review = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"}}`
	return review + strings.Repeat(" ", size-len(review))
}

func TestOnlySoManyLargeBodiesAreReadAtATime(t *testing.T) {
	judged, goOn := make(chan struct{}), make(chan struct{})
	h := evaluating(func() {
		judged <- struct{}{}
		<-goOn
	})
	ask := func(size int) *admissionv1.AdmissionResponse {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(bodyOf(size)))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(w, r)
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil {
			t.Error(err)
		}
		return review.Response
	}
	answers := make(chan *admissionv1.AdmissionResponse, 2*largeSlots)
	for range largeSlots {
		go func() { answers <- ask(maxBody) }()
		<-judged
	}
	// All places are taken: another large one waits in vain, a usual one does not wait.
	const want = "too many requests with a body of more than 256 KiB at the same time"
	if got := ask(usualBody); got.Allowed || got.Result.Code != http.StatusServiceUnavailable || got.Result.Message != want {
		t.Errorf("%+v", got)
	}
	go func() { answers <- ask(usualBody - 1) }()
	<-judged
	close(goOn)
	for range largeSlots + 1 {
		if got := <-answers; !got.Allowed {
			t.Errorf("%+v", got)
		}
	}
	go func() { <-judged }()
	if got := ask(maxBody); !got.Allowed {
		t.Errorf("when the others are over: %+v", got)
	}
}

// noting is called when a body is read that far.
type noting func()

func (n noting) Read([]byte) (int, error) {
	n()
	return 0, io.EOF
}

// net/http cancels a request over HTTP/1.1 whose read deadline comes while it is judged, also when its body is there.
func TestALargeBodyMustComeSoonAndMayBeJudgedForLonger(t *testing.T) {
	answer, before := &dated{ResponseRecorder: httptest.NewRecorder()}, time.Now()
	var reading, judging time.Time
	h := evaluating(func() { judging = answer.deadline })
	text := bodyOf(maxBody)
	body := io.MultiReader(strings.NewReader(text[:usualBody]), noting(func() { reading = answer.deadline }), strings.NewReader(text[usualBody:]))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Header.Set("Content-Type", "application/json")
	withReadDeadline(h, readTimeout).ServeHTTP(answer, r)
	if reading.Before(before.Add(largeReadTimeout)) || reading.After(time.Now().Add(largeReadTimeout)) {
		t.Errorf("must be there until %v, asked at %v", reading, before)
	}
	if judging.Before(before.Add(readTimeout)) {
		t.Errorf("may be judged until %v, asked at %v", judging, before)
	}
}

// slow is a body of which nothing comes after its beginning until it is evicted, and an answer that nobody reads until then.
type slow struct {
	*httptest.ResponseRecorder
	begins  io.Reader
	endless bool
	over    chan struct{}
	once    *sync.Once
	reached chan struct{}
	// mayWrite says that the client may still read the answer.
	mayWrite bool
}

func newSlow(size int, endless bool) *slow {
	return &slow{
		ResponseRecorder: httptest.NewRecorder(), begins: strings.NewReader(bodyOf(size)), endless: endless,
		over: make(chan struct{}), once: &sync.Once{}, reached: make(chan struct{}, 10),
	}
}

func (s *slow) Read(text []byte) (int, error) {
	if n, err := s.begins.Read(text); err == nil || !s.endless {
		return n, err
	}
	s.reached <- struct{}{}
	<-s.over
	return 0, os.ErrDeadlineExceeded
}

func (s *slow) SetReadDeadline(deadline time.Time) error {
	if deadline.Before(time.Now()) {
		s.once.Do(func() { close(s.over) })
	}
	return nil
}

func (s *slow) SetWriteDeadline(deadline time.Time) error {
	s.mayWrite = deadline.After(time.Now())
	return nil
}

// asking sends a request that is slow to a handler, from an address, and returns its answer.
func (s *slow) asking(t *testing.T, h *handler, from string) <-chan *admissionv1.AdmissionResponse {
	t.Helper()
	answer := make(chan *admissionv1.AdmissionResponse, 1)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", s)
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = from
	go func() {
		h.ServeHTTP(s, r)
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(s.Body.Bytes(), &review); err != nil {
			t.Error(err)
		}
		answer <- review.Response
	}()
	return answer
}

const noRoom = "too many requests at the same time whose bodies or answers make no progress"

func checkEvicted(t *testing.T, what string, answer <-chan *admissionv1.AdmissionResponse) {
	t.Helper()
	select {
	case got := <-answer:
		if got.Allowed || got.Result.Code != http.StatusServiceUnavailable || got.Result.Message != noRoom {
			t.Errorf("%s: %+v", what, got)
		}
	case <-time.After(patience):
		t.Fatalf("%s is not evicted", what)
	}
}

func checkAllowed(t *testing.T, what string, answer <-chan *admissionv1.AdmissionResponse) {
	t.Helper()
	select {
	case got := <-answer:
		if !got.Allowed {
			t.Errorf("%s: %+v", what, got)
		}
	case <-time.After(patience):
		t.Fatalf("%s is not answered", what)
	}
}

// Many bodies of just under 256 KiB that never end are evicted, the oldest first, as soon as they have more bytes than all may; and
// so are small ones.
func TestBodiesThatNeverEndLeaveRoomForOthers(t *testing.T) {
	for _, size := range []int{usualBody - 1, 5000} {
		h := evaluating(func() {})
		var waiting []<-chan *admissionv1.AdmissionResponse
		for h.options.Budget.held <= h.options.Budget.limit-usualBody && len(waiting) < 5000 {
			s := newSlow(size, true)
			waiting = append(waiting, s.asking(t, h, "10.0.0.1:1"))
			<-s.reached
		}
		for i := range 10 {
			checkAllowed(t, "a request from another address", newSlow(usualBody-1, false).asking(t, h, "10.0.0.2:1"))
			checkAllowed(t, "a request from the same address", newSlow(usualBody-1, false).asking(t, h, "10.0.0.1:1"))
			s := newSlow(usualBody-1, true)
			waiting = append(waiting, s.asking(t, h, "10.0.0.1:1"))
			<-s.reached
			if i > 0 {
				checkEvicted(t, fmt.Sprintf("number %d of %d bytes", i-1, size), waiting[i-1])
			}
		}
		checkRoom(t, h.options.Budget)
	}
}

// checkRoom checks that no more bytes are held than may be, of what is evicted none for long: a request lets go of its bytes when
// it gets hold of a processor, which others may keep busy.
func checkRoom(t *testing.T, all *Budget) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		all.mu.Lock()
		held, evicted, freed := all.held, all.evicted, all.freed
		all.mu.Unlock()
		switch {
		case held-evicted > totalBytes:
			t.Errorf("%d bytes are held, of which %d are evicted", held, evicted)
			return
		case held <= totalBytes+usualBody:
			return
		}
		select {
		case <-freed:
		case <-time.After(time.Until(deadline)):
			t.Errorf("%d bytes are still held", held)
			return
		}
	}
}

// An address that holds little loses nothing because of one that holds much.
func TestOfTheAddressThatHoldsTheMostARequestIsEvictedFirst(t *testing.T) {
	h := evaluating(func() {})
	h.options.Budget.limit = 4 * usualBody
	first := newSlow(usualBody-1, true)
	oldest := first.asking(t, h, "10.0.0.1:1")
	<-first.reached
	var others []<-chan *admissionv1.AdmissionResponse
	for range 4 {
		s := newSlow(usualBody-1, true)
		others = append(others, s.asking(t, h, "10.0.0.2:1"))
		<-s.reached
	}
	checkEvicted(t, "the first of the other address", others[0])
	select {
	case got := <-oldest:
		t.Errorf("the oldest, of an address that holds less, was answered: %+v", got)
	default:
	}
	first.once.Do(func() { close(first.over) })
	<-oldest
}

// What is judged goes on as long as there is a body that is waited for.
func TestOfOneAddressWhatIsJudgedIsEvictedLast(t *testing.T) {
	judging, goOn := make(chan struct{}), make(chan struct{})
	h := evaluating(func() {
		judging <- struct{}{}
		<-goOn
	})
	h.options.Budget.limit = 3 * usualBody
	later := ticking(h)
	judged := newSlow(usualBody-1, false)
	first := judged.asking(t, h, "10.0.0.1:1")
	<-judging
	var waiting []<-chan *admissionv1.AdmissionResponse
	for range 4 {
		later()
		s := newSlow(usualBody-1, true)
		waiting = append(waiting, s.asking(t, h, "10.0.0.1:1"))
		<-s.reached
	}
	checkEvicted(t, "the oldest that is waited for", waiting[0])
	checkEvicted(t, "the next one", waiting[1])
	select {
	case <-judged.over:
		t.Error("what is judged was evicted")
	default:
	}
	close(goOn)
	checkAllowed(t, "what was judged", first)
}

// ticking lets two seconds pass for a handler whenever it is called.
func ticking(h *handler) (later func()) {
	var passed atomic.Int64
	h.options.Budget.now = func() time.Time { return time.Unix(passed.Load(), 0) }
	return func() { passed.Add(2) }
}

// One that has just begun to come is not evicted as long as there is one that is older than a second, whatever that does.
func TestABodyHasASecondToCome(t *testing.T) {
	judging, goOn := make(chan struct{}), make(chan struct{})
	h := evaluating(func() {
		judging <- struct{}{}
		<-goOn
	})
	h.options.Budget.limit = 3 * usualBody
	later := ticking(h)
	var judged []*slow
	for range 3 {
		s := newSlow(usualBody-1, false)
		judged = append(judged, s)
		s.asking(t, h, "10.0.0.1:1")
		<-judging
		later() // so that it is known which is the oldest
	}
	young := newSlow(usualBody-1, true)
	young.asking(t, h, "10.0.0.1:1")
	<-young.reached
	second := newSlow(usualBody-1, false)
	answer := second.asking(t, h, "10.0.0.1:1")
	<-judging
	for i, s := range judged[:2] {
		select {
		case <-s.over:
		case <-time.After(patience):
			t.Errorf("number %d of those that were judged for long was not evicted", i)
		}
	}
	select {
	case <-young.over:
		t.Error("the one that has just begun was evicted")
	default:
	}
	close(goOn)
	checkAllowed(t, "one more", answer)
	young.once.Do(func() { close(young.over) })
}

// An answer that nobody reads is evicted too, and what is evicted while it is judged is not written.
func TestAnAnswerThatIsEvictedIsNotWritten(t *testing.T) {
	for _, before := range []bool{true, false} {
		all, client := NewBudget(), newSlow(usualBody-1, false)
		b := all.begin(client, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", client))
		if err := b.hold(100); err != nil {
			t.Fatal(err)
		}
		if before {
			all.evict(b)
		}
		b.beginAnswer(usualBody)
		if client.mayWrite == before {
			t.Errorf("may be written: %t", client.mayWrite)
		}
		if !before {
			all.evict(b)
		}
		if client.mayWrite {
			t.Error("what is evicted may still be written")
		}
		if b.end(); all.held != 0 || all.evicted != 0 {
			t.Errorf("%d bytes are held, %d of them evicted", all.held, all.evicted)
		}
	}
}

// evict evicts a request.
func (all *Budget) evict(b *body) {
	all.mu.Lock()
	defer all.mu.Unlock()
	b.evictLocked()
}

// Where requests that are evicted do not let go, there is an end too.
func TestBodiesAreRefusedBeforeTheyTakeTwiceWhatTheyMay(t *testing.T) {
	all := NewBudget()
	all.wait = 0
	for i := 0; ; i++ {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if err := all.begin(httptest.NewRecorder(), r).hold(usualBody); errors.Is(err, ErrNoRoom) {
			if want := 2 * totalBytes / usualBody; i != want {
				t.Errorf("the request number %d is refused, want number %d", i, want)
			}
			break
		} else if err != nil || i > 1000 {
			t.Fatal(i, err)
		}
	}
	// A small one finds room all the same, and a large one when another has let go.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if err := all.begin(httptest.NewRecorder(), r).hold(trustedLength); err != nil {
		t.Error(err)
	}
	all.wait = patience
	held := make(chan error, 1)
	go func() { held <- all.begin(httptest.NewRecorder(), r).hold(usualBody) }()
	for given := 0; given < 2; {
		for b := range all.snapshot() {
			b.end()
			given++
			break
		}
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
}

// snapshot are the requests that are held.
func (all *Budget) snapshot() map[*body]struct{} {
	all.mu.Lock()
	defer all.mu.Unlock()
	held := map[*body]struct{}{}
	for b := range all.bodies {
		if b.held > 0 {
			held[b] = struct{}{}
		}
	}
	return held
}

func TestNothingIsHeldAfterTheAnswer(t *testing.T) {
	h := evaluating(func() {})
	for _, size := range []int{100, 5000, usualBody - 1, usualBody, usualBody + 1, maxBody} {
		checkAllowed(t, fmt.Sprint(size, " bytes"), newSlow(size, false).asking(t, h, "10.0.0.1:1"))
	}
	if h.options.Budget.held != 0 || h.options.Budget.evicted != 0 || len(h.options.Budget.bodies) != 0 || len(h.options.Budget.sources) != 0 || len(h.options.Budget.large) != 0 {
		t.Errorf("%+v", h.options.Budget)
	}
}
