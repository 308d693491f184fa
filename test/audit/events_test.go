package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/meshfence/meshfence/audit/runner"
	"github.com/meshfence/meshfence/webhook/cluster/events"
)

// noEvents is a policy of a cluster that refuses Events in one namespace.
const noEvents = `
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: no-events}, spec: {
  matchConstraints: {resourceRules: [{apiGroups: ["", events.k8s.io], apiVersions: ["*"], operations: [CREATE], resources: [events]}]},
  validations: [{expression: "object.metadata.namespace != 'app-mesh-1'", message: "no events here"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: no-events}, spec: {policyName: no-events, validationActions: [Deny]}}
`

// An Event that the cluster refuses is counted, keeps no other from being written, and is written once it can be: by another replica, too.
func TestAnEventThatIsRefusedIsWrittenLater(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	must(t, s.InstallWorkload(t.Context()))
	s.guide(t)
	s.apply(t, noEvents)
	eventually(t, "the policy holds", func() bool {
		_, stderr, err := s.RunKubectl(t.Context(), s.Dir(), "create", "--dry-run=server", "-o", "name", "-f", s.file(t, event("app-mesh-1")))
		return err != nil && strings.Contains(stderr, "no events here")
	})
	s.kubectl(t, "label", "namespace", "app-mesh-1", "istio.io/rev=mesh-2", "--overwrite")
	s.kubectl(t, "label", "namespace", "app-mesh-2", "istio.io/rev=mesh-1", "--overwrite")
	p, err := s.StartReplica(t.Context(), flags())
	must(t, err)
	defer func() { _ = p.Kill() }() // the test has stopped it
	eventually(t, "the other event", func() bool { return s.told(t, "Namespace", "app-mesh-2", "RevisionOfAnotherMesh", "Found") })
	eventually(t, "an error that is counted", func() bool { return metrics(t, p)["meshfence_audit_errors_total"] > 0 })
	now := time.Now()
	eventually(t, "another run", func() bool { return hasRun(t, p, now) })
	must(t, p.Stop())
	if s.told(t, "Namespace", "app-mesh-1", "RevisionOfAnotherMesh", "Found") {
		t.Fatal("the policy does not hold")
	}

	s.kubectl(t, "delete", "validatingadmissionpolicybindings", "no-events")
	eventually(t, "the policy is gone", func() bool {
		_, _, err := s.RunKubectl(t.Context(), s.Dir(), "create", "--dry-run=server", "-o", "name", "-f", s.file(t, event("app-mesh-1")))
		return err == nil
	})
	next, err := s.StartReplica(t.Context(), flags())
	must(t, err)
	defer func() { must(t, next.Stop()) }()
	eventually(t, "the event that was refused", func() bool { return s.told(t, "Namespace", "app-mesh-1", "RevisionOfAnotherMesh", "Found") })
	count := map[string]int{}
	for _, e := range s.events(t) {
		count[e.Regarding.Name+" "+e.Reason]++
	}
	for _, about := range []string{"app-mesh-1 RevisionOfAnotherMesh", "app-mesh-2 RevisionOfAnotherMesh"} {
		if count[about] != 1 {
			t.Errorf("%s: %d events", about, count[about])
		}
	}
}

// event is one of somebody else.
func event(namespace string) string {
	return `{apiVersion: v1, kind: Event, metadata: {name: test, namespace: ` + namespace + `}, involvedObject: {kind: Namespace, namespace: ` + namespace + `, name: ` + namespace + `}, reason: Test}`
}

// About what is gone, or goes with its namespace, there is nothing to write, and that is no error.
func TestThereAreNoEventsAboutWhatGoes(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.apply(t, namespace("stays", "")+"\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: goes, finalizers: [example.com/keep]}}")
	s.kubectl(t, "delete", "namespace", "goes", "--wait=false")
	if _, stderr, err := s.RunKubectl(t.Context(), s.Dir(), "create", "-f", s.file(t, event("goes"))); err == nil || !strings.Contains(stderr, "being terminated") {
		t.Fatalf("the namespace is not being deleted: %v %s", err, stderr)
	}
	recorder, err := events.New(s.Config, runner.Kinds(), "meshfence", "test")
	must(t, err)
	for _, name := range []string{"goes", "never-was", "stays"} {
		must(t, recorder.Record(t.Context(), events.Event{Kind: "Namespace", Name: name, Warning: true, Reason: "RevisionOfAnotherMesh", Action: "Found", Note: "a note"}))
	}
	all := s.events(t)
	if len(all) != 1 || all[0].Regarding.Name != "stays" {
		t.Errorf("%+v", all)
	}
	if err := recorder.Record(t.Context(), events.Event{Kind: "Unknown", Name: "stays"}); err == nil {
		t.Error("an event about a kind that is not known")
	}
	nowhere := *s.Config
	nowhere.Host = "https://127.0.0.1:1"
	if recorder, err = events.New(&nowhere, runner.Kinds(), "meshfence", "test"); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Record(t.Context(), events.Event{Kind: "Namespace", Name: "stays"}); err == nil || !strings.HasPrefix(err.Error(), "an event about Namespace stays: ") {
		t.Errorf("no error, or another one: %v", err)
	}
	s.kubectl(t, "patch", "namespace", "goes", "--type=merge", "--patch", `{"metadata": {"finalizers": null}}`)
}
