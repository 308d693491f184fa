package harness

import (
	"context"
	"fmt"
	"os"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reset brings the cluster back to the state that it was started in: meshfence is killed and not installed, the
// definitions are those of the cluster's set, and nothing else is left but what the API server makes for itself.
// Webhook configurations go first, so that nothing refuses the rest.
func (c *Cluster) Reset(ctx context.Context) error {
	c.deleting.Lock()
	defer c.deleting.Unlock()
	if c.meshfence != nil {
		if err := c.KillMeshfence(); err != nil {
			return err
		}
	}
	c.logs = nil
	if err := c.removeWebhooks(ctx); err != nil {
		return err
	}
	if err := c.ForgetDiscovery(); err != nil {
		return err
	}
	if err := c.restoreCRDs(ctx); err != nil {
		return err
	}
	if err := c.removeObjects(ctx); err != nil {
		return err
	}
	return c.removeNamespaces(ctx)
}

// removeWebhooks deletes every webhook configuration, and returns when the API server asks none of them any more.
func (c *Cluster) removeWebhooks(ctx context.Context) error {
	for _, kind := range []client.Object{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{},
	} {
		if err := c.Client.DeleteAllOf(ctx, kind); err != nil {
			return fmt.Errorf("remove the webhook configurations: %w", err)
		}
	}
	return c.WaitWebhooks(ctx)
}

// removeObjects deletes all objects but the API server's own. Namespaces come later.
func (c *Cluster) removeObjects(ctx context.Context) error {
	kinds, err := c.deletableKinds("")
	if err != nil {
		return err
	}
	objects, err := c.objects(ctx, kinds, "")
	if err != nil {
		return err
	}
	foreign := objects[:0]
	for i := range objects {
		system := objects[i].Namespace != "" && objects[i].Namespace != "default" && isSystemNamespace(objects[i].Namespace)
		if !system && !c.baseline[keyOf(&objects[i])] {
			foreign = append(foreign, objects[i])
		}
	}
	return c.remove(ctx, foreign)
}

// kubectlCache is where kubectl keeps what the API server told it about its resources.
func (c *Cluster) kubectlCache() string { return c.dir + "/kubectl-cache" }

// ForgetDiscovery makes kubectl ask anew which resources there are. It is needed after definitions came or went.
func (c *Cluster) ForgetDiscovery() error { return os.RemoveAll(c.kubectlCache()) }
