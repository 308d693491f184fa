// Package listing reads a cluster once, as it stands, for a check of what exists. It watches nothing and writes nothing. What the user may not list
// is left out and named.
package listing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/meshfence/meshfence/webhook/api"
)

// pageSize is how many objects the API server is asked for at once.
const pageSize = 500

// Object is one stored object.
type Object struct {
	// Resource is how reports name what was listed, for example istios.sailoperator.io.
	Resource string
	// APIVersion and Kind are of the version that is judged.
	APIVersion, Kind string
	Namespace, Name  string
	// Raw is the object as JSON; of a Namespace only its metadata.
	Raw []byte
}

// Gap is what could not be listed.
type Gap struct {
	// Resource is what kubectl calls it, with its group, for example istios.sailoperator.io.
	Resource string
	// Why is nil if the API server does not serve the resource, and otherwise the error, for example that the user may not list it.
	Why error
}

// Forbidden reports whether the user has no right to list it.
func (g Gap) Forbidden() bool { return apierrors.IsForbidden(g.Why) }

// Cluster is what was read.
type Cluster struct {
	Objects []Object
	// Gaps is what is missing, in the order in which it was asked for.
	Gaps []Gap
}

// Options say what to read besides the operator's objects and namespaces.
type Options struct {
	// Namespace and MeshMap name the mesh map's ConfigMap.
	Namespace, MeshMap string
	// OnlySail leaves out the istiods that the Sail operator did not install.
	OnlySail bool
	// OneNamespace is read by itself where all may not be listed; "" for none.
	OneNamespace string
	// Progress, if not nil, is called with the number of objects read so far, by resource.
	Progress func(resource string, count int)
}

// Read lists everything that is judged. The error says that the API server could not be reached at all, or did not answer in ctx's time.
func Read(ctx context.Context, cfg *rest.Config, opts Options) (Cluster, error) {
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return Cluster{}, err
	}
	names, err := metadata.NewForConfig(cfg)
	if err != nil {
		return Cluster{}, err
	}
	r := reader{opts: opts}
	for _, m := range []struct{ kind, resource string }{
		{api.KindIstio, api.ResourceIstios}, {api.KindIstioRevision, api.ResourceIstioRevisions}, {api.KindIstioRevisionTag, api.ResourceIstioRevisionTags},
	} {
		gvr := schema.GroupVersionResource{Group: api.SailGroup, Version: api.SailVersion, Resource: m.resource}
		r.list(ctx, gvr, m.kind, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return objects.Resource(gvr).List(ctx, o)
		})
	}
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	r.list(ctx, namespaces, "Namespace", func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return names.Resource(namespaces).List(ctx, o)
	})
	r.oneNamespace(ctx, names, namespaces)
	r.meshMap(ctx, objects)
	for _, s := range istiods() {
		if opts.OnlySail {
			break
		}
		r.listSome(ctx, s.resource, s.kind, s.name, metav1.ListOptions{LabelSelector: s.labels}, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return objects.Resource(s.resource).List(ctx, o)
		})
	}
	return r.cluster, r.err
}

// reader collects what is listed. After the first error that is no answer of the API server it asks no more.
type reader struct {
	opts    Options
	cluster Cluster
	err     error
}

// list lists a whole resource.
func (r *reader) list(ctx context.Context, resource schema.GroupVersionResource, kind string, list pager.ListPageFunc) {
	r.listSome(ctx, resource, kind, resource.GroupResource().String(), metav1.ListOptions{}, list)
}

// listSome lists the objects of a resource that the options select; name is how reports name them.
func (r *reader) listSome(ctx context.Context, resource schema.GroupVersionResource, kind, name string, options metav1.ListOptions, list pager.ListPageFunc) {
	if r.err != nil {
		return
	}
	pages := pager.New(list)
	pages.PageSize, pages.PageBufferSize = pageSize, 1
	before := len(r.cluster.Objects)
	err := r.each(ctx, pages, resource, kind, name, options)
	// A list that takes longer than the API server keeps its version has to begin anew.
	for try := 1; try < tries && apierrors.IsResourceExpired(err); try++ {
		r.cluster.Objects = r.cluster.Objects[:before]
		err = r.each(ctx, pages, resource, kind, name, options)
	}
	if err != nil {
		r.cluster.Objects = r.cluster.Objects[:before] // a part of a list would be taken for the whole
	}
	r.note(name, err)
}

// tries is how often a list is begun.
const tries = 3

// each reads one list.
func (r *reader) each(ctx context.Context, pages *pager.ListPager, resource schema.GroupVersionResource, kind, name string, options metav1.ListOptions) error {
	count := 0
	return pages.EachListItem(ctx, options, func(item runtime.Object) error {
		object, err := objectOf(item, resource.GroupVersion().String(), kind)
		if err != nil {
			return fmt.Errorf("an object of %s cannot be read: %w", name, err)
		}
		object.Resource = name
		r.cluster.Objects = append(r.cluster.Objects, object)
		if count++; r.opts.Progress != nil && count%pageSize == 0 {
			r.opts.Progress(name, count)
		}
		return nil
	})
}

// oneNamespace reads the one that is asked about, if all may not be listed.
func (r *reader) oneNamespace(ctx context.Context, client metadata.Interface, resource schema.GroupVersionResource) {
	forbidden := slices.ContainsFunc(r.cluster.Gaps, func(g Gap) bool { return g.Resource == resource.Resource })
	if r.err != nil || r.opts.OneNamespace == "" || !forbidden {
		return
	}
	if item, err := client.Resource(resource).Get(ctx, r.opts.OneNamespace, metav1.GetOptions{}); err == nil {
		if object, err := objectOf(item, "v1", "Namespace"); err == nil {
			object.Resource = resource.Resource
			r.cluster.Objects = append(r.cluster.Objects, object)
		}
	}
}

// meshMap reads the one ConfigMap. That there is none is no gap.
func (r *reader) meshMap(ctx context.Context, client dynamic.Interface) {
	if r.err != nil || r.opts.MeshMap == "" {
		return
	}
	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	item, err := client.Resource(configMaps).Namespace(r.opts.Namespace).Get(ctx, r.opts.MeshMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err == nil {
		var object Object
		if object, err = objectOf(item, "v1", "ConfigMap"); err == nil {
			r.cluster.Objects = append(r.cluster.Objects, object)
		}
	}
	r.note(fmt.Sprintf("configmap %s/%s", r.opts.Namespace, r.opts.MeshMap), err)
}

// note keeps an answer of the API server that is no list as a gap, and anything else as the end.
func (r *reader) note(resource string, err error) {
	var status apierrors.APIStatus
	switch {
	case err == nil:
	case apierrors.IsNotFound(err):
		r.cluster.Gaps = append(r.cluster.Gaps, Gap{Resource: resource})
	case apierrors.IsUnauthorized(err): // nothing else could be read either
		r.err = err
	case errors.As(err, &status):
		r.cluster.Gaps = append(r.cluster.Gaps, Gap{Resource: resource, Why: err})
	default:
		r.err = err
	}
}

// objectOf takes an item of a list, which has no kind of its own if only its metadata was asked for.
func objectOf(item runtime.Object, apiVersion, kind string) (Object, error) {
	object := Object{APIVersion: apiVersion, Kind: kind}
	var err error
	switch item := item.(type) {
	case *unstructured.Unstructured:
		object.Namespace, object.Name = item.GetNamespace(), item.GetName()
		object.Raw, err = json.Marshal(item.Object)
	case *metav1.PartialObjectMetadata:
		object.Namespace, object.Name = item.Namespace, item.Name
		object.Raw, err = json.Marshal(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": item.ObjectMeta})
	default:
		err = fmt.Errorf("unexpected %T", item)
	}
	return object, err
}
