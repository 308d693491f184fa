package stress

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// TestOutages has a load of namespace requests run while something fails, and counts those that fail with it.
func TestOutages(t *testing.T) {
	s := start(t)
	t.Run("a rolling restart", s.rollingRestart)
	t.Run("one of two is killed", s.killOne)
	t.Run("all are down", s.allDown)
	t.Run("the API server restarts", s.restartAPIServer)
	t.Run("the caches are behind", s.staleCaches)
	t.Run("certificate and authority are rotated", s.rotate)
}

// kind is a kind of request of the load.
type kind string

const (
	labelled  kind = "mesh-label requests"
	wrong     kind = "requests that must be refused"
	unrelated kind = "unrelated namespace requests"
)

// load makes namespace requests all the time.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	sent  map[kind]int
	bad   map[kind]int // failed; of wrong ones: allowed
	first map[kind]error
	last  map[kind]time.Time // of the last bad one
	since map[kind]time.Time // of the first bad one
	times map[kind][]time.Duration
}

// startLoad stores two meshes and the load's namespaces, and starts it.
func (s *suite) startLoad(t *testing.T) *load {
	t.Helper()
	for _, name := range []string{"mesh-1", "mesh-2"} {
		must(t, s.Client.Create(t.Context(), stressed(name, selecting(name), 0)))
	}
	for _, name := range []string{"labelled", "wrong", "unrelated"} {
		must(t, s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	// What the replicas answer rests on the two meshes being known to all of them.
	for _, process := range s.replicas {
		s.eventually(t, "the meshes are known", func() bool {
			page, err := process.Metrics(t.Context())
			return err == nil && !strings.Contains(page, "meshfence_fleet_builds_total 1\n")
		})
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop, sent: map[kind]int{}, bad: map[kind]int{}, first: map[kind]error{}, last: map[kind]time.Time{}, since: map[kind]time.Time{}, times: map[kind][]time.Duration{}}
	c := s.newClient(t, s.Config)
	l.run(ctx, labelled, func(i int) error {
		name := []string{"mesh-1", "mesh-2"}[i%2]
		return patchLabels(ctx, c, "labelled", fmt.Sprintf(`{"istio-discovery":%q,"istio.io/rev":%q}`, name, name))
	})
	l.run(ctx, wrong, func(int) error {
		err := patchLabels(ctx, c, "wrong", `{"istio-discovery":"mesh-1","istio.io/rev":"mesh-2"}`)
		if err == nil {
			return errAllowed
		}
		return nil
	})
	l.run(ctx, unrelated, func(i int) error { return patchLabels(ctx, c, "unrelated", fmt.Sprintf(`{"team":"t%d"}`, i)) })
	t.Cleanup(func() { l.stop(); l.done.Wait() })
	return l
}

var errAllowed = fmt.Errorf("a request that must be refused was allowed")

func patchLabels(ctx context.Context, c client.Client, namespace, labels string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	return c.Patch(ctx, ns, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":`+labels+`}}`)))
}

// run makes about fifty requests of one kind a second.
func (l *load) run(ctx context.Context, what kind, request func(i int) error) {
	l.done.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			begin := time.Now()
			err := request(i)
			if ctx.Err() != nil {
				return
			}
			l.note(what, begin, err)
		}
	})
}

func (l *load) note(what kind, begin time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[what]++
	l.times[what] = append(l.times[what], time.Since(begin))
	if err == nil {
		return
	}
	l.bad[what]++
	l.last[what] = time.Now()
	if l.first[what] == nil {
		l.first[what], l.since[what] = err, begin
	}
}

// more waits until so many more requests of a kind have been made.
func (l *load) more(t *testing.T, s *suite, what kind, requests int) {
	t.Helper()
	number := func() int { l.mu.Lock(); defer l.mu.Unlock(); return l.sent[what] }
	want := number() + requests
	s.eventually(t, fmt.Sprintf("%d more %s", requests, what), func() bool { return number() >= want })
}

// end stops the load and writes down what was counted.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	for _, what := range []kind{labelled, wrong, unrelated} {
		slices.Sort(l.times[what])
		p99 := l.times[what][len(l.times[what])*99/100]
		count(t, "%5d %-30s %d bad, 99 of 100 within %v", l.sent[what], what+":", l.bad[what], p99.Round(100*time.Microsecond))
	}
	if l.bad[wrong] > 0 {
		t.Errorf("%d requests were wrongly allowed", l.bad[wrong])
	}
	if l.bad[unrelated] > 0 {
		t.Errorf("%d unrelated requests failed, first: %v", l.bad[unrelated], l.first[unrelated])
	}
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
	poll := func(context.Context) (bool, error) { return condition(), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, poll); err != nil {
		t.Fatalf("not within a minute: %s\n%s", what, s.MeshfenceLog())
	}
}

// rollingRestart does what a Deployment does with maxSurge 1 and maxUnavailable 0: a new replica gets ready, an old one
// leaves the endpoints, sleeps (preStop) and gets SIGTERM.
func (s *suite) rollingRestart(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	for range choose(2, 20) {
		l.more(t, s, labelled, 25)
		old := s.replicas[0]
		s.addReplica(t, harness.ProcessOptions{})
		l.more(t, s, labelled, 25)
		s.dropReplica(old)
		l.more(t, s, labelled, 10)
		must(t, old.Stop())
	}
	l.more(t, s, labelled, 25)
	l.end(t)
	l.never(t, labelled)
}

// killOne kills one of two replicas again and again. Its endpoint is gone when the balancer's next probe fails.
func (s *suite) killOne(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	kills := choose(2, 20)
	for range kills {
		l.more(t, s, labelled, 25)
		victim := s.replicas[0]
		must(t, victim.Kill())
		l.more(t, s, labelled, 25)
		s.dropReplica(victim)
		s.addReplica(t, harness.ProcessOptions{})
	}
	l.more(t, s, labelled, 25)
	l.end(t)
	// Only requests that the victim had, at most one of each kind, may fail: the next connection goes to the other one.
	if l.bad[labelled] > kills {
		t.Errorf("%d mesh-label requests failed in %d kills, first: %v", l.bad[labelled], kills, l.first[labelled])
	}
	s.unrelatedWereNotSent(t, l)
}

// unrelatedWereNotSent compares what the replicas that live have answered with what can be meant for them.
func (s *suite) unrelatedWereNotSent(t *testing.T, l *load) {
	t.Helper()
	answered := 0
	for _, process := range s.replicas {
		page, err := process.Metrics(t.Context())
		must(t, err)
		for line := range strings.Lines(page) {
			var n int
			if rest, ok := strings.CutPrefix(line, "meshfence_admissions_total{"); ok && strings.Contains(rest, `kind="Namespace"`) {
				_, value, _ := strings.Cut(rest, "} ")
				if _, err := fmt.Sscan(value, &n); err == nil {
					answered += n
				}
			}
		}
	}
	// Each of them may be asked about twice: to fill in and to validate.
	if limit := 2*(l.sent[labelled]+l.sent[wrong]) + 10; answered > limit {
		t.Errorf("meshfence was asked %d times about namespaces, more than %d: also about unrelated ones", answered, limit)
	}
	count(t, "asked about namespaces: %d times, with %d mesh-label requests and %d others", answered, l.sent[labelled]+l.sent[wrong], l.sent[unrelated])
}

// allDown: what is guarded is refused, everything else goes on, and all is well again when a replica is there.
func (s *suite) allDown(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	l.more(t, s, labelled, 10)
	for _, process := range slices.Clone(s.replicas) {
		must(t, process.Kill())
		s.dropReplica(process)
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
			t.Errorf("%s: %v; want it refused because meshfence does not answer", what, err)
		}
	}
	ctx := t.Context()
	refused("a mesh", s.Client.Create(ctx, stressed("mesh-3", selecting("mesh-3"), 0)))
	refused("a mesh label", patchLabels(ctx, s.Client, "wrong", `{"istio-discovery":"mesh-1"}`))
	refused("a namespace with a mesh label", s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new", Labels: map[string]string{"istio-discovery": "mesh-1"}}}))
	must(t, s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ordinary", Labels: map[string]string{"team": "x"}}}))
	must(t, s.Client.Delete(ctx, stressed("mesh-2", nil, 0)))
	must(t, patchLabels(ctx, s.Client, "ordinary", `{"team":"y"}`))
	l.more(t, s, unrelated, 25)
	s.addReplica(t, harness.ProcessOptions{})
	s.eventually(t, "mesh labels can be set again", func() bool { return patchLabels(ctx, s.Client, "ordinary", `{"istio-discovery":"mesh-1"}`) == nil })
	l.end(t)
}

// restartAPIServer kills the API server that meshfence talks to, while another one goes on, and starts it again.
func (s *suite) restartAPIServer(t *testing.T) {
	own, err := s.StartAPIServer(t.Context(), "", nil)
	must(t, err)
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.install(t, 2, harness.ProcessOptions{}, own.Config)
	l := s.startLoad(t)
	for range choose(1, 5) {
		l.more(t, s, labelled, 25)
		must(t, own.Kill())
		// It cannot be judged live now, so it must not be allowed.
		err := s.Client.Create(t.Context(), stressed("mesh-9", selecting("mesh-1"), 0))
		if err == nil || !strings.Contains(err.Error(), "meshfence cannot judge this request yet") {
			t.Errorf("a mesh while the API server of meshfence is down: %v", err)
		}
		l.more(t, s, labelled, 25)
		for _, process := range s.replicas {
			if err := process.Ready(t.Context()); err != nil {
				t.Errorf("while it answers with what it knows, a replica says that it is not ready: %v", err)
			}
		}
		must(t, own.Start(t.Context()))
		s.eventually(t, "meshes can be created again", func() bool {
			return s.Client.Create(t.Context(), stressed("mesh-3", selecting("mesh-3"), 0)) == nil
		})
		s.eventually(t, "the new mesh is known", func() bool {
			return patchLabels(t.Context(), s.Client, "wrong", `{"istio-discovery":"mesh-3","istio.io/rev":"mesh-3"}`) == nil
		})
		must(t, s.Client.Delete(t.Context(), stressed("mesh-3", nil, 0)))
	}
	l.end(t)
	l.never(t, labelled)
	if strings.Contains(s.MeshfenceLog(), "panic") {
		t.Error(s.MeshfenceLog())
	}
}

// staleCaches has meshfence's watches hang, so that its caches stay behind for as long as the test lasts.
func (s *suite) staleCaches(t *testing.T) {
	proxy := newStaller(t, s.Config)
	s.install(t, 2, harness.ProcessOptions{}, proxy.config)
	must(t, s.Client.Create(t.Context(), stressed("mesh-1", selecting("mesh-1"), 0)))
	proxy.stall()
	for round := range choose(5, 100) {
		name := fmt.Sprint("fresh-", round)
		must(t, s.Client.Create(t.Context(), stressed(name, selecting(name), 0)))
		err := s.Client.Create(t.Context(), stressed(name+"-too", selecting(name), 0))
		if classify(err) != denied {
			t.Fatalf("round %d: a mesh that overlaps with one that no cache has seen: %v", round, err)
		}
	}
	proxy.goOn()
	s.eventually(t, "the caches have caught up", func() bool {
		err := patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":"fresh-4","istio.io/rev":"fresh-4"}`)
		return err == nil
	})
}

// staller is a proxy in front of an API server that can hold what watches bring.
type staller struct {
	config *rest.Config
	mu     sync.Mutex
	// held is closed when what is held may go on; nil if nothing is held.
	held chan struct{}
}

func newStaller(t *testing.T, to *rest.Config) *staller {
	t.Helper()
	transport, err := rest.TransportFor(&rest.Config{Host: to.Host, TLSClientConfig: rest.TLSClientConfig{CAData: to.CAData}})
	must(t, err)
	target, err := url.Parse("https://" + strings.TrimPrefix(to.Host, "https://"))
	must(t, err)
	p := &staller{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ModifyResponse: func(response *http.Response) error {
			if response.Request.URL.Query().Get("watch") != "" {
				response.Body = &stalled{p, response.Body}
			}
			return nil
		},
	}
	p.config = serveTLS(t, proxy)
	return p
}

// rotate changes the serving certificate, each time to one of another authority, which the configurations learn of first,
// as cert-manager does it.
func (s *suite) rotate(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	rotations := choose(2, 60)
	for range rotations {
		must(t, s.RotateServingCertificate(t.Context()))
		l.more(t, s, labelled, 40)
	}
	l.end(t)
	l.never(t, labelled)
	count(t, "%d certificates, each of another authority", rotations)
}
