package selector_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/selector"
)

func TestExcludeTurnsARequirementRound(t *testing.T) {
	for _, test := range []struct {
		name     string
		s, other requirements
		want     requirements // none, or one
	}{
		{"if the other asks for values, then those are excluded", requirements{exists("env")}, requirements{in("env", "a", "b")}, requirements{notIn("env", "a", "b")}},
		{"if the other excludes values, then those are asked for", nil, requirements{notIn("env", "a")}, requirements{in("env", "a")}},
		{"if the other asks for the key, then it is to be absent", nil, requirements{exists("env")}, requirements{absent("env")}},
		{"if the other wants the key absent, then it is to exist", nil, requirements{absent("env")}, requirements{exists("env")}},
		{"if the other asks for the key and excludes values, then the key is to be absent", nil, requirements{exists("env"), notIn("env", "a")}, requirements{absent("env")}},
		{"if the key cannot be absent, then the values that the other excludes are asked for", requirements{exists("env")}, requirements{exists("env"), notIn("env", "a")}, requirements{in("env", "a")}},
		{"if the first key leaves nothing, then the next is taken", requirements{in("env", "a")}, requirements{in("env", "a"), in("team", "x")}, requirements{notIn("team", "x")}},
		{"if the other selects all of it, then there is none", requirements{in("env", "a")}, requirements{exists("env")}, nil},
		{"if the other selects everything, then there is none", requirements{in("env", "a")}, requirements{exists(name)}, nil},
		{"if the other excludes a name, then that is asked for", nil, requirements{exists(name), notIn(name, "a")}, requirements{in(name, "a")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parse(t, test.s...).Exclude(parse(t, test.other...))
			want := metav1.LabelSelectorRequirement{}
			if len(test.want) > 0 {
				want = test.want[0]
			}
			if diff := cmp.Diff(want, got); diff != "" || ok != (len(test.want) > 0) {
				t.Errorf("ok: %v, requirement (-want +got):\n%s", ok, diff)
			}
		})
	}
}

func TestExcludeHasNothingToSayAboutAContradiction(t *testing.T) {
	for _, other := range []selector.Selector{{}, parse(t, in("env", "a"), absent("env"))} {
		if got, ok := selector.All().Exclude(other); ok {
			t.Errorf("Exclude(%s) = %v", other, got)
		}
	}
}

func TestChangingAnExcludedRequirementDoesNotChangeTheSelector(t *testing.T) {
	other := parse(t, in("env", "a"))
	requirement, _ := selector.All().Exclude(other)
	requirement.Values[0] = "changed"
	if diff := cmp.Diff("env=a", other.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
