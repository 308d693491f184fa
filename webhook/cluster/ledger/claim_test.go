package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

func moment(offset time.Duration) time.Time {
	return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC).Add(offset)
}

func TestAClaimIsClosedWhenItHasComeTrueOrCannot(t *testing.T) {
	create := Claim{Object: istio("a", "uid-new", "", "x"), Time: moment(0)}
	anonymous := Claim{Object: istio("a", "", "", "x"), Time: moment(0)}
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
		{"create without a uid, nothing of that name", anonymous, nil, "", 0, true},
		{"create without a uid, an object of that name", anonymous, istio("a", "uid-a", "9", "x"), "", 0, true},
		{"create without a uid, an object of that name without one", anonymous, istio("a", "", "9", "x"), "", 0, true},
		{"create without a uid, at its end", anonymous, nil, "", Lifetime, false},
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
	full.Metadata.Annotations = map[string]string{"meshfence.io/allow-overlap": "b", "meshfence.io/allow-overlap-until": "2027-01-01T00:00:00Z", "meshfence.io/override": "MF103", "example.com/other": strings.Repeat("long", 1000)}
	full.Metadata.CreationTimestamp = "2026-08-01T00:00:00Z"
	full.Metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "o", UID: "u", Controller: &yes}}
	full.Spec.Version, full.Spec.Profile, full.Spec.UpdateStrategy.Type = "v1.30.3", "ambient", sail.RevisionBased
	full.Spec.Values.Global.TrustBundleName = "own"
	full.Spec.Values.Pilot.Env.TrustBundle, full.Spec.Values.Pilot.ConfigMap = "b", new(bool)
	full.Spec.Values.MeshConfig.DiscoverySelectors = append(full.Spec.Values.MeshConfig.DiscoverySelectors, nil, &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "NotIn", Values: []string{"v"}}},
	})
	broken := istio("b", "uid-b", "", "x")
	broken.Malformed = errors.New("spec.version: found a number")
	for _, cp := range []*sail.ControlPlane{full, broken} {
		claim := Claim{Object: judged(cp), OldVersion: "17", Time: moment(0), User: nameless("jane")}
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
			want.Metadata.Annotations = map[string]string{"meshfence.io/allow-overlap": "b", "meshfence.io/allow-overlap-until": "2027-01-01T00:00:00Z"}
		}
		if diff := cmp.Diff(Claim{Object: &want, OldVersion: "17", Time: moment(0), User: nameless("jane")}, got, cmp.Comparer(sameProblem), cmpopts.IgnoreUnexported(Claim{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", cp.Metadata.Name, diff)
		}
	}
}

func sameProblem(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestAClaimSaysExactlyWhatItsRequestSaidWhateverItsSize(t *testing.T) {
	for _, selectors := range []int{0, 1, 10, 100, 700, 5000, 10000} {
		want := grown(istio("a", "uid-a", "", "x"), selectors)
		claim := Claim{Object: judged(want), Time: moment(0)}
		text, err := claim.encode()
		if err != nil {
			t.Fatalf("%d selectors: %v", selectors, err)
		}
		got, err := decode(text)
		if err != nil {
			t.Fatalf("%d selectors: %v", selectors, err)
		}
		if diff := cmp.Diff(want.Spec, got.Object.Spec); diff != "" {
			t.Errorf("%d selectors (-want +got):\n%s", selectors, diff)
		}
		t.Logf("%5d selectors: %d bytes", selectors, len(text))
		if isCompressed := strings.HasPrefix(text, compressed); isCompressed != (selectors >= 100) {
			t.Errorf("%d selectors, %d bytes: compressed is %t", selectors, len(text), isCompressed)
		}
	}
}

// incompressible has selectors for so many values at random, of 40 characters each.
func incompressible(name string, selectors int) *sail.ControlPlane {
	random := rand.New(rand.NewPCG(1, 2))
	cp := istio(name, "uid-"+name, "", "")
	for range selectors {
		value := fmt.Sprintf("%016x%016x%08x", random.Uint64(), random.Uint64(), random.Uint32())
		cp.Spec.Values.MeshConfig.DiscoverySelectors = append(cp.Spec.Values.MeshConfig.DiscoverySelectors,
			&metav1.LabelSelector{MatchLabels: map[string]string{"mesh": value}})
	}
	return cp
}

func TestWhatIsTooLargeToBeClaimedInFullIsRefused(t *testing.T) {
	long := istio("long", "uid-long", "", "x")
	long.Spec.Version = strings.Repeat("x", maxExpanded)
	for name, cp := range map[string]*sail.ControlPlane{"compressed": incompressible("huge", 20000), "before it is compressed": long} {
		_, err := (&Claim{Object: judged(cp), Time: moment(0)}).encode()
		if large := (*TooLargeError)(nil); !errors.As(err, &large) || large.Ref.Name != cp.Metadata.Name || large.Bytes <= large.Most {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := &TooLargeError{Ref: mesh.Ref{Kind: "Istio", Name: "a"}, Bytes: 100000, Most: maxShare}
	const want = `the selectors and other judged fields of Istio "a" take 100000 bytes in the ledger of changes in flight, more than the 81920 that one change may`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// fill puts claims into an empty ledger until there is no room, and returns how many there were then. of makes the claim of
// a number.
func fill(t *testing.T, of func(number int) Claim) (count int, err error) {
	t.Helper()
	p := page{Page: Page{Entries: map[string]string{}}, claims: map[string]Claim{}}
	for ; count < 10000; count++ {
		key, claim := fmt.Sprintf("%036d", count), of(count)
		claim.Until = moment(Lifetime + time.Duration(count)*time.Second)
		entries, _, err := p.with(key, &claim)
		if err != nil {
			return count, err
		}
		p.Entries = entries
		p.claims[key] = claim
	}
	return count, nil
}

func TestTheClaimsOfOneObjectOfOneUserAndAllTogetherHaveABound(t *testing.T) {
	named := func(object, user string, cp *sail.ControlPlane) Claim {
		small := *cp
		small.Metadata.Name = object
		return Claim{Object: &small, Time: moment(0), User: user}
	}
	small, large := istio("a", "uid-a", "", "x"), incompressible("a", 500)
	long := istio("a", "uid-a", "", "")
	for range 20000 { // a few KiB when they are compressed
		long.Spec.Values.MeshConfig.DiscoverySelectors = append(long.Spec.Values.MeshConfig.DiscoverySelectors, &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}})
	}
	const rest = " were admitted and are not stored, as many as may be in flight; another webhook or the API server may refuse them. " +
		"The first of them ends at 2026-08-01T10:02:00Z"
	for name, test := range map[string]struct {
		of          func(number int) Claim
		least, most int
		of1         string
		own         bool
	}{
		"one object":               {func(n int) Claim { return named("a", fmt.Sprint(n), small) }, maxOfObject, maxOfObject, `Istio "a"`, true},
		"one object, large claims": {func(n int) Claim { return named("a", fmt.Sprint(n), large) }, 3, 8, `Istio "a"`, true},
		"one object, long claims":  {func(n int) Claim { return named("a", fmt.Sprint(n), long) }, 2, 5, `Istio "a"`, true},
		"one user, long claims":    {func(n int) Claim { return named(fmt.Sprint(n), "jane", long) }, 2, 5, "meshes by this user", true},
		"all, long claims":         {func(n int) Claim { return named(fmt.Sprint(n), fmt.Sprint(n), long) }, 8, 25, "meshes", false},
		"one user":                 {func(n int) Claim { return named(fmt.Sprint(n), "jane", small) }, maxOfUser, maxOfUser, "meshes by this user", true},
		"one user, large claims":   {func(n int) Claim { return named(fmt.Sprint(n), "jane", large) }, 3, 8, "meshes by this user", true},
		"all":                      {func(n int) Claim { return named(fmt.Sprint(n), fmt.Sprint(n), small) }, 1000, 5000, "meshes", false},
		"all, large claims":        {func(n int) Claim { return named(fmt.Sprint(n), fmt.Sprint(n), large) }, 40, 100, "meshes", false},
	} {
		count, err := fill(t, test.of)
		full := (*FullError)(nil)
		if !errors.As(err, &full) || count < test.least || count > test.most || full.Own() != test.own {
			t.Errorf("%s: %d claims fit, want %d to %d: %v", name, count, test.least, test.most, err)
			continue
		}
		if diff := cmp.Diff(fmt.Sprintf("%d changes of %s%s", count, test.of1, rest), err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnUpdateThatIsTriedAgainReplacesItsClaim(t *testing.T) {
	first := Claim{Object: judged(istio("a", "uid-a", "", "x")), OldVersion: "5", Time: moment(0)}
	for name, test := range map[string]struct {
		change func(*Claim)
		keeps  bool
	}{
		"the same, later":        {change: func(c *Claim) { c.Time = moment(time.Second) }},
		"the same, earlier":      {change: func(c *Claim) { c.Time = moment(-time.Second) }},
		"the same, another user": {change: func(c *Claim) { c.User = "another" }},
		"of another version":     {change: func(c *Claim) { c.OldVersion = "6" }, keeps: true},
		"another change":         {change: func(c *Claim) { c.Object = judged(istio("a", "uid-a", "", "y")) }, keeps: true},
		"of another object":      {change: func(c *Claim) { c.Object = judged(istio("b", "uid-b", "", "x")) }, keeps: true},
		"a creation":             {change: func(c *Claim) { c.OldVersion = "" }, keeps: true},
	} {
		entries, _, err := (&page{}).with("first", &first)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPage(Page{Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		second := first
		test.change(&second)
		entries, replaced, err := p.with("second", &second)
		if err != nil {
			t.Fatal(err)
		}
		if _, kept := entries["first"]; kept != test.keeps || replaced == test.keeps || entries["second"] == "" {
			t.Errorf("%s: kept is %t, replaced is %t: %v", name, kept, replaced, entries)
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

// The Istio's declaration must not excuse the revision if the Istio is refused elsewhere.
func TestARevisionInFlightIsAlsoJudgedWithoutItsIstioInFlight(t *testing.T) {
	yes := true
	revision := istio("a-v1", "uid-r", "", "x")
	revision.Kind = sail.KindIstioRevision
	revision.Metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "a", UID: "uid-a", Controller: &yes}}
	claims := []Claim{{Object: revision}, {Object: istio("a", "uid-a", "", "x")}, {Object: istio("b", "uid-b", "", "y")}}
	var got []string
	for _, world := range Worlds(mesh.Objects{}, claims) {
		var refs []string
		for i := range world.Claims {
			refs = append(refs, world.Claims[i].Ref().String())
		}
		got = append(got, strings.Join(refs, " "))
	}
	if diff := cmp.Diff([]string{"", `IstioRevision "a-v1" Istio "a" Istio "b"`, `IstioRevision "a-v1"`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A user can have 200 claims in flight, and each world is one more judgement of every other change.
func TestHoweverManyRevisionsOfIstiosAreInFlightThereAreFewWorlds(t *testing.T) {
	yes := true
	claims := []Claim{{Object: istio("a", "uid-a", "", "x")}}
	for i := range maxOfUser {
		for range 2 {
			revision := istio(fmt.Sprint("a-", i), fmt.Sprint(len(claims)), "", "x")
			revision.Kind = sail.KindIstioRevision
			revision.Metadata.OwnerReferences = []metav1.OwnerReference{{APIVersion: "sailoperator.io/v1", Kind: "Istio", Name: "a", Controller: &yes}}
			claims = append(claims, Claim{Object: revision})
		}
	}
	worlds := Worlds(mesh.Objects{}, claims)
	if len(worlds) != 5 {
		t.Errorf("%d worlds, want what is stored, two with all claims, and two with the revisions alone", len(worlds))
	}
	alone := 0
	for _, world := range worlds[3:] {
		alone += len(world.Revisions)
		if len(world.Istios) > 0 {
			t.Error("the Istio in flight is in a world of revisions alone")
		}
	}
	if alone != 2*maxOfUser {
		t.Errorf("%d revisions are in worlds without their Istio, want %d", alone, 2*maxOfUser)
	}
}

func TestAClaimSaysWhatIsWaitedForAndUntilWhen(t *testing.T) {
	claim := Claim{Object: istio("a", "uid-a", "", "x"), Time: moment(0), Until: moment(Lifetime + time.Millisecond)}
	const created = `This conflicts with a request that creates Istio "a", admitted at 2026-08-01T10:00:00Z and not stored yet. Try again: ` +
		`that request has ended by 2026-08-01T10:02:01Z at the latest`
	if diff := cmp.Diff(created, claim.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	claim.OldVersion = "1"
	if diff := cmp.Diff(strings.Replace(created, "creates", "changes", 1), claim.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
