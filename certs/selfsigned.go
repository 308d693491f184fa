package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Defaults of Options.
const (
	DefaultAuthorityDuration = 365 * 24 * time.Hour
	DefaultDuration          = 90 * 24 * time.Hour
	// DefaultSettle is some times what a replica's request to the API server may take, and far more than API servers take
	// to notice a changed webhook configuration.
	DefaultSettle = time.Minute
)

// requestTimeout limits one look at what is stored and the writes that follow from it. It must be shorter than DefaultSettle: a
// write that rests on a state from before a new authority has come through or failed before that one signs.
const requestTimeout = 20 * time.Second

// writesAtOnce and writeEvery bound the writes: should another client write the caBundles back again and again, the two take turns
// slowly instead of quickly.
const (
	writesAtOnce = 10
	writeEvery   = 2 * time.Second
)

// misdatedAtOnce and misdatedEvery bound how often certificates are replaced because they are not valid yet or longer than planned. Should
// two replicas not agree about the time, as when their API servers' clocks are months apart or one is of a version that believes its
// node's clock, each undoes what the other does; then they take turns slowly.
const (
	misdatedAtOnce = 5
	misdatedEvery  = time.Minute
)

// fieldManager is the name under which the API server notes which fields were written here.
const fieldManager = "meshfence-certs"

// Options say for whom a SelfSigned makes certificates. Namespace and Name have no default.
type Options struct {
	// Namespace and Name are those of the Service. Both webhook configurations have its name too.
	Namespace, Name string
	// AuthorityDuration and Duration are the lifetimes of the authority and of the serving certificate; default
	// DefaultAuthorityDuration and DefaultDuration. Each is replaced when a third of it is left.
	AuthorityDuration, Duration time.Duration
	// Settle is how long a new authority is trusted before it signs; default DefaultSettle.
	Settle time.Duration
	// Clock is the one that certificates are made for; default: the node's, which other replicas and the API server need not agree with.
	Clock *Clock
}

// secretName is the name of the Secret that holds everything.
func (o Options) secretName() string { return o.Name + "-certs" }

// dnsNames are what the serving certificate is for; the API server asks for the first one.
func (o Options) dnsNames() []string {
	host := o.Name + "." + o.Namespace + ".svc"
	return []string{host, host + ".cluster.local"}
}

// Check returns an error if the durations do not fit together.
func (o Options) Check() error {
	if o.Duration < time.Minute || o.AuthorityDuration < 3*o.Duration {
		return fmt.Errorf("the serving certificate must last at least a minute, and its authority three times as long: they last %s and %s",
			o.Duration, o.AuthorityDuration)
	}
	return nil
}

// SelfSigned makes and replaces an authority and a serving certificate, keeps them in a Secret that all replicas share, and
// keeps the caBundle of the webhook configurations at what the API server has to trust. Every replica runs one, without an election:
// the Secret is only ever written onto the version that was read, so one replica wins and the others follow. Make one
// with NewSelfSigned, and add it to a manager with SetupWithManager.
type SelfSigned struct {
	options  Options
	plan     plan
	client   client.Client
	limiter  *rate.Limiter // of caBundles
	misdated *rate.Limiter
	writes   *prometheus.CounterVec

	served atomic.Pointer[tls.Certificate]
	// known is the state as last stored. Only the reconciler, which runs once at a time, touches it.
	known *state
}

// NewSelfSigned returns a SelfSigned that writes nothing before it is started. The registerer may be nil.
func NewSelfSigned(o Options, registerer prometheus.Registerer) (*SelfSigned, error) {
	if o.AuthorityDuration == 0 {
		o.AuthorityDuration = DefaultAuthorityDuration
	}
	if o.Duration == 0 {
		o.Duration = DefaultDuration
	}
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.Clock == nil {
		o.Clock = &Clock{}
	}
	s := &SelfSigned{
		options:  o,
		plan:     plan{name: o.Name, dnsNames: o.dnsNames(), caLifetime: o.AuthorityDuration, lifetime: o.Duration, settle: o.Settle},
		limiter:  rate.NewLimiter(rate.Every(writeEvery), writesAtOnce),
		misdated: rate.NewLimiter(rate.Every(misdatedEvery), misdatedAtOnce),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "meshfence_certificate_writes_total",
			Help: "Writes of this replica that keep self-signed certificates, by what was written (secret, ca_bundle).",
		}, []string{"object"}),
	}
	if registerer != nil {
		if err := registerer.Register(s.writes); err != nil {
			return nil, fmt.Errorf("register the metrics of certificates: %w", err)
		}
	}
	return s, nil
}

// CacheOptions restrict a manager's cache to the three objects that are watched, which is all that the rights allow.
func (s *SelfSigned) CacheOptions() map[client.Object]cache.ByObject {
	configuration := cache.ByObject{Field: fields.OneTermEqualSelector(metav1.ObjectNameField, s.options.Name)}
	return map[client.Object]cache.ByObject{
		&corev1.Secret{}: {Namespaces: map[string]cache.Config{s.options.Namespace: {
			FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, s.options.secretName()),
		}}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{}: configuration,
		&admissionregistrationv1.MutatingWebhookConfiguration{}:   configuration,
	}
}

// SetupWithManager adds the reconciler to a manager whose client reads live and whose cache has CacheOptions.
func (s *SelfSigned) SetupWithManager(mgr manager.Manager) error {
	s.client = mgr.GetClient()
	everyReplica, manyManagers := false, true
	same := func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{{}} }
	// One look at the start, as no event comes of a Secret that does not exist.
	start := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(reconcile.Request{})
		return nil
	})
	return builder.ControllerManagedBy(mgr).Named("certs").
		WithOptions(controller.Options{NeedLeaderElection: &everyReplica, SkipNameValidation: &manyManagers}).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(same)).
		Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, handler.EnqueueRequestsFromMapFunc(same)).
		Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, handler.EnqueueRequestsFromMapFunc(same)).
		WatchesRawSource(start).
		Complete(s)
}

// Configure sets up cfg for serving, as Watcher.Configure does. Until there is a certificate, handshakes fail.
func (s *SelfSigned) Configure(cfg *tls.Config) {
	configure(cfg, func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c := s.served.Load(); c != nil {
			return c, nil
		}
		return nil, errNoCertificate
	})
}

// Ready is a readiness check: it fails until there is a certificate, and while the API server cannot accept the one that is served.
func (s *SelfSigned) Ready(*http.Request) error {
	c := s.served.Load()
	if c == nil {
		return errNoCertificate
	}
	if wrong := s.options.Clock.refuses(c.Leaf); wrong != "" {
		namespace, name := s.options.Namespace, s.options.secretName()
		return fmt.Errorf("the serving certificate in Secret %s/%s %s; meshfence replaces it as soon as it can write that Secret, and its log says "+
			"why it could not; to have everything created again: kubectl -n %s delete secret %s", namespace, name, wrong, namespace, name)
	}
	return nil
}

// errNoCertificate says what is missing, and where to look.
var errNoCertificate = errors.New("no serving certificate yet: the log says why it could not be made or stored")

// Expiry returns when the certificate that is served ends; the zero time if there is none.
func (s *SelfSigned) Expiry() time.Time {
	if c := s.served.Load(); c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}

// Reconcile looks at what is stored and brings it forward. There is only one thing to reconcile, so requests say nothing.
//
// The webhook configurations are read before the Secret, and written only onto the versions that were read. So a replica that
// was held up cannot put back the caBundle of an earlier state: the replica that stored the later one has written the configurations since,
// or will.
func (s *SelfSigned) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	configurations, err := s.configurations(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	now, wait, err := s.bringForward(ctx, configurations)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond}, nil // Another replica was faster.
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("keep the certificate in Secret %s/%s: %w", s.options.Namespace, s.options.secretName(), err)
	}
	if wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if !sameCertificate(s.served.Load(), now.serving) {
		log.FromContext(ctx).Info("Serving a new certificate", "expires", now.serving.Leaf.NotAfter, "authority", now.current.cert.Subject.CommonName)
		s.served.Store(now.serving)
	}
	if wait, err := s.writeBundles(ctx, configurations, now.trusted()); err != nil || wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, err
	}
	return reconcile.Result{RequeueAfter: s.plan.nextLook(now, s.options.Clock.Now())}, nil
}

// bringForward reads the Secret, stores what is to follow, and returns the state that is stored then. If certificates had to be
// replaced too often because of their dates, it stores nothing and returns how long to wait.
func (s *SelfSigned) bringForward(ctx context.Context, configurations []client.Object) (*state, time.Duration, error) {
	secret := &corev1.Secret{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: s.options.secretName()}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, 0, err
	}
	isThere := err == nil
	if !isThere && s.known != nil && len(configurations) == 0 {
		return s.known, 0, nil // meshfence is being removed, and no request comes any more: nothing is left behind.
	}
	stored, err := decode(secret.Data)
	if err != nil {
		log.FromContext(ctx).Error(err, "part of the Secret cannot be used and is created again")
	}
	now := s.options.Clock.Now()
	if wait := s.waitForMisdated(ctx, stored, now); wait > 0 {
		return nil, wait, nil
	}
	if s.known != nil && (stored.current == nil || now.Before(stored.current.cert.NotBefore)) {
		// A person has emptied or deleted the Secret, which is how people ask for another certificate, or has put an authority there
		// that no API server accepts yet. What is served is still trusted, so it serves on until an authority of its own accord has
		// taken its place.
		if stored, err = s.replaced(now); err != nil {
			return nil, 0, err
		}
	}
	isTrusted := func(c *x509.Certificate) bool { return everyBundleHas(configurations, c) }
	after, changed, err := s.plan.advance(stored, now, isTrusted)
	if err != nil {
		return nil, 0, err
	}
	if changed || stored == s.known {
		if err := s.store(ctx, secret, isThere, after); err != nil {
			return nil, 0, err
		}
	}
	s.known = after
	return after, 0, nil
}

// waitForMisdated returns how long to wait before the certificates that are not valid yet, or longer than planned, may be replaced; 0 if
// there is none or it is time.
func (s *SelfSigned) waitForMisdated(ctx context.Context, stored *state, now time.Time) time.Duration {
	wrong := s.plan.misdated(stored, now)
	if len(wrong) == 0 {
		return 0
	}
	logger := log.FromContext(ctx).WithValues("certificates", wrong, "now", now.UTC().Format(time.RFC3339), "clock", s.options.Clock.source())
	reservation := s.misdated.Reserve()
	if wait := reservation.Delay(); wait > 0 {
		reservation.Cancel()
		logger.Info("Certificates that are not valid yet, or longer than planned, come back: compare the clocks of the API servers, "+
			"and of nodes where earlier versions of meshfence run", "wait", wait.String())
		return wait
	}
	logger.Info("Replacing certificates that are not valid yet, or longer than planned")
	return 0
}

// replaced returns the known state with another authority announced.
func (s *SelfSigned) replaced(now time.Time) (*state, error) {
	again := *s.known
	if again.next != nil {
		// Another replica may have made it sign since, and serve what it has signed.
		again.old = append([]*x509.Certificate{again.next.cert}, again.old...)
	}
	next, err := newAuthority(s.plan.name, now, s.plan.caLifetime)
	again.next = next
	s.known = &again
	return &again, err
}

// store writes the Secret onto the version that was read, or creates it.
func (s *SelfSigned) store(ctx context.Context, secret *corev1.Secret, isThere bool, content *state) error {
	var err error
	if secret.Data, err = content.encode(); err != nil {
		return err
	}
	s.writes.WithLabelValues("secret").Inc()
	if isThere {
		return s.client.Update(ctx, secret, client.FieldOwner(fieldManager))
	}
	secret.ObjectMeta = metav1.ObjectMeta{
		Namespace: s.options.Namespace, Name: s.options.secretName(),
		Labels: map[string]string{"app.kubernetes.io/name": "meshfence", "app.kubernetes.io/instance": s.options.Name},
	}
	return s.client.Create(ctx, secret, client.FieldOwner(fieldManager))
}

// configurations returns the webhook configurations that exist, as stored right now.
func (s *SelfSigned) configurations(ctx context.Context) ([]client.Object, error) {
	var found []client.Object
	for _, object := range []client.Object{
		&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfiguration{},
	} {
		err := s.client.Get(ctx, client.ObjectKey{Name: s.options.Name}, object)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the webhook configuration %s: %w", s.options.Name, err)
		}
		found = append(found, object)
	}
	return found, nil
}

// bundles returns the caBundles of a webhook configuration in the order of its webhooks.
func bundles(configuration client.Object) [][]byte {
	var all [][]byte
	switch c := configuration.(type) {
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			all = append(all, c.Webhooks[i].ClientConfig.CABundle)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			all = append(all, c.Webhooks[i].ClientConfig.CABundle)
		}
	}
	return all
}

// everyBundleHas reports whether an authority is in every caBundle.
func everyBundleHas(configurations []client.Object, c *x509.Certificate) bool {
	wanted := encodeCertificates(c)
	for _, configuration := range configurations {
		for _, bundle := range bundles(configuration) {
			if !bytes.Contains(bundle, wanted) {
				return false
			}
		}
	}
	return true
}

// writeBundles writes the caBundles that differ. If there were too many writes of late, it writes nothing and returns how long to
// wait.
func (s *SelfSigned) writeBundles(ctx context.Context, configurations []client.Object, trusted []byte) (time.Duration, error) {
	for _, configuration := range configurations {
		operations := bundlePatch(configuration, trusted)
		if len(operations) == 0 {
			continue
		}
		reservation := s.limiter.Reserve()
		if wait := reservation.Delay(); wait > 0 {
			reservation.Cancel()
			return wait, nil
		}
		body, err := json.Marshal(operations)
		if err != nil {
			return 0, err
		}
		err = s.client.Patch(ctx, configuration, client.RawPatch(types.JSONPatchType, body), client.FieldOwner(fieldManager))
		if apierrors.IsInvalid(err) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return 50 * time.Millisecond, nil // It is no longer what was read.
		}
		if err != nil {
			return 0, fmt.Errorf("write the caBundle of the webhook configuration %s: %w", configuration.GetName(), err)
		}
		s.writes.WithLabelValues("ca_bundle").Inc()
		log.FromContext(ctx).Info("Wrote which authorities the API server trusts", "configuration", configuration.GetName())
	}
	return 0, nil
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// bundlePatch returns the operations that write the caBundles which differ, none if all are as wanted. Places are those of this
// version of the configuration, so a test of the version comes first.
func bundlePatch(configuration client.Object, trusted []byte) []operation {
	operations := []operation{{Op: "test", Path: "/metadata/resourceVersion", Value: configuration.GetResourceVersion()}}
	for i, bundle := range bundles(configuration) {
		if !bytes.Equal(bundle, trusted) {
			operations = append(operations, operation{Op: "add", Path: fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), Value: trusted})
		}
	}
	if len(operations) == 1 {
		return nil
	}
	return operations
}
