package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

func moment(offset time.Duration) time.Time {
	return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC).Add(offset)
}

func TestAClaimIsClosedWhenItHasComeTrueOrCannot(t *testing.T) {
	create := Claim{Object: istio("a", "uid-new", "", "x"), Time: moment(0)}
	update := Claim{Object: istio("a", "uid-a", "", "x"), OldVersion: "5", Time: moment(0)}
	for _, test := range []struct {
		name   string
		claim  Claim
		stored *sail.ControlPlane
		seen   string
		age    time.Duration
		open   bool
	}{
		{"create, nothing of that name", create, nil, "", 0, true},
		{"create, stored", create, istio("a", "uid-new", "9", "x"), "", 0, false},
		{"create, stored and changed since", create, istio("a", "uid-new", "12", "y"), "", 0, false},
		{"create, another object of that name, which may go", create, istio("a", "uid-old", "9", "x"), "", 0, true},
		{"create, stored once and deleted", create, nil, "uid-new", 0, false},
		{"create, stored once and replaced", create, istio("a", "uid-other", "9", "x"), "uid-new", 0, false},
		{"create, another was stored once", create, nil, "uid-old", 0, true},
		{"create, just before its end", create, nil, "", Lifetime - 1, true},
		{"create, at its end", create, nil, "", Lifetime, false},
		{"create, made by a clock that is ahead", create, nil, "", -time.Hour, true},
		{"update, the version that it was made on", update, istio("a", "uid-a", "5", "y"), "", 0, true},
		{"update, another version", update, istio("a", "uid-a", "6", "y"), "", 0, false},
		{"update, a version of before", update, istio("a", "uid-a", "4", "y"), "", 0, false},
		{"update, deleted", update, nil, "", 0, false},
		{"update, another object of another kind", update, &sail.ControlPlane{Kind: sail.KindIstioRevision, Metadata: sail.Meta{Name: "a", ResourceVersion: "5"}}, "", 0, false},
		{"update, of an object that was seen stored", update, istio("a", "uid-a", "5", "y"), "uid-a", 0, true},
		{"update, at its end", update, istio("a", "uid-a", "5", "y"), "", Lifetime, false},
	} {
		var objects mesh.Objects
		if test.stored != nil && test.stored.Kind == sail.KindIstio {
			objects.Istios = []*sail.ControlPlane{test.stored}
		} else if test.stored != nil {
			objects.Revisions = []*sail.ControlPlane{test.stored}
		}
		seen := func(uid string) bool { return uid == test.seen }
		test.claim.Until = test.claim.Time.Add(Lifetime)
		if got := test.claim.open(newInventory(objects), seen, moment(test.age)); got != test.open {
			t.Errorf("%s: open is %t, want %t", test.name, got, test.open)
		}
	}
}

func TestAClaimCarriesAllThatIsJudged(t *testing.T) {
	yes := true
	full := istio("a", "uid-a", "17", "x y")
	full.Metadata.Annotations = map[string]string{"meshfence.io/allow-overlap": "b", "somebody/else": strings.Repeat("long", 1000)}
	full.Metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "o", UID: "u", Controller: &yes}}
	full.Spec.Version, full.Spec.Profile, full.Spec.UpdateStrategy.Type = "v1.30.3", "ambient", sail.RevisionBased
	full.Spec.Values.Global.TrustBundleName = "own"
	full.Spec.Values.Pilot.Env = map[string]string{"A": "b"}
	full.Spec.Values.MeshConfig.DiscoverySelectors = append(full.Spec.Values.MeshConfig.DiscoverySelectors, nil, &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "NotIn", Values: []string{"v"}}},
	})
	broken := istio("b", "uid-b", "", "x")
	broken.Malformed = errors.New("spec.version: found a number")
	for _, cp := range []*sail.ControlPlane{full, broken} {
		claim := Claim{Object: judged(cp), OldVersion: "17", Time: moment(0)}
		text, err := claim.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		want := *cp
		want.Metadata.ResourceVersion = ""
		if cp == full {
			want.Metadata.Annotations = map[string]string{"meshfence.io/allow-overlap": "b"}
		}
		if diff := cmp.Diff(Claim{Object: &want, OldVersion: "17", Time: moment(0)}, got, cmp.Comparer(sameProblem)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cp.Metadata.Name, diff)
		}
	}
}

func sameProblem(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestVeryManySelectorsAreClaimedAsEveryNamespace(t *testing.T) {
	huge := istio("a", "uid-a", "", strings.Repeat("value ", maxSelectors/10))
	claim := Claim{Object: judged(huge), Time: moment(0)}
	text, err := claim.encode()
	if err != nil || len(text) > maxSelectors {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	got, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	m := mesh.NewFleet(mesh.Objects{Istios: []*sail.ControlPlane{got.Object}}).Meshes()[0]
	if source, _ := m.Discovers(nil); source == nil || m.ControlPlane != "istio-system-a" {
		t.Errorf("the claim is of %+v, want a mesh that discovers everything and is otherwise the same", got.Object)
	}
	if len(huge.Spec.Values.MeshConfig.DiscoverySelectors) == 1 {
		t.Error("the object that is judged was changed")
	}

	huge.Spec.Values.Pilot.Env = map[string]string{"A": strings.Repeat("x", maxClaim)}
	if text, err := claim.encode(); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	claim.Object = judged(huge)
	const want = `Istio "a" has more than 65536 bytes in the fields that are judged besides its selectors`
	if _, err := claim.encode(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTheLedgerHasABound(t *testing.T) {
	p := page{Page: Page{Entries: map[string]string{}}, claims: map[string]Claim{}}
	claim := Claim{Object: istio("a", "uid-a", "", "x"), Time: moment(0)}
	count := 0
	for ; count < 10000; count++ {
		entries, err := p.with(fmt.Sprintf("%036d", count), &claim)
		if err != nil {
			if want := fmt.Sprintf("the ledger is full: %d changes of meshes are in flight", count); err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			break
		}
		p.Entries = entries
		p.claims[fmt.Sprintf("%036d", count)] = claim
	}
	if count < 1000 || count == 10000 {
		t.Errorf("%d claims fit, want some thousands", count)
	}
}

func TestAnUpdateThatIsTriedAgainReplacesItsClaim(t *testing.T) {
	first := Claim{Object: judged(istio("a", "uid-a", "", "x")), OldVersion: "5", Time: moment(0)}
	for name, test := range map[string]struct {
		change func(*Claim)
		keeps  bool
	}{
		"the same, later":    {change: func(c *Claim) { c.Time = moment(time.Second) }},
		"the same, earlier":  {change: func(c *Claim) { c.Time = moment(-time.Second) }, keeps: true},
		"of another version": {change: func(c *Claim) { c.OldVersion = "6" }, keeps: true},
		"another change":     {change: func(c *Claim) { c.Object = judged(istio("a", "uid-a", "", "y")) }, keeps: true},
		"of another object":  {change: func(c *Claim) { c.Object = judged(istio("b", "uid-b", "", "x")) }, keeps: true},
		"a creation":         {change: func(c *Claim) { c.OldVersion = "" }, keeps: true},
	} {
		entries, err := (&page{}).with("first", &first)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPage(Page{Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		second := first
		test.change(&second)
		entries, err = p.with("second", &second)
		if err != nil {
			t.Fatal(err)
		}
		if _, kept := entries["first"]; kept != test.keeps || entries["second"] == "" {
			t.Errorf("%s: kept is %t: %v", name, kept, entries)
		}
	}
}

func TestWhatIsNoClaimIsDamage(t *testing.T) {
	for _, text := range []string{
		"", "x", "[]", "null", "{}", `{"object":null}`, `{"object":{"kind":"Istio"},"time":"2026-08-01T10:00:00Z"}`,
		`{"object":{"kind":"Pod","metadata":{"name":"a"}},"time":"2026-08-01T10:00:00Z"}`,
		`{"object":{"kind":"Istio","metadata":{"name":"a"}}}`, `{"object":{"kind":"Istio","metadata":{"name":"a"}},"time":"yesterday"}`,
	} {
		_, err := newPage(Page{Entries: map[string]string{"some-key": text}})
		if damaged := (*DamagedError)(nil); !errors.As(err, &damaged) || damaged.Key != "some-key" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWorldsHoldEveryStoredObjectAndEveryClaim(t *testing.T) {
	stored := mesh.Objects{Istios: []*sail.ControlPlane{istio("a", "uid-a", "1", "x")}}
	claims := []Claim{
		{Object: istio("a", "uid-a", "", "y"), OldVersion: "1"},
		{Object: istio("b", "uid-b", "", "z")},
		{Object: istio("a", "uid-a", "", "w"), OldVersion: "1"},
	}
	var got []string
	for _, world := range Worlds(stored, claims) {
		var texts []string
		for _, m := range mesh.NewFleet(world.Objects).Meshes() {
			texts = append(texts, m.Name+"="+m.Sources[0].Terms[0].Selector.String())
		}
		got = append(got, fmt.Sprintf("%s, %d claims", strings.Join(texts, " "), len(world.Claims)))
	}
	want := []string{"a=mesh=x, 0 claims", "a=mesh=y b=mesh=z, 2 claims", "a=mesh=w, 1 claims"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAClaimSaysWhatIsWaitedForAndUntilWhen(t *testing.T) {
	claim := Claim{Object: istio("a", "uid-a", "", "x"), Time: moment(0), Until: moment(Lifetime + time.Millisecond)}
	const created = `A request that creates Istio "a" was allowed at 2026-08-01T10:00:00Z and is not stored yet. Try again: this one waits ` +
		`until that is stored, at the latest until 2026-08-01T10:05:01Z`
	if diff := cmp.Diff(created, claim.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	claim.OldVersion = "1"
	if diff := cmp.Diff(strings.Replace(created, "creates", "changes", 1), claim.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
