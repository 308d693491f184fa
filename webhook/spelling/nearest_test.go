package spelling_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/spelling"
)

func TestTheNearestWordIsTheOneThatWasMeant(t *testing.T) {
	known := []string{"tree", "svg", "mesh-1", "mesh-2", "stable"}
	for word, want := range map[string]string{
		"tre": "tree", "SVGG": "svg", "mesh1": "mesh-1", "mesh-9": "mesh-1", "stabel": "stable", "Stable": "stable",
		"stable": "", "something-else": "", "x": "", "": "",
	} {
		if got := spelling.Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
