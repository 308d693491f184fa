package webhook

import (
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/review"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Paths that the webhook configurations name.
const (
	PathValidateIstio            = "/validate/istio"
	PathValidateIstioRevision    = "/validate/istiorevision"
	PathValidateIstioRevisionTag = "/validate/istiorevisiontag"
	PathValidateIstiod           = "/validate/istiod"
	PathValidateMeshMap          = "/validate/meshmap"
	PathValidateNamespace        = "/validate/namespace"
	PathMutateNamespace          = "/mutate/namespace"
)

// Mux is where handlers are registered by path; controller-runtime's webhook server is one.
type Mux interface {
	Register(path string, handler http.Handler)
}

// Register adds the webhooks to the server; they judge by the rulebook that it returns, which begins with c. logger is the
// base of every request's logger. It fails if the registry has metrics of the same names already.
func Register(mux Mux, cluster Cluster, c *config.Configuration, registry prometheus.Registerer, logger logr.Logger) (*Rulebook, error) {
	recorder, err := newRecorder(registry)
	if err != nil {
		return nil, err
	}
	duration, err := review.NewDuration(registry)
	if err != nil {
		return nil, err
	}
	budget := review.NewBudget()
	book := newRulebook(c, func(c *config.Configuration) handlersByPath { return handlers(cluster, c, recorder) })
	for path := range book.current() {
		mux.Register(path, review.Handler(book.handler(path), review.Options{
			Logger: logger.WithName("admission").WithValues("path", path), Budget: budget, Duration: duration.WithLabelValues(path), Refuse: recorder.unread,
		}))
	}
	return book, nil
}

// handlers returns the handler of each path, always for the same paths. They are made again for each configuration, so
// whatever has to outlive one belongs in what they share: the cluster and the recorder.
func handlers(cluster Cluster, c *config.Configuration, recorder *recorder) handlersByPath {
	shared := &common{
		cluster: cluster, policy: policy.New(Settings(c)), recorder: recorder, now: time.Now,
		exempt: exemptions{namespaces: c.ExemptNamespaces, users: c.ExemptUsers},
	}
	return handlersByPath{
		PathValidateIstio:            validateControlPlanes(shared, sail.KindIstio, c.DiscoveryLabels),
		PathValidateIstioRevision:    validateControlPlanes(shared, sail.KindIstioRevision, c.DiscoveryLabels),
		PathValidateIstioRevisionTag: validateTags(shared),
		PathValidateIstiod:           validateIstiods(shared, c.DiscoveryLabels),
		PathValidateMeshMap:          validateMeshMaps(shared, c.MeshMap.Name),
		PathValidateNamespace:        validateNamespaces(shared),
		PathMutateNamespace:          fillNamespaces(shared),
	}
}
