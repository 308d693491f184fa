package policy_test

import (
	"slices"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF113(t *testing.T) {
	const (
		inPlace = "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.29.6"
		old     = inPlace + "; RevisionBased"
		updated = "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3; RevisionBased"
	)
	oldRevision := []string{"IstioRevision prod-v1-29-6; of prod; in istio-system-prod; version v1.29.6; selects istio-discovery=prod"}
	app := apps(t, "app: istio-discovery=prod istio.io/rev=prod-v1-29-6")
	runMeshCases(t, []meshCase{
		{
			name:   "if a namespace names the old revision, then that is told, with the command",
			others: oldRevision, from: old, to: updated, namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if the operator brings the new revision, then nobody is told again",
			others: append([]string{updated}, oldRevision...), namespaces: app,
			create: "IstioRevision prod-v1-30-3; of prod; in istio-system-prod; version v1.30.3; selects istio-discovery=prod",
			want:   "allow",
		},
		{
			name:   "if nobody names the old revision, then there is nothing to tell",
			others: oldRevision, from: old, to: updated,
			namespaces: apps(t, "app: istio-discovery=prod", "gone (deleting): istio-discovery=prod istio.io/rev=prod-v1-29-6",
				"off: istio-discovery=prod istio.io/rev=prod-v1-29-6 istio-injection=disabled"),
			want: "allow",
		},
		{
			name:   "if namespaces use a tag of the Istio, then the tag follows by itself",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod"}, oldRevision...), from: old, to: updated,
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=stable"),
			want:       "allow",
		},
		{
			name:   "if a tag follows the Istio, then it is named and used instead of the new revision",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod", "map prod=prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if several tags follow the Istio, then they are named",
			others: append([]string{"IstioRevisionTag stable; targets Istio prod", "IstioRevisionTag canary; targets Istio prod"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if a tag points at a revision of the Istio, then it does not follow, and a new one is advised",
			others: append([]string{"IstioRevisionTag stable; targets IstioRevision prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if only the mesh map names the old revision, then that is told",
			others: append([]string{"map prod=prod-v1-29-6 shop=prod-v1-29-6 other=stable"}, oldRevision...), from: old, to: updated,
			want: "warn MF113",
		},
		{
			name:   "if both do, then both are told",
			others: append([]string{"map prod=prod-v1-29-6"}, oldRevision...), from: old, to: updated, namespaces: app,
			want: "warn MF113",
		},
		{
			name: "if the version changes in place, then the revision keeps its name",
			from: inPlace, to: "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3",
			namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod"),
			want:       "allow",
		},
		{
			name: "if the strategy becomes RevisionBased, then the Istio's own name is no longer the active revision",
			from: inPlace, to: old, namespaces: apps(t, "app: istio-discovery=prod istio.io/rev=prod"),
			want: "warn MF113",
		},
		{
			name: "if the strategy becomes InPlace together with a new version, then the field is the strategy",
			from: old, to: "Istio prod; in istio-system-prod; selects istio-discovery=prod; version v1.30.3", namespaces: app,
			want: "warn MF113",
		},
		{
			name:       "if the old name was default, then namespaces with istio-injection=enabled used it",
			from:       "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6",
			to:         "Istio default; in istio-system; selects istio-discovery=prod; version v1.29.6; RevisionBased",
			namespaces: apps(t, "app: istio-discovery=prod istio-injection=enabled", "app-web: istio-discovery=prod istio.io/rev=default"),
			want:       "warn MF113",
		},
		{
			name:   "if more than ten name it, then ten are named and the others counted",
			others: oldRevision, from: old, to: updated, namespaces: numbered(t, 11, "istio-discovery=prod istio.io/rev=prod-v1-29-6"),
			want: "warn MF113",
		},
		{
			name:   "if the selectors change together with the version, then the command has the labels that the new ones ask for",
			others: oldRevision, from: old, to: "Istio prod; in istio-system-prod; selects team=prod; version v1.30.3; RevisionBased", namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if the new selectors ask for what no command can change, then there is none",
			others: oldRevision, from: old, to: "Istio prod; in istio-system-prod; selects kubernetes.io/metadata.name=other; version v1.30.3; RevisionBased", namespaces: app,
			want: "warn MF113",
		},
		{
			name:   "if the configuration makes it a denial, then it is refused",
			others: oldRevision, from: old, to: updated, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF113": policy.Deny}},
			want:    "deny MF113",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: oldRevision, from: old, to: updated, namespaces: app,
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF113": policy.Off}},
			want:    "allow",
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
	c.namespaces = afterWay(t, finding(t, c.judge(t), "MF113"), "change their labels when the new istiod is ready", c.wanted(t), c.namespaces)
	if verdict := c.judge(t); slices.Contains(codes(verdict), "MF113") {
		t.Errorf("they still name it: %s", outcome(verdict))
	}
}
