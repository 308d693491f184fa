package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/test/harness"
)

// asMain is the environment variable with which the test's program is the sandbox.
const asMain = "MESHFENCE_TEST_SANDBOX"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	log.SetLogger(logr.Discard())
	m.Run()
}

var webhookList = admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfigurationList")

func yes(context.Context, io.Writer) error { return nil }

// says is the agreement of a terminal at which a text is typed.
func says(text string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error { return ask(ctx, out, strings.NewReader(text)) }
}

func TestYESIsAYesOnlyIfItSaysSo(t *testing.T) {
	for _, word := range []string{"1", "y", "Y", "yes", "YES", "true"} {
		agree, err := agreement(word)
		if err != nil || agree(t.Context(), io.Discard) != nil {
			t.Errorf("YES=%s is no yes: %v", word, err)
		}
	}
	for _, word := range []string{"no", "n", "0", "false", "sure"} {
		if agree, err := agreement(word); agree != nil || err == nil || !strings.Contains(err.Error(), "YES="+word+" ") {
			t.Errorf("YES=%s: %v", word, err)
		}
	}
}

// A terminal at which nothing is typed does not keep the sandbox from ending.
func TestTheQuestionEndsWithCtrlC(t *testing.T) {
	terminal, typist := io.Pipe()
	defer typist.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- ask(ctx, &interrupter{io.Discard, "[y/N]", cancel}, terminal) }()
	select {
	case err := <-answered:
		if !errors.Is(err, errDeclined) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it still waits for an answer")
	}
}

// TestACluster runs the sandbox in an API server that another harness has started: whatever happens, it has afterwards what it had before.
func TestACluster(t *testing.T) {
	cluster, err := harness.Start(t.Context(), harness.Options{CRDs: harness.Slim})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	tests := map[string]func(*testing.T, *harness.Cluster){
		"if the answer is yes, then all is replayed and removed":                      testYes,
		"if definitions are missing, then they are made and removed":                  testWithoutDefinitions,
		"if the answer is no, then nothing is made":                                   testNo,
		"if Events are written, then those about objects of the run are removed":      testEvents,
		"if others have what an audit would find, then nothing is written about it":   testAudit,
		"if there is no terminal, then nothing is made":                               testNoTerminal,
		"if meshfence is there, then it stays":                                        testInstalled,
		"if a namespace of the replay is there, then it stays":                        testNamespaceThere,
		"if a mesh is there, then it stays":                                           testMeshThere,
		"if a mesh comes before the answer, then nothing is replayed":                 testMeshComes,
		"if it is interrupted while it installs, then it removes what it has made":    testInterruptedInstall,
		"if it is interrupted while it replays, then it removes what it has made":     testInterruptedReplay,
		"if the API server does not reach it, then it says so and removes":            testUnreachable,
		"if the API server is away while it removes, then it tries again":             testOutage,
		"if the API server stays away, then it says what it has not removed":          testLongOutage,
		"if it is interrupted when its output has no reader, then it removes":         testGone(syscall.SIGINT),
		"if its terminal is gone, then it removes what it has made":                   testGone(syscall.SIGHUP),
		"if it is killed, then the next one says how to remove what is left":          testKilled,
		"if the API server's certificate is not to be checked, then it is not":        testInsecure,
		"if the API server is behind a proxy, then meshfence uses it too":             testProxy,
		"if an object of another replaces one of the run's, then the other one stays": testReplaced,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := cluster.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, cluster)
		})
	}
}

// unchanged runs the sandbox and compares what the cluster had before with what it has afterwards.
func unchanged(ctx context.Context, t *testing.T, cluster *harness.Cluster, e *existing, out *bytes.Buffer, host string) error {
	t.Helper()
	before := snapshot(t, cluster)
	if e.out == nil {
		e.out = out
	}
	e.once = true
	err := e.run(ctx, cluster.Kubeconfig, host)
	if diff := cmp.Diff(before, snapshot(t, cluster)); diff != "" {
		t.Errorf("the cluster has changed (-before +after):\n%s\nThe sandbox printed:\n%s", diff, out)
	}
	return err
}

// snapshot lists every object of the cluster with its UID.
func snapshot(t *testing.T, cluster *harness.Cluster) []string {
	t.Helper()
	if err := cluster.ForgetDiscovery(); err != nil {
		t.Fatal(err)
	}
	kinds, stderr, err := cluster.RunKubectl(t.Context(), t.TempDir(), "api-resources", "--verbs=list,delete", "-o", "name")
	if err != nil {
		t.Fatal(stderr)
	}
	all := slices.DeleteFunc(strings.Fields(kinds), func(kind string) bool { return kind == "events.events.k8s.io" }) // events are these too
	objects, stderr, err := cluster.RunKubectl(t.Context(), t.TempDir(), "get", strings.Join(all, ","), "-A", "--no-headers", "-o",
		"custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name,U:.metadata.uid")
	if err != nil {
		t.Fatal(stderr)
	}
	lines := strings.Split(strings.TrimSpace(objects), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	slices.Sort(lines)
	return lines
}

func testYes(t *testing.T, cluster *harness.Cluster) {
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, &existing{agree: says("y\n")}, &out, ""); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"Cluster: context", strings.TrimSuffix(cluster.Config.Host, "/"), "Namespace meshfence-system", "app-ns-3", "[y/N]", "answers were as expected."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
}

func testWithoutDefinitions(t *testing.T, cluster *harness.Cluster) {
	if err := cluster.RemoveCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, &existing{agree: yes}, &out, ""); err != nil {
		t.Error(err)
	}
	if want := "CustomResourceDefinition istios.sailoperator.io"; !strings.Contains(out.String(), want) {
		t.Errorf("it does not say %q:\n%s", want, &out)
	}
}

func testNo(t *testing.T, cluster *harness.Cluster) {
	for _, answer := range []string{"n\n", "\n", "", "yess\n"} {
		var out bytes.Buffer
		err := unchanged(t.Context(), t, cluster, &existing{agree: says(answer)}, &out, "")
		if !errors.Is(err, errDeclined) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

// go test has no terminal.
func testNoTerminal(t *testing.T, cluster *harness.Cluster) {
	agree, err := agreement("")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, &existing{agree: agree}, &out, ""); !errors.Is(err, errDeclined) || !strings.Contains(err.Error(), "YES=1") {
		t.Error(err)
	}
}

func refusedBecause(t *testing.T, cluster *harness.Cluster, want string) {
	t.Helper()
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, &existing{agree: yes}, &out, ""); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func testInstalled(t *testing.T, cluster *harness.Cluster) {
	if err := cluster.InstallWorkload(t.Context()); err != nil {
		t.Fatal(err)
	}
	refusedBecause(t, cluster, `Namespace "meshfence-system" is in the cluster already`)
}

func testNamespaceThere(t *testing.T, cluster *harness.Cluster) {
	if err := cluster.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app-ns-2"}}); err != nil {
		t.Fatal(err)
	}
	refusedBecause(t, cluster, `Namespace "app-ns-2" is in the cluster already`)
}

// testMeshThere has each of the obstacles in turn.
func testMeshThere(t *testing.T, cluster *harness.Cluster) {
	if err := cluster.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, cluster)
	revision, ours := map[string]string{"istio.io/rev": "default"}, map[string]string{"app.kubernetes.io/name": "meshfence"}
	mesh := map[string]any{"namespace": "theirs", "version": "v1.30.3"}
	revised := map[string]any{"namespace": "theirs", "version": "v1.30.3", "values": map[string]any{
		"revision": "shop", "global": map[string]any{"istioNamespace": "theirs"},
	}}
	const webhooks = "admissionregistration.k8s.io/v1"
	for _, test := range []struct {
		apiVersion, kind, namespace, name string
		labels                            map[string]string
		spec                              map[string]any
		want                              string
	}{
		{"sailoperator.io/v1", "Istio", "", "shop", nil, mesh, `Istio "shop" belongs to a mesh`},
		{"sailoperator.io/v1", "IstioRevision", "", "shop", nil, revised, `IstioRevision "shop" belongs to a mesh`},
		{"v1", "ConfigMap", "theirs", "istio", revision, nil, `ConfigMap "theirs/istio" belongs to a mesh`},
		{webhooks, "MutatingWebhookConfiguration", "", "istio-sidecar-injector", revision, nil, `MutatingWebhookConfiguration "istio-sidecar-injector" belongs to a mesh`},
		{webhooks, "MutatingWebhookConfiguration", "", "fence", ours, nil, `MutatingWebhookConfiguration "fence" belongs to another meshfence`},
		{webhooks, "ValidatingWebhookConfiguration", "", "fence", ours, nil, `ValidatingWebhookConfiguration "fence" belongs to another meshfence`},
		{"apps/v1", "Deployment", "theirs", "sail-operator", nil, deployment(), `Deployment "theirs/sail-operator" is the Sail operator`},
		{"apps/v1", "Deployment", "theirs", "servicemesh-operator3", nil, deployment(), `Deployment "theirs/servicemesh-operator3" is the Sail operator`},
		{
			"apps/v1", "Deployment", "theirs", "renamed", map[string]string{"control-plane": "servicemesh-operator3"}, deployment(),
			`Deployment "theirs/renamed" is the Sail operator`,
		},
	} {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": test.apiVersion, "kind": test.kind}}
		object.SetNamespace(test.namespace)
		object.SetName(test.name)
		object.SetLabels(test.labels)
		if test.spec != nil {
			object.Object["spec"] = test.spec
		}
		if err := cluster.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if err := (&existing{out: io.Discard, once: true, agree: yes}).run(t.Context(), cluster.Kubeconfig, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if err := cluster.Client.Delete(t.Context(), object); err != nil { // it is still there
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, cluster)); diff != "" {
		t.Errorf("the cluster has changed (-before +after):\n%s", diff)
	}
}

// deployment is the least that the API server takes as one's spec.
func deployment() map[string]any {
	labels := map[string]any{"app": "operator"}
	return map[string]any{
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "manager", "image": "operator"}}},
		},
	}
}

// A mesh that comes while the question is open is one too.
func testMeshComes(t *testing.T, cluster *harness.Cluster) {
	mesh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "istio", Labels: map[string]string{"istio.io/rev": ""}}}
	e := &existing{out: io.Discard, once: true, agree: func(ctx context.Context, _ io.Writer) error { return cluster.Client.Create(ctx, mesh) }}
	if err := e.run(t.Context(), cluster.Kubeconfig, ""); err == nil || !strings.Contains(err.Error(), `ConfigMap "default/istio" belongs to a mesh`) {
		t.Error(err)
	}
}

// interrupter ends a context when a text has been printed.
type interrupter struct {
	io.Writer
	at     string
	cancel func()
}

func (i *interrupter) Write(text []byte) (int, error) {
	if strings.Contains(string(text), i.at) {
		i.cancel()
	}
	return i.Writer.Write(text)
}

func interrupted(t *testing.T, cluster *harness.Cluster, at string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	if err := unchanged(ctx, t, cluster, &existing{agree: yes, out: &interrupter{&out, at, cancel}}, &out, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), at) || strings.Contains(out.String(), "as expected") {
		t.Errorf("it was not interrupted there:\n%s", &out)
	}
}

func testInterruptedReplay(t *testing.T, cluster *harness.Cluster) {
	interrupted(t, cluster, "label namespace app-ns-1 istio-discovery")
}

// It is interrupted as soon as the cluster has the first webhook configuration.
func testInterruptedInstall(t *testing.T, cluster *harness.Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	configurations := &metav1.PartialObjectMetadataList{}
	configurations.SetGroupVersionKind(webhookList)
	watcher, err := cluster.Client.Watch(ctx, configurations)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	go func() {
		<-watcher.ResultChan()
		cancel()
	}()
	var out bytes.Buffer
	if err := unchanged(ctx, t, cluster, &existing{agree: yes}, &out, ""); !errors.Is(err, context.Canceled) || strings.Contains(out.String(), "1. The guide") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// 192.0.2.1 is an address of documentation: no machine has it.
func testUnreachable(t *testing.T, cluster *harness.Cluster) {
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, &existing{agree: yes}, &out, "192.0.2.1"); err == nil || !strings.Contains(err.Error(), "WEBHOOK_HOST=") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// connect copies a cluster's kubeconfig file with another connection to the same API server.
func connect(t *testing.T, cluster *harness.Cluster, change func(*clientcmdapi.Cluster)) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	change(config.Clusters[config.Contexts[config.CurrentContext].Cluster])
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func testInsecure(t *testing.T, cluster *harness.Cluster) {
	kubeconfig := connect(t, cluster, func(c *clientcmdapi.Cluster) {
		c.InsecureSkipTLSVerify, c.CertificateAuthorityData = true, nil
	})
	var out bytes.Buffer
	if err := (&existing{out: &out, once: true, agree: yes}).run(t.Context(), kubeconfig, ""); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// The API server is behind a proxy, at an address that no machine has, with a certificate of another name.
func testProxy(t *testing.T, cluster *harness.Cluster) {
	server, err := url.Parse(cluster.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(tunnel(server.Host))
	defer proxy.Close()
	kubeconfig := connect(t, cluster, func(c *clientcmdapi.Cluster) {
		c.Server, c.ProxyURL, c.TLSServerName = "https://192.0.2.1:6443", proxy.URL, "localhost"
	})
	var out bytes.Buffer
	if err := (&existing{out: &out, once: true, agree: yes}).run(t.Context(), kubeconfig, ""); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// tunnel is a proxy that leads every connection to one address.
func tunnel(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		server, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, fmt.Sprintf("%s: %v", r.Method, err), http.StatusBadGateway)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = server.Close()
			return
		}
		pass := func(to io.Writer, from io.Reader) {
			_, _ = io.Copy(to, from) // until one of them ends
			_ = errors.Join(server.Close(), conn.Close())
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go pass(server, buffered)
		go pass(conn, server)
	}
}

// An Event about an object of the run goes. One that another meshfence writes at the same time about another object stays.
func testEvents(t *testing.T, cluster *harness.Cluster) {
	event := func(name string, uid types.UID) {
		err := cluster.Client.Create(t.Context(), &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}, EventTime: metav1.NowMicro(), Type: corev1.EventTypeWarning,
			ReportingController: "meshfence", ReportingInstance: "meshfence-1", Action: "Found", Reason: "Test",
			Regarding: corev1.ObjectReference{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: name, UID: uid},
		})
		if err != nil {
			t.Error(err)
		}
	}
	var out bytes.Buffer
	e := &existing{agree: yes}
	e.out = &interrupter{&out, "create namespace app-ns-1", func() {
		event("another", "0e2b6c1e-4f1c-4d8e-9a0f-5d1f7f0a1b2c")
		for _, m := range e.made {
			if m.kind.Kind == "Istio" {
				event(m.key.Name, m.uid)
			}
		}
	}}
	before := snapshot(t, cluster)
	e.once = true
	if err := e.run(t.Context(), cluster.Kubeconfig, ""); err != nil {
		t.Error(err)
	}
	var added []string
	for _, object := range snapshot(t, cluster) {
		if !slices.Contains(before, object) {
			added = append(added, object)
		}
	}
	if len(added) != 1 || !strings.HasPrefix(added[0], "Event default another ") {
		t.Errorf("added: %q, want the Event about another object alone", added)
	}
}

// The audit of meshfence would find something in a namespace of others and write an Event there.
func testAudit(t *testing.T, cluster *harness.Cluster) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Labels: map[string]string{"istio.io/rev": "nowhere"}}}
	if err := cluster.Client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e := &existing{agree: yes}
	e.out = &interrupter{&out, "Removing what was made", func() {
		leases, stderr, err := cluster.RunKubectl(t.Context(), t.TempDir(), "get", "leases", "-n", harness.Namespace, "-o", "name")
		if err != nil || leases != "" {
			t.Errorf("the audit runs: %s%s", leases, stderr)
		}
	}}
	if err := unchanged(t.Context(), t, cluster, e, &out, ""); err != nil {
		t.Error(err)
	}
}

// programLimit bounds a run of the sandbox as a program.
const programLimit = 5 * time.Minute

// stayingUp runs the sandbox as a program until it has said that it stays up. The returned file is what reads its output.
func stayingUp(t *testing.T, cluster *harness.Cluster) (*exec.Cmd, *os.File) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), programLimit)
	t.Cleanup(cancel)
	// Under nohup the tests were started with a SIGHUP that is ignored, which the program would inherit; what is caught here it gets as usual.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), asMain+"=1", "CLUSTER="+cluster.Kubeconfig, "YES=1", "DEMO=", "WEBHOOK_HOST=")
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := errors.Join(cmd.Start(), writer.Close()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "It stays up") {
			return cmd, reader
		}
	}
	t.Fatalf("it ended before it stayed up: %v", cmd.Wait())
	return nil, nil
}

// testGone ends the sandbox with a signal when the reader of its output is gone, as with `| tee` and with a terminal that is closed.
func testGone(end syscall.Signal) func(*testing.T, *harness.Cluster) {
	return func(t *testing.T, cluster *harness.Cluster) {
		before := snapshot(t, cluster)
		cmd, reader := stayingUp(t, cluster)
		if err := errors.Join(reader.Close(), cmd.Process.Signal(end)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the sandbox: %v", err)
		}
		if diff := cmp.Diff(before, snapshot(t, cluster)); diff != "" {
			t.Errorf("the cluster has changed (-before +after):\n%s", diff)
		}
	}
}

func TestTheDocumentationRemovesWhatIsLeft(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "contributing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range removals(runLabel) {
		if !strings.Contains(string(page), "\n"+want) {
			t.Errorf("docs/contributing.md has no line %q", want)
		}
	}
}

// testKilled kills the sandbox. The next one says what is left and how to remove it, and those commands do.
func testKilled(t *testing.T, cluster *harness.Cluster) {
	if err := cluster.RemoveCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, cluster)
	cmd, _ := stayingUp(t, cluster)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	err := (&existing{out: io.Discard, once: true, agree: yes}).run(t.Context(), cluster.Kubeconfig, "")
	if err == nil || !strings.Contains(err.Error(), "is of another run of the sandbox") {
		t.Fatal(err)
	}
	for line := range strings.Lines(err.Error()) {
		if command, ok := strings.CutPrefix(line, "kubectl "); ok {
			if _, stderr, err := cluster.RunKubectl(t.Context(), t.TempDir(), strings.Fields(command)...); err != nil {
				t.Errorf("%s: %s", command, stderr)
			}
		}
	}
	if diff := cmp.Diff(before, snapshot(t, cluster)); diff != "" {
		t.Errorf("the cluster has changed (-before +after):\n%s", diff)
	}
}

// outage returns a sandbox whose API server refuses connections for a while, from when the removal begins.
func outage(out *bytes.Buffer, lasts, patience time.Duration) *existing {
	e := &existing{agree: yes, patience: patience, once: true}
	e.out = &interrupter{out, "Removing what was made", func() {
		end := time.Now().Add(lasts)
		e.cluster.Client = interceptor.NewClient(e.cluster.Client, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if time.Now().Before(end) {
					return syscall.ECONNREFUSED
				}
				return c.Get(ctx, key, object, options...)
			},
		})
	}}
	return e
}

func testOutage(t *testing.T, cluster *harness.Cluster) {
	var out bytes.Buffer
	if err := unchanged(t.Context(), t, cluster, outage(&out, 3*time.Second, 0), &out, ""); err != nil {
		t.Error(err)
	}
	if want := "cannot be removed yet, which is tried until "; strings.Count(out.String(), want) != 1 {
		t.Errorf("it does not say %q once:\n%s", want, &out)
	}
}

// Its patience ends once, not for each object again.
func testLongOutage(t *testing.T, cluster *harness.Cluster) {
	var out bytes.Buffer
	e := outage(&out, time.Hour, 3*time.Second)
	err := e.run(t.Context(), cluster.Kubeconfig, "")
	for _, want := range []string{"kubectl delete istio mesh-1\n", "kubectl delete role meshfence -n meshfence-system\n"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, m := range e.made {
		if want := m.String() + " was not removed: connection refused; remove it with kubectl delete "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if want := "cannot be removed yet"; strings.Count(out.String(), want) != 1 {
		t.Errorf("it does not say %q once:\n%s", want, &out)
	}
}

// A namespace of the replay is deleted in the middle and made anew by another person: it is not removed.
func testReplaced(t *testing.T, cluster *harness.Cluster) {
	e := &existing{out: io.Discard, once: true, agree: yes}
	e.out = &interrupter{io.Discard, "label namespace app-ns-1 istio-discovery", func() {
		for i, m := range e.made {
			if m.key.Name == "app-ns-1" {
				e.made[i].uid = "another" // as if this had happened
			}
		}
	}}
	if err := e.run(t.Context(), cluster.Kubeconfig, ""); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]bool{"app-ns-1": true, "app-ns-2": false, harness.Namespace: false} {
		err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: name}, &corev1.Namespace{})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
