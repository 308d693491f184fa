package webhook

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
	crwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/config"
)

// patience is how long a test waits for what should come much sooner.
const patience = 30 * time.Second

// impatient serves one webhook, which allows everything, with a short limit for the body.
func impatient(t *testing.T, limit time.Duration) net.Conn {
	t.Helper()
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	hook := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return allow() })}
	server := httptest.NewServer(timely(&endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), bodies: newBodies()}, limit))
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
		!strings.HasPrefix(got.Result.Message, "meshfence cannot judge this request: its body cannot be read: ") ||
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

// Also through the metrics that controller-runtime's server puts around a webhook.
func TestEveryWebhookHasTheReadTimeout(t *testing.T) {
	mux := http.NewServeMux()
	server := crwebhook.NewServer(crwebhook.Options{WebhookMux: mux})
	if _, err := Register(server, nil, config.Default(), prometheus.NewRegistry(), logr.Discard()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		PathValidateIstio, PathValidateIstioRevision, PathValidateIstioRevisionTag, PathValidateMeshMap, PathValidateNamespace, PathMutateNamespace,
	} {
		answer, before := &dated{ResponseRecorder: httptest.NewRecorder()}, time.Now()
		mux.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}")))
		if answer.deadline.Before(before.Add(readTimeout)) || answer.deadline.After(time.Now().Add(readTimeout)) {
			t.Errorf("%s: may be read until %v, asked at %v", path, answer.deadline, before)
		}
	}
}

// body is a review of so many bytes.
func bodyOf(size int) string {
	const review = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u"}}`
	return review + strings.Repeat(" ", size-len(review))
}

func TestOnlySoManyLargeBodiesAreReadAtATime(t *testing.T) {
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	judged, goOn := make(chan struct{}), make(chan struct{})
	hook := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
		judged <- struct{}{}
		<-goOn
		return allow()
	})}
	e := &endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), bodies: newBodies()}
	ask := func(size int) *admissionv1.AdmissionResponse {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(bodyOf(size)))
		r.Header.Set("Content-Type", "application/json")
		e.ServeHTTP(w, r)
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil {
			t.Error(err)
		}
		return review.Response
	}
	answers := make(chan *admissionv1.AdmissionResponse, 2*largeAtOnce)
	for range largeAtOnce {
		go func() { answers <- ask(maxBody) }()
		<-judged
	}
	// All places are taken: another large one waits in vain, a usual one does not wait.
	const want = "meshfence cannot judge this request yet: too many requests with a body of more than 256 KiB at the same time. Try again in a few seconds"
	if got := ask(usualBody); got.Allowed || got.Result.Code != http.StatusServiceUnavailable || got.Result.Message != want {
		t.Errorf("%+v", got)
	}
	go func() { answers <- ask(usualBody - 1) }()
	<-judged
	close(goOn)
	for range largeAtOnce + 1 {
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
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	answer, before := &dated{ResponseRecorder: httptest.NewRecorder()}, time.Now()
	var reading, judging time.Time
	hook := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
		judging = answer.deadline
		return allow()
	})}
	text := bodyOf(maxBody)
	body := io.MultiReader(strings.NewReader(text[:usualBody]), noting(func() { reading = answer.deadline }), strings.NewReader(text[usualBody:]))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	r.Header.Set("Content-Type", "application/json")
	e := &endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), bodies: newBodies()}
	timely(e, readTimeout).ServeHTTP(answer, r)
	if reading.Before(before.Add(largeDeadline)) || reading.After(time.Now().Add(largeDeadline)) {
		t.Errorf("must be there until %v, asked at %v", reading, before)
	}
	if judging.Before(before.Add(readTimeout)) {
		t.Errorf("may be judged until %v, asked at %v", judging, before)
	}
}

// slow is a body of which nothing comes after its beginning until it is given up, and an answer that nobody reads until then.
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

// asking sends a request that is slow to an endpoint, from an address, and returns its answer.
func (s *slow) asking(t *testing.T, e *endpoint, from string) <-chan *admissionv1.AdmissionResponse {
	t.Helper()
	answer := make(chan *admissionv1.AdmissionResponse, 1)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", s)
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = from
	go func() {
		e.ServeHTTP(s, r)
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(s.Body.Bytes(), &review); err != nil {
			t.Error(err)
		}
		answer <- review.Response
	}()
	return answer
}

func newEndpoint(t *testing.T, judge func()) *endpoint {
	t.Helper()
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	hook := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
		judge()
		return allow()
	})}
	return &endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), bodies: newBodies()}
}

const noRoom = "meshfence cannot judge this request yet: too many requests at the same time whose bodies or answers make no progress. Try again in a few seconds"

func checkGivenUp(t *testing.T, what string, answer <-chan *admissionv1.AdmissionResponse) {
	t.Helper()
	select {
	case got := <-answer:
		if got.Allowed || got.Result.Code != http.StatusServiceUnavailable || got.Result.Message != noRoom {
			t.Errorf("%s: %+v", what, got)
		}
	case <-time.After(patience):
		t.Fatalf("%s is not given up", what)
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

// Many bodies of just under 256 KiB that never end are given up, the oldest first, as soon as they have more bytes than all may; and
// so are small ones.
func TestBodiesThatNeverEndLeaveRoomForOthers(t *testing.T) {
	for _, size := range []int{usualBody - 1, 5000} {
		e := newEndpoint(t, func() {})
		var waiting []<-chan *admissionv1.AdmissionResponse
		for e.bodies.held <= e.bodies.limit-usualBody && len(waiting) < 5000 {
			s := newSlow(size, true)
			waiting = append(waiting, s.asking(t, e, "10.0.0.1:1"))
			<-s.reached
		}
		for i := range 10 {
			checkAllowed(t, "a request from another address", newSlow(usualBody-1, false).asking(t, e, "10.0.0.2:1"))
			checkAllowed(t, "a request from the same address", newSlow(usualBody-1, false).asking(t, e, "10.0.0.1:1"))
			s := newSlow(usualBody-1, true)
			waiting = append(waiting, s.asking(t, e, "10.0.0.1:1"))
			<-s.reached
			if i > 0 {
				checkGivenUp(t, fmt.Sprintf("number %d of %d bytes", i-1, size), waiting[i-1])
			}
		}
		e.bodies.mu.Lock()
		held := e.bodies.held
		e.bodies.mu.Unlock()
		if held > usualAtOnce+usualBody {
			t.Errorf("%d bytes are held", held)
		}
	}
}

// An address that holds little loses nothing because of one that holds much.
func TestTheAddressThatHoldsTheMostGivesUpFirst(t *testing.T) {
	e := newEndpoint(t, func() {})
	e.bodies.limit = 4 * usualBody
	first := newSlow(usualBody-1, true)
	oldest := first.asking(t, e, "10.0.0.1:1")
	<-first.reached
	var others []<-chan *admissionv1.AdmissionResponse
	for range 4 {
		s := newSlow(usualBody-1, true)
		others = append(others, s.asking(t, e, "10.0.0.2:1"))
		<-s.reached
	}
	checkGivenUp(t, "the first of the other address", others[0])
	select {
	case got := <-oldest:
		t.Errorf("the oldest, of an address that holds less, was answered: %+v", got)
	default:
	}
	first.once.Do(func() { close(first.over) })
	<-oldest
}

// What is judged goes on as long as there is a body that is waited for.
func TestOfOneAddressWhatIsJudgedIsGivenUpLast(t *testing.T) {
	judging, goOn := make(chan struct{}), make(chan struct{})
	e := newEndpoint(t, func() {
		judging <- struct{}{}
		<-goOn
	})
	e.bodies.limit = 3 * usualBody
	later := ticking(e)
	judged := newSlow(usualBody-1, false)
	first := judged.asking(t, e, "10.0.0.1:1")
	<-judging
	var waiting []<-chan *admissionv1.AdmissionResponse
	for range 4 {
		later()
		s := newSlow(usualBody-1, true)
		waiting = append(waiting, s.asking(t, e, "10.0.0.1:1"))
		<-s.reached
	}
	checkGivenUp(t, "the oldest that is waited for", waiting[0])
	checkGivenUp(t, "the next one", waiting[1])
	select {
	case <-judged.over:
		t.Error("what is judged was given up")
	default:
	}
	close(goOn)
	checkAllowed(t, "what was judged", first)
}

// ticking lets two seconds pass for an endpoint whenever it is called.
func ticking(e *endpoint) (later func()) {
	var passed atomic.Int64
	e.bodies.now = func() time.Time { return time.Unix(passed.Load(), 0) }
	return func() { passed.Add(2) }
}

// One that has just begun to come is not given up as long as there is one that is older than a second, whatever that does.
func TestABodyHasASecondToCome(t *testing.T) {
	judging, goOn := make(chan struct{}), make(chan struct{})
	e := newEndpoint(t, func() {
		judging <- struct{}{}
		<-goOn
	})
	e.bodies.limit = 3 * usualBody
	later := ticking(e)
	var judged []*slow
	for range 3 {
		s := newSlow(usualBody-1, false)
		judged = append(judged, s)
		s.asking(t, e, "10.0.0.1:1")
		<-judging
		later() // so that it is known which is the oldest
	}
	young := newSlow(usualBody-1, true)
	young.asking(t, e, "10.0.0.1:1")
	<-young.reached
	second := newSlow(usualBody-1, false)
	answer := second.asking(t, e, "10.0.0.1:1")
	<-judging
	for i, s := range judged[:2] {
		select {
		case <-s.over:
		case <-time.After(patience):
			t.Errorf("number %d of those that were judged for long was not given up", i)
		}
	}
	select {
	case <-young.over:
		t.Error("the one that has just begun was given up")
	default:
	}
	close(goOn)
	checkAllowed(t, "one more", answer)
	young.once.Do(func() { close(young.over) })
}

// An answer that nobody reads is given up too, and what is given up while it is judged is not written.
func TestAnAnswerThatIsGivenUpIsNotWritten(t *testing.T) {
	for _, before := range []bool{true, false} {
		all, client := newBodies(), newSlow(usualBody-1, false)
		b := all.begin(client, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", client))
		if err := b.hold(100); err != nil {
			t.Fatal(err)
		}
		if before {
			all.give(b)
		}
		b.writing(usualBody)
		if client.mayWrite == before {
			t.Errorf("may be written: %t", client.mayWrite)
		}
		if !before {
			all.give(b)
		}
		if client.mayWrite {
			t.Error("what is given up may still be written")
		}
		if b.end(); all.held != 0 || all.givenUp != 0 {
			t.Errorf("%d bytes are held, %d of them given up", all.held, all.givenUp)
		}
	}
}

// give gives up a request.
func (all *bodies) give(b *body) {
	all.mu.Lock()
	defer all.mu.Unlock()
	b.giveUp()
}

// Where requests that are given up do not let go, there is an end too.
func TestBodiesAreRefusedBeforeTheyTakeTwiceWhatTheyMay(t *testing.T) {
	all := newBodies()
	all.wait = 0
	for i := 0; ; i++ {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if err := all.begin(httptest.NewRecorder(), r).hold(usualBody); errors.Is(err, errNoRoom) {
			if want := 2 * usualAtOnce / usualBody; i != want {
				t.Errorf("the request number %d is refused, want number %d", i, want)
			}
			break
		} else if err != nil || i > 1000 {
			t.Fatal(i, err)
		}
	}
	// A small one finds room all the same, and a large one when another has let go.
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if err := all.begin(httptest.NewRecorder(), r).hold(trusted); err != nil {
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
func (all *bodies) snapshot() map[*body]struct{} {
	all.mu.Lock()
	defer all.mu.Unlock()
	held := map[*body]struct{}{}
	for b := range all.all {
		if b.held > 0 {
			held[b] = struct{}{}
		}
	}
	return held
}

func TestNothingIsHeldAfterTheAnswer(t *testing.T) {
	e := newEndpoint(t, func() {})
	for _, size := range []int{100, 5000, usualBody - 1, usualBody, usualBody + 1, maxBody} {
		checkAllowed(t, fmt.Sprint(size, " bytes"), newSlow(size, false).asking(t, e, "10.0.0.1:1"))
	}
	if e.bodies.held != 0 || e.bodies.givenUp != 0 || len(e.bodies.all) != 0 || len(e.bodies.sources) != 0 || len(e.bodies.large) != 0 {
		t.Errorf("%+v", e.bodies)
	}
}
