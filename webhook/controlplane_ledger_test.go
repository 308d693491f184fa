package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// claim is a change that was allowed at ten o'clock; version is empty for a CREATE.
func claim(t *testing.T, object, version string) ledger.Claim {
	t.Helper()
	cp := controlPlane(t, object)
	cp.Kind = sail.KindIstio
	at := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	return ledger.Claim{Object: cp, OldVersion: version, Time: at, Until: at.Add(ledger.Lifetime)}
}

func TestIfAChangeIsAtOddsWithOneInFlightThenItIsToTryAgain(t *testing.T) {
	c := twoMeshes(t)
	c.claims = []ledger.Claim{
		claim(t, istio("other", selecting("istio-system-other", "istio-discovery", "red")), ""),
		claim(t, istio("third", selecting("istio-system-third", "istio-discovery", "green")), ""),
		claim(t, istio("mesh-2", selecting("istio-system-2", "istio-discovery", "blue")), "17"),
	}
	s := serve(t, c)
	for value, want := range map[string]string{
		"red": `This conflicts with a request that creates Istio "other", admitted at 2026-08-01T10:00:00Z and not stored yet. Try again: ` +
			`that request has ended by 2026-08-01T10:02:00Z at the latest`,
		"blue": `This conflicts with a request that changes Istio "mesh-2", admitted at 2026-08-01T10:00:00Z and not stored yet. Try again: ` +
			`that request has ended by 2026-08-01T10:02:00Z at the latest`,
	} {
		got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", value))})
		if got.Allowed || got.Result.Code != http.StatusConflict || got.Result.Reason != metav1.StatusReasonConflict {
			t.Fatalf("istio-discovery=%s: %+v, want a conflict", value, got)
		}
		if !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: its selector ") {
			t.Errorf("istio-discovery=%s: it begins with %q", value, cause(got))
		}
		waits := strings.TrimPrefix(got.Result.Message, "spec.values.meshConfig.discoverySelectors[0]: "+cause(got)+"\n")
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("istio-discovery=%s, what is waited for (-want +got):\n%s", value, diff)
		}
	}
}

func TestOfManyChangesInFlightTheFirstAreToldAndTheOthersCounted(t *testing.T) {
	c := twoMeshes(t)
	for i := range 500 {
		name := fmt.Sprintf("other-%03d", i)
		c.claims = append(c.claims, claim(t, istio(name, selecting("istio-system-"+name, "istio-discovery", "red")), ""))
	}
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", "red"))})
	if got.Allowed || got.Result.Code != http.StatusConflict {
		t.Fatalf("%+v, want a conflict", got)
	}
	lines := strings.Split(got.Result.Message, "\n")
	if told := strings.Count(got.Result.Message, "Try again: that request has ended by"); told != 10 || lines[len(lines)-1] != "and 490 more such requests" {
		t.Errorf("%d are told, and it ends with %q", told, lines[len(lines)-1])
	}
}

func TestWhatIsStoredIsDeniedForGoodWhateverIsInFlight(t *testing.T) {
	c := twoMeshes(t)
	// It is being changed so that the overlap goes away, but that may not come true.
	c.claims = []ledger.Claim{claim(t, istio("mesh-2", selecting("istio-system-2", "istio-discovery", "blue")), "17")}
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", "mesh-2"))})
	if got.Allowed || got.Result.Code != http.StatusUnprocessableEntity || strings.Contains(got.Result.Message, "Try again") {
		t.Errorf("%+v, want a denial that does not say to try again", got)
	}
}

func TestAChangeBesideOthersInFlightIsAllowedWithoutAWordOfThem(t *testing.T) {
	c := twoMeshes(t)
	c.claims = []ledger.Claim{claim(t, istio("other", selecting("istio-system-other", "istio-discovery", "red")), "")}
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", "grey"))})
	if diff := cmp.Diff(admitted(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A claim may be of a mesh that discovers everything, admitted by an override. That it overlaps with the mesh as it is stored
// is no excuse for an overlap with the mesh as it will be.
func TestWhatIsInFlightExcusesNoOverlap(t *testing.T) {
	c := twoMeshes(t)
	c.claims = []ledger.Claim{claim(t, istio("mesh-2", "{namespace: istio-system-2}"), "17")}
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "mesh-1",
		object: istio("mesh-1", "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}, {matchLabels: {istio-discovery: new}}]}}}"),
		old:    istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))})
	if got.Allowed || got.Result.Code != http.StatusConflict || !strings.Contains(got.Result.Message, `a request that changes Istio "mesh-2"`) {
		t.Errorf("%+v, want a conflict with the change of mesh-2", got)
	}
}

// Only what a change brings can be at odds with what is in flight: an override may have let the other one through.
func TestWhatChangesNothingThatIsJudgedPassesBesideAnythingInFlight(t *testing.T) {
	c := twoMeshes(t)
	c.claims = []ledger.Claim{claim(t, istio("everything", "{namespace: istio-system-3}"), "")}
	stored := istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))
	again := strings.Replace(stored, "metadata: {", "metadata: {labels: {any: label}, ", 1)
	got := serve(t, c).ask(t, request{path: webhook.PathValidateIstio, name: "mesh-1", object: again, old: stored})
	if diff := cmp.Diff(admitted(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What cannot be read is the same before and after only as far as it can be read.
func TestAnEditOfWhatCannotBeReadWaitsForWhatIsInFlight(t *testing.T) {
	broken := "{metadata: {name: mesh-1}, spec: {namespace: istio-system-1, version: 1}}"
	c := twoMeshes(t)
	c.objects = c.objects.With(controlPlane(t, strings.Replace(broken, "metadata", "kind: Istio, metadata", 1)))
	update := request{path: webhook.PathValidateIstio, name: "mesh-1", object: broken, old: broken}
	if got := serve(t, c).ask(t, update); !got.Allowed {
		t.Errorf("%+v", got)
	}
	c.claims = []ledger.Claim{claim(t, istio("other", selecting("istio-system-other", "istio-discovery", "red")), "")}
	if got := serve(t, c).ask(t, update); got.Allowed || got.Result.Code != http.StatusConflict {
		t.Errorf("%+v, want a conflict", got)
	}
}

func TestWhatIsInFlightCanBeOverriddenAsWhatIsStored(t *testing.T) {
	for name, granted := range map[string]bool{"mf103": true, "mf201": false} {
		c := twoMeshes(t)
		c.claims = []ledger.Claim{claim(t, istio("other", selecting("istio-system-other", "istio-discovery", "red")), "")}
		c.allow = granting(name)
		object := strings.Replace(istio("new", selecting("istio-system-new", "istio-discovery", "red")), "metadata: {", "metadata: {annotations: {meshfence.io/override: MF103}, ", 1)
		got := serve(t, c).ask(t, request{path: webhook.PathValidateIstio, name: "new", object: object})
		if got.Allowed != granted || !granted && got.Result.Code != http.StatusConflict {
			t.Errorf("the user may override %s: %+v", name, got)
		}
	}
}

// A revision belongs to the mesh of its Istio, which is what a finding names.
func TestOfAMeshWhoseRevisionIsInFlightTheRevisionIsTold(t *testing.T) {
	c := twoMeshes(t)
	revision := controlPlane(t, `{metadata: {name: mesh-1-v2, ownerReferences: [{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1, controller: true}]}, spec: `+
		selecting("istio-system-1", "istio-discovery", "red")+`}`)
	revision.Kind = sail.KindIstioRevision
	inFlight := claim(t, istio("far", selecting("istio-system-far", "istio-discovery", "far")), "")
	c.claims = []ledger.Claim{inFlight, inFlight}
	c.claims[1].Object = revision
	got := serve(t, c).ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", "red"))})
	if got.Allowed || !strings.Contains(got.Result.Message, `IstioRevision "mesh-1-v2", admitted at`) || strings.Contains(got.Result.Message, `"far"`) {
		t.Errorf("%+v, want to be told of the revision alone", got)
	}
}

func TestWhatTheLedgerHasNoRoomForIsRefused(t *testing.T) {
	mesh1 := mesh.Ref{Kind: sail.KindIstio, Name: "mesh-1"}
	for name, test := range map[string]struct {
		err    error
		code   int32
		reason metav1.StatusReason
		says   string
	}{
		"too large":             {&ledger.TooLargeError{Ref: mesh1, Bytes: 2, Most: 1}, 422, metav1.StatusReasonInvalid, "take 2 bytes"},
		"too many of one user":  {&ledger.FullError{Of: ledger.OfUser, Open: 3}, 429, metav1.StatusReasonTooManyRequests, "meshfence cannot admit this change yet: 3 changes of meshes by this user "},
		"too many waiting":      {&ledger.FullError{Of: ledger.OfWaiting, Open: 3}, 429, metav1.StatusReasonTooManyRequests, "3 changes of meshes by this user are waiting"},
		"too many of all users": {&ledger.FullError{Of: ledger.OfAll, Open: 3}, 503, metav1.StatusReasonServiceUnavailable, "3 changes of meshes were admitted"},
	} {
		c := twoMeshes(t)
		c.admitErr = test.err
		got := serve(t, c).ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", "new"))})
		if got.Allowed || got.Result.Code != test.code || got.Result.Reason != test.reason || !strings.Contains(got.Result.Message, test.says) {
			t.Errorf("%s: %+v, want %d and %q", name, got, test.code, test.says)
		}
	}
}

func TestWhatIsLargerThanWhatIsStoredIsRefusedBeforeItIsClaimed(t *testing.T) {
	spec := selecting("istio-system-new", "istio-discovery", "new")
	long := selecting("istio-system-new", "istio-discovery", strings.Repeat("x", 2<<20))
	c := twoMeshes(t)
	c.live = func() error { t.Error("it is judged"); return nil }
	s := serve(t, c)
	for _, old := range []string{"", istio("new", spec)} {
		got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", long), old: old})
		if got.Allowed || got.Result.Code != 422 || !strings.Contains(got.Result.Message, "bytes, more than the 1568768 that etcd has room for") {
			t.Errorf("%.300v", got)
		}
	}
	c.live = nil
	if got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", long), old: istio("new", long)}); !got.Allowed {
		t.Errorf("the same as before: %.300v", got)
	}
}

func TestTheLabelKeysThatOneChangeMayBringHaveABound(t *testing.T) {
	selectors := func(keys int) string {
		var items []string
		for i := range keys {
			items = append(items, fmt.Sprintf("{matchLabels: {istio-discovery: new, key-%d: x}}", i))
		}
		return "{namespace: istio-system-new, values: {meshConfig: {discoverySelectors: [" + strings.Join(items, ", ") + "]}}}"
	}
	const refusal = `meshfence cannot judge Istio "new": its selectors use 11 label keys that no other mesh uses, more than the 10 that one change may bring ` +
		`(key-0, key-1, key-10, …). Add them in several changes, or use fewer keys`
	c := twoMeshes(t)
	ensured := 0
	c.ensure = func(match.Scope) error { ensured++; return nil }
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selectors(11))})
	if got.Allowed || got.Result.Message != refusal || got.Result.Details.Causes[0].Field != "spec.values.meshConfig.discoverySelectors" || ensured > 0 {
		t.Errorf("%+v, and %d keys were added", got, ensured)
	}
	for _, test := range []request{
		{object: istio("new", strings.Replace(selectors(10), "key-0:", "mesh: a, istio-injection: a, key-0:", 1))},
		{object: istio("new", selectors(20)), old: istio("new", selectors(10))},
		{object: istio("new", selectors(20)), old: istio("new", selectors(20))},
	} {
		test.path, test.name = webhook.PathValidateIstio, "new"
		if got := s.ask(t, test); !got.Allowed {
			t.Errorf("%+v", got)
		}
	}
}

// What can take long and fail is done before the claim is written, which would otherwise hold up others for nothing.
func TestTheAPIServerIsMadeToAskAboutNewKeysBeforeTheChangeIsClaimed(t *testing.T) {
	c := twoMeshes(t)
	ensured := false
	c.ensure = func(match.Scope) error { ensured = true; return nil }
	c.admitting = func() {
		if !ensured {
			t.Error("the change was claimed first")
		}
	}
	got := serve(t, c).ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", "{namespace: istio-system-new, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: new, another: a}}]}}}")})
	if !got.Allowed || !ensured {
		t.Errorf("%+v, ensured %t", got, ensured)
	}
}

func TestACreateOfWhatThereIsAlreadyIsToldSo(t *testing.T) {
	c := twoMeshes(t)
	c.admitErr = &ledger.ExistsError{Ref: mesh.Ref{Kind: sail.KindIstio, Name: "mesh-1"}}
	s := serve(t, c)
	got := s.ask(t, request{path: webhook.PathValidateIstio, name: "mesh-1", object: istio("mesh-1", selecting("istio-system-1", "istio-discovery", "grey"))})
	if got.Allowed || got.Result.Code != http.StatusConflict || got.Result.Reason != metav1.StatusReasonAlreadyExists ||
		!strings.HasSuffix(got.Result.Message, `"mesh-1" already exists`) {
		t.Errorf("%+v, want that it exists", got)
	}
}

// The API server begins an UPDATE with the version that its cache has. If that is stored no more, it asks again about the one
// that is, and shows the warnings of both answers.
func TestAnUpdateOfAVersionThatIsStoredNoMoreIsNotWarnedOf(t *testing.T) {
	overlapping := istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-2"))
	update := request{path: webhook.PathValidateIstio, name: "mesh-1", object: edited(overlapping), old: overlapping}
	for _, outdated := range []bool{false, true} {
		c := twoMeshes(t)
		c.outdated = outdated
		got := serve(t, c).ask(t, update)
		if !got.Allowed || (len(got.Warnings) == 0) != outdated {
			t.Errorf("outdated %v: %+v", outdated, got)
		}
		update.old = istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))
		if got := serve(t, c).ask(t, update); got.Allowed {
			t.Errorf("outdated %v: what is wrong is allowed: %+v", outdated, got)
		}
		update.old = overlapping
	}
}

// A mesh that is in flight may put namespaces where their labels would be refused. A change of another mesh does not answer for
// that, but it does for what both do together.
func TestAChangeDoesNotAnswerForTheNamespacesOfOneInFlight(t *testing.T) {
	for name, test := range map[string]struct{ inFlight, labels, answer string }{
		"the other injects what it does not discover": {selecting("istio-system-far", "istio-discovery", "far"), "istio.io/rev=far", "allow"},
		"this one takes what the other injects":       {"{namespace: istio-system-far, profile: remote}", "istio-discovery=blue,istio.io/rev=far", "refused with 409: spec: MF118 MisplacesNamespaces"},
	} {
		c := twoMeshes(t)
		c.namespaces = []mesh.Namespace{*judged("shop", test.labels)}
		c.claims = []ledger.Claim{claim(t, istio("far", test.inFlight), "")}
		old := istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1"))
		updated := istio("mesh-1", "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}, {matchLabels: {istio-discovery: blue}}]}}}")
		if got := said(serve(t, c, withoutRule("MF114")).ask(t, request{path: webhook.PathValidateIstio, name: "mesh-1", old: old, object: updated})); !strings.HasPrefix(got, test.answer) {
			t.Errorf("%s: %s, want %s", name, got, test.answer)
		}
	}
}

// withoutRule switches a rule off.
func withoutRule(code string) func(*config.Configuration) {
	return func(c *config.Configuration) {
		if c.Rules == nil {
			c.Rules = map[string]config.Action{}
		}
		c.Rules[code] = config.ActionOff
	}
}

func TestExemptNamespacesAreNoReasonToRefuseAMesh(t *testing.T) {
	c := twoMeshes(t)
	c.objects = c.objects.With(controlPlane(t, istio("far", "{namespace: istio-system-far, profile: remote}")))
	c.namespaces = []mesh.Namespace{*judged("shop", "istio-discovery=blue,istio.io/rev=far")}
	update := request{
		path: webhook.PathValidateIstio, name: "mesh-1", old: istio("mesh-1", selecting("istio-system-1", "istio-discovery", "mesh-1")),
		object: istio("mesh-1", "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1}}, {matchLabels: {istio-discovery: blue}}]}}}"),
	}
	exempt := func(c *config.Configuration) { c.ExemptNamespaces = config.Globs{"sh*"} }
	if got := said(serve(t, c, withoutRule("MF114")).ask(t, update)); got != "deny MF118" {
		t.Errorf("judged: %s", got)
	}
	if got := said(serve(t, c, withoutRule("MF114"), exempt).ask(t, update)); got != "allow" {
		t.Errorf("exempt: %s", got)
	}
}
