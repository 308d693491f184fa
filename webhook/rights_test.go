package webhook_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// asksForRights switches MF210 on.
func asksForRights() func(*config.Configuration) {
	return func(c *config.Configuration) { c.Rules = map[string]config.Action{"MF210": config.ActionDeny} }
}

func TestIfOnlyRightsAreMissingThenTheAnswerIs403(t *testing.T) {
	c := twoMeshes(t)
	s := serve(t, c, asksForRights())
	r := namespaceRequest("blog", "istio-discovery=mesh-1,istio.io/rev=mesh-1", "")
	r.user = "jane"
	const message = `MF210 NotAllowedToJoin: the namespace would join mesh "mesh-1", and user "jane" may not use Istio "mesh-1"
  an administrator can allow it:
    kubectl create clusterrole meshfence-use-mesh-1 --verb=use --resource='*.sailoperator.io' --resource-name=mesh-1
    kubectl create clusterrolebinding meshfence-use-mesh-1-jane --clusterrole=meshfence-use-mesh-1 --user=jane
  meshfence explain rule MF210`
	want := &admissionv1.AdmissionResponse{
		UID: uid,
		Result: &metav1.Status{
			Status: "Failure", Code: http.StatusForbidden, Reason: "Forbidden", Message: "metadata.labels[istio-discovery]: " + message,
			Details: &metav1.StatusDetails{Name: "blog", Kind: "Namespace", Causes: []metav1.StatusCause{
				{Type: "FieldValueInvalid", Field: "metadata.labels[istio-discovery]", Message: message},
			}},
		},
		AuditAnnotations: map[string]string{"decision": "deny", "findings": "MF210"},
	}
	if diff := cmp.Diff(want, s.ask(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r = namespaceRequest("blog", crossed, "")
	got := s.ask(t, r)
	if got.Result.Code != http.StatusUnprocessableEntity || got.Result.Reason != "Invalid" || got.AuditAnnotations["findings"] != "MF202,MF210" {
		t.Errorf("with another finding: %+v", got)
	}
}

func TestTheUsersRightsToMeshesAreAskedForOnlyIfTheRuleIsOnAndTheNamespaceJoinsOne(t *testing.T) {
	c := twoMeshes(t)
	var asked []authorizationv1.SubjectAccessReviewSpec
	c.allow = func(review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		asked = append(asked, review)
		return true, nil
	}
	silent, s := serve(t, c), serve(t, c, asksForRights())
	const in1, in2 = "istio-discovery=mesh-1,istio.io/rev=mesh-1", "istio-discovery=mesh-2,istio.io/rev=mesh-2"
	for name, ask := range map[string]func() *admissionv1.AdmissionResponse{
		"rule off": func() *admissionv1.AdmissionResponse { return silent.ask(t, namespaceRequest("blog", in1, "")) },
		"stays": func() *admissionv1.AdmissionResponse {
			return s.ask(t, namespaceRequest("blog", in1, "istio-discovery=mesh-1"))
		},
		"leaves": func() *admissionv1.AdmissionResponse { return s.ask(t, namespaceRequest("blog", "team=a", in1)) },
		"exempt": func() *admissionv1.AdmissionResponse {
			r := namespaceRequest("blog", in1, "")
			r.user = "system:kube-controller-manager"
			return s.ask(t, r)
		},
	} {
		if got := ask(); !got.Allowed || len(asked) > 0 {
			t.Errorf("%s: %+v, asked %+v", name, got, asked)
		}
	}
	r := namespaceRequest("blog", in2, in1)
	r.who = &authenticationv1.UserInfo{Username: "jane", Groups: []string{"devs"}}
	if diff := cmp.Diff(admitted(), s.ask(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []authorizationv1.SubjectAccessReviewSpec{{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "use", Group: "sailoperator.io", Resource: "istios", Name: "mesh-2"},
		User:               "jane", Groups: []string{"devs"},
	}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return true, errors.New("away") }
	if got := s.ask(t, r); got.Result.Code != http.StatusForbidden || !strings.Contains(got.Result.Message, "could not check whether") {
		t.Errorf("the API server is away: %+v", got)
	}
}

// The cache has not seen that mesh-1 is gone and that mesh-3 discovers the namespace: a denial is judged again.
func TestAMeshThatOnlyALiveReadKnowsIsAskedAboutBeforeTheNamespaceIsAdmitted(t *testing.T) {
	c := twoMeshes(t)
	stored := c.objects.Without(mesh.Ref{Kind: sail.KindIstio, Name: "mesh-1"}).
		With(controlPlane(t, istio("mesh-3", selecting("istio-system-3", "istio.io/rev", "mesh-3"))))
	c.stored = &stored
	s := serve(t, c, asksForRights())
	for _, may := range []bool{false, true} {
		var asked []string
		c.allow = func(review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
			asked = append(asked, review.ResourceAttributes.Name)
			return may, nil
		}
		got := s.ask(t, namespaceRequest("blog", "istio-discovery=mesh-1,istio.io/rev=mesh-3", "istio-discovery=mesh-1"))
		if got.Allowed != may || !slices.Equal(asked, []string{"mesh-3"}) {
			t.Errorf("may: %t, asked %q: %+v", may, asked, got)
		}
	}
}

// Each question may take two seconds, and the API server waits five.
func TestARightIsAskedForOnceInARequestAlsoIfADenialIsJudgedAgain(t *testing.T) {
	c := twoMeshes(t)
	s := serve(t, c, asksForRights())
	asked := 0
	c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		asked++
		return false, nil
	}
	if got := s.ask(t, namespaceRequest("blog", "istio-discovery=mesh-1,istio.io/rev=mesh-1", "")); got.Allowed || asked != 1 {
		t.Errorf("asked %d times: %+v", asked, got)
	}
}

func TestPodsAreLookedAtWithinBoundsAndOnlyIfAnAdmittedNamespaceMoves(t *testing.T) {
	c := twoMeshes(t)
	var looks []string
	c.pods = func(ctx context.Context, namespace string, limit int) mesh.Pods {
		deadline, limited := ctx.Deadline()
		if left := time.Until(deadline); !limited || left > 300*time.Millisecond || left < 0 || limit != 500 {
			t.Errorf("%s: %d pods, %v left", namespace, limit, left)
		}
		looks = append(looks, namespace)
		return mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 2}}
	}
	s := serve(t, c)
	const in1, in2 = "istio-discovery=mesh-1,istio.io/rev=mesh-1", "istio-discovery=mesh-2,istio.io/rev=mesh-2"
	for name, r := range map[string]request{
		"created":    namespaceRequest("blog", in1, ""),
		"stays":      namespaceRequest("blog", in1+",team=a", in1),
		"is refused": namespaceRequest("blog", crossed, in2),
	} {
		if s.ask(t, r); len(looks) > 0 {
			t.Errorf("%s: looked", name)
		}
		looks = nil
	}
	got := s.ask(t, namespaceRequest("blog", in2, in1))
	if !got.Allowed || !slices.Equal(looks, []string{"blog"}) || got.AuditAnnotations["findings"] != "MF207" ||
		!strings.HasPrefix(got.Warnings[0], `MF207 MovesLiveNamespace: Namespace "blog": it moves to mesh "mesh-2", but 2 of its 3 pods have the sidecar`) {
		t.Errorf("looked at %q: %+v", looks, got)
	}
	looks = nil // It may have left mesh-1 before, and its pods may not: the audit knows.
	if got := s.ask(t, namespaceRequest("blog", in2, "team=a")); len(looks) > 0 || !got.Allowed || len(got.Warnings) > 0 {
		t.Errorf("joins: looked at %q: %+v", looks, got)
	}
	off := serve(t, c, func(c *config.Configuration) { c.Rules = map[string]config.Action{"MF207": config.ActionOff} })
	looks = nil
	if got := off.ask(t, namespaceRequest("blog", in2, in1)); !got.Allowed || len(looks) > 0 {
		t.Errorf("rule off: looked at %q: %+v", looks, got)
	}
}

// An overridden denial is a move like any other.
func TestPodsAreLookedAtIfADenialIsOverridden(t *testing.T) {
	c := twoMeshes(t)
	c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return true, nil }
	c.pods = func(context.Context, string, int) mesh.Pods {
		return mesh.Pods{Seen: 3, Revisions: map[string]int{"mesh-1": 2}}
	}
	r := namespaceRequest("blog", "istio-discovery=mesh-2,istio.io/rev=mesh-1", "istio-discovery=mesh-1,istio.io/rev=mesh-1")
	r.object = strings.Replace(r.object, `"metadata":{`, `"metadata":{"annotations":{"meshfence.io/override":"MF202"},`, 1)
	if got := serve(t, c).ask(t, r); !got.Allowed || got.AuditAnnotations["findings"] != "MF202,MF207" || got.AuditAnnotations["overridden"] != "MF202" {
		t.Errorf("%+v", got)
	}
}
