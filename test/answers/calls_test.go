package answers

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// calls are how often the API server has asked each webhook about something.
type calls struct{ Fill, Validate int }

// calls sends changes of namespaces, and counts by the API server's own metric which webhooks it asked: none about what is
// nobody's business, the mutating one only where something may be filled in.
func (s *suite) calls(t *testing.T) {
	s.start(t, "exemptNamespaces: [], rules: {MF205: warn}")
	client, err := kubernetes.NewForConfig(s.Config)
	must(t, err)
	create := func(name, metadata string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			_, err := client.CoreV1().RESTClient().Post().Resource("namespaces").Body([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"`+name+`",`+metadata+`}}`)).
				SetHeader("Content-Type", "application/json").DoRaw(t.Context())
			must(t, err)
		}
	}
	patch := func(metadata string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			_, err := client.CoreV1().Namespaces().Patch(t.Context(), "plain", types.MergePatchType, []byte(`{"metadata":{`+metadata+`}}`), metav1.PatchOptions{})
			must(t, err)
		}
	}
	status := func() func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			_, err := client.CoreV1().Namespaces().Patch(t.Context(), "plain", types.MergePatchType, []byte(`{"status":{"phase":"Active"}}`), metav1.PatchOptions{}, "status")
			must(t, err)
		}
	}
	const discovered, revision, fill = `"istio-discovery":"mesh-1"`, `"istio.io/rev":"mesh-1"`, `"meshfence.io/fill":"false"`
	for _, step := range []struct {
		name string
		send func(*testing.T)
		want calls
	}{
		{"created without mesh labels", create("plain", `"labels":{"team":"a"}`), calls{}},
		{"another label", patch(`"labels":{"team":"b"}`), calls{}},
		{"an annotation", patch(`"annotations":{"a":"b"}`), calls{}},
		{"its status", status(), calls{}},
		{"the discovery label alone", patch(`"labels":{` + discovered + `}`), calls{Fill: 1, Validate: 1}},
		{"another label beside what was filled in", patch(`"labels":{"team":"c"}`), calls{}},
		{"to another mesh, what was filled in follows", patch(`"labels":{"istio-discovery":"mesh-2"}`), calls{Fill: 1, Validate: 1}},
		{"to another mesh by both labels", patch(`"labels":{` + discovered + `,` + revision + `}`), calls{Validate: 1}},
		{"both labels go away", patch(`"labels":{"istio-discovery":null,"istio.io/rev":null}`), calls{Fill: 1, Validate: 1}},
		{"opted out", patch(`"annotations":{` + fill + `}`), calls{}},
		{"the discovery label where somebody opted out", patch(`"labels":{` + discovered + `}`), calls{Validate: 1}},
		{"created with the discovery label", create("filled", `"labels":{`+discovered+`}`), calls{Fill: 1, Validate: 1}},
		{"created with both labels", create("whole", `"labels":{`+discovered+`,`+revision+`}`), calls{Validate: 1}},
		{"created and opted out", create("out", `"labels":{`+discovered+`},"annotations":{`+fill+`}`), calls{Validate: 1}},
		{"a revision alone", patch(`"labels":{"istio-discovery":null,` + revision + `},"annotations":{"meshfence.io/fill":null}`), calls{Validate: 1}},
		{"the discovery label comes to it", patch(`"labels":{` + discovered + `}`), calls{Fill: 1, Validate: 1}},
		{"another discovery label takes its place", patch(`"labels":{"istio-discovery":null,"istio.io/rev":null,"mesh":"mesh-1"}`), calls{Fill: 1, Validate: 1}},
		{"ambient mode appears", patch(`"labels":{"istio.io/dataplane-mode":"ambient"}`), calls{Fill: 1, Validate: 1}},
		{"created without injection", create("disabled", `"labels":{`+discovered+`,"istio-injection":"disabled"}`), calls{Validate: 1}},
		{"created as from a backup", create("restored", `"labels":{`+discovered+`,`+revision+`},"annotations":{"meshfence.io/filled-revision":"mesh-1"}`), calls{Validate: 1}},
	} {
		before := s.asked(t, client)
		step.send(t)
		after := s.asked(t, client)
		if diff := cmp.Diff(step.want, calls{after.Fill - before.Fill, after.Validate - before.Validate}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	filled, err := client.CoreV1().Namespaces().Get(t.Context(), "filled", metav1.GetOptions{})
	must(t, err)
	if got := filled.Labels["istio.io/rev"]; got != "mesh-1" {
		t.Errorf("filled in: %q", got)
	}
}

// asked reads the API server's metric of webhooks that were asked and answered.
func (s *suite) asked(t *testing.T, client *kubernetes.Clientset) calls {
	t.Helper()
	page, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	must(t, err)
	count := func(webhook string) (total int) {
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "apiserver_admission_webhook_admission_duration_seconds_count{") && strings.Contains(line, `name="`+webhook+`"`) {
				n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, "}")+1:]))
				must(t, err)
				total += n
			}
		}
		return total
	}
	return calls{Fill: count("namespace.fill.meshfence.io"), Validate: count("namespace.validate.meshfence.io")}
}
