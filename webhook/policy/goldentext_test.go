package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// compare compares a verdict with what a row wants: its codes, which the row has, so that an update of the golden files cannot
// turn a denial into nothing unnoticed; and everything that is told, which the golden files have.
func compare(t *testing.T, got policy.Verdict, want string) {
	t.Helper()
	if codes := outcome(got); codes != want {
		t.Errorf("%s, want %s\n%s", codes, want, verdictText(got))
		return
	}
	checkActions(t, got)
	goldenFindings.compare(t, verdictText(got))
	for _, f := range slices.Concat(got.Denials, got.Warnings, got.Untold) {
		checkReadable(t, f)
	}
}

// checkActions refuses a verdict whose answer is not the one that its findings lead to.
func checkActions(t *testing.T, v policy.Verdict) {
	t.Helper()
	want := policy.Allowed
	if len(v.Denials) > 0 {
		want = policy.Denied
	}
	if v.Answer != want {
		t.Errorf("the answer is %d, but the findings are %s", v.Answer, outcome(v))
	}
	for _, f := range v.Denials {
		if f.Action != policy.Deny {
			t.Errorf("%s is among the denials, but its action is %s", f.Rule.Code, f.Action)
		}
	}
	for _, f := range v.Warnings {
		if f.Action != policy.Warn {
			t.Errorf("%s is among the warnings, but its action is %s", f.Rule.Code, f.Action)
		}
	}
}

// verdictText is everything that is told, laid out for diffs; empty if nothing is.
func verdictText(v policy.Verdict) string {
	var b strings.Builder
	for i, f := range v.Findings() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(findingText(f))
	}
	for _, code := range v.Overridden {
		fmt.Fprintf(&b, "overridden %s\n", code)
	}
	for _, note := range v.Notes {
		b.WriteString(field("note", note))
	}
	return b.String()
}

// findingText is a finding with all its fields.
func findingText(f policy.Finding) string {
	text := fmt.Sprintf("%s %s %s", f.Action, f.Rule.Code, f.Rule.Name)
	if f.Action != f.Rule.Action {
		text += fmt.Sprintf(" (default: %s)", f.Rule.Action)
	}
	text += "\n" + field("field", f.Field) + field("in", f.In) + field("detail", f.Detail) + field("effect", f.Effect)
	for _, way := range f.Ways {
		text += field("way", way.Label)
		for _, command := range way.Commands {
			text += field("", "  "+command)
		}
	}
	for _, subject := range f.Subjects {
		text += field("subject", subject)
	}
	text += field("at", f.SubjectField)
	if f.Explains {
		text += "  explains a refusal\n"
	}
	if f.Forbidden {
		text += "  forbidden to the user\n"
	}
	return text
}

// field is one field of a finding: its name before each line of the value.
func field(name, value string) string {
	if value == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(value, "\n") {
		fmt.Fprintf(&b, "  %-7s %s\n", name, line)
	}
	return b.String()
}

// Nothing of a verdict is left out of its text: each field changes it. The answer follows from the findings, see checkActions, and
// Untold is not told.
func TestTheTextOfAVerdictHasAllItsFields(t *testing.T) {
	var finding policy.Finding
	everyField(t, &finding, func(string) string { return findingText(finding) })
	everyField(t, &finding.Rule, func(string) string { return findingText(finding) })
	var verdict policy.Verdict
	everyField(t, &verdict, func(name string) string {
		if name == "Answer" || name == "Untold" {
			return name
		}
		return verdictText(verdict)
	})
}

// everyField sets one field of a struct after the other, and expects another text each time.
func everyField(t *testing.T, of any, text func(field string) string) {
	t.Helper()
	value := reflect.ValueOf(of).Elem()
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		before := text("")
		switch field := value.Field(i); field.Kind() {
		case reflect.String:
			field.SetString("text")
		case reflect.Int:
			field.SetInt(int64(policy.Deny))
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			switch item := field.Index(0); item.Kind() {
			case reflect.String:
				item.SetString("text")
			case reflect.Struct:
				for item.Kind() == reflect.Struct { // a finding begins with its rule, and that with its code
					item = item.Field(0)
				}
				item.SetString("text")
			default:
				t.Fatalf("what is %s?", item.Kind())
			}
		case reflect.Struct:
			field.Field(0).SetString("MF999")
		default:
			t.Fatalf("what is %s?", field.Kind())
		}
		if text(name) == before {
			t.Errorf("%s.%s is not in the text", value.Type(), name)
		}
	}
}
