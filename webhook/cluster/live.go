package cluster

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/pager"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Live returns the meshes, the tags and the mesh map as they are stored now, past all caches: every list is consistent, it
// holds whatever was stored before the call. A resource that is not served has no objects. An error means that something
// could not be read, and nothing is returned then.
//
// The lists are not of one moment. Istios are read last, so that an IstioRevision is never seen without the Istio that was
// there before it and owns it; one that is missing because it came later has the selectors of its Istio, which is seen.
func (c *Cluster) Live(ctx context.Context) (mesh.Objects, error) {
	var objects mesh.Objects
	group, together := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		objects.Tags, err = list(together, c.resources.tags, tag)
		return err
	})
	group.Go(func() (err error) {
		objects.Revisions, err = list(together, c.resources.revisions, controlPlane(sail.KindIstioRevision))
		return err
	})
	group.Go(func() (err error) {
		objects.Map, err = c.liveMap(together)
		return err
	})
	err := group.Wait()
	if err == nil {
		objects.Istios, err = list(ctx, c.resources.istios, controlPlane(sail.KindIstio))
	}
	if err != nil {
		return mesh.Objects{}, fmt.Errorf("read the stored meshes: %w", err)
	}
	return objects, nil
}

// liveMap returns the mesh map's valid entries. The others are told of when the cache sees them.
func (c *Cluster) liveMap(ctx context.Context) (map[string]string, error) {
	stored, err := c.resources.meshMap.Get(ctx, *c.mapName.Load(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readMeshMap(stored).entries, nil
}

// list returns all objects of a resource. Pages after the first are of the first one's moment; if that has expired
// meanwhile, everything is read again without pages.
func list[T any](ctx context.Context, resource dynamic.ResourceInterface, convert func(metav1.Object) T) ([]T, error) {
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return resource.List(ctx, options)
	})
	found, _, err := pages.List(ctx, metav1.ListOptions{})
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var converted []T
	err = meta.EachListItem(found, func(object runtime.Object) error {
		accessor, err := meta.Accessor(object)
		if err == nil {
			converted = append(converted, convert(accessor))
		}
		return err
	})
	return converted, err
}
