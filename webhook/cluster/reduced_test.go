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

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	list := &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	if ns, there := s.stored[name]; there {
		list.Items = append(list.Items, ns)
	}
	_, _ = w.Write(inProtobuf(s.t, list))
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
	if got := c.namespaces.values()[0]; len(got.Labels) != 0 || got.Reduced == 0 {
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
	for i := range 2 * maxKeys {
		key := fmt.Sprintf("key-%05d", i)
		labels[key], many = "x", append(many, key)
	}
	c, s := knowing(t, giant("giant", labels))
	for range 2 {
		s.check(c, many, map[string]map[string]string{"giant": labels}, "giant")
	}
	if got := c.namespaces.values()[0].Labels; len(got) != 0 {
		t.Errorf("%d labels are kept", len(got))
	}
	half := func(keys []string) map[string]map[string]string {
		wanted := map[string]string{}
		for _, key := range keys {
			wanted[key] = "x"
		}
		return map[string]map[string]string{"giant": wanted}
	}
	s.check(c, many[:maxKeys], half(many[:maxKeys]), "giant")
	s.check(c, many[:maxKeys], half(many[:maxKeys]))
	s.check(c, many[maxKeys:], half(many[maxKeys:]), "giant")
	if got := c.wanting.current().keys; len(got) != maxKeys {
		t.Errorf("%d keys are wanted, want at most %d", len(got), maxKeys)
	}
}

func TestAReducedNamespaceIsReadAsItIsDecoded(t *testing.T) {
	wanting := newWanting()
	wanting.add([]string{"mesh", mesh.NameLabel, "absent"})
	for _, ns := range []corev1.Namespace{
		giant("giant", map[string]string{"mesh": "a", mesh.NameLabel: "giant"}), giant("giant", nil),
		{ObjectMeta: metav1.ObjectMeta{Name: "under", Labels: map[string]string{"a": strings.Repeat("x", maxLabels-labelOverhead-1)}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "over", Labels: map[string]string{"a": strings.Repeat("x", maxLabels-labelOverhead)}}},
	} {
		var read []mesh.Namespace
		page := inProtobuf(t, &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}, Items: []corev1.Namespace{ns, ns}})
		reader := newNamespaceReader(newTexts(), wanting)
		if err := reader.read(strings.NewReader(string(page)), func(metav1.ListMeta) {}, func(ns mesh.Namespace) { read = append(read, ns) }); err != nil {
			t.Fatal(err)
		}
		decoded := newTexts().namespace(&ns.ObjectMeta, wanting.current())
		if diff := cmp.Diff([]mesh.Namespace{decoded, decoded}, read); diff != "" {
			t.Errorf("%s (-decoded +read):\n%s", ns.Name, diff)
		}
		if reduced := ns.Name != "under"; reduced != (decoded.Reduced != 0) {
			t.Errorf("%s: reduced %t", ns.Name, !reduced)
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
	list, err := (&corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range count { // to encode each anew would take most of the test's time
		list = protowire.AppendTag(list, protowire.Number(listItems), protowire.BytesType)
		list = protowire.AppendBytes(list, bytes.Replace(item, []byte(ns.Name), fmt.Appendf(nil, "giant-%03d", i), 1))
	}
	page := protowire.AppendTag([]byte(protobufMagic), protowire.Number(envelopeRaw), protowire.BytesType)
	page = protowire.AppendBytes(page, list)
	c := against(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	c.wanting.add([]string{"mesh"})
	before := heap()
	all, err := c.resources.namespaces.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	objects := make([]any, 0, count)
	for _, item := range all.Items {
		objects = append(objects, item)
	}
	if err := c.namespaces.Replace(objects, ""); err != nil {
		t.Fatal(err)
	}
	if each := (heap() - before) / count; each > limit {
		t.Errorf("each takes %d KiB, more than %d", each>>10, limit>>10)
	}
	if got := c.namespaces.values(); len(got) != count || got[count-1].Labels["mesh"] != "a" {
		t.Errorf("%d namespaces, the last with %v", len(got), got[len(got)-1].Labels)
	}
	runtime.KeepAlive(page)
}

// Whatever namespaces carry, ten of them take little more than ten others.
func TestWhatIsKeptOfANamespaceIsBounded(t *testing.T) {
	const count, labels, limit = 10, 60000, 4 << 10
	c, s := knowing(t)
	repeated := len(c.resources.namespaces.texts.known)
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
	if got := len(c.resources.namespaces.texts.known) - repeated; got > 100 {
		t.Errorf("%d of their keys and values are kept for good", got)
	}
	for _, ns := range c.namespaces.values() {
		s.stored[ns.Name] = giant(ns.Name, map[string]string{"mesh": "a"})
	}
	if all, err := c.Namespaces(t.Context(), func() []string { return []string{"mesh"} }); err != nil || len(all) != count || all[count-1].Labels["mesh"] != "a" {
		t.Errorf("%d namespaces, %v", len(all), err)
	}
}
