package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// APIServer is a further kube-apiserver on the etcd of a cluster, as control planes have several. It is trusted by and
// trusts the same as the first one, and knows the same tokens.
type APIServer struct {
	// Config is the administrator's connection.
	Config *rest.Config

	cluster *Cluster
	ports   *ports
	args    []string
	log     string
	cmd     *exec.Cmd
	ended   chan struct{}
	unwatch func()
}

// EtcdURL is where etcd serves.
func (c *Cluster) EtcdURL() string { return c.env.ControlPlane.Etcd.URL.String() }

// StartAPIServer starts a further API server and returns when it is ready. etcd is the URL of its storage, "" for the
// cluster's own; flags are further ones, without the leading dashes. The caller must call Stop.
func (c *Cluster) StartAPIServer(ctx context.Context, etcd string, flags map[string]string) (*APIServer, error) {
	taken, err := takePorts()
	if err != nil {
		return nil, err
	}
	first := c.env.ControlPlane.GetAPIServer()
	all := map[string]string{
		"etcd-servers":                     cmp.Or(etcd, c.EtcdURL()),
		"cert-dir":                         first.CertDir,
		"client-ca-file":                   filepath.Join(first.CertDir, "client-cert-auth-ca.crt"),
		"bind-address":                     "127.0.0.1",
		"secure-port":                      strconv.Itoa(taken.webhooks),
		"service-cluster-ip-range":         "10.0.0.0/24",
		"authorization-mode":               "RBAC",
		"disable-admission-plugins":        "ServiceAccount",
		"allow-privileged":                 "true",
		"service-account-issuer":           first.SecureServing.URL("https", "/").String(),
		"service-account-key-file":         filepath.Join(first.CertDir, "sa-signer.crt"),
		"service-account-signing-key-file": filepath.Join(first.CertDir, "sa-signer.key"),
	}
	audit, err := c.auditFlags(fmt.Sprintf("kube-apiserver-%d", taken.webhooks))
	if err != nil {
		return nil, errors.Join(err, taken.lock.Close())
	}
	for _, more := range []map[string]string{quickFlags(), audit, c.options.APIServerFlags, flags} {
		for flag, value := range more {
			all[flag] = value
		}
	}
	s := &APIServer{cluster: c, ports: taken, Config: rest.CopyConfig(c.Config), log: filepath.Join(c.dir, fmt.Sprintf("kube-apiserver-%d.log", taken.webhooks))}
	s.Config.Host = "https://" + loopback(taken.webhooks)
	for flag, value := range all {
		s.args = append(s.args, "--"+flag+"="+value)
	}
	slices.Sort(s.args)
	return s, s.Start(ctx)
}

// Start starts a server that was stopped or killed again, on the port that it had.
func (s *APIServer) Start(ctx context.Context) error {
	assets, err := controlPlaneDir(s.cluster.root)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	s.cmd = exec.Command(filepath.Join(assets, "kube-apiserver"), s.args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = log, log, ownProcessGroup()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if s.unwatch, err = s.cluster.watchdog.watch(s.cmd.Process.Pid); err != nil {
		return errors.Join(err, s.cmd.Process.Kill(), s.cmd.Wait())
	}
	ended, cmd := make(chan struct{}), s.cmd
	s.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	return s.waitReady(ctx)
}

func (s *APIServer) waitReady(ctx context.Context) error {
	client, err := discovery.NewDiscoveryClientForConfig(s.Config)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-s.ended:
			return false, fmt.Errorf("kube-apiserver ended with %s", s.cmd.ProcessState)
		default:
		}
		status := 0
		client.RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
		return status == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("start a further API server: %w\n%s", err, tail(s.log, 20))
	}
	return nil
}

// Kill ends the server with SIGKILL.
func (s *APIServer) Kill() error { return s.end(syscall.SIGKILL) }

// Terminate ends the server with SIGTERM: it lets requests in flight end.
func (s *APIServer) Terminate() error { return s.end(syscall.SIGTERM) }

// Stop ends the server for good.
func (s *APIServer) Stop() error { return errors.Join(s.Kill(), s.ports.lock.Close()) }

func (s *APIServer) end(signal syscall.Signal) error {
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	s.unwatch()
	return nil
}
