package harness

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rewatchDelay is the pause before a watch that broke is opened again.
const rewatchDelay = 100 * time.Millisecond

// isSystemNamespace tells the namespaces that the API server makes for itself.
func isSystemNamespace(name string) bool {
	return name == corev1.NamespaceDefault || strings.HasPrefix(name, "kube-")
}

// startNamespaceController starts the stand-in for the namespace controller: without one, `kubectl delete namespace`
// would wait for ever. It deletes what a terminating namespace contains, then the finalizer "kubernetes"; a namespace
// that has other finalizers in its metadata stays Terminating, as in a real cluster.
func (c *Cluster) startNamespaceController() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stopController = cancel
	c.controllerEnded = make(chan struct{})
	go func() {
		defer close(c.controllerEnded)
		for ctx.Err() == nil {
			c.finishDeletedNamespaces(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(rewatchDelay):
			}
		}
	}()
}

// finishDeletedNamespaces acts on one watch until it ends. An error is not reported: the namespace then stays, which a
// case shows, and the next watch begins with all of them.
func (c *Cluster) finishDeletedNamespaces(ctx context.Context) {
	namespaces, err := c.Client.Watch(ctx, &corev1.NamespaceList{})
	if err != nil {
		return
	}
	defer namespaces.Stop()
	for event := range namespaces.ResultChan() {
		namespace, ok := event.Object.(*corev1.Namespace)
		if ok && namespace.DeletionTimestamp != nil && len(namespace.Spec.Finalizers) > 0 {
			_ = c.finish(ctx, namespace.Name, namespace.UID)
		}
	}
}

// finish empties a terminating namespace and lets it go. It waits for a Reset that is under way, and looks at the
// stored namespace again: another of the same name may have taken its place.
func (c *Cluster) finish(ctx context.Context, name string, uid types.UID) error {
	c.deleting.Lock()
	defer c.deleting.Unlock()
	var namespace corev1.Namespace
	if err := c.Client.Get(ctx, client.ObjectKey{Name: name}, &namespace); err != nil {
		return client.IgnoreNotFound(err)
	}
	if namespace.UID != uid || namespace.DeletionTimestamp == nil {
		return nil
	}
	kinds, err := c.deletableKinds("")
	if err != nil {
		return err
	}
	contents, err := c.objects(ctx, kinds, name)
	if err != nil {
		return err
	}
	inside := contents[:0]
	for i := range contents {
		if contents[i].Namespace == name {
			inside = append(inside, contents[i])
		}
	}
	if err := c.remove(ctx, inside); err != nil {
		return err
	}
	return c.finalize(ctx, name)
}

// finalize takes the finalizer off that keeps every namespace until a controller has emptied it. The update is repeated
// when another client changed the namespace in between.
func (c *Cluster) finalize(ctx context.Context, name string) error {
	for {
		var namespace corev1.Namespace
		if err := c.Client.Get(ctx, client.ObjectKey{Name: name}, &namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		namespace.Spec.Finalizers = nil
		err := c.Client.SubResource("finalize").Update(ctx, &namespace)
		if !apierrors.IsConflict(err) {
			return client.IgnoreNotFound(err)
		}
	}
}

// removeNamespaces deletes every namespace that is not the system's, and returns when they are gone. Their contents
// must have been deleted before.
func (c *Cluster) removeNamespaces(ctx context.Context) error {
	var namespaces corev1.NamespaceList
	if err := c.Client.List(ctx, &namespaces); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range namespaces.Items {
		namespace := &namespaces.Items[i]
		group.Go(func() error {
			if isSystemNamespace(namespace.Name) {
				return c.restoreMetadata(ctx, namespace)
			}
			if err := c.removeNamespace(ctx, namespace); err != nil {
				return fmt.Errorf("remove namespace %s: %w", namespace.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (c *Cluster) removeNamespace(ctx context.Context, namespace *corev1.Namespace) error {
	if len(namespace.Finalizers) > 0 {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := c.Client.Patch(ctx, namespace, patch); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	if err := c.Client.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
		return err
	}
	if err := c.finalize(ctx, namespace.Name); err != nil {
		return err
	}
	return c.waitGone(ctx, namespace)
}

// restoreMetadata takes off a system namespace what a case has put there.
func (c *Cluster) restoreMetadata(ctx context.Context, namespace *corev1.Namespace) error {
	if len(namespace.Labels) == 1 && len(namespace.Annotations) == 0 {
		return nil
	}
	before := namespace.DeepCopy()
	namespace.Labels = map[string]string{corev1.LabelMetadataName: namespace.Name}
	namespace.Annotations = nil
	return c.Client.Patch(ctx, namespace, client.MergeFrom(before))
}
