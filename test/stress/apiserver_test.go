package stress

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

// ownAPIServer starts an API server that is stopped when the test ends. Meshfence talks to it; the load goes to the
// cluster's first one, which asks meshfence.
func (s *suite) ownAPIServer(t *testing.T, etcd string) *harness.APIServer {
	t.Helper()
	// It waits so long for its watches to end when it is told to stop.
	own, err := s.StartAPIServer(t.Context(), etcd, map[string]string{"request-timeout": "10s"})
	must(t, err)
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	return own
}

// meshesCanBeMade creates and deletes a mesh, and the fleet must know of it in between.
func (s *suite) meshesCanBeMade(t *testing.T, limit time.Duration) {
	t.Helper()
	s.soon(t, limit, "meshes can be created again", func() bool {
		return s.Client.Create(t.Context(), stressed("mesh-3", selecting("mesh-3"), 0)) == nil
	})
	s.soon(t, limit, "the new mesh is known", func() bool {
		return patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":"mesh-3","istio.io/rev":"mesh-3"}`) == nil
	})
	err := s.Client.Create(t.Context(), stressed("at-odds", selecting("mesh-3"), 0))
	if classify(err) != denied {
		t.Errorf("a mesh that overlaps with the new one: %v", err)
	}
	must(t, patchLabels(t.Context(), s.Client, "default", `{"istio-discovery":null,"istio.io/rev":null}`))
	must(t, s.Client.Delete(t.Context(), stressed("mesh-3", nil, 0)))
}

// builds says how many fleets a replica has built, which is one more when a mesh has come.
func (s *suite) builds(t *testing.T, process *harness.Process) string {
	t.Helper()
	page, err := process.Metrics(t.Context())
	must(t, err)
	_, rest, _ := strings.Cut(page, "\nmeshfence_fleet_builds_total ")
	number, _, _ := strings.Cut(rest, "\n")
	return number
}

// startsUnready starts a replica that cannot read the cluster: it must say so, and get ready by itself when it can.
func (s *suite) startsUnready(t *testing.T, options harness.ProcessOptions) (becomesReady func()) {
	t.Helper()
	process, err := s.LaunchReplica(t.Context(), options)
	must(t, err)
	s.replicas = append(s.replicas, process)
	s.eventually(t, "the replica answers its probes", func() bool { return isUnready(process.Ready(t.Context())) })
	return func() {
		t.Helper()
		took := s.soon(t, 30*time.Second, "the replica that was started meanwhile is ready", func() bool { return process.Ready(t.Context()) == nil })
		s.balancer.Add(process)
		count(t, "a replica that was started meanwhile was ready %v later", took)
	}
}

// isUnready reports whether a process has answered, and with no.
func isUnready(err error) bool { return errors.Is(err, harness.ErrNotReady) }

// restartAPIServer stops the API server that meshfence talks to, while another one goes on, and starts it again.
func (s *suite) restartAPIServer(t *testing.T) {
	own := s.ownAPIServer(t, "")
	s.install(t, 2, harness.ProcessOptions{}, own.Config)
	l := s.startLoad(t)
	for round := range choose(1, 4) {
		l.more(t, labelled, 25)
		end := own.Kill
		if round%2 == 1 {
			end = own.Terminate
		}
		must(t, end())
		s.cannotJudge(t, "while the API server is down")
		becomesReady := s.startsUnready(t, harness.ProcessOptions{APIServer: own.Config})
		l.more(t, labelled, 25)
		for _, process := range s.replicas[:2] {
			if err := process.Ready(t.Context()); err != nil {
				t.Errorf("while it answers with what it knows, a replica says that it is not ready: %v", err)
			}
		}
		must(t, own.Start(t.Context()))
		becomesReady()
		s.meshesCanBeMade(t, 10*time.Second)
		old := s.replicas[2]
		s.dropReplica(old)
		must(t, old.Stop())
	}
	l.end(t)
	l.never(t, labelled)
	s.neverPanicked(t)
}

// slowEtcd delays what the API server that meshfence talks to hears of etcd: first so that meshes can still be judged, then
// so that they cannot.
func (s *suite) slowEtcd(t *testing.T) {
	etcd := newRelay(t, s.EtcdURL())
	own := s.ownAPIServer(t, "http://"+etcd.address())
	s.install(t, 2, harness.ProcessOptions{}, own.Config)
	l := s.startLoad(t)
	l.more(t, labelled, 25)
	for round := range choose(1, 3) {
		etcd.late(100 * time.Millisecond)
		for i := range choose(1, 3) {
			name := fmt.Sprintf("slow-%d-%d", round, i)
			begin := time.Now()
			must(t, s.Client.Create(t.Context(), stressed(name, selecting(name), 0)))
			count(t, "etcd answers 200ms late: a mesh is stored in %v", since(begin))
			if err := s.Client.Create(t.Context(), stressed(name+"-too", selecting(name), 0)); classify(err) != denied {
				t.Errorf("a mesh that overlaps: %v", err)
			}
		}
		s.areReady(t, "etcd answers late")
		etcd.late(5 * time.Second) // later than the time of a judgement, so that not even one read comes back
		s.cannotJudge(t, "etcd answers 10s late")
		err := patchLabels(t.Context(), s.Client, "wrong-0", `{"istio-discovery":"mesh-1","istio.io/rev":"mesh-2"}`)
		if err == nil || !strings.Contains(err.Error(), "MF202") {
			t.Errorf("a wrong label while what is stored cannot be read in time: %v; want the verdict of what is known", err)
		}
		l.more(t, labelled, 25)
		s.areReady(t, "etcd answers very late")
		etcd.late(0)
		s.meshesCanBeMade(t, 30*time.Second)
	}
	l.end(t)
	l.never(t, labelled)
	s.neverPanicked(t)
}

// brokenConnection cuts meshfence off from its API server, changes meshes meanwhile, and lets it connect again.
func (s *suite) brokenConnection(t *testing.T) {
	line := newRelay(t, s.Config.Host)
	config := rest.CopyConfig(s.Config)
	config.Host = "https://" + line.address()
	s.install(t, 2, harness.ProcessOptions{}, config)
	l := s.startLoad(t)
	// Meshfence does not judge what the API server itself does.
	asServer := rest.CopyConfig(s.Config)
	asServer.Impersonate = rest.ImpersonationConfig{UserName: "system:apiserver", Groups: []string{"system:masters"}}
	unjudged, err := client.New(asServer, client.Options{Scheme: s.Client.Scheme()})
	must(t, err)
	for round := range choose(1, 6) {
		l.more(t, labelled, 25)
		line.cut()
		s.cannotJudge(t, "while the connection is cut")
		becomesReady := s.startsUnready(t, harness.ProcessOptions{APIServer: config})
		name := fmt.Sprint("meanwhile-", round)
		before := []string{s.builds(t, s.replicas[0]), s.builds(t, s.replicas[1])}
		must(t, unjudged.Create(t.Context(), stressed(name, selecting(name), 0)))
		l.more(t, labelled, 25)
		for _, process := range s.replicas[:2] {
			if err := process.Ready(t.Context()); err != nil {
				t.Errorf("while it answers with what it knows, a replica says that it is not ready: %v", err)
			}
		}
		line.mend()
		begin := time.Now()
		becomesReady()
		for i, process := range s.replicas[:2] {
			s.soon(t, 5*time.Second, "the mesh of meanwhile is known", func() bool { return s.builds(t, process) != before[i] })
			count(t, "connected again: replica %d knew the mesh of meanwhile %v later", i+1, since(begin))
		}
		s.meshesCanBeMade(t, 10*time.Second)
		extra := s.replicas[2]
		s.dropReplica(extra)
		must(t, extra.Stop())
	}
	l.end(t)
	l.never(t, labelled)
	s.neverPanicked(t)
}

// staleCaches has meshfence's watches hang, so that its caches stay behind for as long as the test lasts. That the last
// minutes are missing is no different: nothing in meshfence grows old while it is being watched.
func (s *suite) staleCaches(t *testing.T) {
	proxy := newStaller(t, s.Config)
	s.install(t, 2, harness.ProcessOptions{}, proxy.config)
	l := s.startLoad(t)
	proxy.stall()
	t.Cleanup(proxy.goOn)
	rounds := choose(4, 50)
	for round := range rounds {
		name := fmt.Sprint("fresh-", round)
		must(t, s.Client.Create(t.Context(), stressed(name, selecting(name), 0)))
		err := s.Client.Create(t.Context(), stressed(name+"-too", selecting(name), 0))
		if classify(err) != denied {
			t.Fatalf("round %d: a mesh that overlaps with one that no cache has seen: %v", round, err)
		}
	}
	s.areReady(t, "the caches are behind")
	l.more(t, labelled, 25)
	proxy.goOn()
	s.meshesCanBeMade(t, 10*time.Second)
	l.end(t)
	l.never(t, labelled)
	count(t, "%d meshes that overlap with one that no cache has seen: all refused", rounds)
	s.neverPanicked(t)
}
