package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/meshfence/meshfence/webhook/sail"
)

// storage is an API server that serves Istios, or, if absent, does not know them.
type storage struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	absent  bool
	// expires says that the moment of a list's first page expires before its second.
	expires  bool
	requests []string
}

func newStorage(names ...string) *storage {
	s := &storage{objects: map[string]map[string]any{}}
	for _, name := range names {
		s.put(name, "uid-"+name, "1", name)
	}
	return s
}

// put stores an Istio that selects one label.
func (s *storage) put(name, uid, version, label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	selectors := []any{map[string]any{"matchLabels": map[string]any{"mesh": label}}}
	s.objects[name] = map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "Istio",
		"metadata": map[string]any{"name": name, "uid": uid, "resourceVersion": version, "annotations": map[string]any{"meshfence.io/a": "b", "c": "d"}},
		"spec":     map[string]any{"values": map[string]any{"meshConfig": map[string]any{"discoverySelectors": selectors}}},
	}
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range s.objects {
			if only := query.Get("fieldSelector"); (only == "" || only == "metadata.name="+name) && !yield(name) {
				return
			}
		}
	})
	metadataOnly := strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList")
	s.requests = append(s.requests, strings.TrimSpace(map[bool]string{true: "metadata ", false: "objects "}[metadataOnly]+query.Get("fieldSelector")))
	begin, _ := strconv.Atoi(query.Get("continue"))
	switch {
	case s.absent:
		status(w, http.StatusNotFound, "NotFound")
		return
	case s.expires && begin > 0:
		s.expires = false
		status(w, http.StatusGone, "Expired")
		return
	}
	end, next := len(names), ""
	if limit, _ := strconv.Atoi(query.Get("limit")); limit > 0 && begin+limit < end {
		end = begin + limit
		next = strconv.Itoa(end)
	}
	items := []any{}
	for _, name := range names[begin:end] {
		item := s.objects[name]
		if metadataOnly {
			item = map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": item["metadata"]}
		}
		items = append(items, item)
	}
	list := map[string]any{"apiVersion": "sailoperator.io/v1", "kind": "IstioList", "metadata": map[string]any{"resourceVersion": "9", "continue": next}, "items": items}
	if metadataOnly {
		list["apiVersion"], list["kind"] = "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q}`, code, reason)
}

// asked returns the requests since the last call.
func (s *storage) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.requests
	s.requests = nil
	return asked
}

// reading is a Cluster that reads from the storage.
func reading(t *testing.T, s *storage) *Cluster {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL}, Options{OnlySail: true, Namespace: "meshfence-system"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// selected are the meshes with their versions and what they select.
func selected(found []*sail.ControlPlane) []string {
	var all []string
	for _, cp := range found {
		all = append(all, fmt.Sprintf("%s %s@%s mesh=%s", cp.Kind, cp.Metadata.Name, cp.Metadata.ResourceVersion,
			cp.Spec.Values.MeshConfig.DiscoverySelectors[0].MatchLabels["mesh"]))
	}
	slices.Sort(all)
	return all
}

// listOf is the list that a meshLister returns.
func listOf(list runtime.Object, err error) (*metainternalversion.List, error) {
	found, ok := list.(*metainternalversion.List)
	if err == nil && !ok {
		err = fmt.Errorf("a list of the type %T", list)
	}
	return found, err
}

func TestALiveReadTakesFromTheCacheOnlyTheVeryVersionThatIsStored(t *testing.T) {
	s := newStorage("a", "b")
	c := reading(t, s)
	fill := func() {
		t.Helper()
		list, err := listOf(c.resources.istios.lister.list(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		var objects []any
		for _, item := range list.Items {
			objects = append(objects, item)
		}
		if err := c.istios.Replace(objects, ""); err != nil {
			t.Fatal(err)
		}
		s.asked()
	}
	fill()
	for _, step := range []struct {
		name     string
		do       func()
		want     []string
		requests []string
	}{
		{"if nothing has changed, then metadata is enough", func() {}, []string{"Istio a@1 mesh=a", "Istio b@1 mesh=b"}, []string{"metadata"}},
		{"if one has changed, then it is read", func() { s.put("a", "uid-a", "2", "new") },
			[]string{"Istio a@2 mesh=new", "Istio b@1 mesh=b"}, []string{"metadata", "objects metadata.name=a"}},
		{"if one was created anew with the version of another, then it is read", func() { s.put("a", "uid-2", "1", "again") },
			[]string{"Istio a@1 mesh=again", "Istio b@1 mesh=b"}, []string{"metadata", "objects metadata.name=a"}},
		{"if one is gone, then the cache's is not taken for it", func() { delete(s.objects, "a") }, []string{"Istio b@1 mesh=b"}, []string{"metadata"}},
		{"if the cache has seen it, then metadata is enough again", fill, []string{"Istio b@1 mesh=b"}, []string{"metadata"}},
		{"if many are new, then all are read at once", func() {
			for i := range 5 {
				s.put(fmt.Sprint("n", i), "u", "1", "n")
			}
		}, []string{"Istio b@1 mesh=b", "Istio n0@1 mesh=n", "Istio n1@1 mesh=n", "Istio n2@1 mesh=n", "Istio n3@1 mesh=n", "Istio n4@1 mesh=n"}, []string{"metadata", "objects"}},
	} {
		step.do()
		found, err := c.liveMeshes(t.Context(), &c.resources.istios, c.istios, true)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, selected(found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.requests, s.asked()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", step.name, diff)
		}
	}
	if kept := c.istios.Values()[0].Metadata; kept.ResourceVersion != "" {
		t.Errorf("a live read has written the cache's object: %+v", kept)
	}
}

func TestALiveReadHasAllPagesAlsoIfTheirMomentExpires(t *testing.T) {
	s := newStorage()
	for i := range 2*versionsPerPage + 7 {
		s.put(fmt.Sprintf("m%04d", i), "u", "1", "m")
	}
	c := reading(t, s)
	for _, expires := range []bool{false, true} {
		s.expires = expires
		found, err := c.liveMeshes(t.Context(), &c.resources.istios, c.istios, true)
		if err != nil || len(slices.Compact(selected(found))) != len(s.objects) || len(found) != len(s.objects) {
			t.Errorf("expires %v: %d of %d, %v", expires, len(found), len(s.objects), err)
		}
		s.expires = expires
		list, err := listOf(c.resources.istios.lister.list(t.Context()))
		if err != nil || len(list.Items) != len(s.objects) || list.Continue != "" || list.ResourceVersion != "9" {
			t.Errorf("expires %v: listed %d of %d, %v", expires, len(list.Items), len(s.objects), err)
		}
	}
}

func TestALiveReadOfWhatIsNotServedIsEmptyUnlessItMustBe(t *testing.T) {
	s := newStorage("a")
	s.absent = true
	c := reading(t, s)
	if found, err := c.liveMeshes(t.Context(), &c.resources.istios, c.istios, false); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := c.liveMeshes(t.Context(), &c.resources.istios, c.istios, true); err == nil {
		t.Error("that Istios are not served is no error")
	}
}

// The lists are read side by side, so Istios may be read before one is stored whose revision is read.
func TestALiveReadNeverHasARevisionWithoutTheIstioThatCameBeforeIt(t *testing.T) {
	const owner = `,"ownerReferences":[{"apiVersion":"sailoperator.io/v1","kind":"Istio","name":"a","uid":"u","controller":true}]`
	for _, test := range []struct {
		name, owners string
		lists, found int
	}{
		{name: "owned by an Istio that was not seen", owners: owner, lists: 2, found: 1},
		{name: "owned by nobody", lists: 1},
	} {
		var lists atomic.Int32
		c := against(t, func(w http.ResponseWriter, r *http.Request) {
			version, kind, owners := "sailoperator.io/v1", sail.KindIstio, ""
			switch path.Base(r.URL.Path) {
			case "istios":
				if !r.URL.Query().Has("fieldSelector") && lists.Add(1) == 1 {
					kind = ""
				}
			case "istiorevisions":
				kind, owners = sail.KindIstioRevision, test.owners
			default:
				status(w, http.StatusNotFound, "NotFound")
				return
			}
			items := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"a","uid":"u","resourceVersion":"1"%s}}`, version, kind, owners)
			if kind == "" {
				items = ""
			}
			if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
				version, kind = "meta.k8s.io/v1", "PartialObjectMetadata"
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"apiVersion":%q,"kind":%q,"metadata":{"resourceVersion":"9"},"items":[%s]}`, version, kind+"List", items)
		})
		objects, err := c.Live(t.Context())
		if err != nil || int(lists.Load()) != test.lists || len(objects.Istios) != test.found || len(objects.Revisions) != 1 {
			t.Errorf("%s: listed Istios %d times, found %d, and %d revisions; %v", test.name, lists.Load(), len(objects.Istios), len(objects.Revisions), err)
		}
	}
}

// What a list keeps must be what the usual way reads.
func TestAListedMeshIsReadAsTheUsualObjectIs(t *testing.T) {
	s := newStorage("a")
	c := reading(t, s)
	list, err := listOf(c.resources.istios.lister.list(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	usual, err := c.resources.istios.lister.watches.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	read := cachedControlPlane(sail.KindIstio)
	if diff := cmp.Diff(read(&usual.Items[0]), read(list.Items[0].(*meshObject))); diff != "" {
		t.Errorf("(-usual +read):\n%s", diff)
	}
}
