package mesh

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// FuzzParseMap reads mesh maps with two entries. What is accepted can be a label's value; what is not is told.
func FuzzParseMap(f *testing.F) {
	f.Add("mesh-1", "mesh-1-v1-30-3", "mesh-2", "stable\n")
	f.Add("mesh-1", "", "", "x")
	f.Add("a b", "x", "mesh-2", "not a value")
	f.Add("a", "\xff", "b", "ä")
	f.Fuzz(func(t *testing.T, key, value, otherKey, otherValue string) {
		data := map[string]string{key: value, otherKey: otherValue}
		entries, errs := ParseMap(data)
		if len(entries) > len(data) || len(entries) < len(data) && len(errs) == 0 {
			t.Fatalf("%d entries of %d, with the errors %v", len(entries), len(data), errs)
		}
		for name, revision := range entries {
			if name == "" || revision == "" || len(validation.IsValidLabelValue(name)) > 0 || len(validation.IsValidLabelValue(revision)) > 0 {
				t.Fatalf("accepted %q: %q", name, revision)
			}
		}
	})
}
