package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

var mf301 = policy.Rule{Code: "MF301", Name: "TagNameTaken", Action: policy.Deny}

// taken is the finding about a tag mesh-1 beside the mesh of that name.
func taken(action policy.Action, remedy string) policy.Finding {
	return policy.Finding{
		Rule: mf301, Action: action, Field: `metadata.name`,
		Detail: `IstioRevisionTag "mesh-1" has the name of a revision of mesh "mesh-1": istio.io/rev=mesh-1 chooses that ` +
			`revision, and the operator does nothing for the tag`,
		Remedy: remedy, Subjects: []string{"mesh-1"},
	}
}

const anotherName = `Choose a name that nothing has yet. To see those that are taken: kubectl get istiorevisions,istiorevisiontags`

func TestMF301(t *testing.T) {
	upgrading := []string{
		"Istio mesh-1; in istio-system-1; RevisionBased; version v1.30.0; selects istio-discovery=mesh-1",
		"IstioRevision mesh-1-v1-29-0; of mesh-1; in istio-system-1; selects istio-discovery=mesh-1",
		guide()[1],
	}
	runTagCases(t, []tagCase{
		{
			name:   "if a revision has the name, then the tag is refused",
			others: guide(), create: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			want: denied(taken(policy.Deny, anotherName)),
		},
		{
			name:   "if that is the revision that it points at, then no tag is needed",
			others: guide(), create: "IstioRevisionTag mesh-1; targets IstioRevision mesh-1",
			want: denied(taken(policy.Deny, `No tag is needed: "mesh-1" is a revision of mesh "mesh-1" already. For a tag beside it, `+
				`choose a name that nothing has yet`)),
		},
		{
			name:   "if an older revision has the name, then it is refused",
			others: upgrading, create: "IstioRevisionTag mesh-1-v1-29-0; targets Istio mesh-2",
			want: denied(policy.Finding{
				Rule: mf301, Action: policy.Deny, Field: `metadata.name`,
				Detail: `IstioRevisionTag "mesh-1-v1-29-0" has the name of a revision of mesh "mesh-1": istio.io/rev=mesh-1-v1-29-0 ` +
					`chooses that revision, and the operator does nothing for the tag`,
				Remedy: anotherName, Subjects: []string{"mesh-1"},
			}),
		},
		{
			name:   "if an Istio whose revisions are called otherwise has the name, then it is admitted",
			others: upgrading, create: "IstioRevisionTag mesh-1; targets Istio mesh-1",
			want: allowed(),
		},
		{
			name:   "if the revision of an Istio is not stored yet, then its name is taken all the same",
			others: upgrading, create: "IstioRevisionTag mesh-1-v1-30-0; targets Istio mesh-2",
			want: denied(policy.Finding{
				Rule: mf301, Action: policy.Deny, Field: `metadata.name`,
				Detail: `IstioRevisionTag "mesh-1-v1-30-0" has the name of a revision of mesh "mesh-1": istio.io/rev=mesh-1-v1-30-0 ` +
					`chooses that revision, and the operator does nothing for the tag`,
				Remedy: anotherName, Subjects: []string{"mesh-1"},
			}),
		},
		{
			name:   "if an IstioRevision that no Istio owns has the name, then it is refused",
			others: append(guide(), "IstioRevision canary; in istio-system-3; selects istio-discovery=canary"),
			create: "IstioRevisionTag canary; targets Istio mesh-2",
			want: denied(policy.Finding{
				Rule: mf301, Action: policy.Deny, Field: `metadata.name`,
				Detail: `IstioRevisionTag "canary" has the name of a revision of mesh "canary": istio.io/rev=canary chooses that ` +
					`revision, and the operator does nothing for the tag`,
				Remedy: anotherName, Subjects: []string{`IstioRevision "canary"`},
			}),
		},
		{
			name:   "if a mesh called default is there, then a tag default would be a second owner of that name",
			others: append(guide()[:2:2], "Istio default; in istio-system; selects istio-discovery=default"),
			create: "IstioRevisionTag default; targets Istio mesh-1",
			want: denied(policy.Finding{
				Rule: mf301, Action: policy.Deny, Field: `metadata.name`,
				Detail: `IstioRevisionTag "default" would be a second owner of that name, beside a revision of mesh "default", which ` +
					`istio-injection=enabled and istio.io/rev=default choose: the operator does nothing for the tag`,
				Remedy: anotherName, Subjects: []string{"default"},
			}),
		},
		{
			name:   "if the Istio called default has revisions of other names, then its tag default is admitted",
			others: append(guide()[:2:2], "Istio default; in istio-system; RevisionBased; version v1.30.0; selects istio-discovery=default"),
			create: "IstioRevisionTag default; targets Istio default",
			want:   allowed(),
		},
		{
			name:   "if nothing has the name, then it is admitted",
			others: guide(), create: "IstioRevisionTag mesh-1b; targets Istio mesh-1",
			want: allowed(),
		},
		{
			name:   "if it was so before, then a change is admitted with a warning that says how to get rid of it",
			others: guide(), from: "IstioRevisionTag mesh-1; targets Istio mesh-2", to: "IstioRevisionTag mesh-1; targets IstioRevision mesh-2",
			want: warned(taken(policy.Warn, `A name cannot be changed: create the tag under another one, give it to the namespaces that mean `+
				`the tag, and then: kubectl delete istiorevisiontag mesh-1`)),
		},
		{
			name:   "if it is deleted, then nobody says anything",
			others: guide(), from: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			want: allowed(),
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: guide(), create: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF301": policy.Warn}},
			want:    warned(taken(policy.Warn, anotherName)),
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: guide(), create: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF301": policy.Off}},
			want:    allowed(),
		},
	})
}
