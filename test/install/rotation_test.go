package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/meshfence/meshfence/certs"
	"github.com/meshfence/meshfence/test/harness"
)

// TestReplicasRotateTogether runs three replicas that make their certificates themselves, with the rights of the manifests and with
// lifetimes of seconds, and asks each of them without a pause as the API server would: trusting what the webhook configurations say.
// Not one handshake may fail, through several authorities, a deleted Secret and caBundles that somebody destroys.
func TestReplicasRotateTogether(t *testing.T) {
	t.Parallel()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.Start(t.Context(), harness.Options{Manifests: []string{root + "/deploy/meshfence-self-signed.yaml"}})
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
	if text, stderr, err := cluster.RunKubectl(t.Context(), root, "apply", "-f", "deploy/meshfence-self-signed.yaml"); err != nil {
		t.Fatal(text, stderr, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	var replicas []string
	for range 3 {
		address, run := replica(t, cluster)
		replicas = append(replicas, address)
		group.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	seen := &witness{client: cluster.Client, replicas: replicas, authorities: map[string]bool{}, certificates: map[string]bool{}}
	w := &world{Cluster: cluster, t: t, root: root}
	w.eventually("every replica is trusted", func() error { return seen.ask(t.Context()) })
	asked := 0
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	until := func(what string, happened func() bool) {
		t.Helper()
		for deadline := time.Now().Add(limit); !happened(); asked++ {
			if err := seen.ask(t.Context()); err != nil {
				t.Fatalf("handshake %d, while waiting until %s: %v", asked, what, err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("not within %s: %s", limit, what)
			}
			<-pace.C
		}
	}
	until("two authorities have signed", func() bool { return len(seen.authorities) >= 2 })

	authorities := len(seen.authorities)
	if err := cluster.Client.Delete(t.Context(), secret()); err != nil {
		t.Fatal(err)
	}
	until("the deleted Secret is there again", func() bool {
		return cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(secret()), secret()) == nil
	})
	until("another authority signs", func() bool { return len(seen.authorities) > authorities })

	w.kubectl("patch", "validatingwebhookconfiguration", "meshfence", "--type=json", "-p",
		`[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "Z29uZQ=="}, {"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]`)
	w.eventually("the caBundles are repaired", func() error { return seen.ask(t.Context()) })
	w.removed(seen)
	t.Logf("%d rounds of handshakes, %d authorities, %d certificates", asked, len(seen.authorities), len(seen.certificates))
}

// removed: who removes meshfence, the webhook configurations first, finds no Secret that replicas have made again; who installs it again
// finds those replicas trusted.
func (w *world) removed(seen *witness) {
	w.t.Helper()
	w.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "meshfence")
	w.do("delete the Secret", w.Client.Delete(w.t.Context(), secret()))
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for range 40 { // Replicas follow within milliseconds.
		<-pace.C
		if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(secret()), secret()); !apierrors.IsNotFound(err) {
			w.t.Fatalf("after the removal the Secret is there again (%v)", err)
		}
	}
	w.kubectl("apply", "-f", w.file("meshfence-self-signed.yaml"))
	w.eventually("every replica is trusted again", func() error { return seen.ask(w.t.Context()) })
}

func secret() *corev1.Secret {
	s := &corev1.Secret{}
	s.Namespace, s.Name = "meshfence-system", "meshfence-certs"
	return s
}

// replica returns the address where a replica serves, and what runs it.
func replica(t *testing.T, cluster *harness.Cluster) (string, func(context.Context) error) {
	t.Helper()
	account, err := cluster.As(t.Context(), client.ObjectKey{Namespace: "meshfence-system", Name: "meshfence"})
	if err != nil {
		t.Fatal(err)
	}
	clock := &certs.Clock{}
	account.Wrap(clock.Wrap)
	own, err := certs.NewSelfSigned(certs.Options{
		Namespace: "meshfence-system", Name: "meshfence", AuthorityDuration: 30 * time.Second, Duration: 12 * time.Second, Settle: 3 * time.Second,
		Clock: clock,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mgr, err := manager.New(account, manager.Options{
		Scheme:    cluster.Client.Scheme(),
		Metrics:   metricsserver.Options{BindAddress: "0"},
		Cache:     cache.Options{ByObject: own.CacheOptions()},
		NewClient: func(c *rest.Config, o client.Options) (client.Client, error) { o.Cache = nil; return client.New(c, o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{}
	own.Configure(config)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = connection.(*tls.Conn).Handshake() // The other side says whether it went well.
				connection.Close()
			}()
		}
	}()
	return listener.Addr().String(), mgr.Start
}

// witness asks replicas as the API server does, and remembers whom it has seen.
type witness struct {
	client                    client.Client
	replicas                  []string
	authorities, certificates map[string]bool
}

// ask makes a handshake with every replica, for every webhook there is.
func (s *witness) ask(ctx context.Context) error {
	validating, mutating := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{}
	key := client.ObjectKey{Name: "meshfence"}
	if err := errors.Join(s.client.Get(ctx, key, validating), s.client.Get(ctx, key, mutating)); err != nil {
		return err
	}
	bundles := map[string]bool{}
	for i := range validating.Webhooks {
		bundles[string(validating.Webhooks[i].ClientConfig.CABundle)] = true
	}
	for i := range mutating.Webhooks {
		bundles[string(mutating.Webhooks[i].ClientConfig.CABundle)] = true
	}
	for bundle := range bundles {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(bundle)) {
			return fmt.Errorf("a caBundle is %q", bundle)
		}
		for _, address := range s.replicas {
			config := &tls.Config{RootCAs: pool, ServerName: "meshfence.meshfence-system.svc"}
			connection, err := tls.DialWithDialer(&net.Dialer{Timeout: limit}, "tcp", address, config)
			if err != nil {
				return err
			}
			leaf := connection.ConnectionState().PeerCertificates[0]
			s.authorities[leaf.Issuer.CommonName], s.certificates[leaf.SerialNumber.String()] = true, true
			connection.Close()
		}
	}
	return nil
}
