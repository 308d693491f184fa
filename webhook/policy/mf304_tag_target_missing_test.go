package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

func TestMF304(t *testing.T) {
	target := func(to string) string { return "IstioRevisionTag stable; targets " + to }
	others := append(guide(),
		"Istio prod; in istio-system-3; RevisionBased; version v1.30.0; selects istio-discovery=prod",
		"IstioRevision prod-v1-29-0; of prod; in istio-system-3; selects istio-discovery=prod",
		"IstioRevision canary; in istio-system-4; selects istio-discovery=canary",
	)
	runTagCases(t, []tagCase{
		{name: "if it points at an Istio, then nobody says anything", others: others, create: target("Istio prod"), want: "allow"},
		{name: "if it points at a revision, then nobody says anything", others: others, create: target("IstioRevision prod-v1-29-0"), want: "allow"},
		{name: "if it points at the active revision, which the operator is yet to create, then nobody says anything", others: others, create: target("IstioRevision prod-v1-30-0"), want: "allow"},
		{name: "if it points at a revision that no Istio owns, then nobody says anything", others: others, create: target("IstioRevision canary"), want: "allow"},
		{
			name: "if nothing has the name, then it is admitted with a warning", others: others, create: target("Istio nothing"),
			want: "warn MF304",
		},
		{
			name: "if an Istio has nearly the name, then that one is proposed", others: others, create: target("Istio prdo"),
			want: "warn MF304",
		},
		{
			name: "if a revision has nearly the name, then that one is proposed", others: others, create: target("IstioRevision prod-1-29-0"),
			want: "warn MF304",
		},
		{
			name: "if an Istio has the name of the revision, then the kind is proposed", others: others, create: target("IstioRevision prod"),
			want: "warn MF304",
		},
		{
			name: "if a revision has the name of the Istio, then the kind is proposed", others: others, create: target("Istio canary"),
			want: "warn MF304",
		},
		{
			name: "if a tag has the name, then it is told that tags do not point at tags", others: others, create: target("IstioRevision default"),
			want: "warn MF304",
		},
		{
			name: "if it points at itself, then that is nothing", others: others, create: target("IstioRevision stable"),
			want: "warn MF304",
		},
		{
			name: "if it has no target at all, then it is told so", others: others, create: target("Istio "),
			want: "warn MF304",
		},
		{
			name: "if it was so before, then it is not told again", others: others, from: target("Istio nothing"), to: target("Istio nothing"),
			want: "allow",
		},
		{name: "if it is deleted, then nobody says anything", others: others, from: target("Istio nothing"), want: "allow"},
		{
			name: "if the rule denies, then it is refused", others: others, create: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Deny}},
			want:    "deny MF304",
		},
		{
			name: "if the rule denies and it was so before, then a change is admitted", others: others, from: target("Istio nothing"), to: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Deny}},
			want:    "allow",
		},
		{
			name: "if the rule is off, then nobody says anything", others: others, create: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Off}}, want: "allow",
		},
	})
}

func TestMF304AfterItsCommandTheTargetExists(t *testing.T) {
	others := append(guide(), "IstioRevision canary; in istio-system-4; selects istio-discovery=canary")
	for _, from := range []string{"Istio mesh1", "IstioRevision mesh1", "Istio canary", "IstioRevision canry"} {
		c := tagCase{others: others, create: tagLine("stable", from)}
		patch := patchIn(c.judge(t).Warnings[0].Ways)
		var object struct{ Spec sail.TagSpec }
		if err := json.Unmarshal([]byte(patch), &object); err != nil {
			t.Errorf("%s: the patch %s is none: %v", from, patch, err)
			continue
		}
		c.create = tagLine("stable", object.Spec.TargetRef.Kind+" "+object.Spec.TargetRef.Name)
		if got := outcome(c.judge(t)); got != "allow" {
			t.Errorf("%s, then %s: %s", from, c.create, got)
		}
	}
}
