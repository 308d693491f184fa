package harness

import (
	"context"
	"errors"
	"net"
)

// What programs need that measure: where meshfence is served, and its process.

// ServingAddress is host:port where this cluster's meshfence answers.
func (c *Cluster) ServingAddress() string { return c.serving.address() }

// ServingDir is the folder of the serving certificate, tls.crt and tls.key, for 127.0.0.1.
func (c *Cluster) ServingDir() string { return c.serving.certDir }

// ServingAuthority is the certificate's authority in PEM.
func (c *Cluster) ServingAuthority() []byte { return c.serving.authority }

// SparePort is an address of this machine where no process listens at the moment.
func (c *Cluster) SparePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Meshfence is the running process, or nil.
func (c *Cluster) Meshfence() *Process { return c.meshfence }

// LaunchMeshfence is StartMeshfence that does not wait until meshfence is ready.
func (c *Cluster) LaunchMeshfence(ctx context.Context) error {
	if c.meshfence != nil {
		return errors.New("meshfence is running already")
	}
	process, err := c.launch(ctx, c.serving.ports, ProcessOptions{})
	if err == nil {
		c.meshfence = process
	}
	return err
}
