package harness

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	certutil "k8s.io/client-go/util/cert"
)

// serving is where meshfence's webhooks are served, for as long as the cluster exists: the configurations need not
// change when meshfence is stopped and started again.
type serving struct {
	port      int
	certDir   string // holds tls.crt and tls.key, as the Secret's mount does
	authority []byte // PEM, for caBundle
}

// newServing makes a serving certificate for 127.0.0.1, below dir, and chooses a port.
func newServing(dir string) (*serving, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	s := &serving{port: port, certDir: filepath.Join(dir, "certs"), authority: cert}
	if err := os.Mkdir(s.certDir, 0o700); err != nil {
		return nil, err
	}
	return s, errors.Join(
		os.WriteFile(filepath.Join(s.certDir, "tls.crt"), cert, 0o600),
		os.WriteFile(filepath.Join(s.certDir, "tls.key"), key, 0o600),
	)
}

// address returns host:port.
func (s *serving) address() string { return loopback(s.port) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePort returns a port that nobody listens on. It is below those that systems give to outgoing connections (from
// 32768 on Linux): one of those could take a port while meshfence is stopped for a moment.
func freePort() (int, error) {
	const lowest, count, tries = 20000, 12000, 100
	var last error
	for range tries {
		port := lowest + rand.IntN(count)
		listener, err := net.Listen("tcp", loopback(port))
		if err == nil {
			return port, listener.Close()
		}
		last = err
	}
	return 0, last
}
