package audit

import (
	"testing"

	"github.com/meshfence/meshfence/test/harness"
)

// leaders are the replicas that have the metrics of a run.
func leaders(t testing.TB, replicas []*harness.Process) []*harness.Process {
	t.Helper()
	var all []*harness.Process
	for _, p := range replicas {
		if len(findings(t, p)) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// One replica runs the audit. When it is killed, or loses the API server, another one goes on with what it has found, and nothing is there twice.
func TestOneReplicaRunsTheAudit(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-2", "--overwrite")
	second, err := s.StartAPIServer(t.Context(), "", nil)
	must(t, err)
	t.Cleanup(func() { _ = second.Stop() }) // the test has stopped it

	elsewhere := flags()
	elsewhere.APIServer = second.Config
	cut, err := s.StartReplica(t.Context(), elsewhere)
	must(t, err)
	replicas := []*harness.Process{cut}
	t.Cleanup(func() {
		for _, p := range replicas {
			_ = p.Kill() // some are dead already
		}
	})
	eventually(t, "the first replica runs the audit", func() bool { return len(leaders(t, replicas)) == 1 })
	for range 2 {
		p, err := s.StartReplica(t.Context(), flags())
		must(t, err)
		replicas = append(replicas, p)
	}
	since := s.firstSeen(t)

	must(t, second.Stop())
	eventually(t, "the replica whose API server is gone shows nothing any more", func() bool { return len(metrics(t, cut)) == 0 })
	if err := cut.Ready(t.Context()); err != nil {
		t.Errorf("the replica that lost the Lease serves no more: %v", err)
	}
	s.oneLeader(t, replicas, since)

	killed := leaders(t, replicas)[0]
	must(t, killed.Kill())
	replicas = without(replicas, killed)
	s.oneLeader(t, replicas, since)

	last := leaders(t, replicas)[0]
	must(t, last.Stop())
	replicas = without(replicas, last)
	p, err := s.StartReplica(t.Context(), flags())
	must(t, err)
	replicas = append(replicas, p)
	s.oneLeader(t, replicas, since)

	found := 0
	for _, event := range s.events(t) {
		if event.Reason == "RevisionOfAnotherMesh" {
			found++
			if event.Series != nil {
				t.Errorf("the event is told %d times", event.Series.Count)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d events tell of one finding", found)
	}
}

func without(all []*harness.Process, one *harness.Process) []*harness.Process {
	var rest []*harness.Process
	for _, p := range all {
		if p != one {
			rest = append(rest, p)
		}
	}
	return rest
}

// oneLeader waits until a replica has taken over, and checks that it is the only one, and knows what was found before.
func (s *suite) oneLeader(t *testing.T, replicas []*harness.Process, since string) {
	t.Helper()
	most := 0
	eventually(t, "another replica runs the audit", func() bool {
		n := len(leaders(t, replicas))
		most = max(most, n)
		return n > 0
	})
	if most > 1 {
		t.Errorf("%d replicas have run the audit at once", most)
	}
	if now := s.firstSeen(t); now != since {
		t.Errorf("a finding that was first seen as\n%s\nis now\n%s", since, now)
	}
}

// firstSeen is what is kept of the findings, with when they were first seen.
func (s *suite) firstSeen(t *testing.T) string {
	t.Helper()
	kept := ""
	eventually(t, "the findings are kept", func() bool {
		out, _, err := s.RunKubectl(t.Context(), s.Dir(), "get", "configmap", "--namespace", harness.Namespace, "meshfence-findings", "--output", "jsonpath={.data.findings}")
		kept = out
		return err == nil && out != ""
	})
	return kept
}
