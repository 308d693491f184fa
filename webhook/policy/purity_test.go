package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// busy is a cluster in which every rule has something to say.
func busy() []string {
	return []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1 | team=a",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery",
		"IstioRevision mesh-1-v1-30-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2 | env in (dev,test)",
		"Istio mesh-3; in istio-system-2; overlaps mesh-2; selects raw team in b",
		"IstioRevision canary; in app; selects team notin (a),env",
		"IstioRevisionTag default; targets Istio mesh-2",
		"IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0",
		"IstioRevisionTag lost; targets Istio gone",
		"map mesh-1=stable mesh-1b=stable mesh-2=mesh-2 mesh-9=nobody",
	}
}

// question is all that policy can be asked about one change, with arguments of its own.
type question struct {
	settings  policy.Settings
	namespace policy.NamespaceChange
	fill      policy.FillChange
	mesh      policy.MeshChange
	tag       policy.TagChange
	meshMap   policy.MapChange
}

// answers are the replies to a question.
type answers struct {
	Namespace policy.Verdict
	Fill      policy.Fill
	Mesh      policy.Verdict
	Tag       policy.Verdict
	TagGone   policy.Verdict
	Map       policy.Verdict
}

// questions are a few of every kind, about a cluster of these objects. Each call builds them anew.
func questions(t *testing.T, lines []string) []question {
	t.Helper()
	var all []question
	for _, change := range [][2]string{
		{"istio-discovery=mesh-1 team=a env=dev istio.io/rev=mesh-2", "istio-discovery=mesh-2 team=a env=dev istio.io/rev=mesh-2"},
		{"env=prod", "istio-discovery=mesh-1 mesh=mesh-2 istio-injection=enabled istio.io/rev=nobdy"},
		{"istio-discovery=mesh-1 istio.io/rev=stable", "istio-discovery=mesh-2 istio.io/rev=stable"},
		{"team=c", "istio-discovery=mesh-9"},
		{"env=prod", "istio.io/rev=mesh-7"}, // as near to mesh-1 as to mesh-2
		{"istio-discovery=mesh-1 istio.io/rev=mesh-1-v1-30-0", "istio-discovery=mesh1 istio.io/rev=mesh-1-v1-30-0 istio.io/dataplane-mode=ambient maistra.io/member-of=istio-system"},
	} {
		ns := policy.NamespaceChange{Old: namespace(t, "app", change[0]), New: namespace(t, "app", change[1]), Fleet: fleet(t, lines...), Now: now}
		selects := "Istio mesh-2; in istio-system-1; selects " + []string{"{} | team=a", "raw env In", "istio-discovery | team", "null"}[len(all)%4]
		ref := mesh.Ref{Kind: "Istio", Name: "mesh-2"}
		change := meshChange(objects(t, lines...), objects(t, lines...).With(controlPlane(t, selects)), ref)
		change.Namespaces = numbered(t, 12, "istio-discovery=mesh-1 env=dev")
		s := settings()
		// Room behind the last element, where a careless append would write.
		s.DiscoveryLabels = append(make([]string, 0, 8), s.DiscoveryLabels...)
		s.Actions.Rules = map[policy.Code]policy.Action{"MF105": policy.Warn}
		all = append(all, question{
			settings:  s,
			namespace: ns,
			fill:      policy.FillChange{Old: ns.Old, New: ns.New, Fleet: ns.Fleet, Before: policy.Origin{Filled: "stable"}, After: policy.Origin{Filled: "stable"}},
			mesh:      change,
			tag: policy.TagChange{
				Old:    mesh.TagOf(tagNamed(t, "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0")),
				New:    mesh.TagOf(tagNamed(t, "IstioRevisionTag stable; targets Istio mesh-2")),
				Before: fleet(t, lines...), Fleet: mesh.NewFleet(objects(t, lines...).WithTag(tagNamed(t, "IstioRevisionTag stable; targets Istio mesh-2"))),
				Namespaces: numbered(t, 12, "istio-discovery=mesh-1 env=dev istio.io/rev=stable"), Now: now,
			},
			meshMap: policy.MapChange{
				Old: meshMap(map[string]string{"mesh-1": "mesh-2", "x": ""}), Fleet: fleet(t, lines...),
				New: meshMap(map[string]string{"mesh-1": "mesh-2", "mesh-2": "stable", "-x": "", "mesh2": "mesh2", "binary:b": "", "binary:a": ""}),
			},
		})
	}
	return all
}

func (q *question) ask() answers {
	p := policy.New(q.settings)
	gone := q.tag
	gone.New = nil
	return answers{
		Namespace: p.Namespace(q.namespace), Fill: p.Fill(q.fill), Mesh: p.Mesh(q.mesh),
		Tag: p.Tag(q.tag), TagGone: p.Tag(gone), Map: p.Map(q.meshMap),
	}
}

// same reports whether two questions hold equal data, down to fields that are not exported; functions are not compared.
func (q question) same(other question) bool {
	spare := q.settings.DiscoveryLabels[:cap(q.settings.DiscoveryLabels)]
	otherSpare := other.settings.DiscoveryLabels[:cap(other.settings.DiscoveryLabels)]
	q.settings.ControlPlane, other.settings.ControlPlane = nil, nil
	return reflect.DeepEqual(q, other) && slices.Equal(spare, otherSpare)
}

func TestJudgingDoesNotWriteToItsArguments(t *testing.T) {
	asked, untouched := questions(t, busy()), questions(t, busy())
	for i := range asked {
		if !asked[i].same(untouched[i]) {
			t.Fatal("the comparison sees differences before anything was asked")
		}
		if got := asked[i].ask(); got.Namespace.Answer == 0 || got.Mesh.Answer == 0 || got.Fill.Answer == 0 ||
			got.Tag.Answer == 0 || got.TagGone.Answer == 0 || got.Map.Answer == 0 {
			t.Errorf("question %d has no answer", i)
		}
		if !asked[i].same(untouched[i]) {
			t.Errorf("question %d was changed by asking it", i)
		}
	}
}

func TestTheSameQuestionHasTheSameAnswerWhateverTheOrderOfTheObjects(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for _, lines := range [][]string{busy(), guide(), {"map mesh-1=stable mesh-1b=stable mesh-1c=stable mesh-2=mesh-2"}} {
		var want []answers
		for _, q := range questions(t, lines) {
			want = append(want, q.ask())
		}
		for range 50 {
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			for i, q := range questions(t, lines) {
				if diff := cmp.Diff(want[i], q.ask()); diff != "" {
					t.Fatalf("question %d (-first +now):\n%s", i, diff)
				}
			}
		}
	}
}

func TestOneFleetCanBeAskedByManyAtATime(t *testing.T) {
	shared := questions(t, busy())
	var want []answers
	for i := range shared {
		want = append(want, shared[i].ask())
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range shared {
				if diff := cmp.Diff(want[i], shared[i].ask()); diff != "" {
					t.Errorf("question %d (-alone +together):\n%s", i, diff)
				}
			}
		})
	}
	all.Wait()
}
