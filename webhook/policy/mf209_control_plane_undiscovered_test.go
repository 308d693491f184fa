package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

// home is a fleet in which the namespace app is the control-plane namespace of mesh-1.
func home(extra ...string) []string {
	return append([]string{
		"Istio mesh-1; in app; selects istio-discovery=mesh-1",
		"Istio mesh-2; in istio-system-2; selects istio-discovery=mesh-2",
	}, extra...)
}

func TestMF209WhenANamespaceIsUpdated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if its own mesh no longer discovers it, then it is refused, with the label to keep",
			fleet: home(), from: "istio-discovery=mesh-1", to: "env=prod",
			want: "deny MF209",
		},
		{
			name:  "if another mesh discovers it instead, then it is refused",
			fleet: home(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-2",
			want: "deny MF209",
		},
		{
			name:  "if it moves to another mesh with its revision, then the command takes that back as well",
			fleet: home(), from: "istio-discovery=mesh-1 istio.io/rev=mesh-1", to: "istio-discovery=mesh-2 istio.io/rev=mesh-2",
			want: "deny MF209",
		},
		{
			name:  "if its own mesh discovers it through another selector, then it is admitted",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1 | team=a"}, from: "istio-discovery=mesh-1 team=a", to: "team=a",
			want: "allow",
		},
		{
			name: "if an older revision of its mesh still discovers it, then its mesh does",
			fleet: []string{
				"Istio mesh-1; in app; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
				"IstioRevision mesh-1-v1-29-0; of mesh-1; in app; selects team=a",
			},
			from: "istio-discovery=mesh-1 team=a", to: "team=a",
			want: "allow",
		},
		{
			name:  "if it was not discovered before, then it is not made worse",
			fleet: home(), from: "env=prod", to: "env=test",
			want: "allow",
		},
		{
			name:  "if it is another mesh's control-plane namespace, then that one's labels count",
			fleet: guide(), from: "istio-discovery=mesh-1", to: "env=prod",
			want: "allow",
		},
		{
			name:  "if its own mesh discovers everything, then it always does",
			fleet: []string{"Istio mesh-1; in app"}, from: "istio-discovery=mesh-1", to: "env=prod",
			want: "allow",
		},
		{
			name:  "if a selector of its own mesh is invalid, then that counts as everything",
			fleet: []string{"Istio mesh-1; in app; selects raw istio-discovery in mesh-1"}, from: "istio-discovery=mesh-1", to: "env=prod",
			want: "allow",
		},
		{
			name:  "if its own mesh's istiod runs elsewhere, then nothing discovers here",
			fleet: []string{"Istio far; in app; selects istio-discovery=far; profile remote"}, from: "istio-discovery=far", to: "env=prod",
			want: "allow",
		},
		{
			name:  "if its mesh asks for one of several values, then the stored one is the one to keep",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery in (a,b,c)"}, from: "istio-discovery=b", to: "istio-discovery=d",
			want: "deny MF209",
		},
		{
			name:  "if a label appears that its mesh does not want, then that one has to go",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1,!skip"}, from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 skip=yes",
			want: "deny MF209",
		},
		{
			name:  "if what else was requested would put it into a second mesh, then the command leaves that out",
			fleet: home("Istio mesh-3; in istio-system-3; selects team=a"), from: "istio-discovery=mesh-1", to: "team=a",
			want: "deny MF209",
		},
		{
			name:  "if it is the control-plane namespace of two meshes that do not fight, then each can lose it",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in app; selects team=a; bundle own"},
			from:  "istio-discovery=mesh-1 team=a", to: "env=prod",
			want: "deny MF209 deny MF209",
		},
		{
			name:  "if two meshes have it as their control-plane namespace and fight over it, then labels cannot give it to one of them",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in app; selects team=a"},
			from:  "istio-discovery=mesh-1 team=a", to: "istio-discovery=mesh-1",
			want: "deny MF209",
		},
		{
			name:  "if no labels would end a fight with another mesh, then its mesh may not leave it: selectors have to change",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1", "Istio mesh-2; in istio-system-2; selects istio-discovery"},
			from:  "istio-discovery=mesh-1", to: "env=prod",
			want: "deny MF209",
		},
		{
			name:  "if another mesh discovers it too and they do not fight, then its mesh may not leave it",
			fleet: []string{"Istio mesh-1; in app; selects istio-discovery=mesh-1; overlaps mesh-2", "Istio mesh-2; in istio-system-2; selects istio-discovery"},
			from:  "istio-discovery=mesh-1", to: "istio-discovery=mesh-2",
			want: "deny MF209",
		},
		{
			name:  "if another mesh begins to discover it too, then it can be kept only in its own",
			fleet: home("Istio mesh-3; in istio-system-3; selects team=a"), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 team=a",
			want: "deny MF201",
		},
		{
			name:  "if it gets the revision of another mesh, then it is not proposed to move it there",
			fleet: home(), from: "istio-discovery=mesh-1", to: "istio-discovery=mesh-1 istio.io/rev=mesh-2",
			want: "deny MF202",
		},
		{
			name:  "if it is being deleted, then it is never denied",
			fleet: home(), from: "istio-discovery=mesh-1", to: "env=prod", deleting: true,
			want: "allow",
		},
		{
			name:  "if the rule only warns, then it is admitted with a warning",
			fleet: home(), from: "istio-discovery=mesh-1", to: "env=prod",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF209": policy.Warn}},
			want:    "warn MF209",
		},
		{
			name:  "if the rule is off, then nobody says anything",
			fleet: home(), from: "istio-discovery=mesh-1", to: "env=prod",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF209": policy.Off}},
			want:    "allow",
		},
	})
}

func TestMF209WhenANamespaceIsCreated(t *testing.T) {
	runNamespaceCases(t, []namespaceCase{
		{
			name:  "if its own mesh does not discover it, then no label was changed: it comes after its mesh, and is told so",
			fleet: home(), create: "env=prod",
			want: "warn MF104",
		},
	})
}
