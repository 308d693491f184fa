package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata"

	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/istiod"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Live returns the meshes, the tags and the mesh map as they are stored now, past all caches: every list is consistent, it
// holds whatever was stored before the call. A resource that is not served has no objects. An error means that something
// could not be read, and nothing is returned then.
//
// The lists are read side by side, and are not of one moment. An IstioRevision whose Istio came after the Istios were read
// has them read again, so that none is taken for one without an owner. A revision that is missing because it came later has
// the selectors of its Istio, which is seen.
func (c *Cluster) Live(ctx context.Context) (mesh.Objects, error) { return c.live(ctx, "") }

// live is Live, except that it is an error if this kind is not served.
func (c *Cluster) live(ctx context.Context, served string) (mesh.Objects, error) {
	var objects mesh.Objects
	istios := func(ctx context.Context) (err error) {
		objects.Istios, err = c.liveMeshes(ctx, &c.resources.istios, c.istios, served == sail.KindIstio)
		return err
	}
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error { return istios(together) })
	group.Go(func() (err error) {
		objects.Revisions, err = c.liveMeshes(together, &c.resources.revisions, c.revisions, served == sail.KindIstioRevision)
		return err
	})
	group.Go(func() (err error) {
		objects.Tags, err = c.liveTags(together)
		return err
	})
	group.Go(func() (err error) {
		objects.Map, err = c.liveMap(together)
		return err
	})
	var parts istiod.Objects
	group.Go(func() (err error) {
		if c.istiods != nil {
			parts, err = c.istiods.live(together)
		}
		return err
	})
	err := group.Wait()
	if err == nil && lacksAnOwner(objects) {
		err = istios(ctx)
	}
	if err != nil {
		return mesh.Objects{}, fmt.Errorf("read the stored meshes: %w", err)
	}
	if c.istiods != nil {
		objects = objects.WithParts(parts)
	}
	return objects, nil
}

// lacksAnOwner reports whether an IstioRevision has an Istio for its controller that is not there.
func lacksAnOwner(objects mesh.Objects) bool {
	istios := make(map[string]bool, len(objects.Istios))
	for _, istio := range objects.Istios {
		istios[istio.Metadata.Name] = true
	}
	return slices.ContainsFunc(objects.Revisions, func(revision *sail.ControlPlane) bool {
		owner := revision.Metadata.Controller(sail.KindIstio)
		return owner != "" && !istios[owner]
	})
}

// liveMap returns the mesh map's valid entries. The others are told of when the cache sees them.
func (c *Cluster) liveMap(ctx context.Context) (map[string]string, error) {
	stored, err := c.resources.configMaps.Get(ctx, *c.mapName.Load(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readMeshMap(stored).entries, nil
}

// MeshMap returns the mesh map's ConfigMap as it is stored now, nil if there is none.
func (c *Cluster) MeshMap(ctx context.Context) (*mesh.Map, error) {
	stored, err := c.resources.configMaps.Get(ctx, *c.mapName.Load(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	// The API server stores both as maps of strings.
	data, _, _ := unstructured.NestedStringMap(stored.Object, "data")
	binary, _, _ := unstructured.NestedStringMap(stored.Object, "binaryData")
	return &mesh.Map{Namespace: stored.GetNamespace(), Name: stored.GetName(), Data: data, Binary: slices.Sorted(maps.Keys(binary))}, nil
}

// maxSingle is how many objects are read one by one, if the cache has not seen them yet; if it lacks more, all are read.
const maxSingle = 4

// liveMeshes returns all Istios or IstioRevisions. It reads their metadata, and takes the rest from the cache where that has
// the very version that is stored, by uid and resourceVersion: what an object holds at a resourceVersion never changes, so
// it does not matter how old the cache is. What the cache has not seen yet, often the object that was changed last, is
// read whole. That leaves a list of a few hundred bytes an object instead of up to a megabyte.
//
// (Two things can change it after all: a CustomResourceDefinition with other defaults, for the moment until its watches have
// begun anew; and an etcd that is restored from a backup, after which every client has to be started again anyway.)
func (c *Cluster) liveMeshes(ctx context.Context, resource *meshResource, known *store.Store[*sail.ControlPlane], served bool) ([]*sail.ControlPlane, error) {
	stored, err := resource.versions(ctx)
	if isAbsent(err) && !served {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := make([]*sail.ControlPlane, 0, len(stored))
	var missing []string
	for i := range stored {
		item := &stored[i]
		cp, ok := known.At(item.name, item.version)
		if !ok {
			missing = append(missing, item.name)
			continue
		}
		whole := *cp
		whole.Metadata.ResourceVersion = item.version.ResourceVersion
		found = append(found, &whole)
	}
	if len(missing) > maxSingle {
		return resource.lister.all(ctx)
	}
	for _, name := range missing {
		one, err := resource.lister.named(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, one...)
	}
	return found, nil
}

// meshResource is the resource of Istios or of IstioRevisions.
type meshResource struct {
	lister   *meshLister
	metadata metadata.ResourceInterface
}

// nameVersion is an object that is stored.
type nameVersion struct {
	name    string
	version store.Version
}

// versionsPerPage makes a page less than a megabyte.
const versionsPerPage = 500

// versions lists what is stored now: it holds whatever was stored before the call.
func (r *meshResource) versions(ctx context.Context) ([]nameVersion, error) {
	list, err := readPages(ctx, versionsPerPage, func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return r.metadata.List(ctx, options)
	})
	if err != nil {
		return nil, err
	}
	var all []nameVersion
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, err := meta.Accessor(item)
		if err == nil {
			all = append(all, nameVersion{name: object.GetName(), version: store.VersionOf(object)})
		}
		return err
	})
	return all, err
}

// liveTags returns all tags.
func (c *Cluster) liveTags(ctx context.Context) ([]*sail.Tag, error) {
	list, err := readPages(ctx, versionsPerPage, func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.resources.tags.List(ctx, options)
	})
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*sail.Tag
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, err := meta.Accessor(item)
		if err == nil {
			all = append(all, tag(object))
		}
		return err
	})
	return all, err
}
