package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF204WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:   "if both labels lead to the same revision, by way of the tag default, then it is a warning, and either can go",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want:   "warn MF204",
		},
		{
			name:   "if both labels choose default, then it is a warning",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=default",
			want:   "warn MF204",
		},
		{
			name:   "if both labels choose default, and nothing has that name, then it is a warning too",
			fleet:  guide()[:2],
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=default",
			want:   "warn MF204 warn MF206",
		},
		{
			name:   "if istio.io/rev is another tag of the revision that default leads to, then it is a warning",
			fleet:  append(guide(), "IstioRevisionTag stable; targets IstioRevision mesh-1"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=stable",
			want:   "warn MF204",
		},
		{
			name: "if istio.io/rev is an older revision of the mesh that default leads to, then it is refused",
			fleet: []string{
				"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
				"IstioRevisionTag default; targets Istio mesh-1",
			},
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1-v1-29-0",
			want:   "deny MF204",
		},
		{
			name:   "if neither name leads anywhere, then it is refused",
			fleet:  append(guide()[:2], "IstioRevisionTag default; targets Istio gone", "IstioRevisionTag stable; targets Istio gone"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=stable",
			want:   "deny MF204",
		},
		{
			name:   "if istio.io/rev alone would be refused, then only istio-injection can stay",
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want:   "deny MF204",
		},
		{
			name:   "if istio-injection alone would be refused, then only istio.io/rev can stay",
			fleet:  append(guide()[:2], "IstioRevisionTag default; targets Istio mesh-2"),
			create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want:   "deny MF202 deny MF204",
		},
		{
			name:   "if either alone would be refused, then both must go",
			create: "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=nobody",
			want:   "deny MF202 deny MF204",
		},
		{
			name:  "if nothing is called default, then istio-injection can stay: it chooses nothing",
			fleet: guide()[:2], create: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want: "deny MF204",
		},
		{
			name:  "if there is no mesh yet, then it is refused too",
			fleet: []string{"map mesh-1=mesh-1"}, create: "istio-injection=enabled istio.io/rev=mesh-1",
			want: "deny MF204",
		},
		{
			name:   "if istio-injection=disabled, then it is a warning: the pods at least get what the label says",
			create: "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want:   "warn MF204",
		},
		{
			name:   "if istio-injection has a value that Istio does not know, then that switches injection off too",
			create: "istio-discovery=mesh-1 istio-injection=true istio.io/rev=mesh-2",
			want:   "warn MF204",
		},
		{
			name:   "if istio-injection is empty, then that switches injection off too",
			create: "istio-discovery=mesh-1 istio-injection= istio.io/rev=mesh-1",
			want:   "warn MF204",
		},
		{
			name:   "if it has istio-injection only, then there is no conflict",
			create: "istio-discovery=mesh-1 istio-injection=enabled",
			want:   "allow",
		},
		{
			name:   "if it has istio.io/rev only, then there is no conflict",
			create: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want:   "allow",
		},
		{
			name:    "if the configuration makes the rule stricter, then what is a warning by nature stays one",
			create:  "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Deny}},
			want:    "warn MF204",
		},
		{
			name:    "if the rule only warns, then it is admitted with a warning",
			create:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Warn}},
			want:    "warn MF204",
		},
		{
			name:    "if the rule is off, then nobody says anything",
			create:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF204": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF204WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if istio-injection=enabled is added to istio.io/rev, then it is refused",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1 istio-injection=enabled",
			want: "deny MF204",
		},
		{
			name: "if istio.io/rev is added to istio-injection=enabled, then it is refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled", to: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want: "deny MF204",
		},
		{
			name:  "if both labels were there before, then a change of other labels is admitted in silence",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1 env=prod",
			want:  "allow",
		},
		{
			name:  "if injection was switched off before, then switching it on is refused",
			fleet: guide()[:2],
			from:  "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			want:  "deny MF204",
		},
		{
			name: "if both labels led to the same revision before, then a revision to which only one leads is refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:   "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2",
			want: "deny MF204",
		},
		{
			name:  "if both labels were there before, then another revision is admitted with a warning",
			fleet: append(guide()[:2], "IstioRevisionTag default; targets Istio mesh-2"),
			from:  "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-1",
			to:    "istio-discovery=mesh-2 istio-injection=enabled istio.io/rev=mesh-9",
			want:  "warn MF204",
		},
		{
			name: "if injection is switched off, then it is admitted with a warning",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1",
			to:   "istio-discovery=mesh-1 istio-injection=disabled istio.io/rev=mesh-1",
			want: "warn MF204",
		},
		{
			name: "if either label is removed, then it is admitted without a word",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-1",
			want: "allow",
		},
		{
			name: "if the removed label hid a revision of another mesh, then that is new, and refused",
			from: "istio-discovery=mesh-1 istio-injection=enabled istio.io/rev=mesh-2", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name: "if it is being deleted, then it is never denied",
			from: "istio.io/rev=mesh-1", to: "istio-injection=enabled istio.io/rev=mesh-1", deleting: true,
			want: "allow",
		},
	})
}
