// Package memory keeps a text in a ConfigMap of our own namespace, for the next process that needs it.
package memory

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// ConfigMap is where a text is kept.
type ConfigMap struct {
	client          coreclient.ConfigMapInterface
	namespace, name string
	key             string
}

// New returns the ConfigMap of a namespace and a name, which need not exist yet; key is that of the text in it.
func New(api *rest.Config, namespace, name, key string) (*ConfigMap, error) {
	client, err := coreclient.NewForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &ConfigMap{client: client.ConfigMaps(namespace), namespace: namespace, name: name, key: key}, nil
}

// Load returns the text, "" if there is none.
func (c *ConfigMap) Load(ctx context.Context) (string, error) {
	stored, err := c.client.Get(ctx, c.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read ConfigMap %s/%s: %w", c.namespace, c.name, err)
	}
	return stored.Data[c.key], nil
}

// Store replaces the text. What else is in the ConfigMap stays.
func (c *ConfigMap) Store(ctx context.Context, text string) error {
	stored, err := c.client.Get(ctx, c.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		fresh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: c.name}, Data: map[string]string{c.key: text}}
		_, err = c.client.Create(ctx, fresh, metav1.CreateOptions{})
	case err == nil && stored.Data[c.key] == text:
		return nil
	case err == nil:
		if stored.Data == nil {
			stored.Data = map[string]string{}
		}
		stored.Data[c.key] = text
		_, err = c.client.Update(ctx, stored, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write ConfigMap %s/%s: %w", c.namespace, c.name, err)
	}
	return nil
}
