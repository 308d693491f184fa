package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// What versions wrote before claims were compressed: every field, and istiod's whole environment. Of a mesh
// with more than 32 KiB of selectors it claimed every namespace.
const (
	olderUpdate = `{"object":{"kind":"Istio","metadata":{"name":"a","generateName":"","uid":"uid-a","resourceVersion":"","deletionTimestamp":"",` +
		`"annotations":{"meshfence.io/allow-overlap":"b","meshfence.io/override":"MF103"},"ownerReferences":null},"spec":{"version":"v1.30.3",` +
		`"namespace":"istio-system-a","profile":"","updateStrategy":{"type":"RevisionBased"},"values":{"profile":"","meshConfig":{"discoverySelectors":` +
		`[{"matchLabels":{"mesh":"x"}},{"matchLabels":{"mesh":"y"}}]},"global":{"trustBundleName":"own"},"pilot":{"env":{"PILOT_CA_CERT_CONFIGMAP":"own",` +
		`"PILOT_ENABLE_AMBIENT":"true","UNKNOWN":"x"}},"sidecarInjectorWebhook":{"enableNamespacesByDefault":false}}}},"oldResourceVersion":"5","time":"2026-08-01T10:00:00.123456789Z"}`
	olderRemote = `{"object":{"kind":"IstioRevision","metadata":{"name":"a-v1","generateName":"","uid":"uid-r","resourceVersion":"","deletionTimestamp":"",` +
		`"annotations":null,"ownerReferences":[{"apiVersion":"sailoperator.io/v1","kind":"Istio","name":"a","uid":"u","controller":true}]},"spec":{"version":"",` +
		`"namespace":"istio-system-a-v1","profile":"remote","updateStrategy":{"type":""},"values":{"profile":"","meshConfig":{"discoverySelectors":[{"matchLabels":` +
		`{"mesh":"x"}}]},"global":{"trustBundleName":""},"pilot":{"env":null},"sidecarInjectorWebhook":{"enableNamespacesByDefault":false}}}},"time":"2026-08-01T10:00:00.123456789Z"}`
	olderLarge = `{"object":{"kind":"Istio","metadata":{"name":"big","generateName":"","uid":"uid-b","resourceVersion":"","deletionTimestamp":"","annotations":null,` +
		`"ownerReferences":null},"spec":{"version":"","namespace":"istio-system-big","profile":"","updateStrategy":{"type":""},"values":{"profile":"","meshConfig":` +
		`{"discoverySelectors":[{}]},"global":{"trustBundleName":""},"pilot":{"env":null},"sidecarInjectorWebhook":{"enableNamespacesByDefault":false}}}},"time":"2026-08-01T10:00:00.123456789Z"}`
)

// While an upgrade rolls, replicas of both versions write the ledger. A claim of the older one is read as what it says, or more.
func TestWhatAnOlderVersionHasClaimedHoldsUpWhatOverlaps(t *testing.T) {
	older := map[string]string{"update": olderUpdate, "remote": olderRemote, "large": olderLarge}
	for name, test := range map[string]struct {
		keys   []string
		values string
		want   bool
	}{
		"what overlaps with a claim": {[]string{"update"}, "y", false},
		"what does not":              {[]string{"update"}, "z", true},
		"a remote revision, which it has without its profile": {[]string{"remote"}, "x", false},
		"anything, beside one that was too large for it":      {[]string{"large"}, "z", false},
		"all of them": {[]string{"update", "remote", "large"}, "z", false},
	} {
		s := &storage{page: Page{UID: "ledger", Version: "1", Entries: map[string]string{}}}
		s.objects = mesh.Objects{Istios: []*sail.ControlPlane{istio("a", "uid-a", "5", "x")}}
		for _, key := range test.keys {
			s.page.Entries[key] = older[key]
		}
		allowed := false
		created := istio("new", "uid-new", "", test.values)
		if err := newLedger(s).Admit(t.Context(), Change{New: created}, func(state State) bool {
			allowed = right(state, created)
			return allowed
		}); err != nil || allowed != test.want {
			t.Errorf("%s: allowed %t, %v", name, allowed, err)
		}
		for _, key := range test.keys {
			if s.page.Entries[key] != older[key] {
				t.Errorf("%s: the claim is rewritten: %s", name, s.page.Entries[key])
			}
		}
	}
}

func TestAClaimOfAnOlderVersionCarriesWhatIsJudgedOfIt(t *testing.T) {
	got, err := decode(olderUpdate)
	if err != nil {
		t.Fatal(err)
	}
	none, on := "", "true"
	want := istio("a", "uid-a", "", "x y")
	want.Metadata.Annotations = map[string]string{"meshfence.io/allow-overlap": "b", "meshfence.io/override": "MF103"}
	want.Spec.Version, want.Spec.UpdateStrategy.Type = "v1.30.3", sail.RevisionBased
	want.Spec.Values.Profile, want.Spec.Values.Global.TrustBundleName = &none, "own"
	want.Spec.Values.Pilot.Env.TrustBundle, want.Spec.Values.Pilot.Env.Ambient = "own", &on
	if diff := cmp.Diff(want, got.Object); diff != "" || got.OldVersion != "5" || !got.Time.Equal(moment(0).Add(123456789*time.Nanosecond)) {
		t.Errorf("%s, %v (-want +got):\n%s", got.OldVersion, got.Time, diff)
	}
}

// What a later version may write is not read as less than it says: nothing is admitted beside it.
func TestAClaimInAFormatOfALaterVersionIsRefusedSafely(t *testing.T) {
	s := &storage{page: Page{UID: "ledger", Version: "1", Entries: map[string]string{"k": strings.Replace(olderUpdate, "{", "zstd:{", 1)}}}
	err := newLedger(s).Admit(t.Context(), Change{New: istio("new", "uid-new", "", "z")}, always)
	if damaged := (*DamagedError)(nil); !errors.As(err, &damaged) || len(s.writes) > 0 {
		t.Errorf("%v, and %d writes", err, len(s.writes))
	}
}
