package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/policy"
)

// acceptCase is a change of what an object accepts.
type acceptCase struct {
	name string
	// from is what it accepts before, "-" for none, and to after; the times are when that ends.
	from, fromUntil, to, toUntil string
	rights                       map[policy.Code]policy.Right
	want                         string
}

func runAcceptCases(t *testing.T, cases []acceptCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			to := policy.ReadAcceptance(accepting(c.to, c.toUntil))
			change := policy.AcceptanceChange{New: &to, User: "jane", Rights: c.rights}
			if c.from != "-" {
				from := policy.ReadAcceptance(accepting(c.from, c.fromUntil))
				change.Old = &from
			}
			compare(t, policy.New(settings()).Acceptance(change), c.want)
		})
	}
}

func accepting(codes, until string) map[string]string {
	annotations := map[string]string{}
	if codes != "" {
		annotations["meshfence.io/accept"] = codes
	}
	if until != "" {
		annotations["meshfence.io/accept-until"] = until
	}
	return annotations
}

func TestMF501(t *testing.T) {
	type rights = map[policy.Code]policy.Right
	const early, late = "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"
	runAcceptCases(t, []acceptCase{
		{name: "if the user may override the rule, then its findings may be accepted", to: "MF104", rights: rights{"MF104": policy.Granted}, want: "allow"},
		{name: "if the user may not override the rule, then they may not", to: "MF104", rights: rights{"MF104": policy.Refused}, want: "deny MF501"},
		{name: "if the object is created, then they may not either", from: "-", to: "MF904", rights: rights{"MF904": policy.Refused}, want: "deny MF501"},
		{name: "if the API server could not be asked, then they may not, and the message says so", to: "MF104", rights: rights{"MF104": policy.Unasked}, want: "deny MF501"},
		{name: "if the right is not asked for, then they may not", to: "MF104", want: "deny MF501"},
		{name: "if of two rules the user may override one, then the other is named", to: "MF104, MF901", rights: rights{"MF104": policy.Granted, "MF901": policy.Refused}, want: "deny MF501"},
		{name: "if they were accepted before, then every user may write the object", from: "MF104", to: "MF104", want: "allow"},
		{name: "if another rule is added, then that one counts", from: "MF104", to: "MF104,MF901", rights: rights{"MF901": policy.Refused}, want: "deny MF501"},
		{name: "if they are to be accepted for longer, then that counts", from: "MF104", fromUntil: early, to: "MF104", toUntil: late, want: "deny MF501"},
		{name: "if they are to be accepted for ever, then that counts", from: "MF104", fromUntil: early, to: "MF104", want: "deny MF501"},
		{name: "if they were never accepted because the end was no time, then a time counts", from: "MF104", fromUntil: "soon", to: "MF104", toUntil: early, want: "deny MF501"},
		{name: "if the end comes earlier, then every user may do that", from: "MF104", fromUntil: late, to: "MF104", toUntil: early, want: "allow"},
		{name: "if there is an end now, then every user may do that", from: "MF104", to: "MF104", toUntil: early, want: "allow"},
		{name: "if less is accepted, then every user may do that", from: "MF104,MF901", to: "MF901", want: "allow"},
		{name: "if nothing is accepted any more, then every user may do that", from: "MF104", to: "", want: "allow"},
		{name: "if a word is no rule, then nothing is accepted by it", to: "MF1", want: "allow"},
	})
}

func TestWhatIsAccepted(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, codes, until string
		want               bool
	}{
		{"the rule", "MF104", "", true},
		{"one of several, with white space", " MF101 ,MF104,", "", true},
		{"another rule", "MF105", "", false},
		{"nothing", "", "", false},
		{"an end that is to come", "MF104", "2026-01-01T00:00:01Z", true},
		{"an end that has come", "MF104", "2026-01-01T00:00:00Z", false},
		{"an end in another zone", "MF104", "2026-01-01T00:30:00+01:00", false},
		{"an end that is no time", "MF104", "tomorrow", false},
		{"an empty end", "MF104", "", true},
		{"small letters", "mf104", "", false},
	} {
		if got := policy.ReadAcceptance(accepting(test.codes, test.until)).Covers("MF104", now); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
	if policy.ReadAcceptance(map[string]string{"meshfence.io/accept": "MF104", "meshfence.io/accept-until": ""}).Covers("MF104", now) {
		t.Error("an end that is written down and empty is none that can be read")
	}
}

func TestWhatIsNoRuleOrNoTimeIsTold(t *testing.T) {
	to := policy.ReadAcceptance(accepting("MF1O4,mf901", "soon"))
	notes := policy.New(settings()).Acceptance(policy.AcceptanceChange{New: &to}).Notes
	want := []string{
		`the annotation meshfence.io/accept names "MF1O4", which is no rule. Did you mean "MF104"?`,
		`the annotation meshfence.io/accept names "mf901", which is no rule. Did you mean "MF901"?`,
		`the annotation meshfence.io/accept-until is no time such as 2030-01-31T00:00:00Z, so nothing is accepted`,
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
	if again := policy.New(settings()).Acceptance(policy.AcceptanceChange{Old: &to, New: &to}).Notes; len(again) > 0 {
		t.Errorf("told again: %q", again)
	}
}
