package ledger

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// FuzzClaim reads entries of the ledger. What is read names an object that a fleet can be made of, and is written in the
// same words again.
func FuzzClaim(f *testing.F) {
	for _, cp := range []*sail.ControlPlane{istio("a", "uid-a", "", ""), istio("a", "uid-a", "", "x y")} {
		claim := Claim{Object: judged(cp), OldVersion: "17", Time: moment(0)}
		text, err := claim.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(`{"object":{"kind":"IstioRevision","metadata":{"name":"a"}},"malformed":"spec","time":"2026-08-01T10:00:00Z"}`)
	f.Add(`{"object":{"kind":"Istio","metadata":{"name":"a"},"spec":{"values":{"meshConfig":{"discoverySelectors":[null]}}}},"time":"2026-08-01T10:00:00+05:00"}`)
	f.Fuzz(func(t *testing.T, text string) {
		claim, err := decode(text)
		if err != nil {
			return
		}
		if meshes := mesh.NewFleet((mesh.Objects{}).With(claim.Object)).Meshes(); len(meshes) != 1 {
			t.Fatalf("%d meshes", len(meshes))
		}
		first, err := claim.encode()
		if err != nil {
			return // too large, or a moment that cannot be written
		}
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		if second, err := again.encode(); err != nil || second != first {
			t.Fatalf("%v\n%s\n%s", err, first, second)
		}
	})
}

// FuzzLedger admits a change beside an entry of the ledger that may be anything. Nothing is judged or written beside what is no
// claim, and whoever is allowed leaves the others' claims that may still come true.
func FuzzLedger(f *testing.F) {
	f.Add("k", `{"object":{"kind":"Istio","metadata":{"name":"a","uid":"u"}},"time":"2999-08-01T10:00:00Z"}`)
	f.Add("k", `{"object":{"kind":"Istio","metadata":{"name":"b"}},"oldResourceVersion":"5","time":"2026-08-01T10:00:00Z"}`)
	for _, text := range []string{"", "x", "{}", "null", `{"object":{"kind":"Pod","metadata":{"name":"a"}},"time":"2026-08-01T10:00:00Z"}`} {
		f.Add("k", text)
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		s := &storage{page: Page{UID: "ledger", Version: "1", Entries: map[string]string{key: text}}}
		claim, broken := decode(text)
		judged := false
		err := newLedger(s).Admit(t.Context(), Change{New: istio("new", "uid", "", "x")}, func(State) bool { judged = true; return true })
		switch {
		case broken != nil && (err == nil || judged || len(s.writes) > 0):
			t.Fatalf("%q: %v, judged %v, %d writes", text, err, judged, len(s.writes))
		case broken != nil:
		case err != nil || len(s.writes) != 1:
			if len(text) < maxLedger/2 {
				t.Fatalf("%q: %v, %d writes", text, err, len(s.writes))
			}
		case claim.OldVersion == "" && claim.Time.After(time.Now()) && s.page.Entries[key] != text:
			t.Fatalf("%q: the claim was dropped", text)
		}
	})
}

func TestNamesOfClaimsAreKeysOfAConfigMap(t *testing.T) {
	s := &storage{}
	if err := newLedger(s).Admit(t.Context(), Change{New: istio("a", "", "", "x")}, always); err != nil {
		t.Fatal(err)
	}
	for key := range s.page.Entries {
		if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
			t.Errorf("%s: %v", key, problems)
		}
	}
}
