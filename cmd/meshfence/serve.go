package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/meshfence/meshfence/certs"
	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/cluster"
	"github.com/meshfence/meshfence/webhook/config"
)

// registerFunc adds to the manager everything that serves requests: handlers, informers, readiness checks.
type registerFunc func(mgr manager.Manager, s *settings, file *config.File, serving certificate) error

// register is the wiring of the program: the knowledge of the cluster runs in the manager and says when it is ready, and
// the admission handlers ask it. Both follow the configuration file.
func register(mgr manager.Manager, s *settings, file *config.File, serving certificate) error {
	c := file.Current()
	changes := make(chan struct{}, 1) // room for one signal: something has changed
	known, err := cluster.New(mgr.GetConfig(), cluster.Options{
		Namespace:       s.namespace,
		MeshMap:         c.MeshMap.Name,
		DiscoveryLabels: c.DiscoveryLabels,
		Configuration:   s.name,
		OnlySail:        s.istiods == sailIstiods,
		Owned:           s.owned,
		Changed: func() {
			select {
			case changes <- struct{}{}:
			default:
			}
		},
		Registerer: metrics.Registry,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(known); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("cluster", known.Ready); err != nil {
		return err
	}
	if err := certs.RegisterExpiry(metrics.Registry, serving.Expiry); err != nil {
		return err
	}
	book, err := webhook.Register(mgr.GetWebhookServer(), known, c, metrics.Registry, mgr.GetLogger())
	if err != nil {
		return err
	}
	file.OnChange(func(c *config.Configuration) {
		// First what takes a moment to take effect: what the API server asks about, and which mesh map is read.
		known.Reconfigure(c.MeshMap.Name, c.DiscoveryLabels)
		book.Replace(c)
	})
	if err := file.Register(metrics.Registry); err != nil {
		return err
	}
	if err := addAudit(mgr, s, file, known, changes); err != nil {
		return err
	}
	return mgr.Add(file)
}

func newServeCommand(register registerFunc) *cobra.Command {
	s := &settings{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the admission webhook server",
		Long: `Serve admission requests over HTTPS (TLS 1.3) until SIGTERM or SIGINT, then ask
clients for a second to close their connections, answer the requests in flight,
for at most 30 seconds, and end. A second signal ends it at once. All replicas
serve. One of them, by a Lease, also runs the audit: it judges what exists, and
tells of it in metrics, Events, ClusterReports and its log.

A change of the configuration file takes effect without a restart, usually at once
and at most 10 seconds later. A file with a mistake is refused as a whole: the
configuration from before stays in use, the log says what is wrong in which line,
and the metric meshfence_configuration_valid is 0 until the file is corrected.
At the start, such a file ends the program.

The configuration file needs only its first two lines. The rest are the defaults:

  apiVersion: meshfence.io/v1alpha1
  kind: Configuration
  mode: enforce                   # or warn: deny nothing, only warn
  rules: {}                       # by code: {MF103: warn, MF204: off}
  discoveryLabels: [istio-discovery, mesh]
  exemptNamespaces: [kube-system, kube-public, kube-node-lease, openshift, openshift-*]
  exemptUsers:
  - system:apiserver
  - system:kube-controller-manager
  - system:serviceaccount:kube-system:namespace-controller
  controlPlaneNamespaces: [istio-system*]
  fillFrom: [MeshMap, Tag, ActiveRevision]
  meshMap: {name: mesh-map}

In names, * stands for any characters. An empty list means none, not the default.`,
		Example: `  # in a cluster, as deploy/chart does it
  meshfence serve --config /etc/meshfence/config.yaml

  # at a desk, against the cluster of a kubeconfig
  meshfence serve --kubeconfig ~/.kube/config --cert-dir ./certs \
    --bind-address 127.0.0.1:9443 --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A wrong flag is a mistake in the command line, so these errors are not failures.
			if err := s.complete(); err != nil {
				return err
			}
			logger, standard, err := newLogger(s.logFormat, s.logLevel, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			useLogger(logger, standard)
			if err := serve(logr.NewContext(cmd.Context(), logger), s, register); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	s.addFlags(cmd.Flags())
	return cmd
}

// serve runs the server until ctx ends. Its error is one line that says what to do next. A stop before everything has
// started is not an error.
func serve(ctx context.Context, s *settings, register registerFunc) error {
	open := openConfiguration
	if s.configOptional {
		open = openOptionalConfiguration
	}
	file, err := open(s.configFile)
	if err != nil {
		return err
	}
	api, err := apiConfig(s.kubeconfig)
	if err != nil {
		return err
	}
	logStart(logr.FromContextOrDiscard(ctx), s, file.Current(), api)
	clock := &certs.Clock{}
	api.Wrap(clock.Wrap)
	serving, err := newCertificate(ctx, s, clock)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	mgr, err := newManager(ctx, s, api, serving, clock)
	if err != nil {
		return advise(err)
	}
	if err := register(mgr, s, file, serving); err != nil {
		return err
	}
	late, cancel := noticed(ctx)
	defer cancel()
	return advise(mgr.Start(late))
}

// openConfiguration reads the configuration file; without one it stands for the defaults.
func openConfiguration(path string) (*config.File, error) {
	file, err := config.Open(path, webhook.RuleCodes())
	return file, adviseOnFile(path, err)
}

// openOptionalConfiguration reads a configuration file that need not exist.
func openOptionalConfiguration(path string) (*config.File, error) {
	file, err := config.OpenOptional(path, webhook.RuleCodes())
	return file, adviseOnFile(path, err)
}

func adviseOnFile(path string, err error) error {
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &invalid):
		return fmt.Errorf("correct the configuration file %s ('meshfence serve --help' shows the fields): %w", path, err)
	case err != nil:
		return fmt.Errorf("--config %w; without --config the defaults are used", err)
	}
	return nil
}

// apiConfig returns how to reach the API server.
func apiConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	return loadAPIConfig(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}))
}

func loadAPIConfig(from clientcmd.ClientConfig) (*rest.Config, error) {
	api, err := from.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no API server to talk to: not in a cluster, and there is no kubeconfig; set KUBECONFIG or use --kubeconfig FILE")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w; correct it, or use --kubeconfig FILE for another", err)
	}
	// No limit of our own: an admission request must not queue behind client-go's default of five requests a second. The
	// API server's priority and fairness protects it better.
	api.QPS = -1
	api.UserAgent = "meshfence/" + thisRelease(nil).version
	return api, nil
}

func logStart(logger logr.Logger, s *settings, conf *config.Configuration, api *rest.Config) {
	logger.Info("Starting meshfence", "version", thisRelease(nil).version, "apiServer", api.Host,
		"namespace", s.namespace, "configuration", s.configFile, "mode", conf.Mode)
}

// advise adds what to do next to the errors of the manager that a person can do something about.
func advise(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; stop the other process, or choose another --bind-address, --health-bind-address or --metrics-bind-address", err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; choose another --bind-address, --health-bind-address or --metrics-bind-address", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the stop took too long, some requests may not have been answered: %w", err)
	}
	return err
}

// notStopping is a readiness check that fails from the moment the program is told to stop, while requests in flight are
// still answered.
func notStopping(ctx context.Context) func(*http.Request) error {
	return func(*http.Request) error {
		if ctx.Err() != nil {
			return errors.New("meshfence is stopping")
		}
		return nil
	}
}
