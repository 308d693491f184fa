package policy_test

import (
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

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
			want: "deny MF301",
		},
		{
			name:   "if that is the revision that it points at, then no tag is needed",
			others: guide(), create: "IstioRevisionTag mesh-1; targets IstioRevision mesh-1",
			want: "deny MF301",
		},
		{
			name:   "if an older revision has the name, then it is refused",
			others: upgrading, create: "IstioRevisionTag mesh-1-v1-29-0; targets Istio mesh-2",
			want: "deny MF301",
		},
		{
			name:   "if an Istio whose revisions are called otherwise has the name, then it is admitted",
			others: upgrading, create: "IstioRevisionTag mesh-1; targets Istio mesh-1",
			want: "allow",
		},
		{
			name:   "if the revision of an Istio is not stored yet, then its name is taken all the same",
			others: upgrading, create: "IstioRevisionTag mesh-1-v1-30-0; targets Istio mesh-2",
			want: "deny MF301",
		},
		{
			name:   "if an IstioRevision that no Istio owns has the name, then it is refused",
			others: append(guide(), "IstioRevision canary; in istio-system-3; selects istio-discovery=canary"),
			create: "IstioRevisionTag canary; targets Istio mesh-2",
			want:   "deny MF301",
		},
		{
			name:   "if a mesh called default is there, then a tag default would be a second owner of that name",
			others: append(guide()[:2:2], "Istio default; in istio-system; selects istio-discovery=default"),
			create: "IstioRevisionTag default; targets Istio mesh-1",
			want:   "deny MF301",
		},
		{
			name:   "if the Istio called default has revisions of other names, then its tag default is admitted",
			others: append(guide()[:2:2], "Istio default; in istio-system; RevisionBased; version v1.30.0; selects istio-discovery=default"),
			create: "IstioRevisionTag default; targets Istio default",
			want:   "allow",
		},
		{
			name:   "if nothing has the name, then it is admitted",
			others: guide(), create: "IstioRevisionTag mesh-1b; targets Istio mesh-1",
			want: "allow",
		},
		{
			name:   "if it was so before, then a change is admitted with a warning that says how to get rid of it",
			others: guide(), from: "IstioRevisionTag mesh-1; targets Istio mesh-2", to: "IstioRevisionTag mesh-1; targets IstioRevision mesh-2",
			want: "warn MF301",
		},
		{
			name:   "if it is deleted, then nobody says anything",
			others: guide(), from: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			want: "allow",
		},
		{
			name:   "if the rule only warns, then it is admitted with a warning",
			others: guide(), create: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF301": policy.Warn}},
			want:    "warn MF301",
		},
		{
			name:   "if the rule is off, then nobody says anything",
			others: guide(), create: "IstioRevisionTag mesh-1; targets Istio mesh-2",
			actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF301": policy.Off}},
			want:    "allow",
		},
	})
}
