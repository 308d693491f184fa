package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/istiod"
)

// partsPerPage bounds the memory that a list takes while it is read: the ConfigMap of an injector has a hundred kilobytes of templates.
const partsPerPage = 20

// istiods keeps the objects of istiods that the Sail operator did not install.
type istiods struct{ configMaps, deployments, injectors, services *partKind }

func (s *istiods) kinds() []*partKind {
	return []*partKind{s.configMaps, s.deployments, s.injectors, s.services}
}

// partKind is one kind of their objects: those that have a label.
type partKind struct {
	kind, label string
	// name is what people know the objects by.
	name     string
	objects  dynamic.NamespaceableResourceInterface
	metadata metadata.ResourceInterface
	store    *store.Store[*istiod.Part]
}

// newIstiods makes empty stores; changed is called when they change,
// and stored is told the uid of every ConfigMap that is seen.
func newIstiods(objects dynamic.Interface, names metadata.Interface, stored func(uid string), changed func()) *istiods {
	kindOf := func(kind, name string, resource schema.GroupVersionResource, label string) *partKind {
		k := &partKind{kind: kind, label: label, name: name, objects: objects.Resource(resource), metadata: names.Resource(resource)}
		k.store = store.New(func(object metav1.Object) *istiod.Part {
			if kind == istiod.KindConfigMap {
				stored(string(object.GetUID()))
			}
			return k.cached(object)
		}, changed).KeepVersions()
		return k
	}
	registration := admissionregistrationv1.SchemeGroupVersion
	return &istiods{
		configMaps:  kindOf(istiod.KindConfigMap, "the ConfigMaps of istiods", corev1.SchemeGroupVersion.WithResource("configmaps"), api.RevisionLabel),
		deployments: kindOf(istiod.KindDeployment, "the Deployments of istiods", appsv1.SchemeGroupVersion.WithResource("deployments"), "app=istiod"),
		injectors:   kindOf(istiod.KindInjector, "the injectors of istiods", registration.WithResource("mutatingwebhookconfigurations"), api.RevisionLabel),
		services:    kindOf(istiod.KindService, "the tags of istiods", corev1.SchemeGroupVersion.WithResource("services"), api.TagLabel),
	}
}

// reflectors are those that fill the stores.
func (s *istiods) reflectors() []*cache.Reflector {
	var all []*cache.Reflector
	for _, k := range s.kinds() {
		source := &cache.ListWatch{ListWithContextFunc: k.list, WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = k.label
			return k.objects.Watch(ctx, options)
		}}
		all = append(all, store.NewReflector(k.name, source, k.store))
	}
	return all
}

// known is what the stores hold.
func (s *istiods) known() istiod.Objects {
	var all istiod.Objects
	for _, k := range s.kinds() {
		for _, part := range k.store.Values() {
			if part != nil {
				all.Add(part)
			}
		}
	}
	return all
}

// live is known with the ConfigMaps as they are stored now: they say what is discovered. What the other objects say is in no request that is judged.
func (s *istiods) live(ctx context.Context) (istiod.Objects, error) {
	all := s.known()
	all.ConfigMaps = nil
	stored, err := s.configMaps.live(ctx)
	for _, part := range stored {
		all.Add(part)
	}
	return all, err
}

// cached is what a store keeps of an object: nil of one that is none of an istiod's. What changes without meaning anything is dropped.
func (k *partKind) cached(object metav1.Object) *istiod.Part {
	part := k.part(object)
	if part != nil {
		part.DropVersion()
	}
	return part
}

// part reads an object. One that cannot be read says nothing: the API server stores no built-in object with a field of another type.
func (k *partKind) part(object metav1.Object) *istiod.Part {
	if read, ok := object.(*partObject); ok {
		return read.part
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	part, err := istiod.Decode(k.kind, raw)
	if err != nil {
		return nil
	}
	return part
}

// partObject is an object of which only what is judged was kept. It is never written, so a copy is the object itself.
type partObject struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	part *istiod.Part
}

// DeepCopyObject returns the object itself.
func (o *partObject) DeepCopyObject() runtime.Object { return o }

// list lists the objects in pages, of each of which it keeps what is judged.
func (k *partKind) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	return readPages(ctx, partsPerPage, func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		options.LabelSelector = k.label
		page, err := k.objects.List(ctx, options)
		if err != nil {
			return nil, err
		}
		kept := &metainternalversion.List{ListMeta: metav1.ListMeta{
			ResourceVersion: page.GetResourceVersion(), Continue: page.GetContinue(), RemainingItemCount: page.GetRemainingItemCount(),
		}}
		for i := range page.Items {
			kept.Items = append(kept.Items, k.reduced(&page.Items[i]))
		}
		return kept, nil
	})
}

func (k *partKind) reduced(object metav1.Object) *partObject {
	reduced := k.named(object)
	reduced.part = k.part(object)
	return reduced
}

// named keeps by what an object is found, in memory of its own: a text of a page keeps the whole page.
func (k *partKind) named(object metav1.Object) *partObject {
	return &partObject{ObjectMeta: metav1.ObjectMeta{
		Namespace: strings.Clone(object.GetNamespace()), Name: strings.Clone(object.GetName()),
		UID: types.UID(strings.Clone(string(object.GetUID()))), ResourceVersion: strings.Clone(object.GetResourceVersion()),
	}}
}

// namesPerPage bounds the memory that a list of metadata takes while it is read: an object may have 256 KiB of annotations.
const namesPerPage = 50

// names lists the objects as they are stored now, without all else that they carry. What has a name that no istiod reads is left out.
func (k *partKind) names(ctx context.Context) ([]metav1.Object, error) {
	list, err := readPages(ctx, namesPerPage, func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		options.LabelSelector = k.label
		page, err := k.metadata.List(ctx, options)
		if err != nil {
			return nil, err
		}
		kept := &metainternalversion.List{ListMeta: page.ListMeta}
		for i := range page.Items {
			if object := &page.Items[i]; k.kind != istiod.KindConfigMap || istiod.ReadsConfigMap(object.Name) {
				kept.Items = append(kept.Items, k.named(object))
			}
		}
		return kept, nil
	})
	if err != nil {
		return nil, err
	}
	var all []metav1.Object
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, err := meta.Accessor(item)
		all = append(all, object)
		return err
	})
	return all, err
}

// live reads all objects as they are stored now, past all caches. It reads their names and versions, and takes the rest from the store where that has the very version that is
// stored, as liveMeshes does.
func (k *partKind) live(ctx context.Context) ([]*istiod.Part, error) {
	stored, err := k.names(ctx)
	if err != nil {
		return nil, err
	}
	var found []*istiod.Part
	var missing []metav1.Object
	for _, object := range stored {
		part, known := k.store.At(store.NameOf(object), store.VersionOf(object))
		if !known {
			missing = append(missing, object)
		} else if part != nil {
			found = append(found, part.OfVersion(string(object.GetUID()), object.GetResourceVersion()))
		}
	}
	if len(missing) > maxSingle {
		return k.whole(ctx)
	}
	for _, object := range missing {
		whole, err := k.objects.Namespace(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", k.kind, store.NameOf(object), err)
		}
		if part := k.part(whole); part != nil {
			found = append(found, part.OfVersion(string(whole.GetUID()), whole.GetResourceVersion()))
		}
	}
	return found, nil
}

// whole reads all objects as they are stored now, each whole.
func (k *partKind) whole(ctx context.Context) ([]*istiod.Part, error) {
	list, err := k.list(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var found []*istiod.Part
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, err := meta.Accessor(item)
		if err == nil {
			if part := k.part(object); part != nil {
				found = append(found, part.OfVersion(string(object.GetUID()), object.GetResourceVersion()))
			}
		}
		return err
	})
	return found, err
}

// Runs reports whether a Deployment of the istiod of a revision is stored, and is not being deleted.
func (c *Cluster) Runs(ctx context.Context, namespace, revision string) (bool, error) {
	if c.istiods == nil {
		return false, nil
	}
	k := c.istiods.deployments
	list, err := k.objects.Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: k.label})
	if err != nil {
		return false, fmt.Errorf("read the Deployments of istiods in namespace %q: %w", namespace, err)
	}
	for i := range list.Items {
		part := k.part(&list.Items[i])
		if part != nil && !part.Deployment.Deleting && part.Deployment.OfRevision() == revision {
			return true, nil
		}
	}
	return false, nil
}
