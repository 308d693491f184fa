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
	"github.com/meshfence/meshfence/webhook/sail"
)

// Paths that the webhook configurations name.
const (
	PathValidateIstio         = "/validate/istio"
	PathValidateIstioRevision = "/validate/istiorevision"
	PathValidateNamespace     = "/validate/namespace"
	PathMutateNamespace       = "/mutate/namespace"
)

// Cluster is what the webhooks need of the API server. Its methods are safe for concurrent use.
type Cluster interface {
	fleetReader
	liveReader
	keyKeeper
}

// Mux is where handlers are registered by path; controller-runtime's webhook server is one.
type Mux interface {
	Register(path string, handler http.Handler)
}

// Register adds the webhooks to the server. logger is the base of every request's logger. It fails if the registry has
// metrics of the same names already.
func Register(mux Mux, cluster Cluster, c *config.Configuration, registry prometheus.Registerer, logger logr.Logger) error {
	recorder, err := newRecorder(registry)
	if err != nil {
		return err
	}
	latency, err := newLatency(registry)
	if err != nil {
		return err
	}
	rules := policy.New(Settings(c))
	exempt := exemptions{namespaces: c.ExemptNamespaces, users: c.ExemptUsers}
	controlPlane := func(kind string) admission.Handler {
		return &controlPlanes{kind: kind, live: cluster, keys: cluster, policy: rules, exempt: exempt, recorder: recorder, now: unixNow}
	}
	for path, handler := range map[string]admission.Handler{
		PathValidateIstio:         controlPlane(sail.KindIstio),
		PathValidateIstioRevision: controlPlane(sail.KindIstioRevision),
		PathValidateNamespace:     &namespaces{fleet: cluster, stored: cluster, policy: rules, exempt: exempt, recorder: recorder, now: unixNow},
		PathMutateNamespace:       &filler{fleet: cluster, policy: rules, exempt: exempt, recorder: recorder},
	} {
		logger := logger.WithName("admission").WithValues("path", path)
		hook := &admission.Webhook{Handler: handler, LogConstructor: requestLogger}
		if _, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{Logger: logger}); err != nil {
			return err
		}
		endpoint := timely(&endpoint{hook: hook, recorder: recorder, logger: logger}, readTimeout)
		mux.Register(path, timed(endpoint, latency.WithLabelValues(path)))
	}
	return nil
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
			config.FillFromMeshMap: policy.MeshMap, config.FillFromActiveRevision: policy.ActiveRevision,
		}[source])
	}
	return s
}

// RuleCodes are the codes that a configuration may name: those of all rules, and the reserved ones.
func RuleCodes() []string {
	var all []string
	for _, r := range policy.Catalogue() {
		all = append(all, string(r.Code))
	}
	for _, code := range policy.Reserved() {
		all = append(all, string(code))
	}
	slices.Sort(all)
	return all
}

func unixNow() int64 { return time.Now().Unix() }

// requestLogger names the object and who asks.
func requestLogger(base logr.Logger, req *admission.Request) logr.Logger {
	if req == nil {
		return base
	}
	return base.WithValues("name", req.Name, "user", req.UserInfo.Username, "requestID", req.UID)
}
