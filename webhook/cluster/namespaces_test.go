package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// served are pages of namespaces, by the token with which a client continues; "" is the first.
type served struct {
	mu    sync.Mutex
	asked []string
	// answer writes the page with this token, or everything if it is not limited.
	answer func(w http.ResponseWriter, token string, limited bool)
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s limit=%s continue=%s", r.URL.Path, r.Header.Get("Accept"), query.Get("limit"), query.Get("continue")))
	s.mu.Unlock()
	s.answer(w, query.Get("continue"), query.Get("limit") != "")
}

// namespacePage is a page with namespaces of these names, and where it continues.
func namespacePage(t *testing.T, next string, names ...string) []byte {
	t.Helper()
	list := &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: next}}
	for _, name := range names {
		list.Items = append(list.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return inProtobuf(t, list)
}

// namesOf are the namespaces of a list, with its resourceVersion.
func namesOf(list *slimList) string {
	var names []string
	for _, item := range list.Items {
		names = append(names, item.(*listedNamespace).Name)
	}
	return strings.Join(names, " ") + "@" + list.ResourceVersion
}

const firstPage = "/api/v1/namespaces application/vnd.kubernetes.protobuf limit=1000 continue="

// The API server works on a page while the one before is still being received: it sends the end of that only after it was
// asked for the next.
func TestTheNextPageIsAskedForBeforeThisOneHasCome(t *testing.T) {
	asked := make(chan struct{})
	s := &served{answer: func(w http.ResponseWriter, token string, _ bool) {
		if token == "b" {
			close(asked)
			_, _ = w.Write(namespacePage(t, "", "c", "d"))
			return
		}
		page := namespacePage(t, "b", "a", "b")
		_, _ = w.Write(page[:len(page)-6])
		w.(http.Flusher).Flush()
		select {
		case <-asked:
		case <-time.After(10 * time.Second):
			t.Error("the next page was not asked for")
		}
		_, _ = w.Write(page[len(page)-6:])
	}}
	list, err := against(t, s.ServeHTTP).resources.namespaces.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(list); got != "a b c d@9" {
		t.Errorf("got %s, want a b c d@9", got)
	}
	if diff := cmp.Diff([]string{firstPage, firstPage + "b"}, s.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// If the moment of the first page expires, what came is worth nothing: everything is read at once.
func TestAnExpiredListOfNamespacesIsReadAgain(t *testing.T) {
	s := &served{answer: func(w http.ResponseWriter, token string, limited bool) {
		switch {
		case token != "":
			status(w, http.StatusGone, "Expired")
		case limited:
			_, _ = w.Write(namespacePage(t, "b", "gone", "a"))
		default:
			_, _ = w.Write(namespacePage(t, "", "a", "b", "c"))
		}
	}}
	list, err := against(t, s.ServeHTTP).resources.namespaces.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(list); got != "a b c@9" {
		t.Errorf("got %s, want a b c@9", got)
	}
	if got := s.asked[len(s.asked)-1]; strings.Contains(got, "limit=1000") {
		t.Errorf("the last request was %s, want one without limit", got)
	}
}

func TestAListOfNamespacesFailsAsAWhole(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, string, bool){
		"the first page fails": func(w http.ResponseWriter, _ string, _ bool) { status(w, http.StatusForbidden, "Forbidden") },
		"a later page fails": func(w http.ResponseWriter, token string, _ bool) {
			if token != "" {
				status(w, http.StatusInternalServerError, "InternalError")
				return
			}
			_, _ = w.Write(namespacePage(t, "b", "a"))
		},
		"a page breaks off": func(w http.ResponseWriter, token string, _ bool) {
			page := namespacePage(t, map[string]string{"": "b"}[token], "a", "b")
			_, _ = w.Write(page[:len(page)-6])
		},
		"JSON": func(w http.ResponseWriter, _ string, _ bool) { _, _ = w.Write([]byte(`{"kind":"NamespaceList"}`)) },
	} {
		s := &served{answer: answer}
		if list, err := against(t, s.ServeHTTP).resources.namespaces.list(t.Context()); err == nil {
			t.Errorf("%s: no error, but %s", name, namesOf(list))
		}
	}
}
