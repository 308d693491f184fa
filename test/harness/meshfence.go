package harness

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Namespace is where the manifests install meshfence.
	Namespace = "meshfence-system"
	// ServiceAccount is who it is there.
	ServiceAccount = "meshfence"

	readyTimeout = 30 * time.Second
	// stopTimeout limits a graceful stop: meshfence answers requests in flight, the longest of which take ten seconds.
	stopTimeout = 20 * time.Second
)

// Process is a running meshfence.
type Process struct {
	// HealthURL and MetricsURL are the bases of its probes and of its metrics, without a path.
	HealthURL, MetricsURL string
	// Address is where it serves webhooks, as host:port.
	Address string
	// Log is the path of the file with all that it prints.
	Log string

	cmd     *exec.Cmd
	ports   *ports        // its own, if it has any
	ended   chan struct{} // closed when the process has ended
	unwatch func()
}

// ProcessOptions say how meshfence is started.
type ProcessOptions struct {
	// Config is the path of a configuration file; "" stands for the one in the manifests.
	Config string
	// Args are further flags of `meshfence serve`.
	Args []string
	// Env are further environment variables, as key=value.
	Env []string
	// Binary is another binary than the cluster's; "" for that.
	Binary string
	// APIServer is the connection to another API server than the cluster's first one; nil for that.
	APIServer *rest.Config
}

// ErrNotReady is what Ready returns if the process has answered that it is not ready.
var ErrNotReady = errors.New("not ready")

// StartMeshfence starts meshfence, as the service account of the manifests and so with no other rights than theirs, and
// returns when it says that it is ready. InstallWorkload must have been called since the last Reset.
func (c *Cluster) StartMeshfence(ctx context.Context, options ProcessOptions) (*Process, error) {
	if c.meshfence != nil {
		return nil, errors.New("meshfence is running already")
	}
	process, err := c.launch(ctx, c.serving.ports, options)
	if err != nil {
		return nil, err
	}
	if err := process.waitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; its last lines:\n%s", err, tail(process.Log, 30)), process.Kill())
	}
	c.meshfence = process
	return process, nil
}

// StartReplica starts one of several meshfences, on ports of its own: a Balancer brings the requests there. The caller must
// end it, with Stop or Kill. It is returned also if it does not get ready.
func (c *Cluster) StartReplica(ctx context.Context, options ProcessOptions) (*Process, error) {
	process, err := c.LaunchReplica(ctx, options)
	if err != nil {
		return nil, err
	}
	return process, process.waitReady(ctx)
}

// LaunchReplica is StartReplica for a process that may not get ready yet: it does not wait.
func (c *Cluster) LaunchReplica(ctx context.Context, options ProcessOptions) (*Process, error) {
	taken, err := takePorts()
	if err != nil {
		return nil, err
	}
	process, err := c.launch(ctx, taken, options)
	if err != nil {
		return nil, errors.Join(err, taken.lock.Close())
	}
	process.ports = taken
	return process, nil
}

// StopMeshfence ends meshfence with SIGTERM and waits for it.
func (c *Cluster) StopMeshfence() error {
	process := c.meshfence
	if process == nil {
		return errors.New("meshfence is not running")
	}
	c.meshfence = nil
	return process.Stop()
}

// KillMeshfence ends meshfence with SIGKILL: it gets no time to do anything.
func (c *Cluster) KillMeshfence() error {
	process := c.meshfence
	if process == nil {
		return errors.New("meshfence is not running")
	}
	c.meshfence = nil
	return process.Kill()
}

// launch starts the process. It listens where the webhook configurations point, and elsewhere on ports of its own.
func (c *Cluster) launch(ctx context.Context, at *ports, options ProcessOptions) (*Process, error) {
	options.Binary = cmp.Or(options.Binary, c.options.Binary)
	if _, err := os.Stat(options.Binary); err != nil {
		return nil, fmt.Errorf("%w: run `make build`", err)
	}
	args, err := c.serveArgs(ctx, options)
	if err != nil {
		return nil, err
	}
	args = append(args, "--bind-address", c.serving.bind(at.webhooks), "--health-bind-address", loopback(at.health), "--metrics-bind-address", loopback(at.metrics))
	process := &Process{
		HealthURL:  "http://" + loopback(at.health),
		MetricsURL: "http://" + loopback(at.metrics),
		Address:    loopback(at.webhooks),
		Log:        filepath.Join(c.dir, fmt.Sprintf("meshfence-%d.log", len(c.logs)+1)),
		cmd:        exec.Command(options.Binary, append(args, options.Args...)...),
	}
	process.cmd.Env = append(os.Environ(), options.Env...)
	c.logs = append(c.logs, process.Log)
	return process, process.start(c.watchdog)
}

// serveArgs returns the arguments that are the same for every process of this cluster.
func (c *Cluster) serveArgs(ctx context.Context, options ProcessOptions) ([]string, error) {
	kubeconfig, err := c.serviceAccountKubeconfig(ctx, options.APIServer)
	if err != nil {
		return nil, err
	}
	if options.Config == "" {
		if options.Config, err = c.writeDefaultConfiguration(); err != nil {
			return nil, err
		}
	}
	args := []string{
		"serve", "--kubeconfig", kubeconfig, "--namespace", Namespace,
		"--cert-dir", c.serving.certDir,
	}
	if options.Config != "" {
		args = append(args, "--config", options.Config)
	}
	return args, nil
}

// writeDefaultConfiguration returns the path of the manifests' configuration file, or "" when they have none.
func (c *Cluster) writeDefaultConfiguration() (string, error) {
	content, err := c.defaultConfiguration()
	if err != nil || content == "" {
		return "", err
	}
	file := filepath.Join(c.dir, "config.yaml")
	return file, os.WriteFile(file, []byte(content), 0o644)
}

// serviceAccountKubeconfig writes a kubeconfig file with a fresh token of meshfence's service account, for an API server,
// the first one if it is nil.
func (c *Cluster) serviceAccountKubeconfig(ctx context.Context, server *rest.Config) (string, error) {
	file := filepath.Join(c.dir, fmt.Sprintf("meshfence-%d.kubeconfig", len(c.logs)+1))
	return c.tokenKubeconfig(ctx, server, client.ObjectKey{Namespace: Namespace, Name: ServiceAccount}, file)
}

// tokenKubeconfig writes a kubeconfig file with a fresh token of a service account, for an API server, the first one if it
// is nil, and returns its path.
func (c *Cluster) tokenKubeconfig(ctx context.Context, server *rest.Config, name client.ObjectKey, file string) (string, error) {
	cluster, err := c.clusterEntry(server)
	if err != nil {
		return "", err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	day := int64((24 * time.Hour).Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}
	if err := c.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("get a token for service account %s: %w", name, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = cluster
	config.AuthInfos["meshfence"] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "meshfence"}
	config.CurrentContext = "test"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return file, clientcmd.WriteToFile(*config, file)
}

// clusterEntry is how a kubeconfig file says where an API server is, the first one if it is nil. That one is as in the administrator's file,
// with all that it takes to reach it: a proxy, the name in its certificate, or none that is checked.
func (c *Cluster) clusterEntry(server *rest.Config) (*clientcmdapi.Cluster, error) {
	if server != nil {
		return &clientcmdapi.Cluster{Server: server.Host, CertificateAuthorityData: server.CAData}, nil
	}
	config, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	current, ok := config.Contexts[config.CurrentContext]
	if !ok || config.Clusters[current.Cluster] == nil {
		return nil, fmt.Errorf("%s: its current context %q names no cluster", c.Kubeconfig, config.CurrentContext)
	}
	return config.Clusters[current.Cluster], nil
}

// start starts the process with its output in its log file.
func (p *Process) start(watchdog *watchdog) error {
	log, err := os.Create(p.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = ownProcessGroup()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	if p.unwatch, err = watchdog.watch(p.cmd.Process.Pid); err != nil {
		return errors.Join(err, p.cmd.Process.Kill(), p.cmd.Wait())
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in p.cmd.ProcessState
	}()
	return nil
}

// waitReady polls /readyz.
func (p *Process) waitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if p.hasEnded() {
			return false, fmt.Errorf("meshfence ended with %s", p.cmd.ProcessState)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.HealthURL+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // It does not listen yet.
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("meshfence was not ready within %s", readyTimeout)
	}
	return err
}

func (p *Process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Stop ends the process with SIGTERM and waits for it. A process that does not end in time is killed, and one that ends
// with another status than 0 is an error too.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("meshfence did not stop within %s", stopTimeout), p.Kill())
	}
	p.release()
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("meshfence ended with %s; its last lines:\n%s", p.cmd.ProcessState, tail(p.Log, 30))
	}
	return nil
}

// Kill ends the process with SIGKILL and waits for it.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	p.release()
	return nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// release gives back what the process had.
func (p *Process) release() {
	p.unwatch()
	if p.ports != nil {
		_ = p.ports.lock.Close()
	}
}

// Metrics returns the metrics page.
func (p *Process) Metrics(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.MetricsURL+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("metrics: %s", response.Status)
	}
	return string(page), err
}

// MeshfenceLog returns what meshfence has printed since the last Reset, over all its starts.
func (c *Cluster) MeshfenceLog() string {
	var all strings.Builder
	for _, file := range c.logs {
		content, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(&all, err)
		}
		all.Write(content)
	}
	return all.String()
}

// tail returns the last lines of a file, or why it cannot be read.
func tail(file string, lines int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), lines)
}

// lastLines returns the last lines of a text.
func lastLines(text string, lines int) string {
	var last []string
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, len(text)+1)
	for scanner.Scan() {
		last = append(last, scanner.Text())
		if len(last) > lines {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}

// TokenKubeconfig writes a kubeconfig file with a fresh token of a service account, and returns its path.
func (c *Cluster) TokenKubeconfig(ctx context.Context, account client.ObjectKey) (string, error) {
	return c.tokenKubeconfig(ctx, nil, account, filepath.Join(c.dir, "as", account.Namespace+"-"+account.Name))
}

// As returns a connection with a fresh token of a service account, and so with its rights.
func (c *Cluster) As(ctx context.Context, account client.ObjectKey) (*rest.Config, error) {
	file, err := c.TokenKubeconfig(ctx, account)
	if err != nil {
		return nil, err
	}
	return clientcmd.BuildConfigFromFlags("", file)
}
