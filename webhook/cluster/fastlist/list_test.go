package fastlist

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
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

// list lists what the handler serves. It keeps of each namespace what is read.
func list(t testing.TB, handler http.Handler) (runtime.Object, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := rest.RESTClientFor(&rest.Config{Host: server.URL, APIPath: "/api", ContentConfig: rest.ContentConfig{
		GroupVersion: &corev1.SchemeGroupVersion, NegotiatedSerializer: scheme.Codecs.WithoutConversion(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	lister := Lister{Client: client, Keep: func(meta *metav1.ObjectMeta) runtime.Object {
		return &metav1.PartialObjectMetadata{ObjectMeta: *meta.DeepCopy()}
	}}
	return lister.List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
}

// namespacePage is a page with namespaces of these names, and where it continues.
func namespacePage(t testing.TB, next string, names ...string) []byte {
	t.Helper()
	list := &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: next}}
	for _, name := range names {
		list.Items = append(list.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return inProtobuf(t, list)
}

// namesOf are the namespaces of a list, with its resourceVersion.
func namesOf(t testing.TB, list runtime.Object) string {
	t.Helper()
	var names []string
	for _, item := range kept(t, list) {
		names = append(names, item.Name)
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ") + "@" + accessor.GetResourceVersion()
}

// kept is what the list holds.
func kept(t testing.TB, list runtime.Object) (items []metav1.ObjectMeta) {
	t.Helper()
	if err := meta.EachListItem(list, func(item runtime.Object) error {
		items = append(items, item.(*metav1.PartialObjectMetadata).ObjectMeta)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return items
}

func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q}`, code, reason)
}

const firstPage = "/api/v1/namespaces application/vnd.kubernetes.protobuf limit=1000 continue="

func TestAListIsReadPageByPage(t *testing.T) {
	s := &served{answer: func(w http.ResponseWriter, token string, _ bool) {
		if token == "b" {
			_, _ = w.Write(namespacePage(t, "", "c", "d"))
			return
		}
		_, _ = w.Write(namespacePage(t, "b", "a", "b"))
	}}
	found, err := list(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(t, found); got != "a b c d@9" {
		t.Errorf("got %s, want a b c d@9", got)
	}
	if diff := cmp.Diff([]string{firstPage, firstPage + "b"}, s.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// If the moment of the first page expires, what came is worth nothing: everything is read at once.
func TestAnExpiredListIsReadAgain(t *testing.T) {
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
	found, err := list(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(t, found); got != "a b c@9" {
		t.Errorf("got %s, want a b c@9", got)
	}
	if got := s.asked[len(s.asked)-1]; strings.Contains(got, "limit=1000") {
		t.Errorf("the last request was %s, want one without limit", got)
	}
}

func TestAListFailsAsAWhole(t *testing.T) {
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
		if found, err := list(t, &served{answer: answer}); err == nil {
			t.Errorf("%s: no error, but %s", name, namesOf(t, found))
		}
	}
}

// metadataOf answers client-go's metadata client, and others with the whole namespaces.
func metadataOf(t testing.TB, items []corev1.Namespace) http.HandlerFunc {
	whole := inProtobuf(t, &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}, Items: items})
	only := metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	for i := range items {
		only.Items = append(only.Items, metav1.PartialObjectMetadata{ObjectMeta: items[i].ObjectMeta})
	}
	raw, err := only.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, Raw: raw}
	envelope, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			_, _ = w.Write(append([]byte(protobufMagic), envelope...))
			return
		}
		_, _ = w.Write(whole)
	}
}

// clientGo lists the metadata with client-go.
func clientGo(t testing.TB, handler http.Handler) *metav1.PartialObjectMetadataList {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := metadata.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAListHasWhatClientGoLists(t *testing.T) {
	handler := metadataOf(t, someNamespaces())
	fast, err := list(t, handler)
	if err != nil {
		t.Fatal(err)
	}
	theirs := clientGo(t, handler)
	var want []metav1.ObjectMeta
	for _, item := range theirs.Items {
		want = append(want, metav1.ObjectMeta{Name: item.Name, Labels: item.Labels, DeletionTimestamp: item.DeletionTimestamp})
	}
	if diff := cmp.Diff(want, kept(t, fast)); diff != "" {
		t.Errorf("(-client-go +fastlist):\n%s", diff)
	}
	if got := namesOf(t, fast); !strings.HasSuffix(got, "@"+theirs.ResourceVersion) {
		t.Errorf("the list is %s, client-go's of %s", got, theirs.ResourceVersion)
	}
}
