package install

import (
	"fmt"
	"net/http"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// TestRequestsOfTheAccountHavePriority asks the API server, with priority and fairness as in every cluster, which of its priority levels
// the requests of meshfence's account are in, and those of another one.
func TestRequestsOfTheAccountHavePriority(t *testing.T) {
	t.Parallel()
	cluster, err := harness.Start(t.Context(), harness.Options{APIServerFlags: map[string]string{"enable-priority-and-fairness": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := cluster.InstallWorkload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{Cluster: cluster, t: t}
	schema, high, low := &flowcontrolv1.FlowSchema{}, &flowcontrolv1.PriorityLevelConfiguration{}, &flowcontrolv1.PriorityLevelConfiguration{}
	for name, object := range map[string]client.Object{"meshfence": schema, "workload-high": high, "workload-low": low} {
		w.do("read "+name, w.Client.Get(t.Context(), client.ObjectKey{Name: name}, object))
	}
	w.eventually("meshfence's requests are in workload-high", func() error {
		if flow, level := w.flow(account); flow != string(schema.UID) || level != string(high.UID) {
			return fmt.Errorf("they are of the FlowSchema %s (want %s) and the level %s (want %s)", flow, schema.UID, level, high.UID)
		}
		return nil
	})
	if flow, level := w.flow("system:serviceaccount:meshfence-system:other"); flow == string(schema.UID) || level != string(low.UID) {
		t.Errorf("those of another account are of the FlowSchema %s and the level %s, want another than %s, and %s", flow, level, schema.UID, low.UID)
	}
}

// flow makes a request as a service account and returns what the API server says of its priority.
func (w *world) flow(account string) (schema, level string) {
	w.t.Helper()
	config := rest.CopyConfig(w.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: account, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	c, err := rest.HTTPClientFor(config)
	w.do("make a client", err)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.Config.Host+"/apis/sailoperator.io/v1/istios", http.NoBody)
	w.do("make a request", err)
	response, err := c.Do(request)
	w.do("ask for the Istios", err)
	defer response.Body.Close()
	return response.Header.Get("X-Kubernetes-PF-FlowSchema-UID"), response.Header.Get("X-Kubernetes-PF-PriorityLevel-UID")
}
