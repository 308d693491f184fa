package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF402(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		guide()[1], "IstioRevisionTag stable; targets IstioRevision mesh-1-v1-29-0",
	}
	runMapCases(t, []mapCase{
		{
			name: "if the revision is another mesh's, then the map is refused", create: entries{"mesh-1": "mesh-2"},
			want: "deny MF402",
		},
		{
			name: "if a tag of another mesh is given, then it is refused", create: entries{"mesh-2": "default"},
			want: "deny MF402",
		},
		{name: "if a tag of the mesh is given, then nobody says anything", create: entries{"mesh-1": "default"}, want: "allow"},
		{name: "if an older revision of the mesh is given, then nobody says anything", fleet: upgrading, create: entries{"mesh-1": "mesh-1-v1-29-0"}, want: "allow"},
		{name: "if a tag on a revision of the mesh is given, then nobody says anything", fleet: upgrading, create: entries{"mesh-1": "stable"}, want: "allow"},
		{
			name: "if a tag on a revision of another mesh is given, then it is refused", fleet: upgrading, create: entries{"mesh-2": "stable"},
			want: "deny MF402",
		},
		{
			name: "if there is no mesh of the name, then the one that has the revision is proposed", create: entries{"mesh-9": "mesh-1"},
			want: "deny MF402",
		},
		{
			name: "if that one has an entry of its own, then this one can only go", from: entries{"mesh-1": "mesh-1"}, to: entries{"mesh-1": "mesh-1", "mesh-9": "mesh-1"},
			want: "deny MF402",
		},
		{
			name:  "if the key is no mesh's name, but the value of a discovery label that the revision's mesh asks for, then it is that mesh's",
			fleet: []string{"Istio east; in istio-system-1; selects istio-discovery=mesh-1", guide()[1]}, create: entries{"mesh-1": "east"}, want: "allow",
		},
		{
			name:  "if a mesh that discovers everything has the revision, then the key must be its name",
			fleet: []string{"Istio east; in istio-system-1; selects {}"}, create: entries{"mesh-1": "east"},
			want: "deny MF402",
		},
		{name: "if a tag has no target, then nobody knows whose it is", fleet: append(guide(), "IstioRevisionTag lost; targets Istio gone"), create: entries{"mesh-1": "lost"}, want: "allow"},
		{
			name: "if the map had it before, then a change of another entry is admitted in silence", from: entries{"mesh-1": "mesh-2"}, to: entries{"mesh-1": "mesh-2", "mesh-2": "mesh-2"},
			want: "allow",
		},
		{
			name: "if it had another wrong revision before, then it is refused", fleet: append(guide(), "Istio mesh-3; in istio-system-3; selects istio-discovery=mesh-3"),
			from: entries{"mesh-1": "mesh-2"}, to: entries{"mesh-1": "mesh-3"},
			want: "deny MF402",
		},
		{
			name: "if it is repaired, then nobody says anything", from: entries{"mesh-1": "mesh-2"}, to: entries{"mesh-1": "mesh-1"}, want: "allow",
		},
		{
			name: "if white space is around the revision, then it is found all the same", create: entries{"mesh-1": "mesh-2\n"},
			want: "deny MF402",
		},
		{
			name: "if the rule only warns, then it is admitted with a warning", create: entries{"mesh-1": "mesh-2"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF402": policy.Warn}},
			want:    "warn MF402",
		},
		{
			name: "if the rule is off, then nobody says anything, not even MF403", create: entries{"mesh-9": "mesh-1"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF402": policy.Off}}, want: "allow",
		},
	})
}
