package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// cluster holds what replicas store, as an API server does: a Secret and one webhook configuration with two webhooks.
type cluster struct {
	client.Client // nil: what is not below is not used
	secret        *corev1.Secret
	configuration *admissionregistrationv1.ValidatingWebhookConfiguration
	version       int
	secretWrites  int
}

func newCluster() *cluster {
	return &cluster{version: 1, configuration: &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "m", ResourceVersion: "1"},
		Webhooks:   make([]admissionregistrationv1.ValidatingWebhook, 2),
	}}
}

func (c *cluster) next() string {
	c.version++
	return strconv.Itoa(c.version)
}

func missing(name string) error { return apierrors.NewNotFound(schema.GroupResource{}, name) }
func conflict(name string) error {
	return apierrors.NewConflict(schema.GroupResource{}, name, errors.New("another version"))
}

func (c *cluster) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch o := object.(type) {
	case *corev1.Secret:
		if c.secret != nil {
			c.secret.DeepCopyInto(o)
			return nil
		}
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		c.configuration.DeepCopyInto(o)
		return nil
	}
	return missing(key.Name)
}

func (c *cluster) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	if c.secret != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{}, object.GetName())
	}
	return c.put(object)
}

func (c *cluster) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	if c.secret == nil || c.secret.ResourceVersion != object.GetResourceVersion() {
		return conflict(object.GetName())
	}
	return c.put(object)
}

func (c *cluster) put(object client.Object) error {
	object.SetResourceVersion(c.next())
	c.secret = object.(*corev1.Secret).DeepCopy()
	c.secretWrites++
	return nil
}

// Patch applies the two operations of a JSON patch that are used.
func (c *cluster) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	text, err := patch.Data(object)
	if err != nil {
		return err
	}
	var operations []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(text, &operations); err != nil {
		return err
	}
	after := c.configuration.DeepCopy()
	for _, o := range operations {
		var index int
		switch {
		case o.Op == "test" && o.Path == "/metadata/resourceVersion":
			if string(o.Value) != strconv.Quote(after.ResourceVersion) {
				return apierrors.NewInvalid(schema.GroupKind{}, object.GetName(), nil)
			}
		case o.Op == "add":
			if _, err := fmt.Sscanf(o.Path, "/webhooks/%d/clientConfig/caBundle", &index); err != nil {
				return err
			}
			if err := json.Unmarshal(o.Value, &after.Webhooks[index].ClientConfig.CABundle); err != nil {
				return err
			}
		default:
			return fmt.Errorf("operation %s %s", o.Op, o.Path)
		}
	}
	after.ResourceVersion = c.next()
	c.configuration = after
	return nil
}

// world is a cluster whose API server has a clock, and replicas with nodes' clocks of their own.
type world struct {
	*cluster
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T) *world {
	return &world{cluster: newCluster(), t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// replica returns a replica on a node whose clock is ahead, which hears the API server's if that is not nil.
func (w *world) replica(ahead time.Duration, apiServer func() time.Time) *SelfSigned {
	w.t.Helper()
	clock := &Clock{local: func() time.Time { return w.now.Add(ahead) }}
	s, err := NewSelfSigned(Options{Namespace: "ns", Name: "m", Clock: clock}, nil)
	must(w.t, err)
	s.client = w.cluster
	if apiServer != nil {
		hear(w.t, clock, apiServer())
	}
	return s
}

// hear has a clock hear a response of an API server.
func hear(t *testing.T, clock *Clock, date time.Time) {
	t.Helper()
	answer := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{Header: http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}}, nil
	})
	_, err := clock.Wrap(answer).RoundTrip(nil) //nolint:bodyclose // There is none.
	must(t, err)
}

func (w *world) apiServer() time.Time { return w.now }

// look has replicas look at what is stored until there is nothing left to do at once, at most for so many rounds.
func (w *world) look(rounds int, replicas ...*SelfSigned) {
	w.t.Helper()
	for range rounds {
		before := w.version
		for _, s := range replicas {
			_, err := s.Reconcile(w.t.Context(), reconcile.Request{})
			must(w.t, err)
		}
		if w.version == before {
			return
		}
	}
}

// accepted returns why the API server refuses the certificate that a replica serves, by its own clock and with each caBundle.
func (w *world) accepted(s *SelfSigned) error {
	served := s.served.Load()
	if served == nil {
		return errNoCertificate
	}
	for _, bundle := range bundles(w.configuration) {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(bundle)
		if _, err := served.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "m.ns.svc", CurrentTime: w.now}); err != nil {
			return err
		}
	}
	return nil
}

const month = 30 * 24 * time.Hour

func TestEveryReplicaMakesCertificatesForTheClockOfTheAPIServer(t *testing.T) {
	for _, ahead := range []time.Duration{61 * 24 * time.Hour, -61 * 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
		w := newWorld(t)
		wrong, right := w.replica(ahead, w.apiServer), w.replica(0, w.apiServer)
		w.look(10, wrong, right)
		if err := errors.Join(w.accepted(wrong), w.accepted(right), wrong.Ready(nil), right.Ready(nil)); err != nil {
			t.Errorf("with a node's clock that is ahead by %s: %v", ahead, err)
		}
		if w.secretWrites != 1 {
			t.Errorf("with a node's clock that is ahead by %s the Secret was written %d times, want once", ahead, w.secretWrites)
		}
	}
}

// misdated returns the Secret as a replica with another clock or plan stores it.
func misdated(t *testing.T, p plan, now time.Time) *corev1.Secret {
	t.Helper()
	s, _, err := p.advance(&state{}, now, trusted)
	must(t, err)
	data, err := s.encode()
	must(t, err)
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "m-certs", ResourceVersion: "1"}, Data: data}
}

func TestAStoredCertificateThatIsNotForNowIsReplaced(t *testing.T) {
	begin := newWorld(t).now
	usual := plan{name: "m", dnsNames: Options{Namespace: "ns", Name: "m"}.dnsNames(), caLifetime: DefaultAuthorityDuration, lifetime: DefaultDuration}
	long := usual
	long.caLifetime, long.lifetime = 10*DefaultAuthorityDuration, 10*DefaultDuration
	for _, test := range []struct {
		name   string
		secret *corev1.Secret
		// gradual: what is stored can be trusted for now, so the authority is replaced step by step.
		gradual bool
	}{
		{"of a clock 61 days ahead", misdated(t, usual, begin.Add(61*24*time.Hour)), false},
		{"of a clock two years late", misdated(t, usual, begin.Add(-24*month)), false},
		{"of a clock 61 days late", misdated(t, usual, begin.Add(-61*24*time.Hour)), true},
		{"of another plan, ten times as long", misdated(t, long, begin), true},
	} {
		for _, isRunning := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, with replicas that run before: %t", test.name, isRunning), func(t *testing.T) {
				w := newWorld(t)
				one, other := w.replica(0, w.apiServer), w.replica(0, w.apiServer)
				if isRunning {
					w.look(10, one, other)
				}
				w.secret = test.secret.DeepCopy()
				w.secret.ResourceVersion = w.next()
				w.look(10, one, other)
				w.stable(one, other)
				if test.gradual && !bytes.Equal(w.secret.Data[caFile], test.secret.Data[caFile]) {
					t.Error("the authority was replaced at once, though the API server accepts it")
				}
				w.now = w.now.Add(2 * DefaultSettle)
				w.look(10, one, other)
				w.stable(one, other)
				if after, _ := decode(w.secret.Data); len(one.plan.misdated(after, w.now)) > 0 {
					t.Errorf("stored is %s", one.plan.misdated(after, w.now))
				}
			})
		}
	}
}

// A Secret of another time comes while replicas serve: what they serve stays trusted until all have followed.
func TestASecretOfAnotherTimeMakesNoGap(t *testing.T) {
	w := newWorld(t)
	one, other := w.replica(0, w.apiServer), w.replica(0, w.apiServer)
	w.look(10, one, other)
	p := one.plan
	w.secret = misdated(t, p, w.now.Add(61*24*time.Hour))
	w.secret.ResourceVersion = w.next()
	w.look(10, one)
	if err := errors.Join(w.accepted(one), w.accepted(other)); err != nil {
		t.Errorf("one replica has followed: %v", err)
	}
	w.look(10, other)
	w.stable(one, other)
}

// stable checks that replicas are accepted, and that none of them writes what another one has written.
func (w *world) stable(replicas ...*SelfSigned) {
	w.t.Helper()
	before := w.version
	w.look(10, replicas...)
	if w.version != before {
		w.t.Errorf("%d more writes though nothing has happened", w.version-before)
	}
	for _, s := range replicas {
		if err := errors.Join(w.accepted(s), s.Ready(nil)); err != nil {
			w.t.Error(err)
		}
	}
}

// An authority that is longer than planned must not be trusted for as long as it says.
func TestTrustInAnAuthorityThatIsTooLongEnds(t *testing.T) {
	w := newWorld(t)
	long := plan{name: "m", dnsNames: Options{Namespace: "ns", Name: "m"}.dnsNames(), caLifetime: 100 * DefaultAuthorityDuration, lifetime: DefaultDuration}
	w.secret = misdated(t, long, w.now)
	s := w.replica(0, w.apiServer)
	w.look(10, s)
	authority := w.secret.Data[caFile]
	w.now = w.now.Add(2 * DefaultSettle)
	w.look(10, s)
	if bundle := bundles(w.configuration)[0]; !bytes.Contains(bundle, authority) || !strings.HasPrefix(string(w.secret.Data[oldFile]), string(authority)) {
		t.Error("the authority is no longer trusted, though replicas may serve what it has signed")
	}
	w.now = w.now.Add(DefaultDuration * 2 / 3)
	w.look(10, s)
	if bundle := bundles(w.configuration)[0]; bytes.Contains(bundle, authority) {
		t.Error("the authority is still trusted after the certificate of the next one was renewed")
	}
	w.stable(s)
}

// Where two replicas cannot agree about the time, no certificate is right for both. They must not write it without end.
func TestReplicasThatDoNotAgreeAboutTheTimeTakeTurnsSlowly(t *testing.T) {
	for name, other := range map[string]func(w *world) *SelfSigned{
		"another API server":   func(w *world) *SelfSigned { return w.replica(0, func() time.Time { return w.now.Add(3 * month) }) },
		"an earlier version":   func(w *world) *SelfSigned { return w.replica(3*month, nil) },
		"a clock that is late": func(w *world) *SelfSigned { return w.replica(-3*month, nil) },
	} {
		w := newWorld(t)
		replicas := []*SelfSigned{w.replica(0, w.apiServer), other(w)}
		w.look(200, replicas...)
		if most := 4*misdatedAtOnce + 4; w.secretWrites > most {
			t.Errorf("%s: the Secret was written %d times, want at most %d", name, w.secretWrites, most)
		}
	}
}

func TestReadySaysThatTheCertificateIsNotForNow(t *testing.T) {
	w := newWorld(t)
	s := w.replica(0, w.apiServer)
	if err := s.Ready(nil); !errors.Is(err, errNoCertificate) {
		t.Errorf("without a certificate: %v", err)
	}
	w.look(10, s)
	remedy := "; meshfence replaces it as soon as it can write that Secret, and its log says why it could not; " +
		"to have everything created again: kubectl -n ns delete secret m-certs"
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{w.now, ""},
		{w.now.Add(-backdate), ""},
		{w.now.Add(-backdate - time.Second), ""}, // the Date header is cut to the second
		{w.now.Add(-backdate - 2*time.Second), "the serving certificate in Secret ns/m-certs is not valid before 2025-12-31T23:55:00Z, and it is 2025-12-31T23:54:58Z " +
			"by the API server's clock, so the API server refuses it; what made it has a clock that is ahead" + remedy},
		{w.now.Add(DefaultDuration), ""},
		{w.now.Add(DefaultDuration + time.Second), "the serving certificate in Secret ns/m-certs ended at 2026-04-01T00:00:00Z, and it is 2026-04-01T00:00:01Z " +
			"by the API server's clock, so the API server refuses it" + remedy},
	} {
		hear(t, s.options.Clock, test.at)
		got := ""
		if err := s.Ready(nil); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("at %s (-want +got):\n%s", test.at, diff)
		}
	}
}

// A JSON patch names webhooks by their place, which is that of one version.
func TestACABundleIsOnlyWrittenOntoTheVersionThatWasRead(t *testing.T) {
	c := newCluster().configuration
	c.ResourceVersion = "7"
	c.Webhooks[0].ClientConfig.CABundle = []byte("right")
	want := []operation{
		{Op: "test", Path: "/metadata/resourceVersion", Value: "7"},
		{Op: "add", Path: "/webhooks/1/clientConfig/caBundle", Value: []byte("right")},
	}
	if diff := cmp.Diff(want, bundlePatch(c, []byte("right"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.Webhooks[1].ClientConfig.CABundle = []byte("right")
	if got := bundlePatch(c, []byte("right")); got != nil {
		t.Errorf("nothing differs, and the patch is %v", got)
	}

	w := newWorld(t)
	s := w.replica(0, w.apiServer)
	read, err := s.configurations(t.Context())
	must(t, err)
	w.configuration.Webhooks = w.configuration.Webhooks[1:]
	w.configuration.Webhooks[0].ClientConfig.CABundle = []byte("of another replica")
	w.configuration.ResourceVersion = w.next()
	wait, err := s.writeBundles(t.Context(), read, []byte("of an earlier state"))
	if got := string(w.configuration.Webhooks[0].ClientConfig.CABundle); err != nil || wait == 0 || got != "of another replica" {
		t.Errorf("the caBundle is %q, wait %s, error %v: the write must be tried again on what is stored now", got, wait, err)
	}
}

func TestAnAuthorityIsTrustedOnceEveryCABundleHasIt(t *testing.T) {
	one, other := clientAuthority(t), clientAuthority(t)
	both := encodeCertificates(other.cert, one.cert)
	hooks := func(bundles ...[]byte) client.Object {
		c := &admissionregistrationv1.MutatingWebhookConfiguration{}
		for _, b := range bundles {
			c.Webhooks = append(c.Webhooks, admissionregistrationv1.MutatingWebhook{ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: b}})
		}
		return c
	}
	for _, test := range []struct {
		name           string
		configurations []client.Object
		want           bool
	}{
		{"there is no configuration", nil, true},
		{"all have it", []client.Object{hooks(both, one.pem()), hooks(both)}, true},
		{"one has another one alone", []client.Object{hooks(both, other.pem())}, false},
		{"the second configuration has none", []client.Object{hooks(both), hooks(nil)}, false},
	} {
		if got := everyBundleHas(test.configurations, one.cert); got != test.want {
			t.Errorf("if %s, the answer is %t", test.name, got)
		}
	}
}

// The next authority signs only when the stored caBundles have it, as a replica sees them.
func TestTheNextAuthorityWaitsForTheCABundles(t *testing.T) {
	w := newWorld(t)
	s := w.replica(0, w.apiServer)
	w.look(10, s)
	first := w.secret.Data[caFile]
	w.now = w.now.Add(DefaultAuthorityDuration * 2 / 3)
	_, err := s.Reconcile(t.Context(), reconcile.Request{})
	must(t, err)
	announced := w.secret.Data[nextFile]
	if len(announced) == 0 {
		t.Fatal("no authority is announced")
	}
	w.now = w.now.Add(2 * DefaultSettle)
	w.configuration.Webhooks[1].ClientConfig.CABundle = first
	w.configuration.ResourceVersion = w.next()
	_, err = s.Reconcile(t.Context(), reconcile.Request{})
	must(t, err)
	if !bytes.Equal(w.secret.Data[caFile], first) {
		t.Error("an authority signs that one webhook's caBundle did not have")
	}
	w.look(10, s)
	if !bytes.Equal(w.secret.Data[caFile], announced) {
		t.Error("the announced authority does not sign though every caBundle has it")
	}
}

// Somebody deletes the Secret while an authority is announced: another replica may serve what that one has signed.
func TestAnAnnouncedAuthorityStaysTrustedWhenTheSecretIsDeleted(t *testing.T) {
	w := newWorld(t)
	late, other := w.replica(0, w.apiServer), w.replica(0, w.apiServer)
	w.look(10, late, other)
	w.now = w.now.Add(DefaultAuthorityDuration * 2 / 3)
	w.look(10, late, other)
	w.now = w.now.Add(2 * DefaultSettle)
	w.look(10, other) // It serves what the next authority has signed, and the other replica has not seen it.
	w.secret = nil
	w.look(10, late)
	if err := errors.Join(w.accepted(late), w.accepted(other)); err != nil {
		t.Error(err)
	}
	data := maps.Clone(w.secret.Data)
	if before, _ := decode(data); before.next == nil {
		t.Error("no other authority is announced")
	}
}
