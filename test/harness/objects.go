package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// parallel is how many requests are under way at once while the cluster is cleaned.
const parallel = 8

// objectKey identifies an object of the cluster.
type objectKey struct {
	kind schema.GroupKind
	name client.ObjectKey
}

// keptGroups are API groups whose objects the API server makes for itself, and makes again when they are deleted.
var keptGroups = []string{"apiregistration.k8s.io", "flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io"}

// keptKinds are cleaned in another way (namespaces, definitions, webhook configurations), belong to Services, or
// expire.
var keptKinds = []string{
	"Namespace", "CustomResourceDefinition", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
	"IPAddress", "ServiceCIDR", "Event",
}

// deletableKinds lists the kinds whose objects can be listed and deleted; those of one API group only when group is not
// "".
func (c *Cluster) deletableKinds(group string) ([]schema.GroupVersionKind, error) {
	lists, err := c.discovery.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, err
	}
	var kinds []schema.GroupVersionKind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		if slices.Contains(keptGroups, gv.Group) || group != "" && gv.Group != group {
			continue
		}
		for _, resource := range list.APIResources {
			if isDeletable(&resource) {
				kinds = append(kinds, gv.WithKind(resource.Kind))
			}
		}
	}
	return kinds, nil
}

func isDeletable(resource *metav1.APIResource) bool {
	return slices.Contains(resource.Verbs, "list") && slices.Contains(resource.Verbs, "delete") &&
		!strings.Contains(resource.Name, "/") && !slices.Contains(keptKinds, resource.Kind)
}

// objects lists every object of the kinds, in namespace only when that is not "". A kind whose definition has just been
// removed has no objects.
func (c *Cluster) objects(
	ctx context.Context, kinds []schema.GroupVersionKind, namespace string,
) ([]metav1.PartialObjectMetadata, error) {
	found := make([][]metav1.PartialObjectMetadata, len(kinds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, kind := range kinds {
		group.Go(func() error {
			list := metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(kind)
			if err := c.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil && !isGone(err) {
				return fmt.Errorf("list %s: %w", kind.Kind, err)
			}
			for j := range list.Items {
				list.Items[j].SetGroupVersionKind(kind)
			}
			found[i] = list.Items
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(found...), err
}

// isGone reports that an object, or its whole kind, does not exist.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

// remove deletes objects at once, whatever finalizers they have.
func (c *Cluster) remove(ctx context.Context, objects []metav1.PartialObjectMetadata) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range objects {
		object := &objects[i]
		group.Go(func() error {
			if len(object.Finalizers) > 0 {
				patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
				if err := c.Client.Patch(ctx, object, patch); err != nil && !isGone(err) {
					return fmt.Errorf("drop the finalizers of %s %s: %w", object.Kind, object.Name, err)
				}
			}
			if err := c.Client.Delete(ctx, object, client.GracePeriodSeconds(0)); err != nil && !isGone(err) {
				return fmt.Errorf("delete %s %s: %w", object.Kind, object.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// deleteObjectsOf deletes every object of an API group's custom resources.
func (c *Cluster) deleteObjectsOf(ctx context.Context, group string) error {
	kinds, err := c.deletableKinds(group)
	if err != nil {
		return err
	}
	objects, err := c.objects(ctx, kinds, "")
	if err != nil {
		return err
	}
	return c.remove(ctx, objects)
}

func keyOf(object *metav1.PartialObjectMetadata) objectKey {
	return objectKey{kind: object.GroupVersionKind().GroupKind(), name: client.ObjectKeyFromObject(object)}
}

// takeBaseline records the objects that the API server has made for itself: Reset keeps them.
func (c *Cluster) takeBaseline(ctx context.Context) (map[objectKey]bool, error) {
	kinds, err := c.deletableKinds("")
	if err != nil {
		return nil, err
	}
	objects, err := c.objects(ctx, kinds, "")
	if err != nil {
		return nil, err
	}
	baseline := map[objectKey]bool{}
	for i := range objects {
		baseline[keyOf(&objects[i])] = true
	}
	return baseline, nil
}
