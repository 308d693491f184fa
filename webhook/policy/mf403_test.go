package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf403 = policy.Rule{Code: "MF403", Name: "MeshMapUnknown", Action: policy.Warn}

// unknown is the finding about an entry, of what is missing.
func unknown(name, revision, lacking, remedy string, subjects ...string) policy.Finding {
	return policy.Finding{
		Rule: mf403, Action: policy.Warn, Field: "data[" + name + "]",
		Detail: `the mesh map has the entry "` + name + ": " + revision + `", but there is ` + lacking + " yet",
		Remedy: remedy, Subjects: subjects,
	}
}

func TestMF403(t *testing.T) {
	runMapCases(t, []mapCase{
		{
			name: "if neither exists, then that is one warning", create: entries{"prod": "prod-v1"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[prod]`,
				Detail: `the mesh map has the entry "prod: prod-v1", but there is no mesh "prod" and no revision or tag ` +
					`"prod-v1" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"mesh prod", "revision prod-v1 for prod"},
			}),
		},
		{
			name: "if there is nothing in the cluster yet, then the map is admitted with a warning for each entry", fleet: []string{"map a=b"},
			create: entries{"mesh-2": "mesh-2", "mesh-1": "stable"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-1]`,
				Detail: `the mesh map has the entry "mesh-1: stable", but there is no mesh "mesh-1" and no revision or tag ` +
					`"stable" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"mesh mesh-1", "revision stable for mesh-1"},
			}, policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-2]`,
				Detail: `the mesh map has the entry "mesh-2: mesh-2", but there is no mesh "mesh-2" and no revision or tag ` +
					`"mesh-2" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"mesh mesh-2", "revision mesh-2 for mesh-2"},
			}),
		},
		{
			name: "if only the revision is missing, then the nearest of the mesh is proposed", create: entries{"mesh-2": "mesh2"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-2]`,
				Detail: `the mesh map has the entry "mesh-2: mesh2", but there is no revision or tag "mesh2" yet`,
				Remedy: `Did you mean "mesh-2: mesh-2"? If so: kubectl patch configmap mesh-map --namespace meshfence-system ` +
					`--type=merge -p '{"data":{"mesh-2":"mesh-2"}}'`,
				Subjects: []string{"revision mesh2 for mesh-2"},
			}),
		},
		{
			name: "if only another mesh has something near, then nothing is proposed", create: entries{"mesh-2": "defualt"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-2]`,
				Detail:   `the mesh map has the entry "mesh-2: defualt", but there is no revision or tag "defualt" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"revision defualt for mesh-2"},
			}),
		},
		{
			name: "if a tag of the mesh is near, then it is proposed", create: entries{"mesh-1": "defualt"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-1]`,
				Detail: `the mesh map has the entry "mesh-1: defualt", but there is no revision or tag "defualt" yet`,
				Remedy: `Did you mean "mesh-1: default"? If so: kubectl patch configmap mesh-map --namespace ` +
					`meshfence-system --type=merge -p '{"data":{"mesh-1":"default"}}'`,
				Subjects: []string{"revision defualt for mesh-1"},
			}),
		},
		{
			name: "if only the mesh is missing, then whose the revision is decides, which is another rule's", create: entries{"mesh-l": "mesh-1"},
			want: denied(func() policy.Finding {
				f := foreign(policy.Deny, "mesh-l", "mesh-1", "mesh-1", "To name the mesh that has it: create it with data: {mesh-1: mesh-1}, without mesh-l")
				f.Detail += `", and there is no mesh of that name`
				return f
			}()),
		},
		{
			name:  "if only the mesh is missing and the tag has no target, then the nearest mesh is proposed",
			fleet: append(guide(), "IstioRevisionTag lost; targets Istio gone"), create: entries{"mesh1": "lost"},
			want: warned(unknown("mesh1", "lost", `no mesh "mesh1"`, `Did you mean "mesh-1: lost"? If so: `+patchTo(`{"data":{"mesh-1":"lost","mesh1":null}}`), "mesh mesh1")),
		},
		{
			name: "if both are nearly right, then both are proposed", create: entries{"mesh1": "mesh1"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh1]`,
				Detail: `the mesh map has the entry "mesh1: mesh1", but there is no mesh "mesh1" and no revision or tag ` +
					`"mesh1" yet`,
				Remedy: `Did you mean "mesh-1: mesh-1"? If so: kubectl patch configmap mesh-map --namespace meshfence-system ` +
					`--type=merge -p '{"data":{"mesh-1":"mesh-1","mesh1":null}}'`,
				Subjects: []string{"mesh mesh1", "revision mesh1 for mesh1"},
			}),
		},
		{
			name: "if the nearest mesh has an entry already, then it is not proposed", create: entries{"mesh1": "mesh1", "mesh-1": "mesh-1"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh1]`,
				Detail: `the mesh map has the entry "mesh1: mesh1", but there is no mesh "mesh1" and no revision or tag ` +
					`"mesh1" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"mesh mesh1", "revision mesh1 for mesh1"},
			}),
		},
		{
			name:  "if the key is the value of a discovery label that a mesh asks for, then it is known",
			fleet: []string{"Istio east; in istio-system-1; selects istio-discovery in (mesh-1,mesh-2)"}, create: entries{"mesh-1": "east", "mesh-2": "eats"},
			want: warned(policy.Finding{
				Rule: mf403, Action: policy.Warn, Field: `data[mesh-2]`,
				Detail: `the mesh map has the entry "mesh-2: eats", but there is no revision or tag "eats" yet`,
				Remedy: `Did you mean "mesh-2: east"? If so: kubectl patch configmap mesh-map --namespace meshfence-system ` +
					`--type=merge -p '{"data":{"mesh-2":"east"}}'`,
				Subjects: []string{"revision eats for mesh-2"},
			}),
		},
		{name: "if the revision of an Istio is not stored yet, then it is known all the same", fleet: []string{guide()[0] + "; RevisionBased; version v1.30.0"}, create: entries{"mesh-1": "mesh-1-v1-30-0"}, want: allowed()},
		{
			name: "if an entry cannot be used, then whether it is known does not matter", create: entries{"prod": ""},
			want: denied(invalid(policy.Deny, "data[prod]", "prod: ", "Leave it out", "its revision is empty")),
		},
		{
			name: "if it was so before, then it is not told again", from: entries{"prod": "x-y-z"}, to: entries{"prod": "x-y-z", "mesh-1": "mesh-1"},
			want: allowed(),
		},
		{
			name: "if the rule denies, then it is refused", create: entries{"prod": "x-y-z"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Deny}},
			want: denied(policy.Finding{
				Rule: mf403, Action: policy.Deny, Field: `data[prod]`,
				Detail: `the mesh map has the entry "prod: x-y-z", but there is no mesh "prod" and no revision or tag ` +
					`"x-y-z" yet`,
				Remedy:   `To see the names that exist: kubectl get istios,istiorevisions,istiorevisiontags`,
				Subjects: []string{"mesh prod", "revision x-y-z for prod"},
			}),
		},
		{
			name: "if the rule denies and the mesh exists by now, then what is still missing was missing before", from: entries{"mesh-1": "x-y-z"}, to: entries{"mesh-1": "x-y-z", "mesh-2": "mesh-2"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Deny}},
			want:    allowed(),
		},
		{
			name: "if the rule is off, then nobody says anything", create: entries{"prod": "x-y-z"},
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF403": policy.Off}}, want: allowed(),
		},
	})
}
