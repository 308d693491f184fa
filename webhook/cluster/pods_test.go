package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// against returns a Cluster whose API server is the handler.
func against(t *testing.T, handler http.HandlerFunc) *Cluster {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL}, Options{OnlySail: true, Namespace: "meshfence-system"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// podsOf serves the pods of a namespace in pages, as the API server does, and notes what it was asked for.
func podsOf(t *testing.T, pods []metav1.PartialObjectMetadata, asked *[]url.Values) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/blog/pods" || !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			t.Errorf("asked for %s as %s", r.URL.Path, r.Header.Get("Accept"))
		}
		query := r.URL.Query()
		*asked = append(*asked, query)
		limit, _ := strconv.Atoi(query.Get("limit"))
		from, _ := strconv.Atoi(query.Get("continue"))
		to := min(from+limit, len(pods))
		list := metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, Items: pods[from:to],
		}
		if to < len(pods) {
			list.Continue = strconv.Itoa(to)
		}
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		_, _ = w.Write(metadataInProtobuf(t, &list))
	}
}

// metadataInProtobuf is a list as the API server sends it.
func metadataInProtobuf(t testing.TB, list *metav1.PartialObjectMetadataList) []byte {
	t.Helper()
	raw, err := list.Marshal()
	if err != nil {
		t.Error(err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, Raw: raw}
	envelope, err := unknown.Marshal()
	if err != nil {
		t.Error(err)
	}
	return append([]byte("k8s\x00"), envelope...)
}

// somePods are n pods, every second one of them injected by mesh-1.
func somePods(n int) []metav1.PartialObjectMetadata {
	pods := make([]metav1.PartialObjectMetadata, n)
	for i := range pods {
		pods[i].TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}
		pods[i].Name = fmt.Sprintf("pod-%d", i)
		if i%2 == 0 {
			pods[i].Annotations = map[string]string{"istio.io/rev": "mesh-1"}
		}
	}
	return pods
}

func TestPodsAreCountedInPagesUpToTheLimit(t *testing.T) {
	for _, test := range []struct {
		pods, limit int
		want        mesh.Pods
		pages       string
	}{
		{0, 500, mesh.Pods{Revisions: map[string]int{}}, "100"},
		{3, 500, mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 2}}, "100"},
		{100, 500, mesh.Pods{Seen: 100, Revisions: map[string]int{"mesh-1": 50}}, "100"},
		{500, 500, mesh.Pods{Seen: 500, Revisions: map[string]int{"mesh-1": 250}}, "100 100 100 100 100"},
		{501, 500, mesh.Pods{Seen: 500, Revisions: map[string]int{"mesh-1": 250}, Stopped: "after 500 pods"}, "100 100 100 100 100"},
		{5000, 150, mesh.Pods{Seen: 150, Revisions: map[string]int{"mesh-1": 75}, Stopped: "after 150 pods"}, "100 50"},
	} {
		var asked []url.Values
		got := against(t, podsOf(t, somePods(test.pods), &asked)).Pods(t.Context(), "blog", test.limit)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%d of %d (-want +got):\n%s", test.limit, test.pods, diff)
		}
		var pages []string
		for _, query := range asked {
			pages = append(pages, query.Get("limit"))
			// Without a version, a page is waited for; with version 0, the limit is ignored. A later page is of the first one's moment.
			if first := !query.Has("continue"); first != (query.Get("resourceVersion") == "1") || first != (query.Get("resourceVersionMatch") == "NotOlderThan") {
				t.Errorf("asked for %v", query)
			}
		}
		if got := strings.Join(pages, " "); got != test.pages {
			t.Errorf("%d of %d: pages of %s, want %s", test.limit, test.pods, got, test.pages)
		}
	}
}

func TestPodsThatAreBeingDeletedDoNotCount(t *testing.T) {
	pods := somePods(4)
	now := metav1.Now()
	pods[0].DeletionTimestamp = &now
	var asked []url.Values
	got := against(t, podsOf(t, pods, &asked)).Pods(t.Context(), "blog", 500)
	if diff := cmp.Diff(mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 1}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIfThereIsNoTimeForAllPodsThenThoseThatWereSeenCount(t *testing.T) {
	var asked []url.Values
	pages := podsOf(t, somePods(300), &asked)
	const limit = 200 * time.Millisecond
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("continue") {
			<-r.Context().Done() // never an answer
			return
		}
		pages(w, r)
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	got := c.Pods(ctx, "blog", 500)
	if took := time.Since(began); took > 10*limit {
		t.Errorf("took %v", took)
	}
	if diff := cmp.Diff(mesh.Pods{Seen: 100, Revisions: map[string]int{"mesh-1": 50}, Stopped: "after 200ms"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIfThePodsCannotBeDecodedThenTheLookSaysSo(t *testing.T) {
	for _, answer := range []string{"", "pods", "k8s\x00\x12\x05", "k8s\x00\x12\x02\x12\x05"} {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
			_, _ = w.Write([]byte(answer))
		})
		if pods := c.Pods(t.Context(), "blog", 10); pods.Stopped != "because the API server did not list them" {
			t.Errorf("%q: %+v", answer, pods)
		}
	}
}

// An API server that sheds load says when to come back. The look does, for as long as it may last.
func TestTheLookComesBackWhenTheAPIServerSaysSo(t *testing.T) {
	var asked []url.Values
	pages, refusals := podsOf(t, somePods(3), &asked), 1
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		if refusals--; refusals >= 0 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		pages(w, r)
	})
	if diff := cmp.Diff(mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 2}}, c.Pods(t.Context(), "blog", 10)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	refusals = 1
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if pods := c.Pods(ctx, "blog", 10); pods.Seen != 0 || pods.Stopped == "" || time.Since(began) > 900*time.Millisecond {
		t.Errorf("%+v after %v", pods, time.Since(began))
	}
}

func TestIfPodsCannotBeListedThenTheLookSaysSo(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	want := mesh.Pods{Revisions: map[string]int{}, Stopped: "because the API server did not list them"}
	if diff := cmp.Diff(want, c.Pods(t.Context(), "blog", 500)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARightIsWhatTheAPIServerSays(t *testing.T) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: "jane", Groups: []string{"devs"}, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "override", Group: "meshfence.io", Resource: "rules", Name: "mf111"},
	}
	for name, test := range map[string]struct {
		status  authorizationv1.SubjectAccessReviewStatus
		code    int
		want    bool
		wantErr bool
	}{
		"allowed":                     {authorizationv1.SubjectAccessReviewStatus{Allowed: true}, http.StatusCreated, true, false},
		"not allowed":                 {authorizationv1.SubjectAccessReviewStatus{}, http.StatusCreated, false, false},
		"denied":                      {authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}, http.StatusCreated, false, false},
		"not allowed, with a problem": {authorizationv1.SubjectAccessReviewStatus{EvaluationError: "no such role"}, http.StatusCreated, false, false},
		"may not ask":                 {authorizationv1.SubjectAccessReviewStatus{Allowed: true}, http.StatusForbidden, false, true},
		"is away":                     {authorizationv1.SubjectAccessReviewStatus{Allowed: true}, http.StatusServiceUnavailable, false, true},
	} {
		c := against(t, func(w http.ResponseWriter, r *http.Request) {
			var review authorizationv1.SubjectAccessReview
			body, _ := io.ReadAll(r.Body)
			if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &review); err != nil || r.URL.Path != "/apis/authorization.k8s.io/v1/subjectaccessreviews" {
				t.Errorf("%s: %v", r.URL.Path, err)
			}
			if diff := cmp.Diff(spec, review.Spec); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(test.code)
			if test.code >= http.StatusBadRequest {
				_, _ = w.Write([]byte("{}"))
				return
			}
			review.Status = test.status
			_ = json.NewEncoder(w).Encode(review)
		})
		got, err := c.Allowed(t.Context(), spec)
		if got != test.want || (err != nil) != test.wantErr {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
