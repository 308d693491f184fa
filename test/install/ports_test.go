package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestPorts installs meshfence with other ports and more environment than the defaults, and shows that the way from the API server to the process is the
// one that the manifests name: with another port of the Service's, of the container's or of a probe's nothing works.
func TestPorts(t *testing.T) {
	w := start(t, nil)
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace",
		"--set", "certs.mode=self-signed,port=9444,healthPort=9081,metricsPort=9080,extraEnv[0].name=GREETING,extraEnv[0].value=hello")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges", w.guarded)
	w.hasEnvironment("GREETING=hello")
	w.metricsAreThere()
	if err := w.Node.Err(); err != nil {
		t.Fatal(err)
	}

	// Connections that the API server has kept stay where they are, so the pods are replaced too.
	w.patch("service", "/spec/ports/0/targetPort", `9443`)
	w.kubectl("-n", "meshfence-system", "rollout", "restart", "deployment/meshfence")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("the Service leads to a port on which no process listens", w.unanswered)
	w.patch("service", "/spec/ports/0/targetPort", `"webhooks"`)
	w.eventually("meshfence judges again", w.guarded)

	const container = "/spec/template/spec/containers/0"
	w.patch("deployment", container+"/ports/0/containerPort", `9443`)
	w.rollout("meshfence-system", "meshfence")
	w.eventually("the container names a port on which its process does not listen", w.unanswered)
	w.patch("service", "/spec/ports/0/targetPort", `9444`)
	w.eventually("a Service that names the right one by its number does without", w.guarded)

	for probe, wrong := range map[string]string{"startupProbe": `/nothing`, "readinessProbe": `/nothing`} {
		w.patch("deployment", container+"/"+probe+"/httpGet/path", `"`+wrong+`"`)
		w.eventually("the new pod does not get ready by its "+probe, func() error {
			if text := w.kubectl("-n", "meshfence-system", "get", "deployment", "meshfence", "-o", "jsonpath={.status.updatedReplicas} {.status.replicas} {.status.readyReplicas}"); text != "1 3 2" {
				return fmt.Errorf("updated, all and ready replicas are %s", text)
			}
			return nil
		})
		right := map[string]string{"startupProbe": "/healthz", "readinessProbe": "/readyz"}[probe]
		w.patch("deployment", container+"/"+probe+"/httpGet/path", `"`+right+`"`)
		w.rollout("meshfence-system", "meshfence")
	}
	if err := w.Node.Err(); err != nil {
		t.Fatal(err)
	}
	// Of the liveness probe's failures one is enough here, and one second.
	w.patch("deployment", container+"/livenessProbe", `{"httpGet": {"path": "/nothing", "port": "health"}, "periodSeconds": 1, "failureThreshold": 1}`)
	w.eventually("a pod is started again by its liveness probe", func() error {
		if err := w.Node.Err(); err == nil || !strings.Contains(err.Error(), "its liveness probe has failed for 1s") {
			return errors.Join(errors.New("the node has not said so"), err)
		}
		return nil
	})
}

// TestHostNetwork upgrades to the network of the nodes as documented, which the API server takes, and the namespace's level of Pod Security does not.
func TestHostNetwork(t *testing.T) {
	w := start(t, nil)
	w.helm("install", "meshfence", w.chart(), "--namespace", "meshfence-system", "--create-namespace", "--set", "certs.mode=self-signed")
	w.rollout("meshfence-system", "meshfence")
	w.replay("host-network")
	w.rollout("meshfence-system", "meshfence")
	w.eventually("meshfence judges", w.guarded)
	for level, allowed := range map[string]bool{"privileged": true, "baseline": false} {
		w.kubectl("label", "--overwrite", "namespace", "meshfence-system", "pod-security.kubernetes.io/enforce="+level)
		if err := w.podOf("meshfence-system", "meshfence"); (err == nil) != allowed {
			t.Errorf("where Pod Security enforces %s: %v", level, err)
		}
	}
}

// patch replaces a part of an object of meshfence's.
func (w *world) patch(kind, path, value string) {
	w.t.Helper()
	w.kubectl("-n", "meshfence-system", "patch", kind, "meshfence", "--type=json", "-p", fmt.Sprintf(`[{"op": "replace", "path": %q, "value": %s}]`, path, value))
}

// unanswered is a condition: a namespace whose mesh labels change is refused because no answer comes.
func (w *world) unanswered() error {
	text, err := w.try(fmt.Sprintf(conflicting, "conflicting"), "create", "--dry-run=server", "-f", "-")
	if err == nil || !strings.Contains(text, "failed calling webhook") {
		return fmt.Errorf("it is answered with: %s", text)
	}
	return nil
}

// hasEnvironment checks that the process of each ready pod has a variable.
func (w *world) hasEnvironment(variable string) {
	w.t.Helper()
	for _, process := range w.Node.Ready(client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}) {
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(process.PID()), "environ"))
		w.do("read the environment", err)
		if !strings.Contains("\x00"+string(text), "\x00"+variable+"\x00") {
			w.t.Errorf("%s is not in the environment %q", variable, text)
		}
	}
}
