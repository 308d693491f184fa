package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf113 = policy.Rule{Code: "MF113", Name: "RevisionRenamed", Action: policy.Warn}

// renamed is what is told of an Istio whose version is changed.
func renamed(m, from, to, who, remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf113, Action: policy.Warn, Field: `spec.version`,
		Detail: fmt.Sprintf(`the active revision of Istio %q changes from %q to %q, but %s`, m, from, to, who),
		Remedy: fmt.Sprintf(`%s. An IstioRevisionTag with targetRef: {kind: Istio, name: %s} is a name that need not change next time`, remedy, m),
	}
}

// withTags is a finding that names tags in place of advising to make one.
func withTags(f policy.Finding, tags string) policy.Finding {
	advice := strings.LastIndex(f.Remedy, "An IstioRevisionTag")
	f.Remedy = f.Remedy[:advice] + tags
	return f
}

func strategy(f policy.Finding) policy.Finding {
	f.Field = `spec.updateStrategy.type`
	return f
}

func TestMF113(t *testing.T) {
	const (
		inPlace = "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.29.6"
		old     = inPlace + "; RevisionBased"
		updated = "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3; RevisionBased"

		relabelApp = `When the new istiod is ready: kubectl label namespace app istio.io/rev=prod-v1-30-3 --overwrite`
	)
	oldRevision := []string{"IstioRevision prod-v1-29-6; of prod; in istio-system-prod; version v1.29.6; selects istio-discovery=prod"}
	app := apps(t, "app: istio-discovery=prod istio.io/rev=prod-v1-29-6")
	runMeshCases(t, []meshCase{
		{
			name:   "if a namespace names the old revision, then that is told, with the command",
			others: oldRevision, from: old, to: updated, namespaces: app,
			want: warned(renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `these namespaces still use the old one: "app"`, relabelApp)),
		},
		{
			name:   "if the operator brings the new revision, then nobody is told again",
			others: append([]string{updated}, oldRevision...), namespaces: app,
			create: "IstioRevision prod-v1-30-3; of prod; in istio-system-prod; version v1.30.3; selects istio-discovery=prod",
			want:   allowed(),
		},
		{
			name:   "if nobody names the old revision, then there is nothing to tell",
			others: oldRevision, from: old, to: updated,
			namespaces: apps(t, "app: istio-discovery=prod", "gone (deleting): istio-discovery=prod istio.io/rev=prod-v1-29-6",
				"off: istio-discovery=prod istio.io/rev=prod-v1-29-6 istio-injection=disabled"),
			want: allowed(),
		},
		{
			name:   "if namespaces use a tag of the Istio, then the tag follows by itself",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod"}, oldRevision...), from: old, to: updated,
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=stable"),
			want:       allowed(),
		},
		{
			name:   "if a tag follows the Istio, then it is named and used instead of the new revision",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod", "map prod=prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: warned(withTags(renamed("prod", "prod-v1-29-6", "prod-v1-30-3",
				`these namespaces still use the old one: "app"; and the mesh map still gives the old one to "prod"`,
				`When the new istiod is ready: kubectl label namespace app istio.io/rev=stable --overwrite. In the mesh map, give "stable" to "prod"`),
				`The tag "stable" follows Istio "prod", so it need not change next time`)),
		},
		{
			name:   "if several tags follow the Istio, then they are named",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod", "IstioRevisionTag canary; targets Istio prod"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: warned(withTags(renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `these namespaces still use the old one: "app"`, relabelApp),
				`The tags "canary", "stable" follow Istio "prod": with one of them instead, nothing need change next time`)),
		},
		{
			name:   "if a tag points at a revision of the Istio, then it does not follow, and a new one is advised",
			others: append([]string{"IstioRevisionTag stable; targets IstioRevision prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: warned(renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `these namespaces still use the old one: "app"`, relabelApp)),
		},
		{
			name:   "if only the mesh map names the old revision, then that is told",
			others: append([]string{"map prod=prod-v1-29-6 shop=prod-v1-29-6 other=stable"}, oldRevision...), from: old, to: updated,
			want: warned(renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `the mesh map still gives the old one to "prod", "shop"`,
				`In the mesh map, give "prod-v1-30-3" to "prod", "shop"`)),
		},
		{
			name:   "if both do, then both are told",
			others: append([]string{"map prod=prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: warned(renamed("prod", "prod-v1-29-6", "prod-v1-30-3",
				`these namespaces still use the old one: "app"; and the mesh map still gives the old one to "prod"`,
				relabelApp+`. In the mesh map, give "prod-v1-30-3" to "prod"`)),
		},
		{
			name: "if the version changes in place, then the revision keeps its name",
			from: inPlace, to: "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod"),
			want:       allowed(),
		},
		{
			name: "if the strategy becomes RevisionBased, then the Istio's own name is no longer the active revision",
			from: inPlace, to: old, namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod"),
			want: warned(strategy(renamed("prod", "prod", "prod-v1-29-6", `these namespaces still use the old one: "app"`,
				`When the new istiod is ready: kubectl label namespace app istio.io/rev=prod-v1-29-6 --overwrite`))),
		},
		{
			name: "if the strategy becomes InPlace together with a new version, then the field is the strategy",
			from: old, to: "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3", namespaces: app,
			want: warned(strategy(renamed("prod", "prod-v1-29-6", "prod", `these namespaces still use the old one: "app"`,
				`When the new istiod is ready: kubectl label namespace app istio.io/rev=prod --overwrite`))),
		},
		{
			name:       "if the old name was default, then namespaces with istio-injection=enabled used it",
			from:       "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6",
			to:         "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6; RevisionBased",
			namespaces: apps(t, "app: istio-discovery=prod istio-injection=enabled", "app-web: istio-discovery=prod istio.io/rev=default"),
			want: warned(strategy(renamed("default", "default", "default-v1-29-6", `these namespaces still use the old one: "app", "app-web"`,
				`When the new istiod is ready: kubectl label namespace app istio-injection- istio.io/rev=default-v1-29-6 --overwrite. And: `+
					`kubectl label namespace app-web istio.io/rev=default-v1-29-6 --overwrite`))),
		},
		{
			name:   "if more than ten name it, then ten are named and the others counted",
			others: oldRevision, from: old, to: updated, namespaces: numbered(t, 11, "istio-discovery=prod istio.io/rev=prod-v1-29-6"),
			want: warned(renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `these namespaces still use the old one: "app-01", "app-02", "app-03", `+
				`"app-04", "app-05", "app-06", "app-07", "app-08", "app-09", "app-10" and 1 more`,
				`When the new istiod is ready (shown for the first ten): kubectl label namespace app-01 app-02 app-03 app-04 app-05 app-06 `+
					`app-07 app-08 app-09 app-10 istio.io/rev=prod-v1-30-3 --overwrite`)),
		},
		{
			name:   "if the configuration makes it a denial, then it is refused",
			others: oldRevision, from: old, to: updated, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF113": policy.Deny}},
			want: denied(func() policy.Finding {
				f := renamed("prod", "prod-v1-29-6", "prod-v1-30-3", `these namespaces still use the old one: "app"`, relabelApp)
				f.Action = policy.Deny
				return f
			}()),
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: oldRevision, from: old, to: updated, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF113": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF113ItsCommandsAreAdmittedWhenTheChangeIsStored(t *testing.T) {
	c := meshCase{
		from: "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6",
		to:   "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6; RevisionBased",
		namespaces: apps(t, "app: istio-discovery=prod istio-injection=enabled", "both: istio-discovery=prod istio-injection=enabled istio.io/rev=x",
			"web: istio-discovery=prod istio.io/rev=default"),
	}
	c.namespaces = afterWay(t, finding(t, c.judge(t), "MF113"), "When the new istiod is ready", c.wanted(t), c.namespaces)
	if verdict := c.judge(t); slices.Contains(codes(verdict), "MF113") {
		t.Errorf("they still name it: %s", outcome(verdict))
	}
}
