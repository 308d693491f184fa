package policy_test

import (
	"testing"

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

func TestAFindingWithoutARemedyIsASentenceOfItsOwn(t *testing.T) {
	f := policy.Finding{Rule: mf204, Detail: "something is wrong"}
	if got, want := f.Message(), "MF204 ConflictingInjectionLabels: something is wrong"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.Remedy = "Do this"
	if got, want := f.Message(), "MF204 ConflictingInjectionLabels: something is wrong. Do this"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
