package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/match"
)

var generators = map[string]generator{
	"validate": {match.ValidateExpression, match.ValidateAnyLabel, match.JudgeLabels()},
	"fill":     {match.FillExpression, match.FillAnyLabel(), match.FillLabels()},
}

// many returns distinct keys, each of the given length.
func many(count, length int) []string {
	keys := make([]string, count)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s-%05d", strings.Repeat("k", length-6), i)
	}
	return keys
}

func TestKeysOfAnExpressionAreRead(t *testing.T) {
	for name, g := range generators {
		always := g.keys(g.expression(keySet{}))
		for _, keys := range [][]string{nil, {"mesh"}, {"istio-discovery", "mesh", "example.com/a.b_c"}, many(maxKeys, 10)} {
			if diff := cmp.Diff(always.union(newKeySet(keys)), g.keys(g.expression(newKeySet(keys)))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestExpressionOfSomebodyElseHasNoKeys(t *testing.T) {
	for name, g := range generators {
		ours := g.expression(newKeySet([]string{"mesh"}))
		for _, edited := range []string{"", "true", "'mesh' in object.metadata.labels", ours + " ", "!(" + ours + ")", strings.Replace(ours, "'mesh'", "'b'", 1)} {
			if got := g.keys(edited); len(got) != 0 {
				t.Errorf("%s: %q: got keys %v", name, edited, got)
			}
			if got, want := after(g, edited, widened(newKeySet([]string{"mesh"}))), ours; got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, edited, got, want)
			}
		}
	}
}

// somewhere is where a condition stands.
const somewhere = "/matchConditions/0/expression"

// after returns the expression of a webhook when what it asks about has changed.
func after(g generator, stored string, change change) string {
	return g.wanted([]hook{{condition: somewhere, expression: stored}}, change)[0].expression
}

// A webhook that asks about a label has to be open for the namespaces that carry it.
func TestTheWebhookForOtherLabelsOpensAndCloses(t *testing.T) {
	for name, g := range generators {
		configuration := func(selector *metav1.LabelSelector, keys ...string) []hook {
			text := g.expression(newKeySet(append(keys, g.labels...)))
			// What a person has added to a label's webhook makes no difference to the others'.
			edited := match.ForLabel("edited", g.labels)
			return []hook{
				{condition: somewhere, expression: text, selector: *edited},
				{condition: somewhere, expression: text, others: true, selector: *selector},
			}
		}
		closed, open := match.ForOthers(g.labels, nil), match.ForAnyOther(g.labels)
		withoutCondition := []hook{{others: true, selector: *closed}}
		if g.covers(configuration(closed, "a"), keySet{"a": true}) {
			t.Errorf("%s: an expression is not enough where no request comes to it", name)
		}
		for _, test := range []struct {
			name   string
			stored []hook
			change change
			want   *metav1.LabelSelector
		}{
			{"no other", configuration(closed), widened(keySet{"mesh": true}), closed},
			{"one other", configuration(closed), widened(keySet{"a": true}), match.ForOthers(g.labels, []string{"a"})},
			{"a second one", configuration(match.ForOthers(g.labels, []string{"a"}), "a"), widened(keySet{"b": true}), open},
			{"one that was already asked about", configuration(closed, "a"), widened(keySet{"a": true}), match.ForOthers(g.labels, []string{"a"})},
			{"opened by a person", configuration(&metav1.LabelSelector{}), widened(keySet{}), closed},
			{"one goes", configuration(open, "a", "b"), narrowed(keySet{}, keySet{"a": true}), match.ForOthers(g.labels, []string{"b"})},
			{"the last one goes", configuration(match.ForOthers(g.labels, []string{"a"}), "a"), narrowed(keySet{}, keySet{"a": true}), closed},
			{"too many", configuration(closed), widened(newKeySet(many(maxKeys+1, 10))), open},
			{"a person has taken the condition away, so all is asked about", withoutCondition, widened(keySet{}), open},
		} {
			wanted := g.wanted(test.stored, test.change)
			last := len(wanted) - 1
			if diff := cmp.Diff(test.want, &wanted[last].selector); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, test.name, diff)
			}
			if !wanted[0].sameSelector(test.stored[0]) && last > 0 {
				t.Errorf("%s, %s: the selector of a label's webhook has changed to %v", name, test.name, wanted[0].selector)
			}
			if !g.covers(wanted, test.change(keySet{})) {
				t.Errorf("%s, %s: written, and still not what is wanted", name, test.name)
			}
		}
	}
}

func TestWideningAndNarrowing(t *testing.T) {
	g := generators["fill"]
	text := func(keys ...string) string { return g.expression(newKeySet(keys)) }
	for _, test := range []struct{ name, got, want string }{
		{"a new key", after(g, text("b"), widened(newKeySet([]string{"a"}))), text("a", "b")},
		{"a known key", after(g, text("a", "b"), widened(newKeySet([]string{"a"}))), text("a", "b")},
		{"no key", after(g, text("a"), widened(keySet{})), text("a")},
		{"an unused key", after(g, text("a", "b"), narrowed(newKeySet([]string{"a"}), newKeySet([]string{"b"}))), text("a")},
		{"a key that nobody knows to be unused", after(g, text("a", "b"), narrowed(newKeySet([]string{"a"}), keySet{})), text("a", "b")},
		{"too many keys", after(g, text("a"), widened(newKeySet(many(maxKeys, 10)))), g.any},
		{"keys that are too long together", g.expression(newKeySet(many(maxKeys, 60))), g.any},
		{"one more after too many", after(g, g.any, widened(newKeySet([]string{"a"}))), g.any},
		{"no longer too many", after(g, g.any, narrowed(newKeySet([]string{"a"}), newKeySet([]string{anyLabel}))), text("a")},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	covers := func(stored string) bool {
		return g.covers([]hook{{condition: somewhere, expression: stored}}, newKeySet([]string{"a"}))
	}
	if !covers(g.any) || !covers(text("a", "b")) || covers(text("b")) {
		t.Error("covers is wrong about any label, a key that is there, or one that is not")
	}
}

// The API server's CEL parser reads no more than 100,000 characters.
func TestExpressionsStayShort(t *testing.T) {
	for name, g := range generators {
		for _, count := range []int{1, 100, 500, maxKeys, 10 * maxKeys} {
			for _, length := range []int{7, 50, 300} {
				if size := len(g.expression(newKeySet(many(count, length)))); size > maxExpressionSize {
					t.Errorf("%s: %d keys of %d characters make %d", name, count, length, size)
				}
			}
		}
	}
}
