package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshfence/meshfence/webhook/policy"
)

func denied(findings ...policy.Finding) policy.Verdict {
	return policy.Verdict{Answer: policy.Denied, Denials: findings}
}

func warned(findings ...policy.Finding) policy.Verdict {
	return policy.Verdict{Answer: policy.Allowed, Warnings: findings}
}

// also adds warnings to a denial.
func also(verdict policy.Verdict, warnings ...policy.Finding) policy.Verdict {
	verdict.Warnings = append(verdict.Warnings, warnings...)
	return verdict
}

func TestReadOverride(t *testing.T) {
	for annotation, want := range map[string]policy.Override{
		"":                     {},
		" , ,":                 {},
		"MF103":                {Codes: []policy.Code{"MF103"}},
		"MF202, MF103 ,MF202":  {Codes: []policy.Code{"MF202", "MF103"}},
		"mf103,MF901,all,MF20": {Unknown: []string{"mf103", "MF901", "all", "MF20"}},
		"MF103;MF202":          {Unknown: []string{"MF103;MF202"}},
		"*":                    {Unknown: []string{"*"}},
	} {
		if diff := cmp.Diff(want, policy.ReadOverride(annotation)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", annotation, diff)
		}
	}
}

func TestOnlyTheCodesThatDenyAndThatTheObjectNamesAreAskedFor(t *testing.T) {
	verdict := also(denied(policy.Finding{Rule: mf201}, policy.Finding{Rule: mf202}, policy.Finding{Rule: mf202}), policy.Finding{Rule: mf204})
	for annotation, want := range map[string][]policy.Code{
		"":                  nil,
		"MF101":             nil,
		"MF204":             nil, // it only warns
		"MF202":             {"MF202"},
		"MF202,MF204,MF201": {"MF201", "MF202"},
		"mf202":             nil,
	} {
		if diff := cmp.Diff(want, policy.ReadOverride(annotation).Asks(verdict)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", annotation, diff)
		}
	}
}

func TestOverride(t *testing.T) {
	found := func(rule policy.Rule, action policy.Action, detail, remedy string) policy.Finding {
		return policy.Finding{Rule: rule, Action: action, Field: "metadata.labels", Detail: detail, Ways: []policy.Way{{Label: remedy}}}
	}
	first, second := found(mf201, policy.Deny, "a", "do a"), found(mf203, policy.Deny, "b", "do b")
	warning := found(mf202, policy.Warn, "c", "do c")
	verdict := also(denied(first, second), warning)
	const with = `overridden by user "jane" with meshfence.io/override: `
	refused := policy.Way{
		Label: `the annotation meshfence.io/override is ignored, because user "jane" may not override MF203, which an administrator can allow`,
		Commands: []string{
			"kubectl create clusterrole meshfence-override-mf203 --verb=override --resource='*.meshfence.io' --resource-name=mf203",
			"kubectl create clusterrolebinding meshfence-override-mf203-jane --clusterrole=meshfence-override-mf203 --user=jane",
		},
	}
	unasked := policy.Way{Label: `the annotation meshfence.io/override is ignored, because meshfence could not check whether user "jane" may override MF203: ` +
		"try again in a few seconds"}
	and := func(f policy.Finding, way policy.Way) policy.Finding {
		f.Ways = append(slices.Clone(f.Ways), way)
		return f
	}
	type rights = map[policy.Code]policy.Right
	for _, c := range []struct {
		name       string
		verdict    policy.Verdict
		annotation string
		rights     rights
		want       policy.Verdict
	}{
		{
			name: "if nothing denies, then nothing changes", verdict: warned(warning),
			annotation: "MF201,MF202", rights: rights{"MF201": policy.Granted, "MF202": policy.Granted}, want: warned(warning),
		},
		{
			name: "if other rules are named, then nothing changes", verdict: verdict,
			annotation: "MF101", rights: rights{"MF201": policy.Granted, "MF203": policy.Granted}, want: verdict,
		},
		{
			name: "if all that denies is named and granted, then it is admitted, with warnings in the order of the catalogue", verdict: verdict,
			annotation: "MF203,MF201", rights: rights{"MF201": policy.Granted, "MF203": policy.Granted},
			want: policy.Verdict{
				Answer:     policy.Allowed,
				Warnings:   []policy.Finding{found(mf201, policy.Warn, with+"a", "do a"), warning, found(mf203, policy.Warn, with+"b", "do b")},
				Overridden: []policy.Code{"MF201", "MF203"},
			},
		},
		{
			name: "if only one of two is named, then the other one denies", verdict: verdict,
			annotation: "MF201", rights: rights{"MF201": policy.Granted},
			want: policy.Verdict{
				Answer: policy.Denied, Denials: []policy.Finding{second}, Warnings: []policy.Finding{found(mf201, policy.Warn, with+"a", "do a"), warning},
				Overridden: []policy.Code{"MF201"},
			},
		},
		{
			name: "if only one of two is granted, then the other one denies and says why", verdict: verdict,
			annotation: "MF201,MF203", rights: rights{"MF201": policy.Granted, "MF203": policy.Refused},
			want: policy.Verdict{
				Answer: policy.Denied, Denials: []policy.Finding{and(second, refused)},
				Warnings: []policy.Finding{found(mf201, policy.Warn, with+"a", "do a"), warning}, Overridden: []policy.Code{"MF201"},
			},
		},
		{
			name: "if the API server could not be asked, then it denies and says so", verdict: verdict,
			annotation: "MF203", rights: rights{"MF203": policy.Unasked},
			want: also(denied(first, and(second, unasked)), warning),
		},
		{
			name: "if nobody asked, then nothing is granted", verdict: verdict, annotation: "MF203",
			want: also(denied(first, and(second, unasked)), warning),
		},
		{
			name: "if a rule has two findings, then both are overridden by one code", verdict: denied(first, first),
			annotation: "MF201", rights: rights{"MF201": policy.Granted},
			want: policy.Verdict{
				Answer: policy.Allowed, Overridden: []policy.Code{"MF201"},
				Warnings: []policy.Finding{found(mf201, policy.Warn, with+"a", "do a"), found(mf201, policy.Warn, with+"a", "do a")},
			},
		},
		{
			name: "if a code is misspelt, then it is told, whatever the answer is", verdict: denied(first), annotation: "mf201,MF205O,MF999,x,y",
			want: policy.Verdict{Answer: policy.Denied, Denials: []policy.Finding{first}, Notes: []string{
				`the annotation meshfence.io/override names "mf201", which is no rule that a request can break. Did you mean "MF201"?`,
				`the annotation meshfence.io/override names "MF205O", which is no rule that a request can break. Did you mean "MF205"?`,
				`the annotation meshfence.io/override names "MF999", which is no rule that a request can break`,
				`the annotation meshfence.io/override names 2 more words that are no rules`,
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := policy.ReadOverride(c.annotation).Apply(c.verdict, "jane", c.rights)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkLines(t, got)
		})
	}
	if diff := cmp.Diff(also(denied(first, second), warning), verdict); diff != "" {
		t.Errorf("the verdict was written to:\n%s", diff)
	}
}

func TestTheCommandsThatGiveARightCanBePastedWhateverTheUserIsCalled(t *testing.T) {
	v := denied(policy.Finding{Rule: mf201, Detail: "a"})
	for user, want := range map[string]string{
		"system:serviceaccount:ci:bot": "kubectl create clusterrolebinding meshfence-override-mf201-system-serviceaccount-ci-bot " +
			"--clusterrole=meshfence-override-mf201 --user=system:serviceaccount:ci:bot",
		"https://sso.example.com#Jane O'Hara": "kubectl create clusterrolebinding meshfence-override-mf201-https---sso.example.com-jane-o-hara " +
			`--clusterrole=meshfence-override-mf201 --user='https://sso.example.com#Jane O'\''Hara'`,
		"": "kubectl create clusterrolebinding meshfence-override-mf201- --clusterrole=meshfence-override-mf201 --user=''",
	} {
		got := policy.ReadOverride("MF201").Apply(v, user, map[policy.Code]policy.Right{"MF201": policy.Refused})
		commands := got.Denials[0].Ways[0].Commands
		if command := commands[len(commands)-1]; command != want {
			t.Errorf("%q: %s, want %s", user, command, want)
		}
	}
}
