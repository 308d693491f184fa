package fastlist

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// inProtobuf is an object as the API server sends it.
func inProtobuf(t testing.TB, object apiruntime.Object) []byte {
	t.Helper()
	var buffer bytes.Buffer
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	if err := scheme.Codecs.EncoderForVersion(serializer, corev1.SchemeGroupVersion).Encode(object, &buffer); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// namespacesRead are what a list begins with and the metadata of the namespaces in it.
func namespacesRead(page []byte) (begin metav1.ListMeta, found []metav1.ObjectMeta, err error) {
	err = (&reader{}).read(bytes.NewReader(page), func(meta metav1.ListMeta) { begin = meta },
		func(meta *metav1.ObjectMeta) { found = append(found, *meta.DeepCopy()) })
	return begin, found, err
}

// someNamespaces have all that a namespace can have, and one has nothing.
func someNamespaces() []corev1.Namespace {
	now := metav1.NewTime(metav1.Now().Truncate(time.Second))
	many := map[string]string{}
	for i := range 20 {
		many[fmt.Sprintf("key-%d", i)] = fmt.Sprint(i % 3)
	}
	list := []corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{
			Name: "shop", GenerateName: "sh", UID: "u", ResourceVersion: "5", Generation: 3, CreationTimestamp: now,
			Labels:          map[string]string{corev1.LabelMetadataName: "shop", "istio-discovery": "mesh-1", "istio.io/rev": "mesh-1", "empty": ""},
			Annotations:     map[string]string{"example.com/owner": strings.Repeat("x", 3*wireBuffer)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "X", Name: "x", UID: "y"}},
			Finalizers:      []string{"a", "b"},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{}}`)}},
		}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}},
		{ObjectMeta: metav1.ObjectMeta{Name: "plain"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "going", DeletionTimestamp: &now, Labels: map[string]string{corev1.LabelMetadataName: "going"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "many", Labels: many}},
	}
	return list
}

// decoded is what is read of namespaces that client-go has decoded.
func decoded(items []corev1.Namespace) (found []metav1.ObjectMeta) {
	for i := range items {
		meta := &items[i].ObjectMeta
		found = append(found, metav1.ObjectMeta{Name: meta.Name, Labels: meta.Labels, DeletionTimestamp: meta.DeletionTimestamp.DeepCopy()})
	}
	return found
}

func TestAListOfNamespacesIsReadAsItIsDecoded(t *testing.T) {
	items := someNamespaces()
	meta := metav1.ListMeta{ResourceVersion: "17", Continue: "where"}
	begin, found, err := namespacesRead(inProtobuf(t, &corev1.NamespaceList{ListMeta: meta, Items: items}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(meta, begin); diff != "" {
		t.Errorf("begin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(decoded(items), found); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
}

// A connection that breaks must not look like the end of the list: the namespaces that are missing would be unknown.
func TestAListOfNamespacesThatBreaksOffIsAnError(t *testing.T) {
	items := someNamespaces()
	items[0].Annotations = nil
	page := inProtobuf(t, &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "17"}, Items: items})
	failed := 0
	for end := range page {
		if _, found, err := namespacesRead(page[:end]); err != nil {
			failed++
		} else if diff := cmp.Diff(decoded(items), found); diff != "" {
			t.Fatalf("the first %d of %d bytes are no error (-want +got):\n%s", end, len(page), diff)
		}
	}
	// Behind the list the envelope has two fields that are empty.
	if least := len(page) - 4; failed < least {
		t.Errorf("%d beginnings are an error, want %d", failed, least)
	}
}

func TestWhatIsNoListOfNamespacesIsAnError(t *testing.T) {
	list := func(version string, items ...corev1.Namespace) string {
		return string(inProtobuf(t, &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: version}, Items: items}))
	}
	for name, test := range map[string]struct{ page, want string }{
		"nothing":            {"", "not in protobuf"},
		"JSON":               {`{"kind":"NamespaceList","items":[]}`, `it begins with "{\"ki"`},
		"no list inside":     {protobufMagic, "unexpected EOF"},
		"a number only":      {protobufMagic + "\x08\x01", "unexpected EOF"},
		"half a number":      {protobufMagic + "\x08", "unexpected EOF"},
		"a group":            {protobufMagic + "\x0b", "field 1: the wire type 3"},
		"an empty list":      {protobufMagic + "\x12\x00", "does not begin with the resourceVersion"},
		"no version":         {list(""), "does not begin with the resourceVersion"},
		"two beginnings":     {protobufMagic + "\x12\x0a\x0a\x03\x12\x01\x37\x0a\x03\x12\x01\x37", "does not begin with the resourceVersion"},
		"items first":        {protobufMagic + "\x12\x07\x12\x05\x0a\x03\x0a\x01a", "does not begin with the resourceVersion"},
		"a nameless one":     {list("17", corev1.Namespace{}), "has no name"},
		"a long tag":         {protobufMagic + strings.Repeat("\xff", 11), "overflows"},
		"a huge list":        {protobufMagic + "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "field 2: it has 18446744073709551615 bytes"},
		"a huge namespace":   {protobufMagic + "\x12\x0a\x0a\x03\x12\x01\x37\x12\x80\x80\x80\x10", "an object of 33554432 bytes"},
		"a broken namespace": {protobufMagic + "\x12\x09\x0a\x03\x12\x01\x37\x12\x02\x0a\x05", "unexpected EOF"},
		"more behind it":     {list("17") + "\x08", "unexpected EOF"},
	} {
		_, found, err := namespacesRead([]byte(test.page))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v and %d namespaces, want %s", name, err, len(found), test.want)
		}
	}
}

// A later version may have numbers where this one has none.
func TestNumbersInAListOfNamespacesArePassedOver(t *testing.T) {
	const numbers = "\x50\xff\x01" + "\x5d\x01\x02\x03\x04" + "\x61\x01\x02\x03\x04\x05\x06\x07\x08"
	list, err := (&corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "17"}, Items: someNamespaces()}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	page := protowire.AppendTag([]byte(protobufMagic+numbers), protowire.Number(envelopeRaw), protowire.BytesType)
	_, found, err := namespacesRead(append(protowire.AppendBytes(page, append([]byte(numbers), list...)), numbers...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decoded(someNamespaces())[3], found[3]); diff != "" || len(found) != 4 {
		t.Errorf("%d namespaces, the last (-want +got):\n%s", len(found), diff)
	}
}

// FuzzNamespaceList reads whatever comes as a list. Nothing panics, and where the API machinery's own decoder accepts it,
// what is read is the same.
func FuzzNamespaceList(f *testing.F) {
	items := someNamespaces()
	items[0].Annotations = nil
	list, err := (&corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "17", Continue: "x"}, Items: items}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list)
	f.Add([]byte("\x12\x02\x0a\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		page := protowire.AppendTag([]byte(protobufMagic), protowire.Number(envelopeRaw), protowire.BytesType)
		_, found, err := namespacesRead(protowire.AppendBytes(page, raw))
		var list corev1.NamespaceList
		if err != nil || list.Unmarshal(raw) != nil {
			return
		}
		// No labels are no labels, whether or not there is an entry for them.
		if diff := cmp.Diff(decoded(list.Items), found, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q (-decoded +read):\n%s", raw, diff)
		}
	})
}
