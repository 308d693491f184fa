package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF403(t *testing.T) {
	runMapCases(t, []mapCase{
		{
			name: "if neither exists, then that is one warning", create: entries{"prod": "prod-v1"},
			want: "warn MF403",
		},
		{
			name: "if there is nothing in the cluster yet, then the map is admitted with a warning for each entry", fleet: []string{"map a=b"},
			create: entries{"mesh-2": "mesh-2", "mesh-1": "stable"},
			want:   "warn MF403 warn MF403",
		},
		{
			name: "if only the revision is missing, then the nearest of the mesh is proposed", create: entries{"mesh-2": "mesh2"},
			want: "warn MF403",
		},
		{
			name: "if only another mesh has something near, then nothing is proposed", create: entries{"mesh-2": "defualt"},
			want: "warn MF403",
		},
		{
			name: "if a tag of the mesh is near, then it is proposed", create: entries{"mesh-1": "defualt"},
			want: "warn MF403",
		},
		{
			name: "if only the mesh is missing, then whose the revision is decides, which is another rule's", create: entries{"mesh-l": "mesh-1"},
			want: "deny MF402",
		},
		{
			name:  "if only the mesh is missing and the tag has no target, then the nearest mesh is proposed",
			fleet: append(guide(), "IstioRevisionTag lost; targets Istio gone"), create: entries{"mesh1": "lost"},
			want: "warn MF403",
		},
		{
			name: "if both are nearly right, then both are proposed", create: entries{"mesh1": "mesh1"},
			want: "warn MF403",
		},
		{
			name: "if the nearest mesh has an entry already, then it is not proposed", create: entries{"mesh1": "mesh1", "mesh-1": "mesh-1"},
			want: "warn MF403",
		},
		{
			name:  "if the key is the value of a discovery label that a mesh asks for, then it is known",
			fleet: []string{"Istio east; in istio-system-1; selects istio-discovery in (mesh-1,mesh-2)"}, create: entries{"mesh-1": "east", "mesh-2": "eats"},
			want: "warn MF403",
		},
		{name: "if the revision of an Istio is not stored yet, then it is known all the same", fleet: []string{guide()[0] + "; RevisionBased; version v1.30.0"}, create: entries{"mesh-1": "mesh-1-v1-30-0"}, want: "allow"},
		{
			name: "if an entry cannot be used, then whether it is known does not matter", create: entries{"prod": ""},
			want: "deny MF401",
		},
		{
			name: "if it was so before, then it is not told again", from: entries{"prod": "x-y-z"}, to: entries{"prod": "x-y-z", "mesh-1": "mesh-1"},
			want: "allow",
		},
		{
			name: "if the rule denies, then it is refused", create: entries{"prod": "x-y-z"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Deny}},
			want:    "deny MF403",
		},
		{
			name: "if the rule denies and the mesh exists by now, then what is still missing was missing before", from: entries{"mesh-1": "x-y-z"}, to: entries{"mesh-1": "x-y-z", "mesh-2": "mesh-2"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Deny}},
			want:    "allow",
		},
		{
			name: "if the rule is off, then nobody says anything", create: entries{"prod": "x-y-z"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Off}}, want: "allow",
		},
	})
}
