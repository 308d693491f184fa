package policy_test

import (
	"strings"
	"testing"

	"github.com/meshfence/meshfence/webhook/policy"
)

func TestMF117(t *testing.T) {
	const (
		longest = "a-mesh-whose-name-has-fifty-five-characters-and-no-more" // with -v1-30-3 it is a label value
		tooLong = longest + "x"
		rest    = "; in istio-system-1; selects istio-discovery=mesh-1; version v1.30.3"
		based   = rest + "; RevisionBased"
	)
	wide := strings.Repeat("x", 64)
	runMeshCases(t, []meshCase{
		{
			name:   "if name and version are longer than a label value, then that is told, with a tag",
			create: "Istio " + tooLong + based,
			want:   "warn MF117",
		},
		{name: "if they are just as long as a label value can be, then nothing is", create: "Istio " + longest + based, want: "allow"},
		{name: "if the revision has the mesh's own name, then the version does not count", create: "Istio " + tooLong + rest, want: "allow"},
		{
			name:   "if the name alone is longer, then the tag's name is cut",
			create: "Istio " + wide + rest,
			want:   "warn MF117",
		},
		{
			name:   "if an IstioRevision that no Istio owns has such a name, then that is told too",
			create: "IstioRevision " + wide + rest,
			want:   "warn MF117",
		},
		{
			name:   "if the name that a tag would get is taken, then a place is left for one",
			others: []string{"IstioRevisionTag " + wide[:63] + "; targets Istio gone"}, create: "Istio " + wide + rest,
			want: "warn MF117",
		},
		{
			name:   "if a tag of the mesh has a name that is a label value, then namespaces can choose that",
			others: []string{"IstioRevisionTag stable; targets Istio " + tooLong}, create: "Istio " + tooLong + based,
			want: "allow",
		},
		{
			name:   "if the tag's name is too long as well, then it does not help",
			others: []string{"IstioRevisionTag " + tooLong + "-canary-canary; targets Istio " + tooLong}, create: "Istio " + tooLong + based,
			want: "warn MF117",
		},
		{
			name:   "if the tag is another mesh's, then it does not help",
			others: []string{"IstioRevisionTag stable; targets Istio gone"}, create: "Istio " + tooLong + based,
			want: "warn MF117",
		},
		{
			name: "if the strategy makes it so, then that is told",
			from: "Istio " + tooLong + rest, to: "Istio " + tooLong + based,
			want: "warn MF117",
		},
		{
			name:   "if the configuration denies it, then it is refused",
			create: "Istio " + tooLong + based, actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF117": policy.Deny}},
			want: "deny MF117",
		},
		{
			name: "if it was so before, then nothing is told",
			from: "Istio " + tooLong + based, to: "Istio " + tooLong + based + "; fill false", actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF117": policy.Deny}},
			want: "allow",
		},
		{
			name:   "if the rule is off, then nothing is told",
			create: "Istio " + tooLong + based, actions: policy.Actions{Rules: map[policy.Code]policy.Action{"MF117": policy.Off}},
			want: "allow",
		},
	})
}
