package selector_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/selector"
)

type requirements []metav1.LabelSelectorRequirement

// facts is everything that a selector says about itself.
type facts struct {
	Text                     string
	Keys                     []string
	Everything, Nothing, Ask bool
}

func factsOf(s selector.Selector) facts {
	return facts{s.String(), s.Keys(), s.Everything(), s.Nothing(), s.AsksForLabel()}
}

func TestSelectorKnowsWhatItSelects(t *testing.T) {
	for _, test := range []struct {
		name string
		of   requirements
		want facts
	}{
		{
			name: "if there is no requirement, then it selects everything",
			want: facts{Text: "{}", Keys: []string{}, Everything: true},
		},
		{
			name: "if one value is asked for, then it is written with an equals sign",
			of:   requirements{in("istio-discovery", "mesh-1")},
			want: facts{Text: "istio-discovery=mesh-1", Keys: []string{"istio-discovery"}, Ask: true},
		},
		{
			name: "if the empty value is asked for, then the text says so",
			of:   requirements{in("env", "")},
			want: facts{Text: "env=", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if values repeat or are out of order, then the text has each once, in order",
			of:   requirements{in("env", "prod", "dev", "prod")},
			want: facts{Text: "env in (dev,prod)", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if a value is excluded, then no label is asked for",
			of:   requirements{notIn("env", "a")},
			want: facts{Text: "env notin (a)", Keys: []string{"env"}},
		},
		{
			name: "if a key must be there, then it is asked for",
			of:   requirements{exists("team")},
			want: facts{Text: "team", Keys: []string{"team"}, Ask: true},
		},
		{
			name: "if a key must not be there, then it is not asked for",
			of:   requirements{absent("team")},
			want: facts{Text: "!team", Keys: []string{"team"}},
		},
		{
			name: "if there are several keys, then they are sorted",
			of:   requirements{absent("team"), in("env", "dev"), notIn("app", "x")},
			want: facts{Text: "app notin (x),env=dev,!team", Keys: []string{"app", "env", "team"}, Ask: true},
		},
		{
			name: "if two In share a value, then that value is left",
			of:   requirements{in("env", "a", "b"), in("env", "b", "c")},
			want: facts{Text: "env=b", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if two In share no value, then nothing is left",
			of:   requirements{in("env", "a"), in("env", "b")},
			want: facts{Text: "<nothing>", Keys: []string{"env"}, Nothing: true, Ask: true},
		},
		{
			name: "if NotIn excludes some values of In, then the others are left",
			of:   requirements{notIn("env", "a", "x"), in("env", "a", "b", "c")},
			want: facts{Text: "env in (b,c)", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if NotIn excludes all values of In, then nothing is left",
			of:   requirements{in("env", "a"), notIn("env", "a")},
			want: facts{Text: "<nothing>", Keys: []string{"env"}, Nothing: true, Ask: true},
		},
		{
			name: "if Exists comes with In, then In says it all",
			of:   requirements{exists("env"), in("env", "a")},
			want: facts{Text: "env=a", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if DoesNotExist comes with In, then nothing is left",
			of:   requirements{absent("env"), in("env", "a")},
			want: facts{Text: "<nothing>", Keys: []string{"env"}, Nothing: true, Ask: true},
		},
		{
			name: "if two NotIn are on one key, then both count",
			of:   requirements{notIn("env", "b"), notIn("env", "a", "b")},
			want: facts{Text: "env notin (a,b)", Keys: []string{"env"}},
		},
		{
			name: "if Exists comes with NotIn, then both are said",
			of:   requirements{notIn("env", "a"), exists("env")},
			want: facts{Text: "env,env notin (a)", Keys: []string{"env"}, Ask: true},
		},
		{
			name: "if DoesNotExist comes with NotIn, then DoesNotExist says it all",
			of:   requirements{notIn("env", "a"), absent("env")},
			want: facts{Text: "!env", Keys: []string{"env"}},
		},
		{
			name: "if Exists comes with DoesNotExist, then nothing is left",
			of:   requirements{exists("env"), absent("env")},
			want: facts{Text: "<nothing>", Keys: []string{"env"}, Nothing: true, Ask: true},
		},
		{
			name: "if one key contradicts itself, then the keys are still those mentioned",
			of:   requirements{in("team", "x"), exists("env"), absent("env")},
			want: facts{Text: "<nothing>", Keys: []string{"env", "team"}, Nothing: true, Ask: true},
		},
		{
			name: "if the name label must exist, then every namespace is selected",
			of:   requirements{exists(name)},
			want: facts{Text: name, Keys: []string{name}, Everything: true},
		},
		{
			name: "if the name label must exist and a label be absent, then no label is asked for",
			of:   requirements{exists(name), absent("team")},
			want: facts{Text: name + ",!team", Keys: []string{name, "team"}},
		},
		{
			name: "if the name label must not exist, then no namespace is selected",
			of:   requirements{absent(name)},
			want: facts{Text: "!" + name, Keys: []string{name}, Nothing: true},
		},
		{
			name: "if a name is asked for, then a label is",
			of:   requirements{in(name, "default")},
			want: facts{Text: name + "=default", Keys: []string{name}, Ask: true},
		},
		{
			name: "if only names that cannot be are asked for, then no namespace is selected",
			of:   requirements{in(name, "A", "a.b", "a_b", "")},
			want: facts{Text: name + " in (,A,a.b,a_b)", Keys: []string{name}, Nothing: true, Ask: true},
		},
		{
			name: "if a name is excluded, then not everything is selected",
			of:   requirements{exists(name), notIn(name, "a")},
			want: facts{Text: name + "," + name + " notin (a)", Keys: []string{name}},
		},
		{
			name: "if only names that cannot be are excluded, then everything is selected",
			of:   requirements{notIn(name, "A", "")},
			want: facts{Text: name + " notin (,A)", Keys: []string{name}, Everything: true},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, factsOf(parse(t, test.of...))); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheZeroSelectorSelectsNothing(t *testing.T) {
	var zero selector.Selector
	want := facts{Text: "<nothing>", Keys: []string{}, Nothing: true}
	if diff := cmp.Diff(want, factsOf(zero)); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if zero.Matches(nil) || zero.Matches(map[string]string{name: "a"}) {
		t.Error("the zero selector matches something")
	}
	if _, overlaps := selector.Overlap(zero, selector.All()); overlaps {
		t.Error("the zero selector overlaps with everything")
	}
	for _, both := range []selector.Selector{selector.And(zero, selector.All()), selector.And(selector.All(), zero)} {
		if !both.Equal(zero) {
			t.Errorf("the zero selector and everything give %s", both)
		}
	}
}

func TestMatchesFollowsApimachineryWhereNoNamespaceCanBe(t *testing.T) {
	type row struct {
		Selector string
		Labels   map[string]string
		Matches  bool
	}
	var got []row
	want := []row{
		{name, nil, false},
		{name, map[string]string{name: "a"}, true},
		{"!" + name, nil, true},
		{"!" + name, map[string]string{name: "a"}, false},
		{name + "=A_b", map[string]string{name: "A_b"}, true},
		{name + " notin (a)", nil, true},
		{"env notin (a)", nil, true},
		{"env notin (a)", map[string]string{"env": "a"}, false},
		{"env=", nil, false},
		{"env=", map[string]string{"env": ""}, true},
	}
	of := map[string]selector.Selector{
		name: parse(t, exists(name)), "!" + name: parse(t, absent(name)), name + "=A_b": parse(t, in(name, "A_b")),
		name + " notin (a)": parse(t, notIn(name, "a")), "env notin (a)": parse(t, notIn("env", "a")), "env=": parse(t, in("env", "")),
	}
	for _, r := range want {
		got = append(got, row{of[r.Selector].String(), r.Labels, of[r.Selector].Matches(r.Labels)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}

func TestMatchesDoesNotAllocate(t *testing.T) {
	s := parse(t, in("env", "a", "b", "c"), notIn("team", "x", "y"), exists(name), absent("app"))
	labels := map[string]string{"env": "b", name: "a", "team": "z"}
	if n := testing.AllocsPerRun(100, func() { _ = s.Matches(labels) }); n != 0 {
		t.Errorf("Matches allocates %v times", n)
	}
}

func TestChangingTheKeysDoesNotChangeTheSelector(t *testing.T) {
	s := parse(t, exists("env"), exists("team"))
	s.Keys()[0] = "changed"
	if diff := cmp.Diff("env,team", s.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
