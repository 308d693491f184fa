package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(watchdogTestDir); dir != "" {
		watchdogTestMain(dir)
		return
	}
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// startCluster starts an API server where the harness's own manifests take the place of deploy/, and meshfence cannot
// be started.
func startCluster(t *testing.T) *Cluster {
	t.Helper()
	cannotStart, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), Options{Manifests: []string{"testdata/install.yaml"}, Binary: cannotStart})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
			t.Errorf("the cluster's folder %s is still there", c.dir)
		}
	})
	return c
}

func TestCluster(t *testing.T) {
	c := startCluster(t)
	t.Run("after Reset the cluster is as it was in the beginning", func(t *testing.T) { testReset(t, c) })
	t.Run("of a webhook configuration only the address is changed", func(t *testing.T) { testInstallWebhooks(t, c) })
	t.Run("if every line does what it says, the case passes", func(t *testing.T) {
		if result := c.RunCase(t.Context(), "testdata/cases/passes.txtar"); result.Status != Passed {
			t.Errorf("status %v:\n%s", result.Status, result.Output)
		}
	})
	t.Run("if a line does not, the case fails and says all", func(t *testing.T) { testFailingCase(t, c) })
}

// inventory lists all objects that Reset is responsible for, with their labels and finalizers.
func inventory(t *testing.T, c *Cluster) map[objectKey]metav1.ObjectMeta {
	t.Helper()
	kinds, err := c.deletableKinds("")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		kinds = append(kinds, admissionregistrationv1.SchemeGroupVersion.WithKind(kind))
	}
	kinds = append(kinds, corev1.SchemeGroupVersion.WithKind("Namespace"),
		apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	objects, err := c.objects(t.Context(), kinds, "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[objectKey]metav1.ObjectMeta{}
	for i := range objects {
		if objects[i].Namespace != metav1.NamespaceSystem {
			all[keyOf(&objects[i])] = metav1.ObjectMeta{Labels: objects[i].Labels, Finalizers: objects[i].Finalizers}
		}
	}
	return all
}

func testReset(t *testing.T, c *Cluster) {
	ctx := t.Context()
	if err := c.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	before := inventory(t, c)
	clutter(t, c)
	began := time.Now()
	if err := c.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("Reset took %s", time.Since(began))
	if diff := cmp.Diff(before, inventory(t, c), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("inventory after Reset (-before +after):\n%s", diff)
	}
	if err := c.Client.Create(ctx, namespace("asked"), client.DryRunAll); err != nil {
		t.Errorf("after Reset a webhook is still asked: %v", err)
	}
}

// clutter leaves behind what a case can: also what holds on to its existence, or refuses requests.
func clutter(t *testing.T, c *Cluster) {
	t.Helper()
	ctx := t.Context()
	if err := c.Install(ctx); err != nil {
		t.Fatal(err)
	}
	held := namespace("held")
	held.Finalizers = []string{"example.com/hold"}
	istio := &unstructured.Unstructured{}
	istio.SetGroupVersionKind(schema.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: "Istio"})
	istio.SetName("mesh-1")
	istio.SetFinalizers([]string{"sailoperator.io/sail-operator"})
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "held", Name: "settings"}}
	inDefault := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "settings"}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}
	for _, object := range []client.Object{held, settings, inDefault, istio, role} {
		if err := c.Client.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Client.Delete(ctx, held); err != nil {
		t.Fatal(err)
	}
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"istio.io/rev":"mesh-1"}}}`))
	if err := c.Client.Patch(ctx, namespace("default"), label); err != nil {
		t.Fatal(err)
	}
	tag := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "istiorevisiontags.sailoperator.io"}}
	if err := c.Client.Delete(ctx, tag); err != nil {
		t.Fatal(err)
	}
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{name: "yes"}}}
}

func testInstallWebhooks(t *testing.T, c *Cluster) {
	ctx := t.Context()
	if err := c.Install(ctx); err != nil {
		t.Fatal(err)
	}
	err := c.Client.Create(ctx, namespace("asked"), client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), `failed calling webhook "namespace.validate.meshfence.io"`) {
		t.Errorf("right after Install the webhook is not asked: %v", err)
	}
	if err := c.Client.Create(ctx, namespace("other"), client.DryRunAll); err != nil {
		t.Errorf("the matchConditions are not in force: %v", err)
	}
	var got admissionregistrationv1.ValidatingWebhookConfiguration
	if err := c.Client.Get(ctx, client.ObjectKey{Name: "meshfence"}, &got); err != nil {
		t.Fatal(err)
	}
	want := manifest(t, c)
	url := "https://" + c.serving.address() + "/validate/namespace"
	want.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: c.serving.authority}
	want.MatchPolicy = got.Webhooks[0].MatchPolicy
	want.NamespaceSelector, want.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
	if diff := cmp.Diff(want, got.Webhooks[0]); diff != "" {
		t.Errorf("webhook (-manifest +stored):\n%s", diff)
	}
}

// manifest returns the webhook of the harness's own manifests.
func manifest(t *testing.T, c *Cluster) admissionregistrationv1.ValidatingWebhook {
	t.Helper()
	objects, err := c.Manifests()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if config, ok := object.(*admissionregistrationv1.ValidatingWebhookConfiguration); ok {
			return config.Webhooks[0]
		}
	}
	t.Fatal("no webhook in the manifests")
	return admissionregistrationv1.ValidatingWebhook{}
}

func testFailingCase(t *testing.T, c *Cluster) {
	result := c.RunCase(context.Background(), "testdata/cases/fails.txtar")
	if result.Status != Failed || result.Name != "fails" {
		t.Errorf("%s ended with status %v", result.Name, result.Status)
	}
	for _, want := range []string{
		"> ! kubectl label namespace team-a istio.io/rev=mesh-1\n",
		"namespace/team-a labeled\n",
		"fails.txtar:6: kubectl succeeded, and the script expects it to be refused\n",
		"istio-discovery=mesh-1,istio.io/rev=mesh-1,kubernetes.io/metadata.name=team-a\n",
		"--- meshfence is not running\n",
	} {
		if !strings.Contains(result.Output, want) {
			t.Errorf("the output lacks %q:\n%s", want, result.Output)
		}
	}
}

func TestAClusterStopsAlthoughItsStartFailed(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	_, err := Start(t.Context(), Options{})
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Start without an API server: %v; want that alone to be said", err)
	}
}
