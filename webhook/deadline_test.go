package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// takes makes the API server need so long for what is asked of it; what hangs is never answered.
func takes(times map[string]time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, what string) error {
		wait, ok := times[what]
		if !ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ask for %s: %w", what, ctx.Err())
		case <-time.After(wait):
			return nil
		}
	}
}

const hangs = time.Hour

// allHangs is an API server that answers nothing.
func allHangs() map[string]time.Duration {
	return map[string]time.Duration{"live": hangs, "use": hangs, "override": hangs, "pods": hangs}
}

// The API server gives a webhook about namespaces or the mesh map 5 seconds, and one about a mesh or tag 10. Whatever is
// slow, the answer is there before that, and says what is wrong. Time is that of testing/synctest, so the test is exact on
// any machine.
func TestTheAnswerIsThereInTimeWhateverIsSlow(t *testing.T) {
	// moving asks for every right there is: to join another mesh (MF210), to override what is wrong (MF202), and its pods are
	// looked at (MF207).
	moving := namespaceRequest("blog", "istio-discovery=mesh-2,istio.io/rev=mesh-1", "istio-discovery=mesh-1,istio.io/rev=mesh-1")
	moving.object = strings.Replace(moving.object, `"metadata":{`, `"metadata":{"annotations":{"meshfence.io/override":"MF202"},`, 1)
	overriding := tagRequest("stable", "Istio mesh-1", "Istio mesh-2")
	overriding.object = strings.Replace(overriding.object, "{name: stable}", "{name: stable, annotations: {meshfence.io/override: MF302}}", 1)
	removal := request{path: webhook.PathValidateIstio, name: "mesh-1", operation: admissionv1.Delete, old: istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))}
	const unasked = "try again in a few seconds"
	for _, test := range []struct {
		name    string
		request request
		// timeout is what the API server says in the URL.
		timeout string
		slow    map[string]time.Duration
		want    string
		// says is a part of the message or of the first warning.
		says string
		took time.Duration
	}{
		{
			name: "if everything takes 300 ms but the pods, then all is known", request: moving, timeout: "5s",
			slow: map[string]time.Duration{"use": 300 * time.Millisecond, "live": 300 * time.Millisecond, "override": 300 * time.Millisecond, "pods": 290 * time.Millisecond},
			want: "warn MF202", says: "overridden by user", took: 1190 * time.Millisecond,
		},
		{
			name: "if each part is just below its bound, then the last one gets what is left", request: moving, timeout: "5s",
			slow: map[string]time.Duration{"use": 1990 * time.Millisecond, "live": 1990 * time.Millisecond, "override": 1990 * time.Millisecond, "pods": 290 * time.Millisecond},
			want: "deny MF202", says: "could not check whether user \"\" may override MF202: " + unasked, took: 4500 * time.Millisecond,
		},
		{
			name: "if everything hangs, then the namespace is refused by what is known", request: moving, timeout: "5s", slow: allHangs(),
			want: "deny MF202", says: "could not check whether user \"\" may use Istio \"mesh-2\"\n  " + unasked, took: 4500 * time.Millisecond,
		},
		{
			name: "if only the question for the override hangs", request: moving, timeout: "5s", slow: map[string]time.Duration{"override": hangs},
			want: "deny MF202", says: unasked, took: 2 * time.Second,
		},
		{
			name: "if only the pods hang", request: moving, timeout: "5s", slow: map[string]time.Duration{"pods": hangs},
			want: "warn MF202", says: "overridden by user", took: 300 * time.Millisecond,
		},
		{
			name: "if the API server gives a second only, then that is shared", request: moving, timeout: "1s", slow: allHangs(),
			want: "deny MF202", says: unasked, took: 900 * time.Millisecond,
		},
		{
			name: "if nothing is left, then the pods are not looked at", request: moving, timeout: "2s",
			slow: map[string]time.Duration{"use": 1700 * time.Millisecond, "live": hangs, "pods": 0},
			want: "warn MF202", says: "its pods were not seen (the look stopped before it began, because the API server is slow)", took: 1800 * time.Millisecond,
		},
		{
			name: "if the mesh map cannot be confirmed, then the first verdict stands", request: mapRequest("mesh-map", "mesh-1=mesh-2", ""), timeout: "5s",
			slow: allHangs(), want: "deny MF402", took: 2 * time.Second,
		},
		{
			name: "if a tag's meshes can be read late, then it is judged by them", request: tagRequest("canary", "", "Istio mesh-9"), timeout: "10s",
			slow: map[string]time.Duration{"live": 4900 * time.Millisecond}, want: "warn MF304", took: 4900 * time.Millisecond,
		},
		{
			name: "if a tag's meshes cannot be read, then it is refused for now", request: tagRequest("canary", "", "Istio mesh-1"), timeout: "10s",
			slow: allHangs(), took: 5 * time.Second,
			want: "refused with 503: meshfence cannot judge this request yet: it cannot read the stored meshes (the API server did not answer in time). Try again in a few seconds",
		},
		{
			name: "if there is less time for a tag, then it is refused sooner", request: tagRequest("canary", "", "Istio mesh-1"), timeout: "3s",
			slow: allHangs(), took: 2700 * time.Millisecond,
			want: "refused with 503: meshfence cannot judge this request yet: it cannot read the stored meshes (the API server did not answer in time). Try again in a few seconds",
		},
		{
			name: "if a tag that is to be overridden is slow in both parts, then it is in time too", request: overriding, timeout: "10s",
			slow: map[string]time.Duration{"live": 4900 * time.Millisecond, "override": hangs}, want: "deny MF302", says: unasked, took: 6900 * time.Millisecond,
		},
		{
			name: "if a tag is deleted, then it is judged by what is known", request: tagRequest("stable", "Istio mesh-1", ""), timeout: "10s",
			slow: allHangs(), want: "warn MF303", took: 2 * time.Second,
		},
		{
			name: "if a mesh is deleted, then it is judged by what is known", request: removal, timeout: "10s",
			slow: allHangs(), want: "warn MF112", took: 2 * time.Second,
		},
		{
			name: "if a mesh hangs, then it is refused before the API server gives up", request: istioRequest("new", selecting("istio-system-new", "team", "a"), ""),
			timeout: "10s", slow: allHangs(), want: "refused with 503: meshfence cannot judge this request yet: it cannot read the stored meshes", took: 9 * time.Second,
		},
		{
			name: "if the URL does not say how long, then it is as long as can be", request: istioRequest("new", selecting("istio-system-new", "team", "a"), ""),
			slow: allHangs(), want: "refused with 503", took: 27 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tagged(t)
				c.slow = takes(test.slow)
				c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return true, nil }
				c.pods = func(context.Context, string, int) mesh.Pods {
					return mesh.Pods{Seen: 1, Revisions: map[string]int{"mesh-1": 1}}
				}
				began := time.Now()
				answer := askWithin(t, c, test.request, test.timeout)
				if took := time.Since(began); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				if got := said(answer); !strings.HasPrefix(got, test.want) || !strings.Contains(answer.Result.Message+strings.Join(answer.Warnings, "\n"), test.says) {
					t.Errorf("%s: %s %q, want %s … %s", got, answer.Result.Message, answer.Warnings, test.want, test.says)
				}
			})
		})
	}
}

// askWithin asks as an API server does that waits for so long; "" does not say how long.
func askWithin(t *testing.T, c *cluster, r request, timeout string) *admissionv1.AdmissionResponse {
	t.Helper()
	configuration := config.Default()
	asksForRights()(configuration)
	url := r.path
	if timeout != "" {
		url += "?timeout=" + timeout
	}
	sent := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(r.body(t)))
	sent.Header.Set("Content-Type", "application/json")
	received := httptest.NewRecorder()
	handler(t, c, configuration, prometheus.NewRegistry(), logr.Discard()).ServeHTTP(received, sent)
	return response(t, received.Body.Bytes())
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
func TestTheBodyOfARequestToAnyPathMustBeThereWithinHalfAMinute(t *testing.T) {
	h := handler(t, twoMeshes(t), config.Default(), prometheus.NewRegistry(), logr.Discard())
	for _, path := range paths() {
		answer, before := &dated{ResponseRecorder: httptest.NewRecorder()}, time.Now()
		h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}")))
		if answer.deadline.Before(before.Add(30*time.Second)) || answer.deadline.After(time.Now().Add(30*time.Second)) {
			t.Errorf("%s: may be read until %v, asked at %v", path, answer.deadline, before)
		}
	}
}

// What the URL says cannot make a request live longer than any webhook may.
func TestATimeoutThatNoAPIServerSendsIsTheLongest(t *testing.T) {
	for _, timeout := range []string{"", "soon", "-5s", "0s", "720h", "30s"} {
		synctest.Test(t, func(t *testing.T) {
			c := twoMeshes(t)
			var left time.Duration
			c.slow = func(ctx context.Context, _ string) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return errors.New("not now")
			}
			askWithin(t, c, istioRequest("new", selecting("istio-system-new", "team", "a"), ""), timeout)
			if want := 27 * time.Second; left != want {
				t.Errorf("timeout=%s: %v, want %v", timeout, left, want)
			}
		})
	}
}
