package webhook

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

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
	PathValidateMeshMap          = "/validate/meshmap"
	PathValidateNamespace        = "/validate/namespace"
	PathMutateNamespace          = "/mutate/namespace"
)

// Cluster is what the webhooks need of the API server. Its methods are safe for concurrent use.
type Cluster interface {
	fleetReader
	liveReader
	keyKeeper
	accessReviewer
	podLooker
}

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
	book := newRulebook(c, func(c *config.Configuration) edition { return handlers(cluster, c, recorder) })
	for path := range book.current() {
		mux.Register(path, review.Handler(page{book: book, path: path}, review.Options{
			Logger: logger.WithName("admission").WithValues("path", path), Budget: budget, Duration: duration.WithLabelValues(path), Refuse: recorder.unread,
		}))
	}
	return book, nil
}

// handlers returns the handler of each path, always for the same paths. They are made anew for each configuration, so
// whatever has to outlive one belongs in what they share: the cluster and the recorder.
func handlers(cluster Cluster, c *config.Configuration, recorder *recorder) edition {
	rules := policy.New(Settings(c))
	finisher := &finisher{access: cluster, recorder: recorder}
	exempt := exemptions{namespaces: c.ExemptNamespaces, users: c.ExemptUsers}
	controlPlane := func(kind string) admission.Handler {
		return &controlPlanes{kind: kind, live: cluster, keys: cluster, policy: rules, exempt: exempt, recorder: recorder, finisher: finisher, now: unixNow,
			discoveryLabels: c.DiscoveryLabels}
	}
	return edition{
		PathValidateIstio:            controlPlane(sail.KindIstio),
		PathValidateIstioRevision:    controlPlane(sail.KindIstioRevision),
		PathValidateIstioRevisionTag: &tags{stored: cluster, policy: rules, exempt: exempt, recorder: recorder, finisher: finisher, now: unixNow},
		PathValidateMeshMap:          &meshMaps{name: c.MeshMap.Name, fleet: cluster, stored: cluster, namespaces: cluster, policy: rules, exempt: exempt, recorder: recorder, finisher: finisher},
		PathValidateNamespace:        &namespaces{fleet: cluster, stored: cluster, pods: cluster, access: cluster, policy: rules, exempt: exempt, recorder: recorder, finisher: finisher, now: unixNow},
		PathMutateNamespace:          &filler{fleet: cluster, policy: rules, exempt: exempt, recorder: recorder},
	}
}

// Settings translates the configuration for the policy.
func Settings(c *config.Configuration) policy.Settings {
	s := policy.Settings{
		Actions:         policy.Actions{Rules: map[policy.Code]policy.Action{}, WarnOnly: c.Mode == config.ModeWarn},
		DiscoveryLabels: c.DiscoveryLabels,
		ControlPlane:    c.ControlPlaneNamespaces.Match,
	}
	for code, action := range c.Rules {
		s.Actions.Rules[policy.Code(code)] = map[config.Action]policy.Action{
			config.ActionOff: policy.Off, config.ActionWarn: policy.Warn, config.ActionDeny: policy.Deny,
		}[action]
	}
	for _, source := range c.FillFrom {
		s.FillFrom = append(s.FillFrom, map[config.FillSource]policy.FillSource{
			config.FillFromMeshMap: policy.MeshMap, config.FillFromTag: policy.FollowingTag, config.FillFromActiveRevision: policy.ActiveRevision,
		}[source])
	}
	return s
}

// RuleCodes are the codes that a configuration may name: those of all rules.
func RuleCodes() []string {
	var all []string
	for _, r := range policy.Catalogue() {
		all = append(all, string(r.Code))
	}
	slices.Sort(all)
	return all
}

func unixNow() int64 { return time.Now().Unix() }
