package cluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/sail"
)

// resources are the parts of the API that are used.
type resources struct {
	namespaces           *namespaceSource
	istios, revisions    meshResource
	tags                 dynamic.ResourceInterface
	configMaps           dynamic.ResourceInterface // in our own namespace
	validating, mutating dynamic.ResourceInterface
	pods                 metadata.Getter
	accessReviews        authorizationclient.SubjectAccessReviewInterface
}

// newResources makes the clients, which share one connection. The metadata client speaks protobuf, the other one JSON.
func newResources(cfg *rest.Config, namespace string, repeated *texts, wanting *wanting) (*resources, error) {
	cfg = rest.CopyConfig(cfg)
	// What is asked for is bounded by its purpose. The client's own limiter, five requests a second unless told otherwise,
	// would let an admission request wait behind the looks for absent resources.
	cfg.QPS, cfg.RateLimiter = -1, nil
	// A long list is wanted soon, at the start and before a mesh is judged. To compress it, which the API server does for
	// whoever says that he understands it, costs it more time than the cluster's network saves.
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
		return meshResource{slim: &slim{client: meshes, resource: resource, kind: kind, watches: objects.Resource(of)}, metadata: meta.Resource(of)}
	}
	registration := admissionregistrationv1.SchemeGroupVersion
	return &resources{
		namespaces: &namespaceSource{client: core, watches: meta.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")), texts: repeated, wanting: wanting},
		istios:     meshResourceOf(sail.KindIstio, api.ResourceIstios),
		revisions:  meshResourceOf(sail.KindIstioRevision, api.ResourceIstioRevisions),
		tags:       objects.Resource(sail.GroupVersion.WithResource(api.ResourceIstioRevisionTags)),
		configMaps: objects.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace),
		validating: objects.Resource(registration.WithResource("validatingwebhookconfigurations")),
		mutating:   objects.Resource(registration.WithResource("mutatingwebhookconfigurations")),

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
	reflectors := []*cache.Reflector{
		newReflector("namespaces", listFirst(c.resources.namespaces.listWatch()), c.namespaces),
		newReflector("istios", listFirst(sailResource(c.resources.istios.slim)), c.istios),
		newReflector("istiorevisions", listFirst(sailResource(c.resources.revisions.slim)), c.revisions),
		newReflector("istiorevisiontags", listFirst(sailResource(objects(c.resources.tags, ""))), c.tags),
		newReflector("ledger", listFirst(objects(c.resources.configMaps, Claims)), c.claims.seen),
	}
	for _, configuration := range c.keeper.configurations {
		source := listFirst(objects(configuration.writer.client, configuration.name))
		reflectors = append(reflectors, newReflector("webhook configuration", source, configuration.seen))
	}
	return reflectors
}

// newReflector makes a reflector that comes back within two seconds when the API server does: only a few requests are at
// stake here, and until they succeed judgements rest on old state.
func newReflector(name string, source cache.ListerWatcher, target cache.ReflectorStore) *cache.Reflector {
	return cache.NewReflectorWithOptions(source, nil, target, cache.ReflectorOptions{
		Name:            "meshfence",
		TypeDescription: name,
		Backoff:         &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.3, Steps: 10, Cap: 1500 * time.Millisecond},
	})
}

// objects lists and watches the objects of a resource, or only the one of that name. A Role that is restricted to this
// name allows the latter.
func objects(resource dynamic.ResourceInterface, name string) *cache.ListWatch {
	selector := ""
	if name != "" {
		selector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return resource.Watch(ctx, options)
		},
	}
}

// listFirst makes a reflector list and then watch, instead of asking for the list as a stream (client-go's WatchList): the
// absence of a resource is told from the answer to a list, and the lists are short, or in pages.
func listFirst(source *cache.ListWatch) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(source, noStream{})
}

// noStream is how client-go is told that a client cannot stream lists.
type noStream struct{}

// IsWatchListSemanticsUnSupported is asked for by client-go's watchlist package; the odd spelling is theirs.
func (noStream) IsWatchListSemanticsUnSupported() bool { return true }
