package harness

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serving is where meshfence's webhooks are served, for as long as the cluster exists: the configurations need not
// change when meshfence is stopped and started again.
type serving struct {
	*ports
	host      string // what API servers are told
	certDir   string // holds tls.crt and tls.key, as the Secret's mount does
	authority []byte // PEM, for caBundle
}

// newServing makes a serving certificate for host and 127.0.0.1, below dir, and chooses a port. host "" is 127.0.0.1 alone.
func newServing(dir, host string) (*serving, error) {
	taken, err := takePorts()
	if err != nil {
		return nil, err
	}
	host = hostOr(host)
	cert, key, err := certutil.GenerateSelfSignedCertKey(host, []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"})
	if err != nil {
		return nil, err
	}
	s := &serving{ports: taken, host: host, certDir: filepath.Join(dir, "certs"), authority: cert}
	if err := os.Mkdir(s.certDir, 0o700); err != nil {
		return nil, err
	}
	return s, errors.Join(
		os.WriteFile(filepath.Join(s.certDir, "tls.crt"), cert, 0o600),
		os.WriteFile(filepath.Join(s.certDir, "tls.key"), key, 0o600),
	)
}

// address returns host:port, as API servers are told.
func (s *serving) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.webhooks)) }

// bind returns the address to listen on: all of this machine's for an API server that is elsewhere.
func (s *serving) bind(port int) string {
	if s.host == hostOr("") {
		return loopback(port)
	}
	return ":" + strconv.Itoa(port)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// ports are three ports of this machine that no other cluster of a harness uses, whether meshfence is listening on them at
// the moment or not.
type ports struct {
	// lock listens on the port below them for as long as they are taken: who takes the same ones fails there.
	lock                      net.Listener
	webhooks, health, metrics int
}

// takePorts finds ports on which no process listens. They are below those that systems give to outgoing connections (from 32768
// on Linux): one of those could take a port while meshfence is stopped for a moment.
func takePorts() (*ports, error) {
	const lowest, blocks, size, tries = 20000, 3000, 4, 100
	var last error
	for range tries {
		base := lowest + size*rand.IntN(blocks)
		lock, err := net.Listen("tcp", loopback(base))
		if err != nil {
			last = err
			continue
		}
		if last = nobodyListens(base+1, base+2, base+3); last == nil {
			return &ports{lock: lock, webhooks: base + 1, health: base + 2, metrics: base + 3}, nil
		}
		last = errors.Join(last, lock.Close())
	}
	return nil, last
}

func nobodyListens(numbers ...int) error {
	for _, number := range numbers {
		listener, err := net.Listen("tcp", loopback(number))
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// CertDir is the folder of the certificate that meshfence serves, which takes the place of the Secret's mount.
func (c *Cluster) CertDir() string { return c.serving.certDir }

// RotateServingCertificate replaces the serving certificate by one of another authority. First the webhook configurations
// trust both authorities; then the files are replaced. The old authority stays until the next rotation.
func (c *Cluster) RotateServingCertificate(ctx context.Context) error {
	cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return err
	}
	if err := c.trust(ctx, slices.Concat(c.serving.authority, cert)); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		file := filepath.Join(c.serving.certDir, name)
		if err := errors.Join(os.WriteFile(file+".new", content, 0o600), os.Rename(file+".new", file)); err != nil {
			return err
		}
	}
	c.serving.authority = cert
	return nil
}

// trust sets the authorities in the webhook configurations, and waits until the API server acts on them.
func (c *Cluster) trust(ctx context.Context, authorities []byte) error {
	var validating admissionregistrationv1.ValidatingWebhookConfiguration
	var mutating admissionregistrationv1.MutatingWebhookConfiguration
	key := client.ObjectKey{Name: "meshfence"}
	if err := errors.Join(c.Client.Get(ctx, key, &validating), c.Client.Get(ctx, key, &mutating)); err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = authorities
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = authorities
	}
	if err := errors.Join(c.Client.Update(ctx, &validating), c.Client.Update(ctx, &mutating)); err != nil {
		return err
	}
	return c.WaitWebhooks(ctx)
}
