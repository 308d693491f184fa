package foreign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"istio.io/istio/manifests"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// helmed is a cluster in which Istio's chart is installed with the real Helm. No istiod runs: its Deployment is an object.
type helmed struct {
	*harness.Cluster

	t     *testing.T
	chart string
}

// istioCharts are folders with the chart of istiod of two versions of Istio.
func istioCharts(t *testing.T) map[string]string {
	t.Helper()
	newer := filepath.Join(t.TempDir(), "newer")
	chart, err := fs.Sub(manifests.FS, "charts/istio-control/istio-discovery")
	if err == nil {
		err = os.CopyFS(newer, chart)
	}
	if err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "older")
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", older)
	cmd.Dir = "older"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return map[string]string{"newer": newer, "older": older}
}

// newHelmed starts a cluster without meshfence. Tests with one mostly wait, so they run beside each other.
func newHelmed(t *testing.T, chart string) *helmed {
	t.Helper()
	t.Parallel()
	cluster, err := harness.Start(t.Context(), harness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(cluster.MeshfenceLog())
		}
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &helmed{cluster, t, chart}
}

// guard starts meshfence.
func (h *helmed) guard() {
	h.t.Helper()
	if err := h.Install(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.StartMeshfence(h.t.Context(), harness.ProcessOptions{}); err != nil {
		h.t.Fatal(err)
	}
}

// TestIstioByHelm is Istio's guide "Install Multiple Istio Control Planes in a Single Cluster" with its charts, its mistakes, an upgrade by a canary, tags, and
// the end of it, with meshfence in front.
func TestIstioByHelm(t *testing.T) {
	for version, chart := range istioCharts(t) {
		t.Run(version, func(t *testing.T) {
			h := newHelmed(t, chart)
			h.kubectl("create namespace usergroup-1")
			h.kubectl("create namespace usergroup-2")
			h.kubectl("label namespace usergroup-1 usergroup=usergroup-1")
			h.kubectl("label namespace usergroup-2 usergroup=usergroup-2")
			if version == "older" { // than meshfence, too
				h.helm("install istiod-1", "usergroup-1", selecting("usergroup-1", "usergroup-1"))
			}
			h.guard()
			if version != "older" {
				h.helm("install istiod-1", "usergroup-1", selecting("usergroup-1", "usergroup-1"))
			}
			h.guide()
			h.upgrade()
			h.besideOthers()
			h.end()
		})
	}
}

// guide installs the second control plane, first with mistakes, and puts namespaces into the meshes.
func (h *helmed) guide() {
	h.t.Helper()
	h.helmFails("install istiod-2", "usergroup-2", selecting("usergroup-2", "usergroup-1"), "MF103 OverlappingSelectors")
	h.helm("uninstall istiod-2", "usergroup-2", "")
	h.helmFails("install istiod-2", "usergroup-2", "revision: usergroup-2\nglobal: {istioNamespace: usergroup-2}\n", "MF102 DiscoversEverything")
	h.helm("uninstall istiod-2", "usergroup-2", "")
	h.helm("install istiod-2", "usergroup-2", selecting("usergroup-2", "usergroup-2"))
	for _, n := range []string{"1", "2"} {
		h.kubectl("create namespace app-ns-" + n)
		h.says(h.kubectl("label namespace app-ns-"+n+" usergroup=usergroup-"+n), "meshfence filled in istio.io/rev=usergroup-"+n)
	}
	h.says(h.kubectlFails("label namespace app-ns-1 istio.io/rev=usergroup-2 --overwrite"), "MF202 RevisionOfAnotherMesh")
	h.says(h.kubectlFails("label namespace app-ns-1 usergroup=usergroup-2"), "--overwrite is false")
	h.helmFails("upgrade istiod-2", "usergroup-2", "revision: usergroup-2\nglobal: {istioNamespace: usergroup-2}\nmeshConfig: {discoverySelectors: [{matchExpressions: [{key: usergroup, operator: Exists}]}]}\n",
		"MF103 OverlappingSelectors")
	h.helm("rollback istiod-2 1", "usergroup-2", "")
	h.says(h.kubectlFails("delete configmap istio-usergroup-1 --namespace usergroup-1"), "MF116 DiscoversEverythingOnceDeleted")
	h.says(h.kubectlFails("delete configmap istio-usergroup-1 --namespace usergroup-1"), "helm uninstall istiod-1 --namespace usergroup-1")
}

// upgrade brings a canary beside the first control plane, moves a tag and a namespace to it, and takes the old revision away.
func (h *helmed) upgrade() {
	h.t.Helper()
	h.helm("upgrade istiod-1", "usergroup-1", selecting("usergroup-1", "usergroup-1")+"revisionTags: [stable]\n")
	h.says(h.eventually("label namespace app-ns-1 istio.io/rev=stable --overwrite"), "labeled")
	h.helm("install istiod-1-canary", "usergroup-1", selecting("canary", "usergroup-1"))
	h.helm("upgrade istiod-1", "usergroup-1", selecting("usergroup-1", "usergroup-1"))
	h.helm("upgrade istiod-1-canary", "usergroup-1", selecting("canary", "usergroup-1")+"revisionTags: [stable]\n")
	h.says(h.eventually("label namespace app-ns-1 istio.io/rev=canary --overwrite"), "labeled")
	h.helm("uninstall istiod-1", "usergroup-1", "")
	if text := h.meshfence("explain namespace app-ns-1"); !strings.Contains(text, "usergroup-1") {
		h.t.Errorf("explain does not know the mesh:\n%s", text)
	}
	if text := h.meshfence("map"); !strings.Contains(text, "usergroup-2 (istiod Helm, control plane usergroup-2)") {
		h.t.Errorf("the map does not show the mesh:\n%s", text)
	}
}

// besideOthers has a mesh of the Sail operator beside the others, one of its library, and a Service Mesh 2.
func (h *helmed) besideOthers() {
	h.t.Helper()
	const istio = "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: mesh-3}\nspec: {version: v1.30.3, namespace: istio-system-3, values: {meshConfig: {discoverySelectors: [{matchLabels: {usergroup: %s}}]}}}\n"
	h.says(h.applyFails(fmt.Sprintf(istio, "usergroup-2")), "MF103 OverlappingSelectors")
	h.apply(fmt.Sprintf(istio, "usergroup-3"))
	h.helmFails("upgrade istiod-2", "usergroup-2", selecting("usergroup-2", "usergroup-3"), `a selector of Istio "mesh-3"`)
	h.helm("rollback istiod-2 1", "usergroup-2", "")
	h.kubectl("create namespace openshift-ingress")
	h.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-openshift-gateway, namespace: openshift-ingress, labels: {istio.io/rev: openshift-gateway, managed-by: sail-library}}\ndata: {mesh: 'rootNamespace: openshift-ingress'}\n")
	h.kubectl("delete configmap istio-openshift-gateway --namespace openshift-ingress")
	h.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-basic, namespace: openshift-ingress, labels: {istio.io/rev: basic, maistra-version: 2.6.0}}\ndata: {mesh: ''}\n")
	h.kubectl("delete configmap istio-basic --namespace openshift-ingress")
}

// end uninstalls everything, which must pass.
func (h *helmed) end() {
	h.t.Helper()
	h.helm("uninstall istiod-2", "usergroup-2", "")
	h.helm("uninstall istiod-1-canary", "usergroup-1", "")
	var left appsv1.DeploymentList
	if err := h.Client.List(h.t.Context(), &left, client.MatchingLabels{"app": "istiod"}); err != nil || len(left.Items) != 0 {
		h.t.Errorf("%d istiods are left: %v", len(left.Items), err)
	}
}

// selecting are the values of the guide for a revision that discovers what has a usergroup.
func selecting(revision, usergroup string) string {
	return fmt.Sprintf("revision: %s\nmeshConfig: {discoverySelectors: [{matchLabels: {usergroup: %s}}]}\n", revision, usergroup)
}

func (h *helmed) run(stdin, program string, args ...string) (string, error) {
	h.t.Helper()
	env, err := h.UserEnv()
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	path := ""
	for _, variable := range env { // the program is looked for where the user's shell would
		if dirs, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = dirs
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			program = filepath.Join(dir, program)
			break
		}
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func (h *helmed) helmed(command, namespace, values string) (string, error) {
	h.t.Helper()
	args := append(strings.Fields(command), "--namespace", namespace)
	if words := strings.Fields(command); words[0] == "install" || words[0] == "upgrade" {
		// The operator of a cluster gives the namespace to the chart, too, which has another default.
		args = append(args, h.chart, "--values", "-", "--set", "global.istioNamespace="+namespace)
	}
	return h.run(values, "helm", args...)
}

func (h *helmed) helm(command, namespace, values string) {
	h.t.Helper()
	if out, err := h.helmed(command, namespace, values); err != nil {
		h.t.Fatalf("helm %s: %v\n%s", command, err, out)
	}
}

func (h *helmed) helmFails(command, namespace, values, says string) {
	h.t.Helper()
	out, err := h.helmed(command, namespace, values)
	if err == nil {
		h.t.Fatalf("helm %s was admitted:\n%s", command, out)
	}
	h.says(out, says)
}

func (h *helmed) kubectl(command string) string {
	h.t.Helper()
	out, err := h.run("", "kubectl", strings.Fields(command)...)
	if err != nil {
		h.t.Fatalf("kubectl %s: %v\n%s", command, err, out)
	}
	return out
}

func (h *helmed) kubectlFails(command string) string {
	h.t.Helper()
	out, err := h.run("", "kubectl", strings.Fields(command)...)
	if err == nil {
		h.t.Fatalf("kubectl %s was admitted:\n%s", command, out)
	}
	return out
}

// eventually is kubectl for what meshfence hears of by a watch.
func (h *helmed) eventually(command string) (out string) {
	h.t.Helper()
	eventually(h.t, command, func() (err error) {
		if out, err = h.run("", "kubectl", strings.Fields(command)...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return out
}

func (h *helmed) apply(object string) {
	h.t.Helper()
	if out, err := h.run(object, "kubectl", "apply", "-f", "-"); err != nil {
		h.t.Fatalf("%v\n%s\n%s", err, out, object)
	}
}

func (h *helmed) applyFails(object string) string {
	h.t.Helper()
	out, err := h.run(object, "kubectl", "apply", "-f", "-")
	if err == nil {
		h.t.Fatalf("admitted:\n%s", object)
	}
	return out
}

// meshfence runs one of the commands that look, whose status says what they found.
func (h *helmed) meshfence(command string) string {
	h.t.Helper()
	root, err := harness.Root()
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := h.run("", filepath.Join(root, "bin", "meshfence"), strings.Fields(command)...)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return out
}

func (h *helmed) says(text, want string) {
	h.t.Helper()
	if !strings.Contains(text, want) {
		h.t.Errorf("it does not say %q:\n%s", want, text)
	}
}
