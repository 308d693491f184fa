package conditions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/meshfence/meshfence/webhook/match"
)

var languages = map[string]language{
	"validate": {match.ValidateExpression, match.ValidateAnyLabel()},
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
	for name, l := range languages {
		always := l.keys(l.expression(keySet{}))
		for _, keys := range [][]string{
			nil, {"mesh"}, {"istio-discovery", "mesh", "example.com/a.b_c"}, many(maxKeys, 10), {oneName + "shop"}, {"mesh", oneName + "cart", oneName + "shop"},
			{"mesh", anyName}, {anyLabel},
		} {
			want := always.Union(sets.New(keys...))
			if want.Has(anyLabel) {
				want = sets.New(anyLabel)
			}
			if diff := cmp.Diff(want, l.keys(l.expression(sets.New(keys...)))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestExpressionOfSomebodyElseHasNoKeys(t *testing.T) {
	for name, l := range languages {
		ours := l.expression(sets.New("mesh"))
		for _, edited := range []string{"", "true", "'mesh' in object.metadata.labels", ours + " ", "!(" + ours + ")", strings.Replace(ours, "'mesh'", "'b'", 1)} {
			if got := l.keys(edited); len(got) != 0 {
				t.Errorf("%s: %q: got keys %v", name, edited, got)
			}
			if got, want := l.edited(edited, adding(sets.New("mesh"))), ours; got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, edited, got, want)
			}
		}
	}
}

func TestWideningAndNarrowing(t *testing.T) {
	l := languages["fill"]
	text := func(keys ...string) string { return l.expression(sets.New(keys...)) }
	for _, test := range []struct{ name, got, want string }{
		{"a new key", l.edited(text("b"), adding(sets.New("a"))), text("a", "b")},
		{"a known key", l.edited(text("a", "b"), adding(sets.New("a"))), text("a", "b")},
		{"no key", l.edited(text("a"), adding(keySet{})), text("a")},
		{"an unused key", l.edited(text("a", "b"), replacing(sets.New("a"), sets.New("b"))), text("a")},
		{"a key of which it is not known that it is unused", l.edited(text("a", "b"), replacing(sets.New("a"), keySet{})), text("a", "b")},
		{"too many keys", l.edited(text("a"), adding(sets.New(many(maxKeys, 10)...))), l.everything},
		{"keys that are too long together", l.expression(sets.New(many(maxKeys, 60)...)), l.everything},
		{"one more after too many", l.edited(l.everything, adding(sets.New("a"))), l.everything},
		{"a name", l.edited(text("a"), adding(sets.New(oneName+"shop"))), l.write(match.Scope{Keys: []string{"a"}, Names: []string{"shop"}})},
		{"any name, beside one", l.edited(text("a", oneName+"shop"), adding(sets.New(anyName))), l.write(match.Scope{Keys: []string{"a"}, AnyName: true})},
		{"no longer any name", l.edited(text("a", anyName), replacing(sets.New(oneName+"shop"), sets.New(anyName))), text("a", oneName+"shop")},
		{"too many names", text(append(names(maxNames+1, 10), "a")...), text("a", anyName)},
		{"names that are too long together", text(append(names(maxNames, 63), "a")...), text("a", anyName)},
		{"no longer too many", l.edited(l.everything, replacing(sets.New("a"), sets.New(anyLabel))), text("a")},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	covers := func(stored string) bool { return l.covers(stored, sets.New("a")) }
	if !l.covers(text(anyName), sets.New(names(3, 10)...)) || !l.covers(l.everything, sets.New(names(3, 10)...)) || l.covers(text("a"), sets.New(names(1, 10)...)) {
		t.Error("covers is wrong about any name, any label, or a name that is not there")
	}
	if !covers(l.everything) || !covers(text("a", "b")) || covers(text("b")) {
		t.Error("covers is wrong about any label, a key that is there, or one that is not")
	}
}

// The API server's CEL parser reads no more than 100,000 characters.
func TestExpressionsStayShort(t *testing.T) {
	for name, l := range languages {
		for _, count := range []int{1, 100, 500, maxKeys, 10 * maxKeys} {
			for _, length := range []int{7, 50, 300} {
				if size := len(l.expression(sets.New(many(count, length)...))); size > maxExpressionSize {
					t.Errorf("%s: %d keys of %d characters make %d", name, count, length, size)
				}
				if size := len(l.expression(sets.New(append(many(count, length), names(count, min(length, 63))...)...))); size > maxExpressionSize {
					t.Errorf("%s: %d keys and names of %d characters make %d", name, count, length, size)
				}
			}
		}
	}
}
