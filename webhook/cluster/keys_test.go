package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/match"
)

var generators = map[string]generator{
	"validate": {match.ValidateExpression, match.ValidateAnyLabel}, "fill": {match.FillExpression, match.FillAnyLabel()},
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
			if got, want := g.widened(edited, newKeySet([]string{"mesh"})), ours; got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, edited, got, want)
			}
		}
	}
}

func TestWideningAndNarrowing(t *testing.T) {
	g := generators["fill"]
	text := func(keys ...string) string { return g.expression(newKeySet(keys)) }
	for _, test := range []struct{ name, got, want string }{
		{"a new key", g.widened(text("b"), newKeySet([]string{"a"})), text("a", "b")},
		{"a known key", g.widened(text("a", "b"), newKeySet([]string{"a"})), text("a", "b")},
		{"no key", g.widened(text("a"), keySet{}), text("a")},
		{"an unused key", g.narrowed(text("a", "b"), newKeySet([]string{"a"}), newKeySet([]string{"b"})), text("a")},
		{"a key that nobody knows to be unused", g.narrowed(text("a", "b"), newKeySet([]string{"a"}), keySet{}), text("a", "b")},
		{"too many keys", g.widened(text("a"), newKeySet(many(maxKeys, 10))), g.any},
		{"keys that are too long together", g.expression(newKeySet(many(maxKeys, 60))), g.any},
		{"one more after too many", g.widened(g.any, newKeySet([]string{"a"})), g.any},
		{"no longer too many", g.narrowed(g.any, newKeySet([]string{"a"}), newKeySet([]string{anyLabel})), text("a")},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	if !g.covers(g.any, newKeySet([]string{"a"})) || !g.covers(text("a", "b"), newKeySet([]string{"a"})) || g.covers(text("b"), newKeySet([]string{"a"})) {
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
