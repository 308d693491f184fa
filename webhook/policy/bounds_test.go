package policy_test

import (
	"fmt"
	"slices"
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

// spoken is what a verdict says, and how long it is.
func spoken(v policy.Verdict) (lines []string, length int) {
	whole, others := v.Told()
	for _, f := range whole {
		lines = append(lines, f.Message())
	}
	for _, line := range append(lines, others) {
		length += len(line)
	}
	return append(lines, others), length
}

// istioWith is an Istio with these selectors.
func istioWith(name string, selectors ...*metav1.LabelSelector) *sail.ControlPlane {
	cp := &sail.ControlPlane{Kind: sail.KindIstio, Metadata: sail.Meta{Name: name}, Spec: sail.Spec{Namespace: "istio-system-" + name}}
	cp.Spec.Values.MeshConfig.DiscoverySelectors = selectors
	return cp
}

func teams(values ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: values}}}
}

func created(beside mesh.Objects, cp *sail.ControlPlane) policy.Verdict {
	return policy.New(settings()).Mesh(meshChange(beside, beside.With(cp), mesh.Ref{Kind: sail.KindIstio, Name: cp.Metadata.Name}))
}

func TestARefusalIsBoundedWhateverIsWrong(t *testing.T) {
	const limit = 64 << 10
	var values []string
	var hundreds mesh.Objects
	var invalid []*metav1.LabelSelector
	for i := range 400 {
		values = append(values, fmt.Sprintf("value-%d", i))
		hundreds.Istios = append(hundreds.Istios, istioWith(fmt.Sprintf("mesh-%03d", i), teams(values...)))
		invalid = append(invalid, teams(strings.Repeat("x", 3000)))
	}
	for name, test := range map[string]struct {
		verdict policy.Verdict
		first   string
		last    string
	}{
		"if it overlaps with hundreds": {created(hundreds, istioWith("new", teams(values...))), `MF103 OverlappingSelectors: its selector (team in (value-0,`,
			`and 380 more times MF103 OverlappingSelectors (Istio "mesh-020", Istio "mesh-021", Istio "mesh-022", Istio "mesh-023", ` +
				`Istio "mesh-024", Istio "mesh-025", Istio "mesh-026", Istio "mesh-027", Istio "mesh-028", Istio "mesh-029", …)`},
		"if it discovers everything beside hundreds": {created(hundreds, istioWith("new")),
			`MF102 DiscoversEverything: without discoverySelectors it discovers every namespace, including those of mesh "mesh-000", mesh "mesh-001", ` +
				`mesh "mesh-002", mesh "mesh-003", mesh "mesh-004", mesh "mesh-005", mesh "mesh-006", mesh "mesh-007", mesh "mesh-008", mesh "mesh-009" and 390 more` + "\n", ""},
		"if hundreds of selectors are wrong": {created(mesh.Objects{}, istioWith("new", invalid...)), "MF101 InvalidSelector: ", "and 380 more times MF101 InvalidSelector ("},
		"if one value is wrong besides": {created(mesh.Objects{Istios: hundreds.Istios[:20]}, istioWith("new", append(invalid[:1:1], teams(values...))...)),
			"MF101 InvalidSelector: ", ""},
	} {
		lines, length := spoken(test.verdict)
		if length > limit || !strings.HasPrefix(lines[0], test.first) || !strings.HasPrefix(lines[len(lines)-1], test.last) || (test.last == "") != (lines[len(lines)-1] == "") {
			t.Errorf("%s: %d bytes, the first line:\n%.300s\nthe last:\n%.500s", name, length, lines[0], lines[len(lines)-1])
		}
	}
	verdict := created(mesh.Objects{Istios: hundreds.Istios[399:]}, istioWith("new", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Exists"}}}))
	const remedy = `Istio "mesh-399" takes very many values of team: choose another one for spec.values.meshConfig.discoverySelectors[0], or narrow that of Istio "mesh-399" first`
	if got := verdict.Denials[0].Ways[0].Label; got != remedy {
		t.Errorf("the remedy beside many values is:\n%s\nwant:\n%s", got, remedy)
	}
}

// An object has at most 1.5 MiB, which is some 20,000 selectors; half of that on either side makes 100,000,000 pairs.
func TestTenThousandSelectorsOnEitherSideAreJudgedInTime(t *testing.T) {
	const limit = 10 * time.Second
	const most = 10000
	full := func(name string, selector func(i int) *metav1.LabelSelector) *sail.ControlPlane {
		list := make([]*metav1.LabelSelector, most)
		for i := range list {
			list[i] = selector(i)
		}
		return istioWith(name, list...)
	}
	distinct := func(key string) func(int) *metav1.LabelSelector {
		return func(i int) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: map[string]string{fmt.Sprintf("%s-%d", key, i): "a"}}
		}
	}
	valued := func(prefix string) func(int) *metav1.LabelSelector {
		return func(i int) *metav1.LabelSelector { return teams(fmt.Sprint(prefix, i)) }
	}
	unexcused := func(*sail.ControlPlane) {}
	declared := func(cp *sail.ControlPlane) {
		cp.Metadata.Annotations = map[string]string{sail.AllowOverlapAnnotation: "mesh-1"}
	}
	apart := func(cp *sail.ControlPlane) { cp.Spec.Values.Global.TrustBundleName = "another" }
	for name, test := range map[string]struct {
		stored, updated func(int) *metav1.LabelSelector
		excuse          func(*sail.ControlPlane)
		want            policy.Answer
	}{
		"no two overlap":                        {valued("a"), valued("b"), unexcused, policy.Allowed},
		"each overlaps with one":                {valued("a"), valued("a"), unexcused, policy.Denied},
		"each overlaps with every":              {distinct("a"), distinct("b"), unexcused, policy.Denied},
		"each may overlap with every, declared": {distinct("a"), distinct("b"), declared, policy.Allowed},
		"each may overlap with every, bundles":  {distinct("a"), distinct("b"), apart, policy.Allowed},
		"one label, and everybody's":            {func(int) *metav1.LabelSelector { return teams("a") }, func(int) *metav1.LabelSelector { return teams("a") }, unexcused, policy.Denied},
	} {
		objects := mesh.Objects{Istios: []*sail.ControlPlane{full("mesh-1", test.stored)}}
		updated := full("mesh-2", test.updated)
		test.excuse(updated)
		start := processorTime(t)
		verdict := created(objects, updated)
		if took := processorTime(t) - start; took > limit || verdict.Answer != test.want {
			t.Errorf("%s: %v after %v", name, verdict.Answer, took)
		} else {
			t.Logf("%s: %v", name, took)
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
	seeNames := []policy.Way{{Label: "see the names that exist", Commands: []string{"kubectl get istiorevisions.sailoperator.io,istiorevisiontags.sailoperator.io"}}}
	if len(verdict.Warnings) != 1 || !slices.EqualFunc(verdict.Warnings[0].Ways, seeNames, func(a, b policy.Way) bool { return a.Label == b.Label && slices.Equal(a.Commands, b.Commands) }) {
		t.Errorf("warnings: %d, want one without a proposal", len(verdict.Warnings))
	}
}
