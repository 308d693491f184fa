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
	server := httptest.NewServer(timely(&endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), large: newLarge()}, limit))
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
	e := &endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), large: newLarge()}
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
	e := &endpoint{hook: hook, recorder: recorder, logger: logr.Discard(), large: newLarge()}
	timely(e, readTimeout).ServeHTTP(answer, r)
	if reading.Before(before.Add(largeDeadline)) || reading.After(time.Now().Add(largeDeadline)) {
		t.Errorf("must be there until %v, asked at %v", reading, before)
	}
	if judging.Before(before.Add(readTimeout)) {
		t.Errorf("may be judged until %v, asked at %v", judging, before)
	}
}
