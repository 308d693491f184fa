package foreign

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
	"github.com/meshfence/meshfence/test/harness/transcript"
)

// TestTranscripts replays those consoles of docs/install.md that need cert-manager: how a cluster that has begun without it goes over to it, and
// how one that has it installs meshfence with one command.
func TestTranscripts(t *testing.T) {
	cluster := startCluster(t)
	replay := func(name string) {
		t.Helper()
		if _, err := transcript.Replay(t.Context(), cluster, name); err != nil {
			t.Fatal(err)
		}
	}
	replay("helm")
	replay("change-certificates")
	judges(t, cluster, "x")

	replay("remove-with-helm")
	// In this order the Certificates are gone, and cert-manager does not make the Secrets again.
	replay("remove-the-rest")
	replay("cert-manager")
	judges(t, cluster, "y")
}

// judges waits until meshfence answers about another value of a mesh label, with a certificate of cert-manager's.
func judges(t *testing.T, cluster *harness.Cluster, value string) {
	t.Helper()
	eventually(t, "meshfence judges", func() error { return relabel(t.Context(), cluster, value) })
	eventually(t, "what cert-manager has issued is served and trusted", func() error {
		return servedIsStored(t, cluster, client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"})
	})
}
