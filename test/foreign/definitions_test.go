package foreign

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/test/harness"
)

// meshesAndGateway are two meshes, the PeerAuthentication of one of them, and Gateways of which one names the other mesh's revision.
const meshesAndGateway = `
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system-1, labels: {istio-discovery: mesh-1}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: istio-system-2, labels: {istio-discovery: mesh-2}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}}}
---
{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-1}, spec: {version: v1.30.3, namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}]}}}}
---
{apiVersion: sailoperator.io/v1, kind: Istio, metadata: {name: mesh-2}, spec: {version: v1.30.3, namespace: istio-system-2, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-2}}]}}}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system-1}, spec: {mtls: {mode: STRICT}}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: istio}, spec: {controllerName: istio.io/gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: right, namespace: shop}, spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: wrong, namespace: shop, labels: {istio.io/rev: mesh-2}}, spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}
`

// The audit reads objects of the published definitions: Istio's own and those of the Gateway API, from their modules, in the place of the shortened ones.
func TestTheAuditReadsObjectsOfThePublishedDefinitions(t *testing.T) {
	cluster, err := harness.Start(t.Context(), harness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubectl := func(args ...string) {
		t.Helper()
		if _, stderr, err := cluster.RunKubectl(t.Context(), t.TempDir(), args...); err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, stderr)
		}
	}
	gateways := filepath.Join(moduleDir(t, "sigs.k8s.io/gateway-api"), "config", "crd", "standard")
	kubectl("delete", "crd", "peerauthentications.security.istio.io", "gateways.gateway.networking.k8s.io", "gatewayclasses.gateway.networking.k8s.io")
	kubectl("create", "-f", filepath.Join(moduleDir(t, "istio.io/istio"), "manifests", "charts", "base", "files", "crd-all.gen.yaml"))
	kubectl("create", "-f", filepath.Join(gateways, "gateway.networking.k8s.io_gateways.yaml"), "-f", filepath.Join(gateways, "gateway.networking.k8s.io_gatewayclasses.yaml"))
	kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
	if err := cluster.ForgetDiscovery(); err != nil {
		t.Fatal(err)
	}
	objects := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(objects, []byte(meshesAndGateway), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl("apply", "-f", objects)
	if err := cluster.Operate(t.Context()); err != nil {
		t.Fatal(err)
	}
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "meshfence"), "check", "--kubeconfig", cluster.Kubeconfig)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	for _, says := range []string{
		"Gateway shop/wrong\n", `MF905 GatewayWithoutRevision: its label istio.io/rev=mesh-2 names mesh "mesh-2"`,
		"Istio mesh-2\n", `MF901 StrictMTLSMissing: its root namespace "istio-system-2" has no PeerAuthentication`, "2 findings, of which 1 of level deny",
	} {
		if !strings.Contains(stdout.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, stdout.String())
		}
	}
	if stderr.Len() > 0 {
		t.Error(stderr.String())
	}
}
