package stress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// kind is a kind of request of the load.
type kind string

const (
	labelled   kind = "mesh-label requests"
	wrong      kind = "requests that must be refused"
	unrelated  kind = "unrelated namespace requests"
	others     kind = "requests for no namespace"
	handshakes kind = "TLS handshakes"
)

// workers is how many goroutines make requests of a kind at once. A mesh-label request in which a namespace moves, and one
// that is refused, read the API server, which takes its time to be sure that it knows the latest; so there are several.
func workers(what kind) int {
	return map[kind]int{labelled: 4, wrong: 2, unrelated: 1, others: 1, handshakes: 1}[what]
}

// pace is the time between two requests of a worker, unless one takes longer.
const pace = 20 * time.Millisecond

// load makes requests all the time.
type load struct {
	s    *suite
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	sent  map[kind]int
	bad   map[kind]int // failed; of wrong ones: allowed
	first map[kind]error
	times map[kind][]time.Duration
}

// startLoad stores two meshes and the load's namespaces, and starts a load of namespace requests.
func (s *suite) startLoad(t *testing.T) *load {
	t.Helper()
	s.prepareLoad(t)
	l := s.newLoad(t)
	for _, what := range []kind{labelled, wrong, unrelated} {
		l.run(what, pace)
	}
	return l
}

// prepareLoad stores what the load needs, and returns when all replicas know it.
func (s *suite) prepareLoad(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mesh-1", "mesh-2"} {
		must(t, s.Client.Create(t.Context(), stressed(name, selecting(name), 0)))
	}
	for _, what := range []kind{labelled, wrong, unrelated} {
		for i := range workers(what) {
			must(t, s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(what, i)}}))
		}
	}
	must(t, s.Client.Create(t.Context(), theOther()))
	for _, process := range s.replicas {
		s.eventually(t, "the meshes are known", func() bool {
			page, err := process.Metrics(t.Context())
			return err == nil && !strings.Contains(page, "meshfence_fleet_builds_total 1\n")
		})
	}
}

func namespaceOf(what kind, worker int) string {
	return fmt.Sprintf("%s-%d", map[kind]string{labelled: "labelled", wrong: "wrong", unrelated: "unrelated"}[what], worker)
}

// newLoad returns a load of nothing yet.
func (s *suite) newLoad(t *testing.T) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{s: s, ctx: ctx, stop: stop, sent: map[kind]int{}, bad: map[kind]int{}, first: map[kind]error{}, times: map[kind][]time.Duration{}}
	t.Cleanup(func() { l.stop(); l.done.Wait() })
	return l
}

var errAllowed = errors.New("a request that must be refused was allowed")

// run makes requests of one kind from now on.
func (l *load) run(what kind, pace time.Duration) {
	c := l.s.Client
	for worker := range workers(what) {
		namespace := namespaceOf(what, worker)
		l.repeat(what, pace, map[kind]func(i int) error{
			labelled: func(i int) error {
				name := []string{"mesh-1", "mesh-2"}[(i+worker)%2]
				return patchLabels(l.ctx, c, namespace, fmt.Sprintf(`{"istio-discovery":%q,"istio.io/rev":%q}`, name, name))
			},
			wrong: func(int) error {
				if err := patchLabels(l.ctx, c, namespace, `{"istio-discovery":"mesh-1","istio.io/rev":"mesh-2"}`); err != nil {
					return nil
				}
				return errAllowed
			},
			unrelated: func(i int) error { return patchLabels(l.ctx, c, namespace, fmt.Sprintf(`{"team":"t%d"}`, i)) },
			others: func(i int) error {
				patch := fmt.Appendf(nil, `{"metadata":{"labels":{"team":"t%d"}}}`, i)
				return c.Patch(l.ctx, theOther(), client.RawPatch(types.MergePatchType, patch))
			},
			handshakes: func(int) error { return l.s.handshake(l.ctx) },
		}[what])
	}
}

// theOther is an object that no webhook is about.
func theOther() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "the-other"}}
}

func patchLabels(ctx context.Context, c client.Client, namespace, labels string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	return c.Patch(ctx, ns, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":`+labels+`}}`)))
}

// handshake connects as the API server does: it trusts what the configuration says at the moment.
func (s *suite) handshake(ctx context.Context) error {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: "meshfence"}, configuration); err != nil {
		return err
	}
	how := configuration.Webhooks[0].ClientConfig
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(how.CABundle) {
		return errors.New("no caBundle")
	}
	where, err := url.Parse(*how.URL)
	if err != nil {
		return err
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	conn, err := dialer.DialContext(ctx, "tcp", where.Host)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (l *load) repeat(what kind, pace time.Duration, request func(i int) error) {
	l.done.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-l.ctx.Done():
				return
			case <-ticker.C:
			}
			begin := time.Now()
			err := request(i)
			if l.ctx.Err() != nil {
				return
			}
			l.note(what, time.Since(begin), err)
		}
	})
}

func (l *load) note(what kind, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[what]++
	l.times[what] = append(l.times[what], took)
	if err == nil {
		return
	}
	l.bad[what]++
	if l.first[what] == nil {
		l.first[what] = err
	}
}

// more waits until so many more requests of a kind have been made.
func (l *load) more(t *testing.T, what kind, requests int) {
	t.Helper()
	number := func() int { l.mu.Lock(); defer l.mu.Unlock(); return l.sent[what] }
	want := number() + requests
	l.s.eventually(t, fmt.Sprintf("%d more %s", requests, what), func() bool { return number() >= want })
}

// end stops the load and writes down what was counted. Nothing may have been wrongly allowed, and no unrelated request may
// have failed, whatever the test did.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	for _, what := range []kind{labelled, wrong, unrelated, others, handshakes} {
		if l.sent[what] > 0 {
			slices.Sort(l.times[what])
			count(t, "%5d %-30s %d bad, half within %v, 99 of 100 within %v", l.sent[what], what+":", l.bad[what], l.within(what, 50), l.within(what, 99))
		}
	}
	if l.bad[wrong] > 0 {
		t.Errorf("%d requests were wrongly allowed", l.bad[wrong])
	}
	l.never(t, unrelated)
}

// within returns in what time this part of a kind's requests, in percent, were answered, when the load has ended.
func (l *load) within(what kind, percent int) time.Duration {
	return l.times[what][(len(l.times[what])-1)*percent/100].Round(100 * time.Microsecond)
}

// never says that no request of a kind may have failed.
func (l *load) never(t *testing.T, what kind) {
	t.Helper()
	if l.bad[what] > 0 {
		t.Errorf("%d of %d %s failed, first: %v", l.bad[what], l.sent[what], what, l.first[what])
	}
}

// eventually polls a condition.
func (s *suite) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	s.soon(t, time.Minute, what, condition)
}

// soon polls a condition that must come true within the limit, and returns how long it took.
func (s *suite) soon(t *testing.T, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	poll := func(context.Context) (bool, error) { return condition(), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, limit, true, poll); err != nil {
		t.Fatalf("not within %v: %s\n%s", limit, what, s.MeshfenceLog())
	}
	return since(begin)
}

// areReady says that all replicas must say that they are ready.
func (s *suite) areReady(t *testing.T, when string) {
	t.Helper()
	for _, process := range s.replicas {
		if err := process.Ready(t.Context()); err != nil {
			t.Errorf("%s: a replica says that it is not ready: %v", when, err)
		}
	}
}

// cannotJudge says that a change of a mesh must be refused because meshfence cannot judge it. Whether it is right or wrong
// does not matter then; this one would be wrong.
func (s *suite) cannotJudge(t *testing.T, when string) {
	t.Helper()
	begin := time.Now()
	err := s.Client.Create(t.Context(), stressed("at-odds", selecting("mesh-1"), 0))
	if err == nil || !strings.Contains(err.Error(), "meshfence cannot judge this request yet") {
		t.Errorf("%s, a mesh: %v; want it refused because it cannot be judged", when, err)
	}
	count(t, "%s: a mesh is refused in %v", when, since(begin))
}

// neverPanicked looks into what the replicas have printed.
func (s *suite) neverPanicked(t *testing.T) {
	t.Helper()
	if log := s.MeshfenceLog(); strings.Contains(log, "panic") {
		t.Errorf("meshfence panicked:\n%s", log)
	}
}

// asked returns how many requests about namespaces the replicas have received since they were started.
func (s *suite) asked(t *testing.T) int {
	t.Helper()
	sum := 0
	for _, process := range s.replicas {
		sum += received(t, process)
	}
	return sum
}

func received(t *testing.T, process *harness.Process) int {
	t.Helper()
	page, err := process.Metrics(t.Context())
	must(t, err)
	sum, found := 0, 0
	for _, path := range []string{"/validate/namespace", "/mutate/namespace"} {
		for line := range strings.Lines(page) {
			if text, ok := strings.CutPrefix(line, `meshfence_admission_duration_seconds_count{path="`+path+`"} `); ok {
				var n int
				_, err := fmt.Sscan(text, &n)
				must(t, err)
				sum += n
				found++
			}
		}
	}
	if found != 2 {
		t.Fatalf("the metrics page does not say how many requests were received:\n%s", page)
	}
	return sum
}
