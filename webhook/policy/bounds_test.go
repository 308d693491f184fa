package policy_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// manySelectors is far more than a mesh has.
const manySelectors = 200

// many is a mesh of selectors, each of which overlaps with every one of another such mesh.
func many(name, key string) *sail.ControlPlane {
	cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: name}, Spec: sail.Spec{Namespace: "istio-system-" + name}}
	for i := range manySelectors {
		cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors,
			&metav1.LabelSelector{MatchLabels: map[string]string{fmt.Sprintf("%s-%d", key, i): "a"}})
	}
	return cp
}

// processorTime is what this process has had of the processor. It says what a judgement costs also on a machine that is busy
// with something else.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// The webhook's timeout is ten seconds, and nobody can stop a judgement that takes longer.
func TestManySelectorsThatAllOverlapAreJudgedInTime(t *testing.T) {
	const namespaces, limit = 1000, 10 * time.Second
	objects := mesh.Objects{Istios: []*sail.ControlPlane{many("mesh-1", "one")}}
	var existing []mesh.Namespace
	for i := range namespaces {
		existing = append(existing, mesh.Namespace{Name: fmt.Sprintf("app-%d", i), Labels: map[string]string{"one-0": "a", "two-0": "a"}})
	}
	after := mesh.NewFleet(objects.With(many("mesh-2", "two")))
	change := policy.MeshChange{New: after.Named("mesh-2"), Fleet: after, Namespaces: existing}
	judge := policy.New(settings())
	for operation, old := range map[string]*sail.ControlPlane{
		"CREATE": nil, "UPDATE of every selector": many("mesh-2", "three"), "UPDATE of none": many("mesh-2", "two"),
	} {
		change.Before = mesh.NewFleet(objects)
		if old != nil {
			change.Before = mesh.NewFleet(objects.With(old))
		}
		change.Old = change.Before.Named("mesh-2")
		start := processorTime(t)
		verdict := judge.Mesh(change)
		if took := processorTime(t) - start; took > limit {
			t.Errorf("%s took %v", operation, took)
		}
		if want := map[bool]policy.Answer{true: policy.Allowed, false: policy.Denied}[operation == "UPDATE of none"]; verdict.Answer != want {
			t.Errorf("%s: answer %v, want %v", operation, verdict.Answer, want)
		}
	}
}

// Beside a mesh that discovers everything no selector is right, so whoever keeps two other meshes apart must get through.
func TestARepairIsAdmittedWhileAnotherMeshDiscoversEverything(t *testing.T) {
	stored := objects(t, "Istio all; in istio-system-all", "Istio mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio dup; in istio-system-dup; selects istio-discovery=mesh-1")
	repaired := objects(t, "Istio dup; in istio-system-dup; selects istio-discovery=dup").Istios[0]
	verdict := policy.New(settings()).Mesh(meshChange(stored, stored.With(repaired), mesh.Ref{Kind: sail.KindIstio, Name: "dup"}))
	if verdict.Answer != policy.Allowed || len(verdict.Warnings) != 1 || verdict.Warnings[0].Subjects[0] != `Istio "all"` {
		t.Errorf("%+v, want it admitted with a warning about all", verdict)
	}
}

// Only somebody who talks to the webhook directly can send such a value; it must not keep a core busy.
func TestNoNameIsProposedForAnEndlessOne(t *testing.T) {
	ns := &mesh.Namespace{Name: "app", Labels: map[string]string{"istio.io/rev": strings.Repeat("m", 1<<20), mesh.NameLabel: "app"}}
	verdict := policy.New(settings()).Namespace(policy.NamespaceChange{New: ns, Fleet: fleet(t, "Istio mesh-1; in istio-system-1; selects team=a")})
	if len(verdict.Warnings) != 1 || verdict.Warnings[0].Remedy != "To see the names that exist: kubectl get istiorevisions,istiorevisiontags" {
		t.Errorf("warnings: %d, want one without a proposal", len(verdict.Warnings))
	}
}
