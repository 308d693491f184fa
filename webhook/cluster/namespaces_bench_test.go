package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// usualNamespaces are as they are found in clusters: six labels, of which four repeat, an annotation, and what two managers own.
func usualNamespaces(count int) []corev1.Namespace {
	const managed = `{"f:metadata":{"f:annotations":{".":{},"f:openshift.io/description":{}},"f:labels":{".":{},"f:istio-discovery":{},"f:istio.io/rev":{},` +
		`"f:app.kubernetes.io/part-of":{},"f:cost-center":{},"f:kubernetes.io/metadata.name":{},"f:pod-security.kubernetes.io/enforce":{}}}}`
	all := make([]corev1.Namespace, count)
	for i := range all {
		name, of := fmt.Sprintf("team-%d-application", i), fmt.Sprintf("mesh-%d", i%100)
		all[i].ObjectMeta = metav1.ObjectMeta{
			Name: name, UID: "5a3c9f6e-1b1c-4b52-9a53-0f5c8f3a2f10", ResourceVersion: strconv.Itoa(1000000 + i),
			Labels: map[string]string{
				mesh.NameLabel: name, "istio-discovery": of, mesh.RevisionLabel: of, "pod-security.kubernetes.io/enforce": "restricted",
				"app.kubernetes.io/part-of": "shop", "cost-center": fmt.Sprint(i % 50),
			},
			Annotations: map[string]string{"openshift.io/description": strings.Repeat("x", 200)},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kubectl-client-side-apply", Operation: "Update", FieldsV1: metav1.NewFieldsV1(managed)},
				{Manager: "gitops", Operation: "Apply", FieldsV1: metav1.NewFieldsV1(managed)},
			},
		}
	}
	return all
}

// servingNamespaces serves namespaces: whole ones in pages, and the metadata at once, as the API server does for a reflector.
func servingNamespaces(b *testing.B, all []corev1.Namespace) http.HandlerFunc {
	b.Helper()
	const perPage = 1000
	only := metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}
	for i := range all {
		only.Items = append(only.Items, metav1.PartialObjectMetadata{ObjectMeta: all[i].ObjectMeta})
	}
	metadata := metadataInProtobuf(b, &only)
	pages := map[string][]byte{}
	for from := 0; from < len(all); from += perPage {
		list := corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}, Items: all[from:min(from+perPage, len(all))]}
		token := ""
		if from > 0 {
			token = strconv.Itoa(from)
		}
		if from+perPage < len(all) {
			list.Continue = strconv.Itoa(from + perPage)
		}
		raw, err := list.Marshal()
		if err != nil {
			b.Fatal(err)
		}
		envelope, err := (&runtime.Unknown{Raw: raw}).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		pages[token] = append([]byte("k8s\x00"), envelope...)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			_, _ = w.Write(metadata)
			return
		}
		_, _ = w.Write(pages[r.URL.Query().Get("continue")])
	}
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// resetPeak makes peakMemory begin with what the process has now.
func resetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) // Linux only
}

// peakMemory is the most that the process has had, in MiB; 0 where the system does not say.
func peakMemory() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	kib := 0
	if found := peak.FindSubmatch(status); found != nil {
		kib, _ = strconv.Atoi(string(found[1]))
	}
	return float64(kib) / 1024
}

// BenchmarkFirstListOfNamespaces fills the store with 10,000 namespaces, as a start does. For the peak of the memory run it with
// -benchtime 1x.
func BenchmarkFirstListOfNamespaces(b *testing.B) {
	server := httptest.NewServer(servingNamespaces(b, usualNamespaces(10000)))
	b.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL}, Options{OnlySail: true, Namespace: "meshfence-system"})
	if err != nil {
		b.Fatal(err)
	}
	fast, clientGo := namespaceSource(c), namespaceSource(c)
	clientGo.ListWithContextFunc = c.clientGoNamespaces
	for name, source := range map[string]*cache.ListWatch{"fastlist": fast, "client-go": clientGo} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			resetPeak()
			before := peakMemory()
			for b.Loop() {
				list, err := source.ListWithContext(b.Context(), metav1.ListOptions{ResourceVersion: "0"})
				if err != nil {
					b.Fatal(err)
				}
				var objects []any
				if err := meta.EachListItem(list, func(item runtime.Object) error {
					objects = append(objects, item)
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				if err := c.namespaces.Replace(objects, ""); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(peakMemory()-before, "peak-MiB")
		})
	}
}
