package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf204 = policy.Rule{Code: "MF204", Name: "ConflictingInjectionLabels", Action: policy.Deny}

func TestMF204WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if both labels lead to the same revision, by way of the tag default, then it is a warning, and either can go",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled, which chooses the revision "default", and ` +
					`istio.io/rev=mesh-1: both lead to the same revision now, and istio-injection wins once they do not`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if both labels choose default, then it is a warning",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=default",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=default: both choose the revision ` +
					`"default", and one of the labels is enough`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`default}, without istio-injection. To let istio-injection decide: create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if both labels choose default, and nothing has that name, then it is a warning too",
			fleet:  guide()[:2],
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=default",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=default: both choose the revision ` +
					`"default", and one of the labels is enough`,
				Remedy: `To let istio-injection decide: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled}, without istio.io/rev`,
			}, policy.Finding{
				Rule: mf206, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default", but no revision ` +
					`or tag has that name: its pods would start without sidecars`,
				Remedy: `To have the sidecars of mesh "mesh-1", which discovers it: create it with labels: {istio-discovery: ` +
					`mesh-1, istio.io/rev: mesh-1}, without istio-injection`,
			}),
		},
		{
			name:   "if istio.io/rev is another tag of the revision that default leads to, then it is a warning",
			fleet:  append(guide(), "IstioRevisionTag stable; targets IstioRevision mesh-1"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=stable",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled, which chooses the revision "default", and ` +
					`istio.io/rev=stable: both lead to the same revision now, and istio-injection wins once they do not`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: stable}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name: "if istio.io/rev is an older revision of the mesh that default leads to, then it is refused",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
				"IstioRevisionTag default; targets Istio mesh-1",
			},
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1-v1-29-0",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1-v1-29-0: istio-injection ` +
					`wins, so its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1-v1-29-0}, without istio-injection. To let istio-injection decide: create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if neither name leads anywhere, then it is refused",
			fleet:  append(guide()[:2], "IstioRevisionTag default; targets Istio gone", "IstioRevisionTag stable; targets Istio gone"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=stable",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=stable: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: stable}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if istio.io/rev alone would be refused, then only istio-injection can stay",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if istio-injection alone would be refused, then only istio.io/rev can stay",
			fleet:  append(guide()[:2], "IstioRevisionTag default; targets Istio mesh-2"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-2", ` +
					`but mesh "mesh-1" (istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-2" and have only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": create it with labels: {istio-discovery: mesh-1, istio.io/rev: ` +
					`mesh-1}, without istio-injection. To move it to mesh "mesh-2": create it with labels: ` +
					`{istio-discovery: mesh-2, istio-injection: enabled}, without istio.io/rev`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}, policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection`,
			}),
		},
		{
			name:   "if either alone would be refused, then both must go",
			create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=nobody",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has istio-injection=enabled, which chooses the revision "default" of mesh "mesh-1", ` +
					`but mesh "mesh-2" (istio-discovery=mesh-2) discovers it: its sidecars would ask the istiod of mesh ` +
					`"mesh-1" and have only the root certificate of mesh "mesh-2" to verify it with`,
				Remedy: `To keep it in mesh "mesh-2": create it with labels: {istio-discovery: mesh-2, istio.io/rev: ` +
					`mesh-2}, without istio-injection. To move it to mesh "mesh-1": create it with labels: ` +
					`{istio-discovery: mesh-1, istio-injection: enabled}, without istio.io/rev`,
				Subjects: []string{"mesh-2", `injected by Istio "mesh-1"`},
			}, policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=nobody: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `Neither chooses a revision that fits. To have none: create it with labels: {istio-discovery: ` +
					`mesh-2}, without istio-injection, istio.io/rev`,
			}),
		},
		{
			name:  "if nothing is called default, then istio-injection can stay: it chooses nothing",
			fleet: guide()[:2], create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: enabled}, without istio.io/rev`,
			}),
		},
		{
			name:  "if there is no mesh yet, then it is refused too",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-injection=enabled istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio.io/rev: mesh-1}, without istio-injection. ` +
					`To let istio-injection decide: create it with labels: {istio-injection: enabled}, without ` +
					`istio.io/rev`,
			}),
		},
		{
			name:   "if istio-injection=disabled, then it is a warning: the pods at least get what the label says",
			create: "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=disabled and istio.io/rev=mesh-1: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: disabled}, without istio.io/rev`,
			}),
		},
		{
			name:   "if istio-injection has a value that Istio does not know, then that switches injection off too",
			create: "istio-discovery=mesh-1 istio-injection=true istio.io/rev=mesh-2",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=true and istio.io/rev=mesh-2: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`"true"}, without istio.io/rev`,
			}),
		},
		{
			name:   "if istio-injection is empty, then that switches injection off too",
			create: "istio-discovery=mesh-1 istio-injection= istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection= and istio.io/rev=mesh-1: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: ""}, without istio.io/rev`,
			}),
		},
		{
			name:   "if it has istio-injection only, then there is no conflict",
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   allowed(),
		},
		{
			name:   "if it has istio.io/rev only, then there is no conflict",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   allowed(),
		},
		{
			name:    "if the configuration makes the rule stricter, then what is a warning by nature stays one",
			create:  "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Deny}},
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=disabled and istio.io/rev=mesh-1: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: create it with labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, ` +
					`without istio-injection. To let istio-injection decide: create it with labels: {istio-discovery: ` +
					`mesh-1, istio-injection: disabled}, without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Warn}},
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: create it with labels: {istio-discovery: mesh-1, istio-injection: ` +
					`enabled}, without istio.io/rev`,
			}),
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Off}},
			want:    allowed(),
		},
	})
}

func TestMF204WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if istio-injection=enabled is added to istio.io/rev, then it is refused",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio-injection=enabled",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: kubectl label namespace app istio-injection-. To let istio-injection ` +
					`decide: kubectl label namespace app istio-injection=enabled istio.io/rev- --overwrite`,
			}),
		},
		{
			name: "if istio.io/rev is added to istio-injection=enabled, then it is refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled", to: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: kubectl label namespace app istio.io/rev-`,
			}),
		},
		{
			name:  "if both labels were there before, then a change of other labels is admitted in silence",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1 env=prod",
			want:  allowed(),
		},
		{
			name:  "if injection was switched off before, then switching it on is refused",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-1: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: kubectl label namespace app istio-injection-. To let istio-injection ` +
					`decide: kubectl label namespace app istio-injection=enabled istio.io/rev- --overwrite`,
			}),
		},
		{
			name: "if both labels led to the same revision before, then a revision to which only one leads is refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:   "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf204, Action: policy.Deny, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-2: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: kubectl label namespace app istio.io/rev-`,
			}),
		},
		{
			name:  "if both labels were there before, then another revision is admitted with a warning",
			fleet: append(guide()[:2], "IstioRevisionTag default; targets Istio mesh-2"),
			from:  "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-9",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=enabled and istio.io/rev=mesh-9: istio-injection wins, so ` +
					`its pods get the revision "default", and istio.io/rev is ignored`,
				Remedy: `To let istio-injection decide: kubectl label namespace app istio.io/rev-`,
			}),
		},
		{
			name: "if injection is switched off, then it is admitted with a warning",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:   "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want: warned(policy.Finding{
				Rule: mf204, Action: policy.Warn, Field: `metadata.labels[istio-injection]`,
				Detail: `namespace "app" has both istio-injection=disabled and istio.io/rev=mesh-1: istio-injection wins and ` +
					`switches injection off, and istio.io/rev is ignored`,
				Remedy: `To let istio.io/rev decide: kubectl label namespace app istio-injection-. To let istio-injection ` +
					`decide: kubectl label namespace app istio-injection=disabled istio.io/rev- --overwrite`,
			}),
		},
		{
			name: "if either label is removed, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: allowed(),
		},
		{
			name: "if the removed label hid a revision of another mesh, then that is new, and refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: denied(policy.Finding{
				Rule: mf202, Action: policy.Deny, Field: `metadata.labels[istio.io/rev]`,
				Detail: `namespace "app" has istio.io/rev=mesh-2, a revision of mesh "mesh-2", but mesh "mesh-1" ` +
					`(istio-discovery=mesh-1) discovers it: its sidecars would ask the istiod of mesh "mesh-2" and have ` +
					`only the root certificate of mesh "mesh-1" to verify it with`,
				Remedy: `To keep it in mesh "mesh-1": kubectl label namespace app istio-injection- istio.io/rev=mesh-1 ` +
					`--overwrite. To move it to mesh "mesh-2": kubectl label namespace app istio-discovery=mesh-2 ` +
					`istio-injection- --overwrite`,
				Subjects: []string{"mesh-1", `injected by Istio "mesh-2"`},
			}),
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio.io/rev=mesh-1", to: "istio-injection=enabled istio.io/rev=mesh-1", deleting: true,
			want: allowed(),
		},
	})
}
