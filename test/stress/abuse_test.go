package stress

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/meshfence/meshfence/test/harness"
)

// webhookTimeout is what the API server gives meshfence for a mesh.
const webhookTimeout = 10 * time.Second

// memoryLimit is that of the Deployment.
const memoryLimit = 512 << 20

// TestAbuse measures what large inputs and bad clients cost. docs/limits.md has the numbers of a long run.
func TestAbuse(t *testing.T) {
	s := start(t)
	t.Run("many large bodies at once", s.largeBodies)
	t.Run("namespaces with very many labels", s.giantNamespaces)
	t.Run("requests that are given up", s.resets)
	t.Run("very many namespaces hit by one selector", s.manyNamespaces)
	t.Run("many meshes with many selectors with many values", s.giants)
	if !long() {
		return
	}
	t.Run("many connections that are held", s.heldConnections)
	t.Run("ConfigMaps of a tenant that carry very much", s.giantConfigMaps)
}

// peak returns the most memory that a process has had, in bytes.
func peak(t *testing.T, process *harness.Process) int {
	t.Helper()
	return ofStatus(t, process, "VmHWM:")
}

// ofStatus returns what the kernel says of a process, in bytes.
func ofStatus(t *testing.T, process *harness.Process, what string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.PID()))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == what {
			kilobytes, err := strconv.Atoi(fields[1])
			must(t, err)
			return kilobytes << 10
		}
	}
	t.Fatal("no " + what)
	return 0
}

func withinMemory(t *testing.T, process *harness.Process, what string) {
	t.Helper()
	most := peak(t, process)
	count(t, "%s: at most %d MiB of memory", what, most>>20)
	if most > memoryLimit {
		t.Errorf("%d MiB are more than the Deployment has", most>>20)
	}
}

// direct returns a client that asks a replica without an API server.
func (s *suite) direct(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	content, err := os.ReadFile(filepath.Join(s.CertDir(), "tls.crt"))
	must(t, err)
	pool.AppendCertsFromPEM(content)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, Protocols: &http.Protocols{}, MaxIdleConnsPerHost: 100,
	}
	transport.Protocols.SetHTTP1(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// review is a request for a namespace with an annotation of so many bytes.
func review(t *testing.T, size int) []byte {
	t.Helper()
	object, err := json.Marshal(&corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{"padding": strings.Repeat("x", size)}},
	})
	must(t, err)
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "u", Operation: admissionv1.Create, Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Namespace"}, Object: runtime.RawExtension{Raw: object},
		},
	})
	must(t, err)
	return body
}

// post sends a review and returns the answer's code, 0 if it is allowed.
func post(c *http.Client, url string, body []byte) (int32, error) {
	response, err := c.Post(url, "application/json", bytes.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Response.Allowed {
		return 0, nil
	}
	return answer.Response.Result.Code, nil
}

func (s *suite) largeBodies(t *testing.T) {
	s.install(t, 1, harness.ProcessOptions{})
	process, c := s.replicas[0], s.direct(t)
	body := review(t, 7<<20-2000)
	codes := make([]int32, choose(48, 400))
	var group errgroup.Group
	group.SetLimit(48)
	begin := time.Now()
	for i := range codes {
		group.Go(func() (err error) {
			codes[i], err = post(c, "https://"+process.Address+"/validate/namespace", body)
			return err
		})
	}
	must(t, group.Wait())
	allowed, refused := 0, 0
	for _, code := range codes {
		switch code {
		case 0:
			allowed++
		case http.StatusServiceUnavailable, http.StatusBadRequest:
			refused++
		default:
			t.Errorf("answered with %d", code)
		}
	}
	count(t, "%d bodies of 7 MiB, 48 at once: %d judged, %d told to try again, in %v", len(codes), allowed, refused, since(begin))
	withinMemory(t, process, "large bodies")
	if allowed == 0 {
		t.Error("none was judged")
	}
}

// resets begins requests and takes them back.
func (s *suite) resets(t *testing.T) {
	s.install(t, 1, harness.ProcessOptions{})
	process, c := s.replicas[0], s.direct(t)
	body := review(t, 1000)
	var group errgroup.Group
	group.SetLimit(64)
	resets := choose(2000, 100000)
	for range resets {
		group.Go(func() error {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+process.Address+"/validate/namespace", bytes.NewReader(body))
			if err != nil {
				return err
			}
			request.Header.Set("Content-Type", "application/json")
			fast := *c
			fast.Timeout = time.Millisecond
			if response, err := fast.Do(request); err == nil {
				return response.Body.Close()
			}
			return nil
		})
	}
	must(t, group.Wait())
	s.eventually(t, "mesh-label requests are answered", func() bool {
		return patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":"y"}`) == nil
	})
	withinMemory(t, process, fmt.Sprintf("%d requests that were given up after a millisecond", resets))
}

func (s *suite) manyNamespaces(t *testing.T) {
	must(t, s.Reset(t.Context()))
	number := choose(300, 10000)
	c := s.newClient(t, s.Config)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range number {
		group.Go(func() error {
			return c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n-%05d", i), Labels: map[string]string{"istio-discovery": "shared"}}})
		})
	}
	must(t, group.Wait())
	must(t, s.InstallWorkload(t.Context()))
	must(t, s.Client.Create(t.Context(), stressed("mesh-1", selecting("shared"), 0)))
	process, err := s.StartMeshfence(t.Context(), harness.ProcessOptions{})
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	begin := time.Now()
	err = s.Client.Create(t.Context(), stressed("mesh-2", selecting("shared"), 0))
	took := since(begin)
	if classify(err) != denied || !strings.Contains(err.Error(), fmt.Sprintf(" and %d more", number-10)) {
		t.Errorf("%v; want a denial that names ten namespaces and counts the others", err)
	}
	if took > webhookTimeout || len(err.Error()) > 4096 {
		t.Errorf("it took %v, and the message has %d bytes", took, len(err.Error()))
	}
	count(t, "a mesh that overlaps on %d namespaces is refused in %v", number, took)
	withinMemory(t, process, fmt.Sprintf("%d namespaces", number))
	must(t, s.StopMeshfence())
}

// giants has a fleet of meshes with 50 selectors of 50 values each.
func (s *suite) giants(t *testing.T) {
	must(t, s.Reset(t.Context()))
	number := choose(25, 500)
	giant := func(name string, first int) *unstructured.Unstructured {
		list := make([]metav1.LabelSelector, 50)
		for i := range list {
			values := make([]string, 50)
			for j := range values {
				values[j] = fmt.Sprintf("value-%06d", first*2500+i*50+j)
			}
			list[i].MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "istio-discovery", Operator: "In", Values: values}}
		}
		return stressed(name, list, 0)
	}
	istios := istiosOf(t, s.Config)
	for i := range number {
		_, err := istios.Create(t.Context(), giant(fmt.Sprint("giant-", i), i), metav1.CreateOptions{})
		must(t, err)
	}
	must(t, s.InstallWorkload(t.Context()))
	process, err := s.StartMeshfence(t.Context(), harness.ProcessOptions{})
	must(t, err)
	must(t, s.InstallWebhooks(t.Context()))
	for _, test := range []struct {
		name  string
		first int
		want  outcome
	}{{"apart", number, done}, {"the-same", 0, denied}} {
		begin := time.Now()
		_, err := istios.Create(t.Context(), giant(test.name, test.first), metav1.CreateOptions{})
		took := since(begin)
		if classify(err) != test.want || took > webhookTimeout {
			t.Errorf("%s: %v after %v", test.name, err, took)
		}
		count(t, "beside %d meshes with 50 selectors of 50 values, one more is %s in %v", number, classify(err), took)
	}
	withinMemory(t, process, fmt.Sprintf("%d meshes with 50 selectors of 50 values", number))
	must(t, s.StopMeshfence())
}
