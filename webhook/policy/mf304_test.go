package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

var mf304 = policy.Rule{Code: "MF304", Name: "TagTargetMissing", Action: policy.Warn}

const noSuchTarget = `To see what there is to point at: kubectl get istios,istiorevisions`

// missing is the finding about the target of stable.
func missing(kind, name, remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf304, Action: policy.Warn, Field: `spec.targetRef`,
		Detail: fmt.Sprintf(`IstioRevisionTag "stable" points at %s %q, which does not exist: until it does, the operator does nothing for the tag`, kind, name),
		Remedy: remedy, Subjects: []string{kind + " " + name},
	}
}

func TestMF304(t *testing.T) {
	target := func(to string) string { return "IstioRevisionTag stable; targets " + to }
	others := append(guide(),
		"Istio prod; in istio-system-3; RevisionBased; version v1.30.0; selects istio-discovery=prod",
		"IstioRevision prod-v1-29-0; of prod; in istio-system-3; selects istio-discovery=prod",
		"IstioRevision canary; in istio-system-4; selects istio-discovery=canary",
	)
	runTagCases(t, []tagCase{
		{name: "if it points at an Istio, then nobody says anything", others: others, create: target("Istio prod"), want: allowed()},
		{name: "if it points at a revision, then nobody says anything", others: others, create: target("IstioRevision prod-v1-29-0"), want: allowed()},
		{name: "if it points at the active revision, which the operator is yet to create, then nobody says anything", others: others, create: target("IstioRevision prod-v1-30-0"), want: allowed()},
		{name: "if it points at a revision that no Istio owns, then nobody says anything", others: others, create: target("IstioRevision canary"), want: allowed()},
		{
			name: "if nothing has the name, then it is admitted with a warning", others: others, create: target("Istio nothing"),
			want: warned(missing("Istio", "nothing", noSuchTarget)),
		},
		{
			name: "if an Istio has nearly the name, then that one is proposed", others: others, create: target("Istio prdo"),
			want: warned(missing("Istio", "prdo", `Did you mean "prod"? To point at Istio "prod": kubectl patch istiorevisiontag stable --type=merge `+
				`-p '{"spec":{"targetRef":{"kind":"Istio","name":"prod"}}}'`)),
		},
		{
			name: "if a revision has nearly the name, then that one is proposed", others: others, create: target("IstioRevision prod-1-29-0"),
			want: warned(missing("IstioRevision", "prod-1-29-0", `Did you mean "prod-v1-29-0"? To point at IstioRevision "prod-v1-29-0": kubectl patch `+
				`istiorevisiontag stable --type=merge -p '{"spec":{"targetRef":{"kind":"IstioRevision","name":"prod-v1-29-0"}}}'`)),
		},
		{
			name: "if an Istio has the name of the revision, then the kind is proposed", others: others, create: target("IstioRevision prod"),
			want: warned(missing("IstioRevision", "prod", `There is an Istio of that name. To point at Istio "prod": kubectl patch istiorevisiontag stable `+
				`--type=merge -p '{"spec":{"targetRef":{"kind":"Istio","name":"prod"}}}'`)),
		},
		{
			name: "if a revision has the name of the Istio, then the kind is proposed", others: others, create: target("Istio canary"),
			want: warned(missing("Istio", "canary", `There is an IstioRevision of that name. To point at IstioRevision "canary": kubectl patch istiorevisiontag `+
				`stable --type=merge -p '{"spec":{"targetRef":{"kind":"IstioRevision","name":"canary"}}}'`)),
		},
		{
			name: "if a tag has the name, then it is told that tags do not point at tags", others: others, create: target("IstioRevision default"),
			want: warned(missing("IstioRevision", "default", `There is an IstioRevisionTag of that name, and a tag cannot point at a tag. To see where that one `+
				`points: kubectl get istiorevisiontag default -o yaml`)),
		},
		{
			name: "if it points at itself, then that is nothing", others: others, create: target("IstioRevision stable"),
			want: warned(missing("IstioRevision", "stable", noSuchTarget)),
		},
		{
			name: "if it has no target at all, then it is told so", others: others, create: target("Istio "),
			want: warned(policy.Finding{
				Rule: mf304, Action: policy.Warn, Field: `spec.targetRef`,
				Detail: `IstioRevisionTag "stable" points at nothing, because spec.targetRef has not got a kind and a name: until it has, the ` +
					`operator does nothing for the tag`,
				Remedy: noSuchTarget, Subjects: []string{"Istio "},
			}),
		},
		{
			name: "if it was so before, then it is not told again", others: others, from: target("Istio nothing"), to: target("Istio nothing"),
			want: allowed(),
		},
		{name: "if it is deleted, then nobody says anything", others: others, from: target("Istio nothing"), want: allowed()},
		{
			name: "if the rule denies, then it is refused", others: others, create: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Deny}},
			want: denied(func() policy.Finding {
				f := missing("Istio", "nothing", noSuchTarget)
				f.Action = policy.Deny
				return f
			}()),
		},
		{
			name: "if the rule denies and it was so before, then a change is admitted", others: others, from: target("Istio nothing"), to: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Deny}},
			want:    allowed(),
		},
		{
			name: "if the rule is off, then nobody says anything", others: others, create: target("Istio nothing"),
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF304": policy.Off}}, want: allowed(),
		},
	})
}

func TestMF304AfterItsCommandTheTargetExists(t *testing.T) {
	others := append(guide(), "IstioRevision canary; in istio-system-4; selects istio-discovery=canary")
	for _, from := range []string{"Istio mesh1", "IstioRevision mesh1", "Istio canary", "IstioRevision canry"} {
		c := tagCase{others: others, create: tagLine("stable", from)}
		_, patch, ok := strings.Cut(c.judge(t).Warnings[0].Remedy, "-p '")
		var object struct{ Spec sail.TagSpec }
		if err := json.Unmarshal([]byte(strings.TrimSuffix(patch, "'")), &object); err != nil || !ok {
			t.Errorf("%s: the patch %s is none: %v", from, patch, err)
			continue
		}
		c.create = tagLine("stable", object.Spec.TargetRef.Kind+" "+object.Spec.TargetRef.Name)
		if got := outcome(c.judge(t)); got != "allow" {
			t.Errorf("%s, then %s: %s", from, c.create, got)
		}
	}
}
