package stress

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/test/harness"
)

// TestOutages has a load of namespace requests run while something fails, and counts those that fail with it.
func TestOutages(t *testing.T) {
	s := start(t)
	t.Run("a rolling restart", s.rollingRestart)
	t.Run("one of two is killed", s.killOne)
	t.Run("all are down", s.allDown)
	t.Run("the API server restarts", s.restartAPIServer)
	t.Run("the connection to the API server breaks", s.brokenConnection)
	t.Run("the caches are behind", s.staleCaches)
	t.Run("certificate and authority are rotated", s.rotate)
	t.Run("the definitions come and go", s.definitions)
	t.Run("a definition has a new version with unknown fields", s.newVersion)
	t.Run("the mesh map comes and goes", s.meshMap)
	t.Run("selectors use new label keys", s.labelKeys)
	if !long() {
		return
	}
	t.Run("etcd is slow", s.slowEtcd)
}

// rollingRestart does what a Deployment does with maxSurge 1 and maxUnavailable 0: a new replica gets ready, an old one
// leaves the endpoints, sleeps (preStop) and gets SIGTERM.
func (s *suite) rollingRestart(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	for range choose(2, 12) {
		l.more(t, labelled, 25)
		old := s.replicas[0]
		s.addReplica(t, harness.ProcessOptions{})
		l.more(t, labelled, 25)
		s.dropReplica(old)
		l.more(t, labelled, 10)
		must(t, old.Stop())
	}
	l.more(t, labelled, 25)
	l.end(t)
	l.never(t, labelled)
}

// killOne kills one of two replicas again and again. Its endpoint is gone when the balancer's next probe fails. The same is
// done before meshfence is installed, to know how long unrelated requests take without it.
func (s *suite) killOne(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	s.prepareLoad(t)
	kills := choose(1, 10)
	kill := func(l *load) {
		for range kills {
			l.more(t, unrelated, 50)
			victim := s.replicas[0]
			must(t, victim.Kill())
			l.more(t, unrelated, 50)
			s.dropReplica(victim)
			s.addReplica(t, harness.ProcessOptions{})
		}
		l.more(t, unrelated, 50)
		l.end(t)
	}
	s.removeWebhooks(t)
	without := s.newLoad(t)
	without.run(labelled, 5*pace) // no more of them than with meshfence, where each takes longer
	without.run(unrelated, pace)
	without.run(others, pace)
	kill(without)
	if n := s.asked(t); n > 0 {
		t.Fatalf("meshfence was asked %d times although it was not installed", n)
	}

	must(t, s.InstallWebhooks(t.Context()))
	with := s.newLoad(t)
	for _, what := range []kind{labelled, wrong, unrelated, others} {
		with.run(what, pace)
	}
	kill(with)
	// Only requests that the victim had, at most one of each worker, may fail: the next connection goes to the other one.
	if limit := kills * workers(labelled); with.bad[labelled] > limit {
		t.Errorf("%d mesh-label requests failed in %d kills, first: %v", with.bad[labelled], kills, with.first[labelled])
	}
	s.unrelatedAreNoSlower(t, without, with)
	s.unrelatedAreNotSent(t)
}

func (s *suite) removeWebhooks(t *testing.T) {
	t.Helper()
	must(t, s.Client.DeleteAllOf(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{}))
	must(t, s.Client.DeleteAllOf(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{}))
	must(t, s.WaitWebhooks(t.Context()))
}

// unrelatedAreNoSlower compares the unrelated requests of two loads. Requests that no webhook is about, at the same time, tell
// what is the noise of a machine with few cores on which processes are started. What waits for a replica that does not answer
// would wait for seconds.
func (s *suite) unrelatedAreNoSlower(t *testing.T, without, with *load) {
	t.Helper()
	noise := 2*max(without.within(unrelated, 100), without.within(others, 100), with.within(others, 100)) + 100*time.Millisecond
	slower := 0
	for _, took := range with.times[unrelated] {
		if took > noise {
			slower++
		}
	}
	more := func(l *load) time.Duration { return l.within(unrelated, 50) - l.within(others, 50) }
	count(t, "unrelated requests without and with meshfence: half within %v and %v, which is %v and %v more than others; the slowest in %v and %v",
		without.within(unrelated, 50), with.within(unrelated, 50), more(without), more(with), without.within(unrelated, 100), with.within(unrelated, 100))
	if slower > 0 || more(with) > more(without)+5*time.Millisecond {
		t.Errorf("%d unrelated requests took longer than %v; half of them up to %v longer than others, without meshfence %v", slower, noise, more(with), more(without))
	}
}

// unrelatedAreNotSent counts what the replicas receive while only unrelated requests are made: nothing.
func (s *suite) unrelatedAreNotSent(t *testing.T) {
	t.Helper()
	const requests = 100
	before := -1
	s.eventually(t, "the last request of the load has been answered", func() bool {
		last := before
		before = s.asked(t)
		return before == last
	})
	for i := range requests {
		must(t, patchLabels(t.Context(), s.Client, namespaceOf(unrelated, 0), `{"team":"u`+string(rune('a'+i%26))+`"}`))
	}
	sent := s.asked(t) - before
	must(t, patchLabels(t.Context(), s.Client, namespaceOf(unrelated, 0), `{"istio-discovery":"mesh-1","istio.io/rev":"mesh-1"}`))
	control := s.asked(t) - before - sent
	count(t, "%d unrelated requests: meshfence received %d; one mesh-label request: %d", requests, sent, control)
	if sent != 0 || control == 0 {
		t.Errorf("meshfence received %d unrelated requests, want none, and %d for a mesh label, want some", sent, control)
	}
}

// allDown: what is guarded is refused, everything else goes on, and all is well again when a replica is there.
func (s *suite) allDown(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	l.more(t, labelled, 10)
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
	refused("the end of a mesh", s.Client.Delete(ctx, stressed("mesh-2", nil, 0)))
	refused("a mesh label", patchLabels(ctx, s.Client, "wrong-0", `{"istio-discovery":"mesh-1"}`))
	refused("a namespace with a mesh label", s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new", Labels: map[string]string{"istio-discovery": "mesh-1"}}}))
	must(t, s.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ordinary", Labels: map[string]string{"team": "x"}}}))
	must(t, s.Client.Create(ctx, meshMapOf("mesh-1")))
	must(t, patchLabels(ctx, s.Client, "ordinary", `{"team":"y"}`))
	l.more(t, unrelated, 25)
	s.addReplica(t, harness.ProcessOptions{})
	s.eventually(t, "mesh labels can be set again", func() bool { return patchLabels(ctx, s.Client, "ordinary", `{"istio-discovery":"mesh-1"}`) == nil })
	l.end(t)
}

// rotate changes the serving certificate, each time to one of another authority, which the configurations learn of first,
// as cert-manager does it. Somebody makes handshakes all the time, as the API server itself does only if it must.
func (s *suite) rotate(t *testing.T) {
	s.install(t, 2, harness.ProcessOptions{})
	l := s.startLoad(t)
	l.run(handshakes, pace)
	rotations := choose(2, 20)
	for range rotations {
		must(t, s.RotateServingCertificate(t.Context()))
		l.more(t, handshakes, choose(40, 100))
	}
	l.end(t)
	l.never(t, labelled)
	l.never(t, handshakes)
	count(t, "%d certificates, each of another authority", rotations)
}
