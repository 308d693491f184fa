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
		"red": `A request that creates Istio "other" was allowed at 2026-08-01T10:00:00Z and is not stored yet. Try again: ` +
			`this one waits until that is stored, at the latest until 2026-08-01T10:05:01Z`,
		"blue": `A request that changes Istio "mesh-2" was allowed at 2026-08-01T10:00:00Z and is not stored yet. Try again: ` +
			`this one waits until that is stored, at the latest until 2026-08-01T10:05:01Z`,
	} {
		got := s.ask(t, request{path: webhook.PathValidateIstio, name: "new", object: istio("new", selecting("istio-system-new", "istio-discovery", value))})
		if got.Allowed || got.Result.Code != http.StatusConflict || got.Result.Reason != metav1.StatusReasonConflict {
			t.Fatalf("istio-discovery=%s: %+v, want a conflict", value, got)
		}
		lines := strings.Split(got.Result.Message, "\n")
		if !strings.HasPrefix(lines[0], `MF103 OverlappingSelectors: Istio "new" `) {
			t.Errorf("istio-discovery=%s: it begins with %q", value, lines[0])
		}
		if diff := cmp.Diff([]string{want}, lines[1:]); diff != "" {
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
	if told := strings.Count(got.Result.Message, "Try again: this one waits until"); told != 10 || lines[len(lines)-1] != "and 490 more such requests" {
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
	update := request{path: webhook.PathValidateIstio, name: "mesh-1", object: overlapping, old: overlapping}
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
