package foreign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/meshfence/meshfence/test/harness"
)

// limit bounds every wait of these tests.
const limit = 2 * time.Minute

func TestMain(m *testing.M) {
	log.SetLogger(klog.Background())
	os.Exit(m.Run())
}

// moduleDir returns where Go keeps a module's source.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}

// TestCertManager installs the file for cert-manager beside cert-manager's own controllers and cainjector. They issue the certificate,
// inject its authority, and renew both while requests run, of which none may fail.
func TestCertManager(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	cluster := startCluster(t)
	eventually(t, "the manifests are accepted", func() error {
		_, stderr, err := cluster.RunKubectl(t.Context(), root, "apply", "-f", "deploy/meshfence-cert-manager.yaml")
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	})
	deployment := client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"}
	eventually(t, "meshfence is up", func() error { return cluster.Node.WaitRollout(t.Context(), deployment) })
	eventually(t, "meshfence judges", func() error { return relabel(t.Context(), cluster, "x") })

	stop := load(t, cluster)
	for _, name := range []string{"meshfence-serving", "meshfence-ca", "meshfence-serving"} {
		before := secretOf(t, cluster, name)
		renew(t, cluster, name)
		eventually(t, name+" is renewed", func() error {
			if secretOf(t, cluster, name) == before {
				return errors.New("the Secret is the same")
			}
			return nil
		})
	}
	eventually(t, "the renewed certificate is served and trusted", func() error { return servedIsStored(t, cluster, deployment) })
	stop()
}

// startCluster starts a cluster with a node and with cert-manager.
func startCluster(t *testing.T) *harness.Cluster {
	t.Helper()
	cluster, err := harness.Start(t.Context(), harness.Options{WithNode: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v\n%.10000s", cluster.Node.Err(), cluster.Node.Logs())
		}
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubectl(t, cluster, "apply", "--server-side", "-f", filepath.Join(moduleDir(t, "github.com/cert-manager/cert-manager"), "deploy", "crds"))
	if err := cmapi.AddToScheme(cluster.Client.Scheme()); err != nil {
		t.Fatal(err)
	}
	startCertManager(t, cluster)
	return cluster
}

// startCertManager runs the controllers that issue from self-signed and CA issuers, and the cainjector, as cert-manager's two
// programs do.
func startCertManager(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig: cluster.Kubeconfig, KubernetesAPIQPS: 1000, KubernetesAPIBurst: 1000,
		CertificateOptions: controller.CertificateOptions{CertificateRequestMinimumBackoffDuration: time.Second, CertificateRequestMaximumBackoffDuration: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, construct := range controller.Known() {
		control, err := construct(factory)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		group.Go(func() {
			if err := control.Run(2, ctx); err != nil && ctx.Err() == nil {
				t.Errorf("cert-manager's controller %s: %v", name, err)
			}
		})
	}
	shared, err := factory.Build()
	if err != nil {
		t.Fatal(err)
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())

	// The injector applies under the name of its program.
	config := rest.CopyConfig(cluster.Config)
	config.UserAgent = "cert-manager-cainjector"
	mgr, err := manager.New(config, manager.Options{
		Scheme: cluster.Client.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		// Each test has an injector, in one process.
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := cainjector.RegisterAllInjectors(ctx, mgr, cainjector.SetupOptions{
		EnableCertificatesDataSource: true,
		EnabledReconcilersFor: map[string]bool{
			cainjector.ValidatingWebhookConfigurationName: true, cainjector.MutatingWebhookConfigurationName: true,
		},
	}); err != nil {
		t.Fatal(err)
	}
	group.Go(func() {
		if err := mgr.Start(ctx); err != nil {
			t.Errorf("cert-manager's cainjector: %v", err)
		}
	})
}

func kubectl(t *testing.T, cluster *harness.Cluster, args ...string) {
	t.Helper()
	if stdout, stderr, err := cluster.RunKubectl(t.Context(), cluster.Dir(), args...); err != nil {
		t.Fatalf("kubectl %q: %v\n%s%s", args, err, stdout, stderr)
	}
}

// eventually polls a condition until it returns nil.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline, ticker := time.After(limit), time.NewTicker(100*time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s: %v", limit, what, err)
		case <-ticker.C:
		}
	}
}

// relabel makes one request that meshfence is asked about: an error unless it has answered.
func relabel(ctx context.Context, cluster *harness.Cluster, value string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	return cluster.Client.Patch(ctx, namespace, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"mesh":%q}}}`, value)))
}

// load makes requests without a pause until the returned function is called, which fails the test if one of them failed.
func load(t *testing.T, cluster *harness.Cluster) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	count := 0
	go func() {
		for ; ctx.Err() == nil; count++ {
			if err := relabel(ctx, cluster, fmt.Sprintf("m%d", count)); err != nil && ctx.Err() == nil {
				ended <- fmt.Errorf("request %d: %w", count, err)
				return
			}
		}
		ended <- nil
	}()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil || count == 0 {
			t.Errorf("of %d requests: %v", count, err)
		}
		t.Logf("%d requests", count)
	}
}

// secretOf returns the certificate in a Certificate's Secret.
func secretOf(t *testing.T, cluster *harness.Cluster, name string) string {
	t.Helper()
	certificate, secret := &cmapi.Certificate{}, &corev1.Secret{}
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: name}, certificate); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: certificate.Spec.SecretName}, secret); err != nil {
		t.Fatal(err)
	}
	return string(secret.Data["tls.crt"])
}

// renew asks for a new certificate now, as `cmctl renew` does: with the condition that the trigger controller sets in time.
func renew(t *testing.T, cluster *harness.Cluster, name string) {
	t.Helper()
	eventually(t, "a renewal of "+name+" can be asked for", func() error {
		certificate := &cmapi.Certificate{}
		if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: name}, certificate); err != nil {
			return err
		}
		now := metav1.Now()
		certificate.Status.Conditions = append(certificate.Status.Conditions, cmapi.CertificateCondition{
			Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered", LastTransitionTime: &now,
			ObservedGeneration: certificate.Generation,
		})
		return cluster.Client.Status().Update(t.Context(), certificate)
	})
}

// servedIsStored reports whether every pod serves what is in the Secret, and whether the caBundle has what signed it.
func servedIsStored(t *testing.T, cluster *harness.Cluster, deployment client.ObjectKey) error {
	secret, configuration := &corev1.Secret{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := errors.Join(
		cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence-serving"}, secret),
		cluster.Client.Get(t.Context(), client.ObjectKey{Name: "meshfence"}, configuration),
	); err != nil {
		return err
	}
	for _, webhook := range configuration.Webhooks {
		// The injector keeps the authorities of before as well.
		if !strings.Contains(string(webhook.ClientConfig.CABundle), string(secret.Data["ca.crt"])) {
			return fmt.Errorf("the caBundle of %s is\n%s\nand ca.crt\n%s", webhook.Name, webhook.ClientConfig.CABundle, secret.Data["ca.crt"])
		}
	}
	ready := cluster.Node.Ready(deployment)
	for _, process := range ready {
		served, err := process.ServedCertificate()
		if err != nil || !strings.Contains(string(secret.Data["tls.crt"]), served) {
			return fmt.Errorf("another certificate is served than tls.crt: %w", err)
		}
	}
	if len(ready) != 2 {
		return fmt.Errorf("%d pods are ready", len(ready))
	}
	return nil
}
