package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestAnActionIsWrittenAsTheConfigurationSpellsIt(t *testing.T) {
	for action, want := range map[policy.Action]string{
		policy.Off: "off", policy.Warn: "warn", policy.Deny: "deny", 0: "invalid",
	} {
		if got := action.String(); got != want {
			t.Errorf("%d is %q, want %q", int(action), got, want)
		}
	}
}

func TestTheZeroValuesOfAnswersMeanNothing(t *testing.T) {
	if policy.Answer(0) == policy.Allowed || policy.FillAnswer(0) == policy.LeaveAlone || policy.FillSource(0) == policy.MeshMap {
		t.Error("a forgotten assignment would be an answer")
	}
}

func TestAMessageIsLaidOutInLines(t *testing.T) {
	f := policy.Finding{Rule: mf204, Detail: "something is wrong"}
	if got, want := f.Message(), "MF204 ConflictingInjectionLabels: something is wrong\n  meshfence explain rule MF204"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.Effect = "that hurts"
	f.Ways = []policy.Way{
		{Label: "do this", Commands: []string{"kubectl this"}},
		{Label: "do that", Commands: []string{"kubectl that", "kubectl the rest"}},
		{Label: `did you mean "x"?`, Commands: []string{"kubectl x"}},
		{Label: "or leave it"},
	}
	const want = `MF204 ConflictingInjectionLabels: something is wrong
  that hurts
  do this:  kubectl this
  do that:
    kubectl that
    kubectl the rest
  did you mean "x"?  kubectl x
  or leave it
  meshfence explain rule MF204`
	if diff := cmp.Diff(want, f.Message()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
