package match_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/meshfence/meshfence/webhook/match"
)

// asker is a webhook as the API server sees it: its selector, and its conditions.
type asker struct {
	selector   labels.Selector
	conditions condition
}

// webhooks are those for some labels, and for all others, as deploy/chart arranges them, when they ask about keys.
func webhooks(t testing.TB, having, keys []string, expression string) []asker {
	t.Helper()
	var all []asker
	for i, label := range having {
		conditions := []string{expression}
		if i > 0 {
			conditions = append(conditions, match.NoneOf(having[:i]))
		}
		all = append(all, newAsker(t, match.ForLabel(label, having[:i]), conditions...))
	}
	others := []string{expression}
	if len(having) > 0 {
		others = append(others, match.NoneOf(having))
	}
	return append(all, newAsker(t, match.ForOthers(having, keys), others...))
}

func newAsker(t testing.TB, selector *metav1.LabelSelector, conditions ...string) asker {
	t.Helper()
	selected, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return asker{selected, newCondition(conditions...)}
}

// selects says whether the selector lets a request pass: if it matches the object before or after. (MatchObjectSelector in
// k8s.io/apiserver, pkg/admission/plugin/webhook/predicates/object, whose tests would bring in dependencies.)
func (a asker) selects(old, current *namespace) bool {
	return old != nil && a.selector.Matches(labels.Set(old.labels)) || a.selector.Matches(labels.Set(current.labels))
}

// asked counts the webhooks that are asked about a change, and those that at least have a condition evaluated.
func asked(t *testing.T, all []asker, old, current *namespace) (asked, evaluated int) {
	t.Helper()
	for _, a := range all {
		if a.selects(old, current) {
			evaluated++
			if a.conditions.holds(t, old, current) {
				asked++
			}
		}
	}
	return asked, evaluated
}

// Whatever labels have a webhook of their own, and whatever others are in use: a change is sent by exactly one webhook if one
// without a selector would send it, and by none otherwise.
func TestExactlyOneWebhookIsAsked(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	used := []string{"a", "b", "istio-injection", "istio.io/rev", "one", "two", "istio.io/dataplane-mode", "meshfence.io/fill", "meshfence.io/no-other-label"}
	anything := func() *namespace {
		n := with(fields{})
		for _, key := range append(slices.Clone(used), "team") {
			if random.IntN(5) == 0 {
				n.labels[key] = []string{"", "x", "y"}[random.IntN(3)]
			}
		}
		if random.IntN(4) == 0 {
			n.annotations = fields{"meshfence.io/filled-revision": "x"}
		}
		return n
	}
	for _, test := range []struct {
		name         string
		having, more []string
	}{
		{"no others", []string{"a", "b"}, nil},
		{"one other", []string{"a", "b"}, []string{"one"}},
		{"two others", []string{"a", "b"}, []string{"one", "two"}},
		{"no discovery labels", nil, []string{"one"}},
		{"a discovery label that is no longer in use", []string{"a", "team"}, []string{"one"}},
		{"so many others that they are a list", []string{"a", "b"}, append(strings.Fields("c d e f g h i j k l m n o p q"), "two")},
		{"keys that no namespace can have", []string{"a", "b"}, []string{"bad key", "no' || true || '", "two"}},
		{"the label that is nobody's", []string{"a", "b"}, []string{"meshfence.io/no-other-label"}},
		{"labels that have a meaning in the conditions", []string{"a"}, []string{"istio.io/dataplane-mode", "meshfence.io/fill", "istio.io/rev"}},
	} {
		keys := append(slices.Clone(test.more), "a", "b")
		judging := append(slices.Clone(test.having), "istio.io/rev", "istio-injection")
		validate, fill := match.ValidateExpression(keys), match.FillExpression(keys)
		for name, sent := range map[string]struct {
			webhooks []asker
			without  condition
		}{
			"validate": {webhooks(t, judging, match.Keys(validate), validate), newCondition(validate)},
			"fill":     {webhooks(t, test.having, match.Keys(fill), fill), newCondition(fill)},
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				counts := map[int]int{}
				for range 1500 {
					var old *namespace
					if random.IntN(4) > 0 {
						old = anything()
					}
					current := anything()
					want := 0
					if sent.without.holds(t, old, current) {
						want = 1
					}
					got, _ := asked(t, sent.webhooks, old, current)
					if got != want {
						t.Fatalf("from %v to %v: %d webhooks are asked, want %d", old, current, got, want)
					}
					counts[got]++
				}
				if counts[0] < 50 || counts[1] < 50 {
					t.Errorf("asked %v", counts)
				}
			})
		}
	}
}

// What this is for: who has nothing to do with meshes pays for no condition, and who has, for one of each kind.
func TestHowManyConditionsAreEvaluated(t *testing.T) {
	having, judging := match.FillLabels(), match.JudgeLabels()
	member, team := fields{"istio-discovery": "a", "istio.io/rev": "a"}, fields{"team": "a"}
	for _, test := range []struct {
		name     string
		more     []string
		old, new fields
		want     int
	}{
		{"no mesh label", nil, team, nil, 0},
		{"created without mesh labels", nil, nil, team, 0},
		{"a member of a mesh", nil, member, member, 1},
		{"a label that no webhook is for", []string{"team"}, nil, team, 1},
		{"no label, one key more", []string{"stage"}, nil, team, 0},
		{"no label, two keys more", []string{"stage", "zone"}, nil, team, 1},
		{"a member of a mesh, two keys more", []string{"stage", "zone"}, member, member, 1},
	} {
		keys := append(slices.Clone(test.more), having...)
		validate, fill := match.ValidateExpression(keys), match.FillExpression(keys)
		for name, all := range map[string][]asker{
			"validate": webhooks(t, judging, match.Keys(validate), validate), "fill": webhooks(t, having, match.Keys(fill), fill),
		} {
			if _, got := asked(t, all, with(test.old), with(test.new)); got != test.want {
				t.Errorf("%s, %s: %d webhooks evaluate their conditions, want %d", test.name, name, got, test.want)
			}
		}
	}
}

func TestSelectors(t *testing.T) {
	requirement := func(key string, operator metav1.LabelSelectorOperator) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: operator}
	}
	a, b := requirement("a", "DoesNotExist"), requirement("b", "DoesNotExist")
	for _, test := range []struct {
		name string
		got  *metav1.LabelSelector
		want []metav1.LabelSelectorRequirement
	}{
		{"the first label", match.ForLabel("a", nil), []metav1.LabelSelectorRequirement{requirement("a", "Exists")}},
		{"the third", match.ForLabel("c", []string{"b", "a"}), []metav1.LabelSelectorRequirement{b, a, requirement("c", "Exists")}},
		{"no others", match.ForOthers([]string{"a"}, []string{"a"}), []metav1.LabelSelectorRequirement{a, requirement("meshfence.io/no-other-label", "Exists")}},
		{"one other", match.ForOthers([]string{"a"}, []string{"c", "a", "c"}), []metav1.LabelSelectorRequirement{a, requirement("c", "Exists")}},
		{"one that no namespace can have", match.ForOthers(nil, []string{"no' || true"}), []metav1.LabelSelectorRequirement{requirement("meshfence.io/no-other-label", "Exists")}},
		{"two others", match.ForOthers([]string{"b", "a"}, []string{"c", "d"}), []metav1.LabelSelectorRequirement{b, a}},
		{"two others and no label", match.ForOthers(nil, []string{"c", "d"}), nil},
		{"any other", match.ForAnyOther([]string{"b", "a"}), []metav1.LabelSelectorRequirement{b, a}},
	} {
		if diff := cmp.Diff(&metav1.LabelSelector{MatchExpressions: test.want}, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
