package harness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Install applies the manifests that users install: InstallWorkload, then InstallWebhooks. What a running meshfence
// answers decides about requests from then on, so it should be ready first.
func (c *Cluster) Install(ctx context.Context) error {
	if err := c.InstallWorkload(ctx); err != nil {
		return err
	}
	return c.InstallWebhooks(ctx)
}

// InstallWorkload applies all manifests but the webhook configurations, as they are: namespace, service account, roles,
// configuration and so on. A Deployment is stored and does nothing here.
func (c *Cluster) InstallWorkload(ctx context.Context) error {
	return c.install(ctx, func(object client.Object) bool { return !isWebhookConfiguration(object) })
}

// InstallWebhooks applies the manifests' webhook configurations and returns when the API server acts on them. Of each
// only the address differs from the manifest: the Service's place is taken by the port of this machine where
// StartMeshfence lets meshfence listen, with the same path and the authority of the certificate served there.
func (c *Cluster) InstallWebhooks(ctx context.Context) error {
	if err := c.install(ctx, isWebhookConfiguration); err != nil {
		return err
	}
	return c.WaitWebhooks(ctx)
}

func isWebhookConfiguration(object client.Object) bool {
	switch object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration:
		return true
	}
	return false
}

func (c *Cluster) install(ctx context.Context, wanted func(client.Object) bool) error {
	objects, err := c.Manifests()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if !wanted(object) {
			continue
		}
		if err := c.redirect(object); err != nil {
			return err
		}
		if err := c.put(ctx, object); err != nil {
			return fmt.Errorf("install %s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(), err)
		}
	}
	return nil
}

// put creates an object, or replaces the one that is there.
func (c *Cluster) put(ctx context.Context, object client.Object) error {
	err := c.Client.Create(ctx, object)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	stored := object.DeepCopyObject().(client.Object)
	if err := c.Client.Get(ctx, client.ObjectKeyFromObject(object), stored); err != nil {
		return err
	}
	object.SetResourceVersion(stored.GetResourceVersion())
	return c.Client.Update(ctx, object)
}

// redirect replaces a webhook configuration's Service by this machine's port.
func (c *Cluster) redirect(object client.Object) error {
	switch object := object.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range object.Webhooks {
			if err := c.redirectWebhook(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig); err != nil {
				return err
			}
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range object.Webhooks {
			if err := c.redirectWebhook(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cluster) redirectWebhook(name string, config *admissionregistrationv1.WebhookClientConfig) error {
	if config.Service == nil || config.Service.Path == nil {
		return fmt.Errorf("webhook %s: its manifest names no service and path", name)
	}
	url := "https://" + c.serving.address() + *config.Service.Path
	config.Service, config.URL, config.CABundle = nil, &url, c.serving.authority
	return nil
}

// Manifests reads the manifests that users install. A field that the kind does not have is an error. Kinds that the API
// server does not serve are left out: those of cert-manager or of the Prometheus operator, say, which need their own
// definitions.
func (c *Cluster) Manifests() ([]client.Object, error) {
	files := c.options.Manifests
	if files == nil {
		files = []string{filepath.Join(c.root, "deploy", "meshfence-cert-manager.yaml")}
	}
	var objects []client.Object
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoded, err := decodeManifests(c.Client.Scheme(), content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// decodeManifests decodes a file of YAML documents strictly, each by its kind. Documents of kinds that the scheme does
// not know are left out.
func decodeManifests(scheme *runtime.Scheme, content []byte) ([]client.Object, error) {
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var objects []client.Object
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if isBlank(document) {
			continue
		}
		decoded, kind, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		object, ok := decoded.(client.Object)
		if !ok {
			return nil, fmt.Errorf("a %s is no object that can be installed", kind.Kind)
		}
		object.GetObjectKind().SetGroupVersionKind(*kind)
		objects = append(objects, object)
	}
}

// isBlank reports whether a YAML document holds nothing but comments.
func isBlank(document []byte) bool {
	for line := range strings.Lines(string(document)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			return false
		}
	}
	return true
}

// defaultConfiguration returns the configuration file that the manifests install: the key config.yaml of the ConfigMap
// meshfence-configuration. It is "" when there is none, and meshfence's own defaults apply.
func (c *Cluster) defaultConfiguration() (string, error) {
	objects, err := c.Manifests()
	if err != nil {
		return "", err
	}
	for _, object := range objects {
		if config, ok := object.(*corev1.ConfigMap); ok && config.Name == "meshfence-configuration" {
			return config.Data["config.yaml"], nil
		}
	}
	return "", nil
}
