package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startTimeout limits the start of etcd and of the API server, each. On two busy cores they take about five seconds
// together.
const startTimeout = time.Minute

// Options say what a cluster consists of. The zero value is the slim set of definitions, bin/meshfence and the
// manifests in deploy/meshfence-cert-manager.yaml.
type Options struct {
	// CRDs is the set of definitions to install; default Slim.
	CRDs CRDSet
	// Binary is the meshfence binary; default bin/meshfence. It need not exist until StartMeshfence.
	Binary string
	// Manifests are the YAML files to install; default deploy/meshfence-cert-manager.yaml.
	Manifests []string
	// WithNode runs the pods of every Deployment as processes and leads requests to Services to them; see Node.
	WithNode bool
	// APIServerFlags are further flags of kube-apiserver, without the leading dashes.
	APIServerFlags map[string]string
}

// Cluster is a running API server with its definitions, and what it takes to put meshfence in front of it. Its methods
// are for one goroutine at a time.
type Cluster struct {
	// CRDs is the set of definitions that the cluster was started with.
	CRDs CRDSet
	// Config is the administrator's connection.
	Config *rest.Config
	// Client is the administrator's client, without a cache.
	Client client.WithWatch
	// Kubeconfig is the path of the administrator's kubeconfig file; it is removed with the cluster.
	Kubeconfig string
	// Node is there if the options ask for it.
	Node *Node
	// Kubectl is the path of the kubectl of the API server's version.
	Kubectl string

	options   Options
	root      string
	dir       string
	watchdog  *watchdog
	env       *envtest.Environment
	serverLog *os.File
	egress    net.Listener
	discovery discovery.DiscoveryInterface
	crds      []*apiextensionsv1.CustomResourceDefinition
	baseline  map[objectKey]bool
	serving   *serving
	barriers  atomic.Int64

	// deleting is held while namespaces are being finished: by Reset, and by the stand-in for the namespace controller.
	deleting        sync.Mutex
	stopController  context.CancelFunc
	controllerEnded chan struct{}

	meshfence *Process
	logs      []string
}

// Start starts etcd and kube-apiserver and installs the definitions. The caller must call Stop; should it not get to,
// the processes end with this one all the same.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "meshfence-cluster-")
	if err != nil {
		return nil, err
	}
	watchdog, err := startWatchdog(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	options.CRDs = cmp.Or(options.CRDs, Slim)
	options.Binary = cmp.Or(options.Binary, filepath.Join(root, "bin", "meshfence"))
	c := &Cluster{CRDs: options.CRDs, options: options, root: root, dir: dir, watchdog: watchdog}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.startControlPlane(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	var err error
	if c.serving, err = newServing(c.dir, ""); err != nil {
		return err
	}
	if c.crds, err = readCRDSet(c.CRDs, c.root); err != nil {
		return err
	}
	if err := c.InstallCRDs(ctx); err != nil {
		return err
	}
	if c.baseline, err = c.takeBaseline(ctx); err != nil {
		return err
	}
	c.startNamespaceController()
	if c.egress != nil {
		c.Node = c.startNode(c.egress)
	}
	return nil
}

// startControlPlane starts etcd and kube-apiserver through envtest, with their data in the cluster's folder.
func (c *Cluster) startControlPlane() error {
	assets, err := controlPlaneDir(c.root)
	if err != nil {
		return err
	}
	c.Kubectl = filepath.Join(assets, "kubectl")
	c.env = &envtest.Environment{ControlPlaneStartTimeout: startTimeout, BinaryAssetsDirectory: assets}
	server := c.env.ControlPlane.GetAPIServer()
	c.env.ControlPlane.Etcd = &envtest.Etcd{}
	if err := c.place(assets, server, c.env.ControlPlane.Etcd); err != nil {
		return err
	}
	if c.serverLog, err = os.Create(filepath.Join(c.dir, "kube-apiserver.log")); err != nil {
		return err
	}
	server.Err = c.serverLog
	for flag, value := range quickFlags() {
		server.Configure().Set(flag, value)
	}
	if c.options.WithNode {
		var flags map[string]string
		if c.egress, flags, err = egressFlags(c.dir); err != nil {
			return err
		}
		for flag, value := range flags {
			server.Configure().Set(flag, value)
		}
	}
	audit, err := c.auditFlags("kube-apiserver")
	if err != nil {
		return err
	}
	for _, flags := range []map[string]string{audit, c.options.APIServerFlags} {
		for flag, value := range flags {
			server.Configure().Set(flag, value)
		}
	}
	if c.Config, err = c.env.Start(); err != nil {
		return fmt.Errorf("start the API server: %w\n%s", err, tail(c.serverLog.Name(), 20))
	}
	return nil
}

// place has the binaries in assets watched over, and makes folders for the API server's certificates and for etcd's data.
func (c *Cluster) place(assets string, server *envtest.APIServer, etcd *envtest.Etcd) (err error) {
	if server.Path, err = c.watchdog.wrap(filepath.Join(assets, "kube-apiserver")); err != nil {
		return err
	}
	if etcd.Path, err = c.watchdog.wrap(filepath.Join(assets, "etcd")); err != nil {
		return err
	}
	server.CertDir, etcd.DataDir = filepath.Join(c.dir, "kube-apiserver"), filepath.Join(c.dir, "etcd")
	return errors.Join(os.Mkdir(server.CertDir, 0o700), os.Mkdir(etcd.DataDir, 0o700))
}

// stopControlPlane ends kube-apiserver and etcd. What does not end is left to the watchdog.
func (c *Cluster) stopControlPlane() error {
	if err := c.env.Stop(); err != nil {
		return err
	}
	c.watchdog.unwrap("kube-apiserver")
	c.watchdog.unwrap("etcd")
	if c.serverLog == nil {
		return nil
	}
	return c.serverLog.Close()
}

// quickFlags are kube-apiserver's flags for a server that one test uses: nothing to share fairly, no endpoints of its
// own to keep up to date (which would also delay its end), no profiling.
func quickFlags() map[string]string {
	return map[string]string{
		"enable-priority-and-fairness": "false",
		"endpoint-reconciler-type":     "none",
		"profiling":                    "false",
	}
}

// connect makes the administrator's client and kubeconfig file.
func (c *Cluster) connect() error {
	if err := c.newClients(); err != nil {
		return err
	}
	c.Kubeconfig = filepath.Join(c.dir, "kubeconfig")
	return os.WriteFile(c.Kubeconfig, c.env.KubeConfig, 0o600)
}

// newClients makes the clients of the administrator's connection.
func (c *Cluster) newClients() error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	if c.Client, err = client.NewWithWatch(c.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	c.discovery, err = discovery.NewDiscoveryClientForConfig(c.Config)
	return err
}

// newScheme knows the kinds of Kubernetes itself.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme))
}

// Dir returns a folder for files that are to be removed with the cluster.
func (c *Cluster) Dir() string { return c.dir }

// Stop ends everything that the cluster started and removes its files. It is an error if meshfence has asked for something
// that its roles do not grant. It may be called more than once.
func (c *Cluster) Stop() error {
	if c.watchdog == nil {
		return nil
	}
	var errs []error
	if c.meshfence != nil {
		errs = append(errs, c.StopMeshfence())
	}
	if c.Node != nil {
		errs = append(errs, c.Node.close())
	}
	if c.stopController != nil {
		c.stopController()
		<-c.controllerEnded
	}
	if c.env != nil {
		errs = append(errs, c.stopControlPlane())
	}
	if c.serving != nil {
		errs = append(errs, c.serving.lock.Close())
	}
	if c.Client != nil {
		errs = append(errs, c.checkRights())
	}
	errs = append(errs, c.watchdog.close())
	c.watchdog = nil
	return errors.Join(errs...)
}
