package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// giant is a namespace with more labels than are kept, and these.
func giant(name string, labels map[string]string) corev1.Namespace {
	all := map[string]string{}
	for i := range 1000 {
		all[fmt.Sprintf("%s-%05d", name, i)] = fmt.Sprint("value-", i)
	}
	for key, value := range labels {
		all[key] = value
	}
	return corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all}}
}

// apiServer has namespaces, and answers lists of one.
type apiServer struct {
	t      *testing.T
	mu     sync.Mutex
	stored map[string]corev1.Namespace
	asked  []string
	broken bool
	// during, if not nil, is called before an answer.
	during func()
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, name)
	if s.during != nil {
		s.during()
	}
	if s.broken {
		status(w, http.StatusInternalServerError, "InternalError")
		return
	}
	list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	if ns, there := s.stored[name]; there {
		list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: ns.ObjectMeta})
	}
	w.Header().Set("Content-Type", apiruntime.ContentTypeProtobuf)
	_, _ = w.Write(metadataInProtobuf(s.t, list))
}

// knowing is a cluster that has seen what the API server has.
func knowing(t *testing.T, namespaces ...corev1.Namespace) (*Cluster, *apiServer) {
	t.Helper()
	server := &apiServer{t: t, stored: map[string]corev1.Namespace{}}
	c := against(t, server.ServeHTTP)
	for _, ns := range namespaces {
		server.stored[ns.Name] = ns
		if err := c.namespaces.Add(&metav1.PartialObjectMetadata{ObjectMeta: ns.ObjectMeta}); err != nil {
			t.Fatal(err)
		}
	}
	return c, server
}

// check checks the labels of all namespaces, and what the API server was asked for to know them.
func (s *apiServer) check(c *Cluster, keys []string, want map[string]map[string]string, asked ...string) {
	s.t.Helper()
	s.asked = nil
	all, err := c.Namespaces(s.t.Context(), func() []string { return keys })
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, ns := range all {
		got[ns.Name] = ns.Labels
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("for %q (-want +got):\n%s", keys, diff)
	}
	if diff := cmp.Diff(strings.Join(asked, " "), strings.Join(s.asked, " ")); diff != "" {
		s.t.Errorf("for %q the API server was asked (-want +got):\n%s", keys, diff)
	}
}

func TestWhereAllLabelsAreKeptNothingIsAskedFor(t *testing.T) {
	c, _ := knowing(t, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "a"}}})
	all, err := c.Namespaces(t.Context(), func() []string {
		t.Error("the keys were asked for")
		return nil
	})
	if err != nil || len(all) != 1 || all[0].Labels["team"] != "a" {
		t.Error(all, err)
	}
}

func TestANamespaceWithVeryManyLabelsIsReadAgainForAKeyThatIsNew(t *testing.T) {
	plain := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "plain", Labels: map[string]string{"team": "a"}}}
	c, s := knowing(t, giant("giant", map[string]string{"a": "1", "b": "2"}), plain)
	all := func(labels map[string]string) map[string]map[string]string {
		return map[string]map[string]string{"giant": labels, "plain": plain.Labels}
	}
	if got := c.namespaces.Values()[0]; len(got.Labels) != 0 || got.Reduced == 0 {
		t.Errorf("%d labels are kept that no judgement depends on", len(got.Labels))
	}
	s.check(c, []string{"a", "absent"}, all(map[string]string{"a": "1"}), "giant")
	s.check(c, []string{"a"}, all(map[string]string{"a": "1"}))
	s.check(c, []string{"b"}, all(map[string]string{"a": "1", "b": "2"}), "giant")
	s.check(c, []string{"absent", "a", "b"}, all(map[string]string{"a": "1", "b": "2"}))
	// What the watch brings has the labels of the keys that have been asked for.
	changed := giant("giant", map[string]string{"a": "3"})
	if err := c.namespaces.Update(&metav1.PartialObjectMetadata{ObjectMeta: changed.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	s.check(c, []string{"a", "b"}, all(map[string]string{"a": "3"}))
	// It has got rid of them.
	changed.Labels = map[string]string{"a": "4"}
	if err := c.namespaces.Update(&metav1.PartialObjectMetadata{ObjectMeta: changed.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	s.check(c, []string{"new"}, all(changed.Labels))
}

func TestANamespaceThatIsGoneWhenItIsReadAgainIsNotThere(t *testing.T) {
	c, s := knowing(t, giant("giant", nil))
	delete(s.stored, "giant")
	s.check(c, []string{"a"}, map[string]map[string]string{}, "giant")
}

func TestIfANamespaceCannotBeReadAgainItIsAnError(t *testing.T) {
	c, s := knowing(t, giant("giant", nil))
	s.broken = true
	all, err := c.Namespaces(t.Context(), func() []string { return []string{"a"} })
	if len(all) != 1 || err == nil || !strings.HasPrefix(err.Error(), "it cannot read the namespaces that have very many labels (") {
		t.Error(all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all, err := c.Namespaces(ctx, func() []string { return []string{"b"} }); len(all) != 1 || err == nil {
		t.Error(all, err)
	}
	s.broken = false
	s.check(c, []string{"a"}, map[string]map[string]string{"giant": {}}, "giant")
}

// What was read is older than what the watch brings meanwhile.
func TestANewerNamespaceIsKeptWhateverIsReadMeanwhile(t *testing.T) {
	c, s := knowing(t, giant("giant", map[string]string{"a": "old"}))
	s.during = func() {
		changed := giant("giant", map[string]string{"a": "new"})
		if err := c.namespaces.Update(&metav1.PartialObjectMetadata{ObjectMeta: changed.ObjectMeta}); err != nil {
			t.Error(err)
		}
	}
	s.check(c, []string{"a"}, map[string]map[string]string{"giant": {"a": "old"}}, "giant")
	s.during = nil
	s.check(c, []string{"a"}, map[string]map[string]string{"giant": {"a": "new"}})
}

// However many keys are asked for, those of one judgement are all there, and no more than so many stay.
func TestOfSoManyKeysNoneIsKeptButAllAreJudged(t *testing.T) {
	labels := map[string]string{}
	var many []string
	for i := range 2 * maxRequiredKeys {
		key := fmt.Sprintf("key-%05d", i)
		labels[key], many = "x", append(many, key)
	}
	c, s := knowing(t, giant("giant", labels))
	for range 2 {
		s.check(c, many, map[string]map[string]string{"giant": labels}, "giant")
	}
	if got := c.namespaces.Values()[0].Labels; len(got) != 0 {
		t.Errorf("%d labels are kept", len(got))
	}
	half := func(keys []string) map[string]map[string]string {
		wanted := map[string]string{}
		for _, key := range keys {
			wanted[key] = "x"
		}
		return map[string]map[string]string{"giant": wanted}
	}
	s.check(c, many[:maxRequiredKeys], half(many[:maxRequiredKeys]), "giant")
	s.check(c, many[:maxRequiredKeys], half(many[:maxRequiredKeys]))
	s.check(c, many[maxRequiredKeys:], half(many[maxRequiredKeys:]), "giant")
	if got := c.converter.reduced.current().keys; len(got) != maxRequiredKeys {
		t.Errorf("%d keys are required, want at most %d", len(got), maxRequiredKeys)
	}
}

func TestANamespaceIsReducedOnlyAboveALimit(t *testing.T) {
	converter := newNamespaceConverter()
	converter.reduced.include([]string{"mesh", mesh.NameLabel, "absent"})
	giantLabels := map[string]string{"mesh": "a", mesh.NameLabel: "giant"}
	for _, test := range []struct {
		ns   corev1.Namespace
		want map[string]string
	}{
		{giant("giant", giantLabels), giantLabels},
		{giant("none", nil), map[string]string{}},
		{corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "over", Labels: map[string]string{"a": strings.Repeat("x", maxLabels-labelOverhead)}}}, map[string]string{}},
		{corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "under", Labels: map[string]string{"a": strings.Repeat("x", maxLabels-labelOverhead-1)}}}, nil},
	} {
		want := mesh.Namespace{Name: test.ns.Name, Labels: test.want, Reduced: 2}
		if test.want == nil {
			want.Labels, want.Reduced = test.ns.Labels, 0
		}
		if diff := cmp.Diff(want, converter.convert(&test.ns)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.ns.Name, diff)
		}
	}
}

// So it is when meshfence starts and reads them in a list.
func TestWhatIsKeptOfAListOfNamespacesIsBounded(t *testing.T) {
	const count, labels, limit = 100, 60000, 4 << 10
	ns := giant("giant", map[string]string{"mesh": "a"})
	for i := range labels {
		ns.Labels[fmt.Sprint("k", i)] = ""
	}
	ns.Name = "giant-000"
	item, err := ns.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const listItems, envelopeRaw = 2, 2 // the fields of a NamespaceList and of a runtime.Unknown
	list, err := (&corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range count { // to encode each anew would take most of the test's time
		list = protowire.AppendTag(list, listItems, protowire.BytesType)
		list = protowire.AppendBytes(list, bytes.Replace(item, []byte(ns.Name), fmt.Appendf(nil, "giant-%03d", i), 1))
	}
	page := protowire.AppendTag([]byte("k8s\x00"), envelopeRaw, protowire.BytesType)
	page = protowire.AppendBytes(page, list)
	c := against(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	c.converter.reduced.include([]string{"mesh"})
	before := heap()
	listInto(t, c, namespaceSource(c))
	if each := (heap() - before) / count; each > limit {
		t.Errorf("each takes %d KiB, more than %d", each>>10, limit>>10)
	}
	if got := c.namespaces.Values(); len(got) != count || got[count-1].Labels["mesh"] != "a" {
		t.Errorf("%d namespaces, the last with %v", len(got), got[len(got)-1].Labels)
	}
	runtime.KeepAlive(page)
}

// A reflector puts both what is listed and what is watched into the store.
func TestNamespacesAreListedAndWatched(t *testing.T) {
	page := func(next string, names ...string) []byte {
		list := &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: next}}
		for _, name := range names {
			list.Items = append(list.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}}})
		}
		raw, err := list.Marshal()
		if err != nil {
			t.Error(err)
		}
		envelope, err := (&apiruntime.Unknown{Raw: raw}).Marshal()
		if err != nil {
			t.Error(err)
		}
		return append([]byte("k8s\x00"), envelope...)
	}
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case query.Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, `{"type":"ADDED","object":{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"name":"d","resourceVersion":"10"}}}`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case query.Get("continue") == "":
			_, _ = w.Write(page("more", "a", "b"))
		default:
			_, _ = w.Write(page("", "c"))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		store.NewReflector("namespaces", namespaceSource(c), c.namespaces).RunWithContext(ctx)
	}()
	eventually(t, "four namespaces", func() bool { return len(c.namespaces.Values()) == 4 })
	cancel()
	<-ended
	label := func(name string) map[string]string { return map[string]string{"team": name} }
	want := []mesh.Namespace{{Name: "a", Labels: label("a")}, {Name: "b", Labels: label("b")}, {Name: "c", Labels: label("c")}, {Name: "d"}}
	if diff := cmp.Diff(want, c.namespaces.Values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// listInto fills the store of namespaces as a reflector does.
func listInto(t *testing.T, c *Cluster, source *cache.ListWatch) {
	t.Helper()
	list, err := source.ListWithContext(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	objects := make([]any, 0, len(items))
	for _, item := range items {
		objects = append(objects, item)
	}
	if err := c.namespaces.Replace(objects, ""); err != nil {
		t.Fatal(err)
	}
}

// Whatever namespaces carry, ten of them take little more than ten others.
func TestWhatIsKeptOfANamespaceIsBounded(t *testing.T) {
	const count, labels, limit = 10, 60000, 4 << 10
	c, s := knowing(t)
	repeated := len(c.converter.interned.known)
	before := heap()
	for i := range count {
		ns := giant(fmt.Sprint("giant-", i), map[string]string{"mesh": "a"})
		for j := range labels {
			ns.Labels[fmt.Sprintf("k%d-%d", i, j)] = ""
		}
		if err := c.namespaces.Add(&metav1.PartialObjectMetadata{ObjectMeta: ns.ObjectMeta}); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / count; each > limit {
		t.Errorf("each takes %d KiB, more than %d", each>>10, limit>>10)
	}
	if got := len(c.converter.interned.known) - repeated; got > 100 {
		t.Errorf("%d of their keys and values are kept for good", got)
	}
	for _, ns := range c.namespaces.Values() {
		s.stored[ns.Name] = giant(ns.Name, map[string]string{"mesh": "a"})
	}
	if all, err := c.Namespaces(t.Context(), func() []string { return []string{"mesh"} }); err != nil || len(all) != count || all[count-1].Labels["mesh"] != "a" {
		t.Errorf("%d namespaces, %v", len(all), err)
	}
}

// What a namespace has that changes later shares the texts of the list.
func TestLabelsThatRepeatAreKeptOnce(t *testing.T) {
	converter := newNamespaceConverter()
	first := converter.convert(&metav1.ObjectMeta{Name: "a", Labels: map[string]string{"istio-discovery": "mesh-1"}})
	runtime.GC()
	runtime.GC()
	later := converter.convert(&metav1.ObjectMeta{Name: "b", Labels: map[string]string{strings.Clone("istio-discovery"): strings.Clone("mesh-1")}})
	for key, value := range first.Labels {
		for other, same := range later.Labels {
			if unsafe.StringData(key) != unsafe.StringData(other) || unsafe.StringData(value) != unsafe.StringData(same) {
				t.Errorf("%s: %s is kept twice", key, value)
			}
		}
	}
}

func TestWhatIsInternedIsBounded(t *testing.T) {
	table := newInternTable()
	for i := range maxInterned + 10 {
		text := fmt.Sprint(i)
		if got := table.labels("a", map[string]string{text: text}); got[text] != text {
			t.Fatalf("%s became %v", text, got)
		}
	}
	if len(table.known) != maxInterned {
		t.Errorf("%d are kept, want %d", len(table.known), maxInterned)
	}
}

func TestNamespaceKeepsNameAndLabels(t *testing.T) {
	now := metav1.Now()
	for _, test := range []struct {
		name   string
		object metav1.ObjectMeta
		want   mesh.Namespace
	}{
		{"plain", metav1.ObjectMeta{Name: "a"}, mesh.Namespace{Name: "a"}},
		{"labelled", metav1.ObjectMeta{
			Name: "a", Labels: map[string]string{mesh.NameLabel: "a", "mesh": "b"}, Annotations: map[string]string{"x": "y"},
		}, mesh.Namespace{Name: "a", Labels: map[string]string{mesh.NameLabel: "a", "mesh": "b"}}},
		{"terminating", metav1.ObjectMeta{Name: "a", DeletionTimestamp: &now}, mesh.Namespace{Name: "a", Deleting: true}},
	} {
		if diff := cmp.Diff(test.want, newNamespaceConverter().convert(&test.object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// docs/performance.md promises a few hundred bytes a namespace. The objects are made as a decoder makes them: no string is shared.
func TestNamespaceTakesAFewHundredBytes(t *testing.T) {
	const count, limit = 20000, 600
	s := store.New(newNamespaceConverter().convert, func() {})
	before := heap()
	for i := range count {
		name := fmt.Sprintf("team-%d-application", i)
		if err := s.Add(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				strings.Clone(mesh.NameLabel): strings.Clone(name), strings.Clone("istio-discovery"): fmt.Sprintf("mesh-%d", i%100),
				strings.Clone(mesh.RevisionLabel): fmt.Sprintf("mesh-%d", i%100), strings.Clone("pod-security.kubernetes.io/enforce"): strings.Clone("restricted"),
			},
			Annotations:   map[string]string{"openshift.io/description": strings.Repeat("x", 500)},
			ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 500))}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / count; each > limit {
		t.Errorf("a namespace takes %d bytes, more than %d", each, limit)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
