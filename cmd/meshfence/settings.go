package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/meshfence/meshfence/certs"
)

// Defaults of the flags.
const (
	defaultNamespace      = "meshfence-system"
	defaultName           = "meshfence"
	defaultCertDir        = "/var/run/meshfence/certs"
	defaultBindAddress    = ":9443"
	defaultHealthAddress  = ":8081"
	defaultMetricsAddress = ":8080"
	defaultAuditInterval  = 10 * time.Minute
	defaultAuditDelay     = 30 * time.Second
	minAuditInterval      = 10 * time.Second
)

// namespaceFile is where Kubernetes tells a pod its namespace, beside the token of its service account.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// settings are the flags of serve.
type settings struct {
	configFile     string
	configOptional bool
	kubeconfig     string
	namespace      string
	name           string
	istiods        string
	owned          bool
	certs          string
	certDir        string
	clientCA       string
	caDuration     time.Duration
	certDuration   time.Duration
	bindAddress    string
	healthAddress  string
	metricsAddress string
	auditInterval  time.Duration
	auditDelay     time.Duration
	logFormat      string
	logLevel       string

	// From bindAddress.
	host string
	port int
}

func (s *settings) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&s.configFile, "config", "", "configuration `FILE`, read again when it changes; without one the defaults are used")
	flags.BoolVar(&s.configOptional, "config-optional", false, "while there is no file at --config, use the defaults")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig `FILE`; without one KUBECONFIG or ~/.kube/config, else the cluster this runs in")
	flags.StringVar(&s.namespace, "namespace", "", "`NAMESPACE` of meshfence itself, which has the mesh map; default: the pod's own, else "+defaultNamespace)
	flags.StringVar(&s.name, "name", defaultName, "`NAME` of this installation: that of its Service and of both webhook configurations")
	flags.StringVar(&s.istiods, "istiods", allIstiods, "which istiods `COUNT` as meshes: all, or sail (only those of the Sail operator; nothing of others is read)")
	flags.BoolVar(&s.owned, "deleted-with-namespace", true, "have both webhook configurations deleted with meshfence's own namespace, by an owner reference; those that Argo CD tracks by annotation have none")
	flags.StringVar(&s.certs, "certs", certsFromFiles, "where the serving certificate `COMES` from: files (--cert-dir), or self-signed (made here, shared by all replicas in the Secret NAME-certs, and made known to the API server)")
	flags.StringVar(&s.certDir, "cert-dir", defaultCertDir, "`FOLDER` of the serving certificate, with tls.crt and tls.key; waits up to 1 minute for them, and loads them again when they change")
	flags.StringVar(&s.clientCA, "client-ca", "", "`FILE` of the authorities that sign the API server's client certificate; with it, no other client is answered. Read again when it changes")
	flags.DurationVar(&s.caDuration, "certs-ca-duration", certs.DefaultAuthorityDuration, "with --certs self-signed: lifetime of the authority as a `DURATION`; replaced when a third is left")
	flags.DurationVar(&s.certDuration, "certs-duration", certs.DefaultDuration, "with --certs self-signed: lifetime of the serving certificate as a `DURATION`; replaced when a third is left")
	flags.StringVar(&s.bindAddress, "bind-address", defaultBindAddress, "`HOST:PORT` for admission requests")
	flags.StringVar(&s.healthAddress, "health-bind-address", defaultHealthAddress, "`HOST:PORT` for /healthz and /readyz, over HTTP; 0 switches them off")
	flags.StringVar(&s.metricsAddress, "metrics-bind-address", defaultMetricsAddress, "`HOST:PORT` for Prometheus at /metrics, over HTTP; 0 switches it off")
	flags.DurationVar(&s.auditInterval, "audit-interval", defaultAuditInterval, "how often what exists is judged, by one replica, as a `DURATION` of at least 10s; a run may take half of it; 0 switches the audit off")
	flags.DurationVar(&s.auditDelay, "audit-delay", defaultAuditDelay, "`DURATION` from a change of a mesh or of a namespace's mesh labels to the run of the audit that it causes")
	flags.StringVar(&s.logFormat, "log-format", "auto", "`FORMAT` of the log on standard error: json, console, or auto (console at a terminal, else json)")
	flags.StringVar(&s.logLevel, "log-level", "info", "`LEVEL` of the log: error, info (also denials), or debug (also every answer)")
}

// complete checks the flags and fills in what depends on where the program runs.
func (s *settings) complete() error {
	var err error
	if s.host, s.port, err = splitAddress("--bind-address", s.bindAddress); err != nil {
		return err
	}
	for _, optional := range []struct{ flag, address string }{
		{"--health-bind-address", s.healthAddress},
		{"--metrics-bind-address", s.metricsAddress},
	} {
		if optional.address == "0" {
			continue
		}
		if _, _, err := splitAddress(optional.flag, optional.address); err != nil {
			return err
		}
	}
	if s.namespace == "" {
		s.namespace = ownNamespace(namespaceFile)
	}
	if err := checkIstiods(&s.istiods); err != nil {
		return err
	}
	if s.auditInterval != 0 && s.auditInterval < minAuditInterval {
		return fmt.Errorf("--audit-interval %v is less than %v; 0 switches the audit off", s.auditInterval, minAuditInterval)
	}
	if s.auditDelay < 0 {
		return fmt.Errorf("--audit-delay %v is negative", s.auditDelay)
	}
	return s.completeCerts()
}

// Values of --istiods.
const (
	allIstiods  = "all"
	sailIstiods = "sail"
)

// checkIstiods checks the flag; empty is all.
func checkIstiods(istiods *string) error {
	if *istiods = cmp.Or(*istiods, allIstiods); *istiods != allIstiods && *istiods != sailIstiods {
		return fmt.Errorf("--istiods %q is not one of %s, %s", *istiods, allIstiods, sailIstiods)
	}
	return nil
}

// Values of --certs.
const (
	certsFromFiles  = "files"
	certsSelfSigned = "self-signed"
)

// completeCerts checks the flags about certificates.
func (s *settings) completeCerts() error {
	s.name, s.certs = cmp.Or(s.name, defaultName), cmp.Or(s.certs, certsFromFiles)
	switch s.certs {
	case certsFromFiles:
		return nil
	case certsSelfSigned:
		if err := s.selfSigned().Check(); err != nil {
			return fmt.Errorf("--certs-duration and --certs-ca-duration: %w", err)
		}
		return nil
	}
	return fmt.Errorf("--certs %q is not one of %s, %s", s.certs, certsFromFiles, certsSelfSigned)
}

func (s *settings) selfSigned() certs.Options {
	return certs.Options{Namespace: s.namespace, Name: s.name, AuthorityDuration: s.caDuration, Duration: s.certDuration}
}

// splitAddress takes HOST:PORT apart; the host may be empty. Port 0 is refused: no client could find the server then.
func splitAddress(flag, address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%s %q is not HOST:PORT, for example 127.0.0.1:9443, [::1]:9443 or :9443", flag, address)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("%s %q needs a port from 1 to 65535", flag, address)
	}
	return host, int(number), nil
}

// ownNamespace returns the namespace that the file names, else the default.
func ownNamespace(file string) string {
	data, err := os.ReadFile(file)
	if name := strings.TrimSpace(string(data)); err == nil && name != "" {
		return name
	}
	return defaultNamespace
}
