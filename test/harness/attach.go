package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Attach connects to a cluster that is there, and makes nothing in it. Only the current context of the kubeconfig file is used, from a copy:
// a change of context in between leads nothing elsewhere. host is the name or address under which the API server reaches this machine.
// Stop ends what runs here; what was made in the cluster is the caller's to remove.
func Attach(kubeconfig, host string) (*Cluster, error) {
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
	options := Options{CRDs: Slim, Binary: filepath.Join(root, "bin", "meshfence")}
	c := &Cluster{CRDs: Slim, options: options, root: root, dir: dir, watchdog: watchdog}
	if err := c.attach(kubeconfig, host); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) attach(kubeconfig, host string) error {
	assets, err := controlPlaneDir(c.root)
	if err != nil {
		return err
	}
	c.Kubectl, c.Kubeconfig = filepath.Join(assets, "kubectl"), filepath.Join(c.dir, "kubeconfig")
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return fmt.Errorf("%w: CLUSTER names a kubeconfig file", err)
	}
	if err := errors.Join(clientcmdapi.MinifyConfig(config), clientcmdapi.FlattenConfig(config)); err != nil {
		return fmt.Errorf("%s: %w: choose a context with kubectl config use-context", kubeconfig, err)
	}
	if err := clientcmd.WriteToFile(*config, c.Kubeconfig); err != nil {
		return err
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		return err
	}
	if err := c.newClients(); err != nil {
		return err
	}
	if c.serving, err = newServing(c.dir, host); err != nil {
		return err
	}
	c.crds, err = readCRDSet(c.CRDs, c.root)
	return err
}

// ContextAndVersion returns which context of the kubeconfig file it is, and which Kubernetes answers.
func (c *Cluster) ContextAndVersion() (name, version string, err error) {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return "", "", err
	}
	info, err := c.discovery.ServerVersion()
	if err != nil {
		return "", "", fmt.Errorf("%s does not answer: %w", c.Config.Host, err)
	}
	return config.CurrentContext, info.GitVersion, nil
}

// Planned returns what it takes to ask a meshfence on this machine, in the order in which it must be made: the definitions that the cluster
// does not have, then of the manifests what gives meshfence its identity, and last the webhook configurations. Nothing that they select
// is refused when meshfence does not answer, so that a cluster in use goes on if this program is killed.
func (c *Cluster) Planned(ctx context.Context) ([]client.Object, error) {
	var planned []client.Object
	for _, crd := range c.crds {
		err := c.Client.Get(ctx, client.ObjectKeyFromObject(crd), &apiextensionsv1.CustomResourceDefinition{})
		if err == nil {
			continue
		}
		if !apierrors.IsNotFound(err) {
			return nil, err
		}
		made := crd.DeepCopy()
		made.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		planned = append(planned, made)
	}
	objects, err := c.Manifests()
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if !neededOutside(object) {
			continue
		}
		if err := c.redirect(object); err != nil {
			return nil, err
		}
		ignoreFailures(object)
		planned = append(planned, object)
	}
	return planned, nil
}

// neededOutside reports whether an object is needed by a meshfence that runs outside of the cluster: there are no pods to run, to protect or to serve.
func neededOutside(object client.Object) bool {
	switch object.(type) {
	case *corev1.Namespace, *corev1.ServiceAccount, *corev1.ConfigMap,
		*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding:
		return true
	}
	return isWebhookConfiguration(object)
}

func ignoreFailures(object client.Object) {
	ignore := admissionregistrationv1.Ignore
	switch object := object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range object.Webhooks {
			object.Webhooks[i].FailurePolicy = &ignore
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range object.Webhooks {
			object.Webhooks[i].FailurePolicy = &ignore
		}
	}
}

// hostOr is the host that API servers are told, this machine's loopback address if none is named.
func hostOr(host string) string { return cmp.Or(host, "127.0.0.1") }
