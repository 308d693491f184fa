package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/match"
)

var generators = map[string]generator{
	"validate": {match.ValidateExpression, match.ValidateAnyLabel},
	"fill":     {match.FillExpression, match.FillAnyLabel()},
}

// many returns distinct keys, each of the given length.
func many(count, length int) []string {
	keys := make([]string, count)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s-%05d", strings.Repeat("k", length-6), i)
	}
	return keys
}

// names returns what stands for the creation of distinct namespaces, with names of the given length.
func names(count, length int) []string {
	all := many(count, length)
	for i := range all {
		all[i] = oneName + all[i]
	}
	return all
}

func TestKeysOfAnExpressionAreRead(t *testing.T) {
	for name, g := range generators {
		always := g.keys(g.expression(keySet{}))
		for _, keys := range [][]string{
			nil, {"mesh"}, {"istio-discovery", "mesh", "example.com/a.b_c"}, many(maxKeys, 10), {oneName + "shop"}, {"mesh", oneName + "cart", oneName + "shop"},
			{"mesh", anyName}, {anyLabel},
		} {
			want := always.union(newKeySet(keys))
			if want[anyLabel] {
				want = keySet{anyLabel: true}
			}
			if diff := cmp.Diff(want, g.keys(g.expression(newKeySet(keys)))); diff != "" {
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
			if got, want := g.changed(edited, widened(newKeySet([]string{"mesh"}))), ours; got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, edited, got, want)
			}
		}
	}
}

func TestWideningAndNarrowing(t *testing.T) {
	g := generators["fill"]
	text := func(keys ...string) string { return g.expression(newKeySet(keys)) }
	for _, test := range []struct{ name, got, want string }{
		{"a new key", g.changed(text("b"), widened(newKeySet([]string{"a"}))), text("a", "b")},
		{"a known key", g.changed(text("a", "b"), widened(newKeySet([]string{"a"}))), text("a", "b")},
		{"no key", g.changed(text("a"), widened(keySet{})), text("a")},
		{"an unused key", g.changed(text("a", "b"), narrowed(newKeySet([]string{"a"}), newKeySet([]string{"b"}))), text("a")},
		{"a key of which it is not known that it is unused", g.changed(text("a", "b"), narrowed(newKeySet([]string{"a"}), keySet{})), text("a", "b")},
		{"too many keys", g.changed(text("a"), widened(newKeySet(many(maxKeys, 10)))), g.any},
		{"keys that are too long together", g.expression(newKeySet(many(maxKeys, 60))), g.any},
		{"one more after too many", g.changed(g.any, widened(newKeySet([]string{"a"}))), g.any},
		{"a name", g.changed(text("a"), widened(newKeySet([]string{oneName + "shop"}))), g.of(match.Asked{Keys: []string{"a"}, Names: []string{"shop"}})},
		{"any name, beside one", g.changed(text("a", oneName+"shop"), widened(newKeySet([]string{anyName}))), g.of(match.Asked{Keys: []string{"a"}, AnyName: true})},
		{"no longer any name", g.changed(text("a", anyName), narrowed(newKeySet([]string{oneName + "shop"}), newKeySet([]string{anyName}))), text("a", oneName+"shop")},
		{"too many names", text(append(names(maxNames+1, 10), "a")...), text("a", anyName)},
		{"names that are too long together", text(append(names(maxNames, 63), "a")...), text("a", anyName)},
		{"no longer too many", g.changed(g.any, narrowed(newKeySet([]string{"a"}), newKeySet([]string{anyLabel}))), text("a")},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	covers := func(stored string) bool { return g.covers(stored, newKeySet([]string{"a"})) }
	if !g.covers(text(anyName), newKeySet(names(3, 10))) || !g.covers(g.any, newKeySet(names(3, 10))) || g.covers(text("a"), newKeySet(names(1, 10))) {
		t.Error("covers is wrong about any name, any label, or a name that is not there")
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
				if size := len(g.expression(newKeySet(many(count, length), names(count, min(length, 63))))); size > maxExpressionSize {
					t.Errorf("%s: %d keys and names of %d characters make %d", name, count, length, size)
				}
			}
		}
	}
}
