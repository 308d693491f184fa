package spelling_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/spelling"
)

func TestDistanceCountsEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "mesh", 4},
		{"mesh-1", "mesh-1", 0},
		{"mesh1", "mesh-1", 1},
		{"mesh-1", "mesh-2", 1},
		{"mehs-1", "mesh-1", 1},
		{"Mesh-1", "mesh-1", 1},
		{"kitten", "sitting", 3},
		{"abcd", "badc", 2},
		{"ca", "abc", 3},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := spelling.Distance(pair[0], pair[1]); got != c.want {
				t.Errorf("from %q to %q: %d, want %d", pair[0], pair[1], got, c.want)
			}
		}
	}
}

// edits is the definition itself: the cheapest way to get from a to b, tried out. Only for short words.
func edits(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	if a[0] == b[0] {
		return edits(a[1:], b[1:])
	}
	best := 1 + min(edits(a[1:], b), edits(a, b[1:]), edits(a[1:], b[1:]))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		best = min(best, 1+edits(a[2:], b[2:]))
	}
	return best
}

func TestDistanceIsTheCheapestWay(t *testing.T) {
	words := []string{""}
	for begin := 0; len(words[len(words)-1]) < 4; {
		end := len(words)
		for _, word := range words[begin:end] {
			words = append(words, word+"a", word+"b", word+"c")
		}
		begin = end
	}
	for _, a := range words {
		for _, b := range words {
			if got, want := spelling.Distance(a, b), edits(a, b); got != want {
				t.Fatalf("from %q to %q: %d, want %d", a, b, got, want)
			}
		}
	}
}
