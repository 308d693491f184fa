package listing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/meshfence/meshfence/webhook/api"
)

// maxPods is how many pods are read at most: a few megabytes for each thousand go over the wire.
const maxPods = 50000

// selection is which objects are read for the rules that only a look at the cluster can judge.
type selection struct {
	// name is how a report names them; package observed has the same names.
	name     string
	resource schema.GroupVersionResource
	labels   string
	// kind is that of the objects, where a list of several kinds is made of them.
	kind string
	// names, if not nil, are those of the objects; each is listed by itself.
	names []string
	// metadataOnly leaves out everything but metadata.
	metadataOnly bool
	// limit, if not 0, is how many objects are read at most.
	limit int
}

// istiods are the objects by which istiods are found. Read reads them, and an Observer only if it is told to.
func istiods() []selection {
	return []selection{
		{
			name: "mutatingwebhookconfigurations.admissionregistration.k8s.io", labels: api.RevisionLabel, kind: "MutatingWebhookConfiguration",
			resource: schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
		},
		{name: "configmaps with mesh configurations", resource: configMaps(), labels: api.RevisionLabel, kind: "ConfigMap"},
		{
			name: "deployments.apps of istiod", labels: "app=istiod", kind: "Deployment",
			resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
		},
		{name: "services of revision tags", labels: api.TagLabel, kind: "Service", resource: schema.GroupVersionResource{Version: "v1", Resource: "services"}},
	}
}

func selections(trustBundles []string) []selection {
	sail := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: api.SailGroup, Version: api.SailVersion, Resource: resource}
	}
	gatewayAPI := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
	}
	if trustBundles == nil {
		trustBundles = []string{}
	}
	withoutTags := slices.DeleteFunc(istiods(), func(s selection) bool { return s.labels == api.TagLabel }) // no rule looks at those
	return append(withoutTags, []selection{
		{name: "peerauthentications.security.istio.io", resource: schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"}},
		{name: "configmaps with root certificates", resource: configMaps(), names: trustBundles},
		{name: api.ResourceIstios + "." + api.SailGroup, resource: sail(api.ResourceIstios)},
		{name: api.ResourceIstioRevisions + "." + api.SailGroup, resource: sail(api.ResourceIstioRevisions)},
		{name: "istiocnis.sailoperator.io", resource: sail("istiocnis")},
		{name: "ztunnels.sailoperator.io", resource: sail("ztunnels")},
		{name: "gatewayclasses.gateway.networking.k8s.io", resource: gatewayAPI("gatewayclasses")},
		{name: "gateways.gateway.networking.k8s.io", resource: gatewayAPI("gateways")},
		// Those that istiod has injected, and those that ask for a revision and have not been injected.
		{name: "pods", resource: pods(), labels: api.CanonicalNameLabel, metadataOnly: true, limit: maxPods},
		{name: "pods", resource: pods(), labels: api.RevisionLabel + ",!" + api.CanonicalNameLabel, metadataOnly: true, limit: maxPods},
	}...)
}

// namespaced reports whether the objects are in namespaces.
func (s *selection) namespaced() bool {
	return !slices.Contains([]string{"mutatingwebhookconfigurations", api.ResourceIstios, api.ResourceIstioRevisions, "istiocnis", "ztunnels", "gatewayclasses"}, s.resource.Resource)
}

func configMaps() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

func pods() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "pods"}
}

// Observed returns the names of what an Observer reads, each once.
func Observed() []string {
	var names []string
	for _, s := range selections(nil) {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ErrEnough says that there were more objects than are read.
var ErrEnough = errors.New("there are more than are read")

// Observer reads what a cluster has besides the objects that are judged at admission.
type Observer struct {
	objects dynamic.Interface
	names   metadata.Interface
	// Wants, if not nil, says which resources are to be read; the others are left alone.
	Wants func(resource string) bool
	// PageSize, if not 0, is how many objects are asked for at once.
	PageSize int64
	// Namespace, if not "", limits what is in namespaces to that one.
	Namespace string
	// Progress, if not nil, is called with the number of objects read so far, by resource.
	Progress func(resource string, count int)
}

// NewObserver returns an Observer of the cluster that cfg leads to.
func NewObserver(cfg *rest.Config) (*Observer, error) {
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	names, err := metadata.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Observer{objects: objects, names: names}, nil
}

// Read lists everything, one object after the other, and hands each over as JSON; trustBundles are the names of the ConfigMaps with root
// certificates. What cannot be listed, or taken, is a gap; ErrEnough is its reason if there were more objects than are read. A gap without a reason is a resource
// that the API server does not serve: there are no such objects. The error says that the API server could not be reached, or did not answer in ctx's time.
func (o *Observer) Read(ctx context.Context, trustBundles []string, take func(resource string, raw []byte) error) ([]Gap, error) {
	var gaps []Gap
	for _, s := range selections(trustBundles) {
		if o.Wants != nil && !o.Wants(s.name) {
			continue
		}
		err := o.selection(ctx, &s, take)
		var status apierrors.APIStatus
		switch {
		case err == nil:
		case apierrors.IsNotFound(err):
			gaps = append(gaps, Gap{Resource: s.name})
		case errors.As(err, &status), errors.Is(err, ErrEnough), errors.As(err, new(*untakenError)):
			if len(gaps) == 0 || gaps[len(gaps)-1].Resource != s.name { // pods are listed twice
				gaps = append(gaps, Gap{Resource: s.name, Why: err})
			}
		default:
			return nil, err
		}
	}
	return gaps, nil
}

// selection reads the objects of a selection, those of each name by themselves.
func (o *Observer) selection(ctx context.Context, s *selection, take func(resource string, raw []byte) error) error {
	names := s.names
	if names == nil {
		names = []string{""}
	}
	count := 0
	for _, name := range names {
		err := o.list(ctx, s, name, func(raw []byte) error {
			if count++; o.Progress != nil && count%pageSize == 0 {
				o.Progress(s.name, count)
			}
			return take(s.name, raw)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// untakenError is an object that could not be taken.
type untakenError struct{ error }

func (o *Observer) list(ctx context.Context, s *selection, name string, take func(raw []byte) error) error {
	options := metav1.ListOptions{LabelSelector: s.labels}
	if name != "" {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	}
	list := func(ctx context.Context, page metav1.ListOptions) (runtime.Object, error) {
		namespace := ""
		if s.namespaced() {
			namespace = o.Namespace
		}
		if s.metadataOnly {
			return o.names.Resource(s.resource).Namespace(namespace).List(ctx, page)
		}
		return o.objects.Resource(s.resource).Namespace(namespace).List(ctx, page)
	}
	pages := pager.New(list)
	pages.PageSize, pages.PageBufferSize = cmp.Or(o.PageSize, pageSize), 1
	count := 0
	return pages.EachListItem(ctx, options, func(item runtime.Object) error {
		if count++; s.limit > 0 && count > s.limit {
			return ErrEnough
		}
		object, err := objectOf(item, s.resource.GroupVersion().String(), "")
		if err == nil {
			err = take(object.Raw)
		}
		if err != nil {
			return &untakenError{err}
		}
		return nil
	})
}

// ConfigMap reads one ConfigMap again; nil if it is gone, or cannot be read.
func (o *Observer) ConfigMap(ctx context.Context, namespace, name string) []byte {
	item, err := o.objects.Resource(configMaps()).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	raw, err := json.Marshal(item.Object)
	if err != nil {
		return nil
	}
	return raw
}
