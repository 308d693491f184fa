package audit

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfence/meshfence/test/harness"
)

const (
	wrongRevision = `action="deny",mesh="mesh-1",rule="MF202"`
	notDiscovered = `action="warn",mesh="mesh-2",rule="MF104"`
)

// A finding appears, is told of, stays without another word, and goes.
func TestAFindingIsTold(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	p, err := s.StartMeshfence(t.Context(), flags())
	must(t, err)
	eventually(t, "a first run, without findings", func() bool { return hasRun(t, p, time.Time{}) })
	for labels, n := range findings(t, p) {
		if !strings.Contains(labels, "MF901") { // the guide asks for it, and the stand-in makes no PeerAuthentication
			t.Errorf("%v: %s", n, labels)
		}
	}

	s.installReports(t)
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-2", "--overwrite")
	s.kubectl(t, "label", "namespace", "istio-system-mesh-2", "istio-discovery-")
	eventually(t, "both findings in the metrics", func() bool {
		all := findings(t, p)
		return all[wrongRevision] == 1 && all[notDiscovered] == 1
	})
	if got := metrics(t, p)[`meshfence_namespaces{mesh="mesh-1",state="mismatched"}`]; got != 1 {
		t.Errorf("%v namespaces are mismatched", got)
	}
	eventually(t, "both events", func() bool {
		return s.told(t, "Namespace", "app-mesh-1", "RevisionOfAnotherMesh", "Found") && s.told(t, "Istio", "mesh-2", "ControlPlaneNotDiscovered", "Found")
	})
	if out := s.kubectl(t, "describe", "istios.sailoperator.io", "mesh-2"); !strings.Contains(out, "ControlPlaneNotDiscovered") {
		t.Errorf("kubectl describe does not show the event:\n%s", out)
	}
	if out := s.kubectl(t, "events", "--namespace", "app-mesh-1"); !strings.Contains(out, "MF202 RevisionOfAnotherMesh") {
		t.Errorf("kubectl events does not show the event in the namespace:\n%s", out)
	}
	eventually(t, "a report of each mesh", func() bool { return len(s.reports(t)) >= 2 })
	first := s.reports(t)["meshfence-mesh-1"]
	if first.Summary.Fail != 1 || len(first.Results) == 0 || first.Results[0].Policy != "MF202" || first.Results[0].Timestamp.Seconds == 0 {
		t.Errorf("the report of mesh-1: %+v", first)
	}
	s.quiet(t, p)

	s.kubectl(t, "annotate", "namespace", "app-mesh-1", "meshfence.io/accept=MF202", "meshfence.io/accept-until=2999-01-31T00:00:00Z")
	s.kubectl(t, "annotate", "istios.sailoperator.io", "mesh-2", "meshfence.io/accept=MF104")
	eventually(t, "both findings accepted", func() bool {
		all := findings(t, p)
		return all[`action="accepted",mesh="mesh-1",rule="MF202"`] == 1 && all[`action="accepted",mesh="mesh-2",rule="MF104"`] == 1 &&
			all[wrongRevision] == 0 && all[notDiscovered] == 0
	})
	eventually(t, "the report says so", func() bool { return s.reports(t)["meshfence-mesh-1"].Summary.Skip == 1 })
	s.kubectl(t, "annotate", "namespace", "app-mesh-1", "meshfence.io/accept-until=2020-01-31T00:00:00Z", "--overwrite")
	eventually(t, "what is accepted no more comes back", func() bool { return findings(t, p)[wrongRevision] == 1 })
	if now := s.reports(t)["meshfence-mesh-1"].Results[0]; now.Timestamp != first.Results[0].Timestamp {
		t.Errorf("first seen at %v, and before at %v", now.Timestamp, first.Results[0].Timestamp)
	}

	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-1", "--overwrite")
	eventually(t, "the finding gone", func() bool { _, there := findings(t, p)[wrongRevision]; return !there })
	eventually(t, "the event of that", func() bool { return s.told(t, "Namespace", "app-mesh-1", "RevisionOfAnotherMesh", "Gone") })
	eventually(t, "the report without it", func() bool { return s.reports(t)["meshfence-mesh-1"].Summary.Fail == 0 })

	s.kubectl(t, "delete", "istios.sailoperator.io,istiorevisions.sailoperator.io", "mesh-2")
	eventually(t, "the report of the mesh gone with it", func() bool { _, there := s.reports(t)["meshfence-mesh-2"]; return !there })
}

// quiet checks that runs without a change write nothing.
func (s *suite) quiet(t *testing.T, p *harness.Process) {
	t.Helper()
	another := func() {
		now := time.Now()
		eventually(t, "another run", func() bool { return hasRun(t, p, now) })
	}
	another() // the one that is under way may still write
	before, events := s.versions(t), len(s.events(t))
	another()
	another()
	if diff := cmp.Diff(before, s.versions(t)); diff != "" {
		t.Errorf("a run without a change has written:\n%s", diff)
	}
	if now := len(s.events(t)); now != events {
		t.Errorf("%d events, and before there were %d", now, events)
	}
}

// versions are those of what the audit writes.
func (s *suite) versions(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, report := range s.reports(t) {
		all[name] = report.ResourceVersion
	}
	var kept corev1.ConfigMap
	must(t, s.Client.Get(t.Context(), client.ObjectKey{Namespace: harness.Namespace, Name: "meshfence-findings"}, &kept))
	all[kept.Name] = kept.ResourceVersion
	return all
}

// What the API server does not serve is named, and looked at once it is there.
func TestWhatIsInstalledLaterIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	const definition = "peerauthentications.security.istio.io"
	s.kubectl(t, "delete", "crd", definition)
	p, err := s.StartMeshfence(t.Context(), flags())
	must(t, err)
	plain := func(mesh string) bool { return findings(t, p)[`action="warn",mesh="`+mesh+`",rule="MF901"`] == 1 }
	eventually(t, "both meshes accept plain text", func() bool { return plain("mesh-1") && plain("mesh-2") })
	notServed := func(resource string) bool {
		lines := strings.Split(s.MeshfenceLog(), "\n")
		for i := len(lines) - 1; i >= 0; i-- {
			if strings.Contains(lines[i], "What the audit looks at has changed") {
				_, list, _ := strings.Cut(lines[i], `"notServed":`)
				list, _, _ = strings.Cut(list, "]")
				return strings.Contains(list, `"`+resource+`"`)
			}
		}
		return false
	}
	if !notServed("peerauthentications.security.istio.io") {
		t.Errorf("what is not served is not named:\n%s", s.MeshfenceLog())
	}

	root, err := harness.Root()
	must(t, err)
	s.kubectl(t, "apply", "-f", filepath.Join(root, "test", "testdata", "crds", "security.istio.io_peerauthentications.yaml"))
	s.kubectl(t, "wait", "--for=condition=Established", "crd/"+definition)
	for _, mesh := range []string{"mesh-1", "mesh-2"} {
		s.apply(t, "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system-"+mesh+"}, spec: {mtls: {mode: STRICT}}}")
	}
	eventually(t, "none does any more", func() bool { return hasRun(t, p, time.Time{}) && !plain("mesh-1") && !plain("mesh-2") })
	if notServed("peerauthentications.security.istio.io") {
		t.Errorf("what is served now is named:\n%s", s.MeshfenceLog())
	}
}
