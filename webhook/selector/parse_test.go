package selector_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/meshfence/meshfence/webhook/selector"
)

const (
	keySyntax = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
		"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
		"'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
	valueSyntax = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must " +
		"start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for " +
		"validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
	oneOf = "must be one of In, NotIn, Exists, DoesNotExist"
)

// errorsOf parses a selector under the path of an Istio's first discovery selector.
func errorsOf(spec *metav1.LabelSelector) []string {
	_, errs := selector.Parse(spec, field.NewPath("spec", "discoverySelectors").Index(0))
	var messages []string
	for _, err := range errs {
		messages = append(messages, err.Error())
	}
	return messages
}

func TestParseNamesThePathOfAnErrorAndWhatIsAllowedThere(t *testing.T) {
	const item = "spec.discoverySelectors[0].matchExpressions[0]"
	for _, test := range []struct {
		name        string
		requirement metav1.LabelSelectorRequirement
		want        []string
	}{
		{
			name:        "if the operator is in lower case, then the right one is suggested",
			requirement: metav1.LabelSelectorRequirement{Key: "env", Operator: "in", Values: []string{"dev"}},
			want:        []string{item + `.operator: Unsupported value: "in": ` + oneOf + "; did you mean In?"},
		},
		{
			name:        "if the operator is nothing like one, then only the list is given",
			requirement: metav1.LabelSelectorRequirement{Key: "env", Operator: "Gt", Values: []string{"1"}},
			want:        []string{item + `.operator: Unsupported value: "Gt": ` + oneOf},
		},
		{
			name:        "if the operator is missing, then it is required",
			requirement: metav1.LabelSelectorRequirement{Key: "env", Values: []string{"dev"}},
			want:        []string{item + `.operator: Required value: ` + oneOf},
		},
		{
			name:        "if In has no values, then they are required",
			requirement: in("env"),
			want:        []string{item + `.values: Required value: operator In needs at least one value`},
		},
		{
			name:        "if NotIn has no values, then they are required",
			requirement: notIn("env"),
			want:        []string{item + `.values: Required value: operator NotIn needs at least one value`},
		},
		{
			name:        "if Exists has values, then they are forbidden, and their syntax does not matter",
			requirement: metav1.LabelSelectorRequirement{Key: "env", Operator: "Exists", Values: []string{"-"}},
			want:        []string{item + `.values: Forbidden: operator Exists takes no values; In does`},
		},
		{
			name:        "if DoesNotExist has values, then they are forbidden",
			requirement: metav1.LabelSelectorRequirement{Key: "env", Operator: "DoesNotExist", Values: []string{"a"}},
			want:        []string{item + `.values: Forbidden: operator DoesNotExist takes no values; NotIn does`},
		},
		{
			name:        "if the key is not a label key, then the syntax of keys is given",
			requirement: exists("my env"),
			want:        []string{item + `.key: Invalid value: "my env": ` + keySyntax},
		},
		{
			name:        "if a value is not a label value, then it is named by its index",
			requirement: notIn("env", "dev", "a b"),
			want:        []string{item + `.values[1]: Invalid value: "a b": ` + valueSyntax},
		},
		{
			name:        "if a value is too long as well as malformed, then one error says both",
			requirement: in("env", strings.Repeat("a", 64)+"-"),
			want: []string{item + `.values[0]: Invalid value: "` + strings.Repeat("a", 64) + `-": must be no more than 63 bytes; ` +
				valueSyntax},
		},
		{
			name:        "if everything is wrong, then everything is reported, key before operator before values",
			requirement: metav1.LabelSelectorRequirement{Key: "my env", Operator: "notin", Values: []string{"-", "ok", "a b"}},
			want: []string{
				item + `.key: Invalid value: "my env": ` + keySyntax,
				item + `.operator: Unsupported value: "notin": ` + oneOf + "; did you mean NotIn?",
				item + `.values[0]: Invalid value: "-": ` + valueSyntax,
				item + `.values[2]: Invalid value: "a b": ` + valueSyntax,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{test.requirement}}
			if diff := cmp.Diff(test.want, errorsOf(spec)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReportsMatchLabelsByKeyAndThenMatchExpressionsByIndex(t *testing.T) {
	const root = "spec.discoverySelectors[0]"
	spec := &metav1.LabelSelector{
		MatchLabels:      map[string]string{"z": "a b", "b b": "-", "a": "-", "fine": "fine"},
		MatchExpressions: []metav1.LabelSelectorRequirement{in("z"), exists("fine"), notIn("a")},
	}
	want := []string{
		root + `.matchLabels[a]: Invalid value: "-": ` + valueSyntax,
		root + `.matchLabels[b b]: Invalid value: "b b": ` + keySyntax,
		root + `.matchLabels[b b]: Invalid value: "-": ` + valueSyntax,
		root + `.matchLabels[z]: Invalid value: "a b": ` + valueSyntax,
		root + `.matchExpressions[0].values: Required value: operator In needs at least one value`,
		root + `.matchExpressions[2].values: Required value: operator NotIn needs at least one value`,
	}
	for range 20 { // the order of a map must not show
		if diff := cmp.Diff(want, errorsOf(spec)); diff != "" {
			t.Fatalf("errors (-want +got):\n%s", diff)
		}
	}
}

func TestParseSuggestsTheOperatorThatWasProbablyMeantAndNeverItsOpposite(t *testing.T) {
	got := map[string]string{}
	want := map[string]string{
		"in": "In", "IN": "In", "Inn": "In", "=": "", "==": "", "Equals": "", "Gt": "",
		"notin": "NotIn", "NOTIN": "NotIn", "not in": "NotIn", "not-in": "NotIn", "NotIN": "NotIn", "NotInn": "NotIn",
		"exists": "Exists", "Exist": "Exists", "Exsits": "Exists", "exits": "Exists",
		"doesnotexist": "DoesNotExist", "DoesNotExists": "DoesNotExist", "DoesntExist": "DoesNotExist",
		"doesn't exist": "DoesNotExist", "NotExists": "DoesNotExist", "NoExists": "DoesNotExist", "!exists": "",
		"Contains": "", "!": "", "Ä": "", strings.Repeat("In", 1000): "",
	}
	for written := range want {
		requirement := metav1.LabelSelectorRequirement{Key: "env", Operator: metav1.LabelSelectorOperator(written)}
		spec := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}
		_, errs := selector.Parse(spec, nil)
		_, guess, _ := strings.Cut(errs[0].Detail, "; did you mean ")
		got[written] = strings.TrimSuffix(guess, "?")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("suggestions (-want +got):\n%s", diff)
	}
}

func TestParseOfNilSelectsNothingAndOfTheEmptySelectorEverything(t *testing.T) {
	if got, errs := selector.Parse(nil, nil); len(errs) > 0 || !got.Nothing() || !got.Equal(selector.Selector{}) {
		t.Errorf("Parse(nil) = %s, %v", got, errs)
	}
	if got, errs := selector.Parse(&metav1.LabelSelector{}, nil); len(errs) > 0 || !got.Everything() || !got.Equal(selector.All()) {
		t.Errorf("Parse({}) = %s, %v", got, errs)
	}
}

func TestParseWithErrorsSelectsNothing(t *testing.T) {
	spec := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{exists("fine"), in("env")}}
	if got, errs := selector.Parse(spec, nil); len(errs) != 1 || !got.Equal(selector.Selector{}) {
		t.Errorf("Parse = %s, %v", got, errs)
	}
}

func TestParseNeitherWritesToItsArgumentNorKeepsIt(t *testing.T) {
	spec := &metav1.LabelSelector{
		MatchLabels:      map[string]string{"team": "x"},
		MatchExpressions: []metav1.LabelSelectorRequirement{in("env", "prod", "dev", "prod"), notIn("env", "b", "a")},
	}
	before := spec.DeepCopy()
	parsed, _ := selector.Parse(spec, nil)
	if diff := cmp.Diff(before, spec); diff != "" {
		t.Errorf("Parse changed its argument (-before +after):\n%s", diff)
	}
	text := parsed.String()
	spec.MatchExpressions[0].Values[0] = "changed"
	spec.MatchLabels["team"] = "changed"
	if diff := cmp.Diff(text, parsed.String()); diff != "" {
		t.Errorf("the selector changed with what it was parsed from (-before +after):\n%s", diff)
	}
}

func TestParseJoinsManyRequirementsOnOneKey(t *testing.T) {
	var requirements []metav1.LabelSelectorRequirement
	for i := range 20_000 { // about as many as an object of 1.5 MB has room for
		requirements = append(requirements, notIn("env", fmt.Sprintf("v%d", i)))
	}
	s := parse(t, requirements...)
	if s.Matches(map[string]string{"env": "v19999"}) || !s.Matches(map[string]string{"env": "v20000"}) {
		t.Error("the selector does not exclude exactly the listed values")
	}
}
