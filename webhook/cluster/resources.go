package cluster

import (
	"context"
	"fmt"
	"net/http"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/cluster/fastlist"
	"github.com/meshfence/meshfence/webhook/cluster/store"
	"github.com/meshfence/meshfence/webhook/sail"
)

// resources are the parts of the API that are used.
type resources struct {
	namespaces           metadata.ResourceInterface // of the metadata only
	namespaceObjects     dynamic.ResourceInterface  // for our own
	core                 rest.Interface             // whole objects of the core group
	istios, revisions    meshResource
	tags                 dynamic.ResourceInterface
	configMaps           dynamic.ResourceInterface // in our own namespace
	validating, mutating dynamic.ResourceInterface
	pods                 metadata.Getter
	// objects and names are the clients that resources of other kinds are made of.
	objects dynamic.Interface
	names   metadata.Interface

	accessReviews authorizationclient.SubjectAccessReviewInterface
}

// newResources makes the clients, which share one connection. The metadata client speaks protobuf, the other one JSON.
func newResources(cfg *rest.Config, namespace string) (*resources, error) {
	cfg = rest.CopyConfig(cfg)
	// What is asked for is bounded by its purpose. The client's own limiter, five requests a second unless told otherwise,
	// would let an admission request wait behind the looks for absent resources.
	cfg.QPS, cfg.RateLimiter = -1, nil
	// A long list is wanted soon, at the start and before a mesh is judged. To compress it, which the API server does if the
	// client accepts it, costs it more time than the cluster's network saves.
	cfg.DisableCompression = true
	if cfg.UserAgent == "" {
		cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	meta, err := metadata.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	objects, err := dynamic.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	access, err := authorizationclient.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	core, err := restClient(cfg, httpClient, "/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	meshes, err := restClient(cfg, httpClient, "/apis", sail.GroupVersion)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	meshResourceOf := func(kind, resource string) meshResource {
		of := sail.GroupVersion.WithResource(resource)
		return meshResource{lister: &meshLister{client: meshes, resource: resource, kind: kind, watches: objects.Resource(of)}, metadata: meta.Resource(of)}
	}
	registration := admissionregistrationv1.SchemeGroupVersion
	return &resources{
		namespaces: meta.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")),
		core:       core,

		namespaceObjects: objects.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")),

		istios:     meshResourceOf(sail.KindIstio, api.ResourceIstios),
		revisions:  meshResourceOf(sail.KindIstioRevision, api.ResourceIstioRevisions),
		tags:       objects.Resource(sail.GroupVersion.WithResource(api.ResourceIstioRevisionTags)),
		configMaps: objects.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace),
		validating: objects.Resource(registration.WithResource("validatingwebhookconfigurations")),
		mutating:   objects.Resource(registration.WithResource("mutatingwebhookconfigurations")),

		objects: objects, names: meta,

		pods:          meta.Resource(corev1.SchemeGroupVersion.WithResource("pods")),
		accessReviews: access.SubjectAccessReviews(),
	}, nil
}

// restClient makes a client whose requests say themselves what they accept, and whose answers are read here.
func restClient(cfg *rest.Config, httpClient *http.Client, path string, group schema.GroupVersion) (*rest.RESTClient, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath, cfg.GroupVersion, cfg.NegotiatedSerializer = path, &group, scheme.Codecs.WithoutConversion()
	return rest.RESTClientForConfigAndClient(cfg, httpClient)
}

// newReflectors makes a reflector for each of the cluster's stores but the mesh map, whose name can change.
func newReflectors(c *Cluster) []*cache.Reflector {
	sailResource := func(source cache.ListerWatcherWithContext) *cache.ListWatch {
		return (&optional{inner: source, lookAgain: lookAgain}).listWatch()
	}
	all := append(c.conditions.Reflectors(),
		store.NewReflector("namespaces", namespaceSource(c), c.namespaces),
		store.NewReflector("istios", sailResource(c.resources.istios.lister), c.istios),
		store.NewReflector("istiorevisions", sailResource(c.resources.revisions.lister), c.revisions),
		store.NewReflector("istiorevisiontags", sailResource(store.Objects(c.resources.tags, "")), c.tags),
		store.NewReflector("ledger", store.Objects(c.resources.configMaps, Claims), c.claims.seen),
	)
	all = append(all, c.owner.Reflectors()...)
	if c.istiods != nil {
		all = append(all, c.istiods.reflectors()...)
	}
	return all
}

// namespaceSource lists and watches the metadata of namespaces.
func namespaceSource(c *Cluster) *cache.ListWatch {
	source := &cache.ListWatch{ListWithContextFunc: c.clientGoNamespaces, WatchFuncWithContext: c.resources.namespaces.Watch}
	// Less memory and time at the start. Without this line client-go's own list is used.
	source.ListWithContextFunc = (&fastlist.Lister{Client: c.resources.core, Keep: c.converter.listed}).List
	return source
}

// clientGoNamespaces is client-go's list of namespaces.
func (c *Cluster) clientGoNamespaces(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return c.resources.namespaces.List(ctx, options)
}
