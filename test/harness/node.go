package harness

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// egressConfiguration makes the API server reach Services, and so webhooks, through a proxy at a Unix socket
// (k8s.io/apiserver, EgressSelectorConfiguration).
const egressConfiguration = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %s
`

// Node stands in for all that a cluster has between the API server and meshfence: it runs the pods of every Deployment as
// processes, with the arguments, environment, ConfigMaps, Secrets and rights that the manifest gives them, replaces them when
// the manifest changes, keeps changed Secrets fresh, asks their probes, and leads the API server's requests to a port of a Service to the port of
// one of its ready pods that it names. So manifests are installed without a change, and the API server verifies the certificate that it will verify
// in a cluster.
//
// A rolling update is the one that the chart asks for: a new pod is ready before an old one gets no more requests, its preStop
// passes, and it is told to stop.
type Node struct {
	cluster  *Cluster
	listener net.Listener
	stop     context.CancelFunc
	group    sync.WaitGroup

	mu     sync.Mutex
	pods   []*pod
	failed []error
	number int
}

// pod is one process.
type pod struct {
	deployment client.ObjectKey
	template   corev1.PodTemplateSpec
	hash       string
	dir        string
	ports      *ports
	// local are the ports of this machine on which the process listens, by those that its arguments name: all pods are on one machine.
	local   map[int32]int
	process *Process
	health  health
	ready   bool
	leaving bool
	// leave is closed when the pod is to end, ended when it has.
	ended chan struct{}
}

// egressFlags makes the socket and the configuration file in dir, and returns the API server's flags.
func egressFlags(dir string) (net.Listener, map[string]string, error) {
	socket := filepath.Join(dir, "services.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "egress.yaml")
	err = os.WriteFile(file, fmt.Appendf(nil, egressConfiguration, socket), 0o600)
	return listener, map[string]string{"egress-selector-config-file": file}, err
}

// startNode begins to run pods.
func (c *Cluster) startNode(listener net.Listener) *Node {
	ctx, cancel := context.WithCancel(context.Background())
	n := &Node{cluster: c, listener: listener, stop: cancel}
	n.group.Go(func() { n.proxy(ctx) })
	n.group.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			if err := n.sync(ctx); err != nil && ctx.Err() == nil {
				n.fail(err)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return n
}

// close ends all pods.
func (n *Node) close() error {
	n.stop()
	err := n.listener.Close()
	for _, p := range n.all() {
		if p.process != nil {
			err = errors.Join(err, p.process.Kill())
		}
		err = errors.Join(err, n.release(p))
	}
	n.group.Wait()
	return err
}

// release forgets a pod and gives its ports back, if that has not been done: a pod may end by itself while all are ended.
func (n *Node) release(p *pod) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.pods, p)
	if i < 0 {
		return nil
	}
	n.pods = slices.Delete(n.pods, i, i+1)
	return p.ports.lock.Close()
}

func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.failed) < 20 {
		n.failed = append(n.failed, err)
	}
}

// Err returns what the node could not do so far.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.failed...)
}

func (n *Node) all() []*pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.pods)
}

// of returns the pods of a Deployment that are not leaving.
func (n *Node) of(deployment client.ObjectKey) []*pod {
	return slices.DeleteFunc(n.all(), func(p *pod) bool { return p.deployment != deployment || p.leaving })
}

// Logs returns what the pods of a Deployment have printed.
func (n *Node) Logs() string {
	var text strings.Builder
	files, _ := filepath.Glob(filepath.Join(n.cluster.dir, "pod-*", "log"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		fmt.Fprintf(&text, "== %s %v\n%s", file, err, content)
	}
	return text.String()
}

// Ready returns the processes of a Deployment that get requests.
func (n *Node) Ready(deployment client.ObjectKey) []*Process {
	var ready []*Process
	for _, p := range n.of(deployment) {
		if p.ready {
			ready = append(ready, p.process)
		}
	}
	return ready
}

// WaitRollout returns when a Deployment has its replicas of the present template, all ready, and no others.
func (n *Node) WaitRollout(ctx context.Context, deployment client.ObjectKey) error {
	// Each of several pods has to come up, and the old ones' preStop to pass.
	err := wait.PollUntilContextTimeout(ctx, pollInterval, 3*readyTimeout, true, func(ctx context.Context) (bool, error) {
		d := &appsv1.Deployment{}
		if err := n.cluster.Client.Get(ctx, deployment, d); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		hash, err := hashOf(d)
		pods := n.of(deployment)
		good := slices.DeleteFunc(slices.Clone(pods), func(p *pod) bool { return p.hash != hash || !p.ready })
		return len(good) == int(*d.Spec.Replicas) && len(pods) == len(good), err
	})
	if err != nil {
		return fmt.Errorf("roll out %s: %w\n%w\n%s", deployment, err, n.Err(), lastLines(n.Logs(), 60))
	}
	return nil
}

func hashOf(d *appsv1.Deployment) (string, error) {
	text, err := json.Marshal(d.Spec.Template)
	return string(text), err
}

// sync brings the processes one step nearer to what the Deployments say.
func (n *Node) sync(ctx context.Context) error {
	list := &appsv1.DeploymentList{}
	if err := n.cluster.Client.List(ctx, list); err != nil {
		return err
	}
	wanted := map[client.ObjectKey]bool{}
	errs := []error{n.syncPods(ctx)}
	for i := range list.Items {
		wanted[client.ObjectKeyFromObject(&list.Items[i])] = true
		errs = append(errs, n.syncDeployment(ctx, &list.Items[i]))
	}
	for _, p := range n.all() {
		if !p.leaving && !wanted[p.deployment] {
			n.end(p)
		}
		errs = append(errs, n.refresh(ctx, p))
	}
	return errors.Join(errs...)
}

func (n *Node) syncDeployment(ctx context.Context, d *appsv1.Deployment) error {
	hash, err := hashOf(d)
	if err != nil {
		return err
	}
	pods := n.of(client.ObjectKeyFromObject(d))
	var old, current []*pod
	allReady := true
	for _, p := range pods {
		if p.hash == hash {
			current = append(current, p)
			allReady = allReady && p.ready
		} else {
			old = append(old, p)
		}
	}
	if err := n.report(ctx, d, pods, current); err != nil {
		return err
	}
	replicas := int(*d.Spec.Replicas)
	switch {
	case len(pods) > replicas && allReady && len(old) > 0:
		n.end(old[0])
	case len(current) > replicas:
		n.end(current[0])
	case len(current) < replicas && len(pods) < replicas+1:
		return n.begin(ctx, d, hash)
	}
	return nil
}

// report writes a Deployment's status, as far as `kubectl rollout status` and Helm look at it.
func (n *Node) report(ctx context.Context, d *appsv1.Deployment, pods, current []*pod) error {
	ready := int32(len(slices.DeleteFunc(slices.Clone(pods), func(p *pod) bool { return !p.ready })))
	status := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: int32(len(pods)), UpdatedReplicas: int32(len(current)), ReadyReplicas: ready, AvailableReplicas: ready,
	}
	if int(ready) >= int(*d.Spec.Replicas) {
		status.Conditions = []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		}
	}
	if equality.Semantic.DeepEqual(status, d.Status) {
		return nil
	}
	d.Status = status
	err := n.cluster.Client.Status().Update(ctx, d)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // The next round sees what it is now.
	}
	return err
}

// begin starts a pod.
func (n *Node) begin(ctx context.Context, d *appsv1.Deployment, hash string) error {
	n.number++
	p := &pod{
		deployment: client.ObjectKeyFromObject(d), template: d.Spec.Template, hash: hash,
		dir: filepath.Join(n.cluster.dir, fmt.Sprintf("pod-%d", n.number)), ended: make(chan struct{}),
	}
	var err error
	if p.ports, err = takePorts(); err != nil {
		return err
	}
	if err := n.mount(ctx, p); err != nil {
		return errors.Join(err, p.ports.lock.Close())
	}
	if err := n.launch(ctx, p); err != nil {
		return errors.Join(err, p.ports.lock.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = append(n.pods, p)
	return nil
}

// mount writes the volumes that are there; what is missing keeps a pod from starting unless it is optional, as in a cluster.
func (n *Node) mount(ctx context.Context, p *pod) error {
	for _, volume := range p.template.Spec.Volumes {
		folder := filepath.Join(p.dir, volume.Name)
		files, err := n.content(ctx, p.deployment.Namespace, volume)
		if apierrors.IsNotFound(err) && isOptional(volume) {
			if err := empty(folder); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for name, content := range files {
			if err := replaceFile(filepath.Join(folder, name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOptional reports whether a pod starts without what the volume is made of.
func isOptional(volume corev1.Volume) bool {
	return volume.ConfigMap != nil && volume.ConfigMap.Optional != nil && *volume.ConfigMap.Optional
}

// empty makes a folder that has no files.
func empty(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(folder)
	for _, file := range files {
		err = errors.Join(err, os.Remove(filepath.Join(folder, file.Name())))
	}
	return err
}

func (n *Node) content(ctx context.Context, namespace string, volume corev1.Volume) (map[string][]byte, error) {
	files := map[string][]byte{}
	switch {
	case volume.Secret != nil:
		secret := &corev1.Secret{}
		err := n.cluster.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: volume.Secret.SecretName}, secret)
		maps.Copy(files, secret.Data)
		return files, err
	case volume.ConfigMap != nil:
		config := &corev1.ConfigMap{}
		err := n.cluster.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: volume.ConfigMap.Name}, config)
		for name, text := range config.Data {
			files[name] = []byte(text)
		}
		return files, err
	}
	return nil, fmt.Errorf("volume %s is of a kind that this node does not know", volume.Name)
}

// replaceFile writes a file at once, if its content differs.
func replaceFile(file string, content []byte) error {
	if now, err := os.ReadFile(file); err == nil && bytes.Equal(now, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// launch starts the process of a pod.
func (n *Node) launch(ctx context.Context, p *pod) error {
	spec := p.template.Spec
	container := spec.Containers[0]
	account := client.ObjectKey{Namespace: p.deployment.Namespace, Name: spec.ServiceAccountName}
	kubeconfig, err := n.cluster.tokenKubeconfig(ctx, nil, account, filepath.Join(p.dir, "kubeconfig"))
	if err != nil {
		return err
	}
	args, err := p.listen(container.Args)
	if err != nil {
		return err
	}
	for _, mount := range container.VolumeMounts {
		for i := range args {
			args[i] = strings.Replace(args[i], mount.MountPath, filepath.Join(p.dir, mount.Name), 1)
		}
	}
	args = append(args, "--kubeconfig", kubeconfig, "--namespace", p.deployment.Namespace)
	p.health = health{}
	p.process = &Process{
		HealthURL: "http://" + loopback(p.ports.health), MetricsURL: "http://" + loopback(p.ports.metrics),
		Address: loopback(p.ports.webhooks), Log: filepath.Join(p.dir, "log"), cmd: exec.Command(n.cluster.options.Binary, args...),
	}
	p.process.cmd.Dir = p.dir
	for _, variable := range container.Env {
		if variable.ValueFrom != nil {
			return fmt.Errorf("the environment variable %s has a source that this node does not know", variable.Name)
		}
		p.process.cmd.Env = append(p.process.cmd.Env, variable.Name+"="+variable.Value)
	}
	return p.process.start(n.cluster.watchdog)
}

// refresh keeps a pod's volumes fresh, asks its probes, and starts it again if it has ended by itself or a probe says so.
func (n *Node) refresh(ctx context.Context, p *pod) error {
	if p.leaving {
		return nil
	}
	if p.process.hasEnded() {
		n.set(p, false)
		n.fail(fmt.Errorf("a pod of %s ended by itself: %s\n%s", p.deployment, p.process.cmd.ProcessState, tail(p.process.Log, 5)))
		p.process.unwatch()
		return n.launch(ctx, p)
	}
	ready, dead := p.ask(ctx)
	n.set(p, ready)
	if dead != nil {
		n.fail(fmt.Errorf("a pod of %s is started again: %w\n%s", p.deployment, dead, tail(p.process.Log, 5)))
		return errors.Join(p.process.Kill(), n.launch(ctx, p))
	}
	err := n.mount(ctx, p)
	if apierrors.IsNotFound(err) {
		return nil // What was mounted stays.
	}
	return err
}

func (n *Node) set(p *pod, ready bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.ready = ready && !p.leaving
}

// end takes a pod away: no more requests, preStop, SIGTERM.
func (n *Node) end(p *pod) {
	n.mu.Lock()
	p.leaving, p.ready = true, false
	n.mu.Unlock()
	pause := time.Duration(0)
	if hook := p.template.Spec.Containers[0].Lifecycle; hook != nil && hook.PreStop != nil && hook.PreStop.Sleep != nil {
		pause = time.Duration(hook.PreStop.Sleep.Seconds) * time.Second
	}
	n.group.Go(func() {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		<-timer.C
		if err := errors.Join(p.process.Stop(), n.release(p)); err != nil {
			n.fail(err)
		}
	})
}

// proxy leads the API server's connections to pods.
func (n *Node) proxy(ctx context.Context) {
	for {
		connection, err := n.listener.Accept()
		if err != nil {
			return // It is closed.
		}
		go func() {
			defer connection.Close()
			if err := n.lead(ctx, connection); err != nil {
				fmt.Fprintf(connection, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			}
		}()
	}
}

// lead answers one CONNECT and copies bytes until either side has enough.
func (n *Node) lead(ctx context.Context, api net.Conn) error {
	reader := bufio.NewReader(api)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return err
	}
	address, err := n.endpoint(ctx, request.Host)
	if err != nil {
		return err
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(api, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{}, 2)
	for _, pair := range []struct {
		to   io.Writer
		from io.Reader
	}{{server, reader}, {api, server}} {
		go func() {
			_, _ = io.Copy(pair.to, pair.from) // Either end may break off at any time.
			done <- struct{}{}
		}()
	}
	<-done
	return nil
}

// endpoint chooses a ready pod of the Service that has the address, and returns where its process listens on the port that is meant.
func (n *Node) endpoint(ctx context.Context, address string) (string, error) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	services := &corev1.ServiceList{}
	if err := n.cluster.Client.List(ctx, services); err != nil {
		return "", err
	}
	var ready []string
	errs := []error{fmt.Errorf("no endpoints at %s", address)}
	for _, service := range services.Items {
		selector := labels.SelectorFromSet(service.Spec.Selector)
		if service.Spec.ClusterIP != host || selector.Empty() {
			continue
		}
		target, err := targetOf(&service, number)
		if err != nil {
			return "", err
		}
		for _, p := range n.all() {
			n.mu.Lock()
			chosen := p.ready && p.deployment.Namespace == service.Namespace && selector.Matches(labels.Set(p.template.Labels))
			n.mu.Unlock()
			if !chosen {
				continue
			}
			if at, err := p.address(target); err != nil {
				errs = append(errs, err)
			} else {
				ready = append(ready, at)
			}
		}
	}
	if len(ready) == 0 {
		return "", errors.Join(errs...)
	}
	return ready[rand.IntN(len(ready))], nil
}

// ServedCertificate returns the certificate that a process serves, as PEM.
func (p *Process) ServedCertificate() (string, error) {
	connection, err := tls.Dial("tcp", p.Address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	leaf := connection.ConnectionState().PeerCertificates[0]
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})), nil
}
