package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// A change is also judged in worlds in which changes of other meshes, which are in flight, have come true. What was there
// before is what is stored, in each of them.
func TestWhatChangesInFlightWouldBringWasNotThereBefore(t *testing.T) {
	const a = "Istio a; in istio-system-a; selects "
	for _, test := range []struct {
		name string
		// stored is the other mesh as it is stored, "" if it is not, and inFlight as it may be in a moment.
		old, updated, stored, inFlight string
		want                           []policy.Code
	}{
		{"nothing in common", a + "team=a", a + "team=a | team=a2", "Istio b; selects team=b", "Istio b; selects team=b | team=b2", nil},
		{"both take the same selector", a + "team=a", a + "team=a | team=c", "Istio b; selects team=b", "Istio b; selects team=b | team=c", []policy.Code{"MF103"}},
		{"the other comes to discover everything", a + "team=a", a + "team=a | team=c", "Istio b; selects team=b", "Istio b", []policy.Code{"MF103"}},
		{"the other comes to discover everything, where none of them wrote the root certificate before", a + "team=c; bundle x", a + "team=a; bundle own", "Istio b; selects team=a; bundle x", "Istio b; bundle own", []policy.Code{"MF103"}},
		{"the other, which discovers everything, changes something else", a + "team=a", a + "team=a | team=c", "Istio b", "Istio b; version v1.30.3", nil},
		{"they overlap already, and go on to", a + "team in (p,q)", a + "team in (p,q) | team=c", "Istio b; selects team=p", "Istio b; selects team=p; version v1.30.3", nil},
		{"they overlap already, and the other takes more of it", a + "team in (p,q)", a + "team in (p,q) | team=c", "Istio b; selects team=p", "Istio b; selects team=p | team=q", []policy.Code{"MF103"}},
		{"they overlap already, and the other takes less of it", a + "team in (p,q)", a + "team in (p,q) | team=c", "Istio b; selects team in (p,q)", "Istio b; selects team=q", nil},
		{"the other is created", a + "team=a", a + "team=a | team=c", "", "Istio b; selects team=c", []policy.Code{"MF103"}},
		{"the other is created in the same namespace", a + "team=a", a + "team=a | team=c", "", "Istio b; in istio-system-a; selects team=b", []policy.Code{"MF105"}},
		{"the other gets the name of the revision", a + "team=a; version v1.30.3", a + "team=a; version v1.30.4", "", "IstioRevision a; in istio-system-b; selects team=b", []policy.Code{"MF106"}},
	} {
		var stored, inFlight []string
		if test.stored != "" {
			stored = []string{test.stored}
		}
		inFlight = []string{test.inFlight}
		before, after := fleet(t, append(stored, test.old)...), fleet(t, append(inFlight, test.updated)...)
		ref := mesh.Ref{Kind: "Istio", Name: "a"}
		verdict := policy.New(settings()).Mesh(policy.MeshChange{Old: before.Mesh(ref), New: after.Mesh(ref), Before: before, Fleet: after, Now: now})
		var got []policy.Code
		for _, f := range verdict.Denials {
			got = append(got, f.Rule.Code)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
