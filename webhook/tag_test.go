package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// tagObject is an IstioRevisionTag; its target is "KIND NAME".
func tagObject(name, target string) string {
	kind, targetName, _ := strings.Cut(target, " ")
	return fmt.Sprintf("{kind: IstioRevisionTag, metadata: {name: %s}, spec: {targetRef: {kind: %s, name: %s}}}", name, kind, targetName)
}

// tagRequest creates a tag, or updates it if from is not "", or deletes it if to is "".
func tagRequest(name, from, to string) request {
	r := request{path: webhook.PathValidateIstioRevisionTag, name: name}
	if from != "" {
		r.old = tagObject(name, from)
	}
	if to != "" {
		r.object = tagObject(name, to)
	} else {
		r.operation = admissionv1.Delete
	}
	return r
}

// tagged is twoMeshes with the tag stable on mesh-1, which the namespace shop uses.
func tagged(t testing.TB) *cluster {
	t.Helper()
	c := twoMeshes(t)
	c.objects = c.objects.WithTag(tagOn(t, "stable", "mesh-1"))
	c.namespaces = []mesh.Namespace{*judged("shop", "istio-discovery=mesh-1,istio.io/rev=stable")}
	return c
}

func TestATagIsJudgedByCreateUpdateAndDelete(t *testing.T) {
	s := serve(t, tagged(t))
	for name, test := range map[string]struct {
		request request
		answer  string
	}{
		"created":                           {tagRequest("canary", "", "Istio mesh-2"), "allow"},
		"created with a revision's name":    {tagRequest("mesh-1", "", "Istio mesh-2"), "deny MF301"},
		"created without a target":          {tagRequest("canary", "", "Istio mesh-9"), "warn MF304"},
		"moved away from its namespaces":    {tagRequest("stable", "Istio mesh-1", "Istio mesh-2"), "deny MF302"},
		"moved to a revision of the mesh":   {tagRequest("stable", "Istio mesh-1", "IstioRevision mesh-1"), "allow"},
		"moved to nothing":                  {tagRequest("stable", "Istio mesh-1", "Istio mesh-9"), "deny MF118"},
		"deleted in use":                    {tagRequest("stable", "Istio mesh-1", ""), "warn MF303"},
		"deleted, used by nobody":           {tagRequest("canary", "Istio mesh-1", ""), "allow"},
		"moved, and used by nobody":         {tagRequest("canary", "Istio mesh-1", "Istio mesh-2"), "allow"},
		"wrong before, and changed":         {tagRequest("mesh-1", "Istio mesh-1", "Istio mesh-2"), "warn MF301"},
		"in a dry run, moved":               {dry(tagRequest("stable", "Istio mesh-1", "Istio mesh-2")), "deny MF302"},
		"in a dry run, deleted":             {dry(tagRequest("stable", "Istio mesh-1", "")), "warn MF303"},
		"of an object that has no name":     {request{path: webhook.PathValidateIstioRevisionTag, name: "mesh-1", object: "{spec: {targetRef: {kind: Istio, name: mesh-2}}}"}, "deny MF301"},
		"deleted, of which only a part can": {request{path: webhook.PathValidateIstioRevisionTag, name: "stable", operation: admissionv1.Delete, old: "{metadata: {name: stable}, spec: 5}"}, "warn MF303"},
	} {
		if got := said(s.ask(t, test.request)); got != test.answer {
			t.Errorf("%s: %s, want %s", name, got, test.answer)
		}
	}
}

func dry(r request) request {
	r.dryRun = true
	return r
}

// said is an answer in short: deny or warn, and the code of the first finding.
func said(answer *admissionv1.AdmissionResponse) string {
	switch {
	case !answer.Allowed && answer.Result.Code != http.StatusUnprocessableEntity:
		return fmt.Sprintf("refused with %d: %s", answer.Result.Code, answer.Result.Message)
	case !answer.Allowed:
		code, _, _ := strings.Cut(cause(answer), " ")
		return "deny " + code
	case len(answer.Warnings) > 0:
		code, _, _ := strings.Cut(answer.Warnings[0], " ")
		return "warn " + code
	default:
		return "allow"
	}
}

// cause is the first finding of a refusal as kubectl prints it, without its field; "" if there is none.
func cause(answer *admissionv1.AdmissionResponse) string {
	if answer.Result == nil || answer.Result.Details == nil || len(answer.Result.Details.Causes) == 0 {
		return ""
	}
	return answer.Result.Details.Causes[0].Message
}

func TestADenialOfATagIsAWholeAnswer(t *testing.T) {
	const message = `MF301 TagNameTaken: it has the name of a revision of mesh "mesh-1", which istio.io/rev=mesh-1 chooses
  the operator does nothing for the tag
  choose a name that nothing has yet
  see those that are taken:  kubectl get istiorevisions.sailoperator.io,istiorevisiontags.sailoperator.io
  meshfence explain rule MF301`
	want := &admissionv1.AdmissionResponse{UID: uid, Result: &metav1.Status{
		Status: "Failure", Code: 422, Reason: "Invalid", Message: "metadata.name: " + message,
		Details: &metav1.StatusDetails{
			Name: "mesh-1", Group: "sailoperator.io", Kind: "IstioRevisionTag",
			Causes: []metav1.StatusCause{{Type: "FieldValueInvalid", Field: "metadata.name", Message: message}},
		},
	}}
	if diff := cmp.Diff(audited(want, "deny", "MF301"), serve(t, tagged(t)).ask(t, tagRequest("mesh-1", "", "Istio mesh-2"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The target was created a moment ago, in the same kubectl apply; no cache has seen it.
func TestATagIsJudgedAgainstWhatIsStoredAndNotAgainstACache(t *testing.T) {
	c := tagged(t)
	stored := c.objects
	c.objects = mesh.Objects{}
	s := serve(t, c)
	if got := said(s.ask(t, tagRequest("canary", "", "Istio mesh-1"))); got != "warn MF304" {
		t.Errorf("nothing is stored: %s", got)
	}
	c.stored = &stored
	if got := said(s.ask(t, tagRequest("canary", "", "Istio mesh-1"))); got != "allow" {
		t.Errorf("its target is stored: %s", got)
	}
}

func TestANamespaceThatIsExemptIsNoReasonToRefuseATag(t *testing.T) {
	s := serve(t, tagged(t), func(c *config.Configuration) { c.ExemptNamespaces = config.Globs{"sh*"} })
	for _, r := range []request{tagRequest("stable", "Istio mesh-1", "Istio mesh-2"), tagRequest("stable", "Istio mesh-1", "")} {
		if got := said(s.ask(t, r)); got != "allow" {
			t.Errorf("%s: %s", r.object, got)
		}
	}
}

func TestAMalformedTagIsRefusedWithTheNameOfItsFieldUnlessItWasSoBefore(t *testing.T) {
	s := serve(t, tagged(t))
	fine := tagObject("new", "Istio mesh-1")
	for spec, problem := range map[string]string{
		"5": "spec: found a number", "[]": "spec: found an array", "{targetRef: mesh-1}": "spec.targetRef: found a string",
		"{targetRef: {kind: 1, name: mesh-1}}": "spec.targetRef.kind: found a number", "{targetRef: {kind: Istio, name: [a]}}": "spec.targetRef.name: found an array",
	} {
		object := "{metadata: {name: new}, spec: " + spec + "}"
		for _, old := range []string{"", fine} {
			got := s.ask(t, request{path: webhook.PathValidateIstioRevisionTag, name: "new", object: object, old: old})
			if diff := cmp.Diff(surprise{problem: problem}.refusal("IstioRevisionTag"), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", spec, diff)
			}
		}
		if got := said(s.ask(t, request{path: webhook.PathValidateIstioRevisionTag, name: "new", object: object, old: object})); got != "allow" {
			t.Errorf("%s, as before: %s", spec, got)
		}
		if got := said(s.ask(t, request{path: webhook.PathValidateIstioRevisionTag, name: "new", object: fine, old: object})); got != "allow" {
			t.Errorf("%s, repaired: %s", spec, got)
		}
	}
}

func TestATagThatNeedsNoJudgementIsAllowedWhateverItIs(t *testing.T) {
	c := tagged(t)
	c.unsynced = true // not even that matters
	s := serve(t, c)
	const deleting = "{metadata: {name: stable, deletionTimestamp: '2026-08-01T12:00:00Z'}, spec: 5}"
	for name, r := range map[string]request{
		"a subresource":                            {object: "{spec: 5}", subresource: "status"},
		"a subresource, no object":                 {subresource: "status"},
		"an exempt user":                           {object: tagObject("mesh-1", "Istio mesh-2"), user: "system:apiserver"},
		"an exempt user who deletes":               {operation: admissionv1.Delete, old: tagObject("stable", "Istio mesh-1"), user: "system:apiserver"},
		"the garbage collector":                    {operation: admissionv1.Delete, old: tagObject("stable", "Istio mesh-1"), user: "system:serviceaccount:kube-system:generic-garbage-collector"},
		"a deletion once more":                     {operation: admissionv1.Delete, old: deleting},
		"a deletion without the object":            {operation: admissionv1.Delete},
		"a deletion of nothing that could be read": {operation: admissionv1.Delete, old: "[5]"},
	} {
		r.path, r.name = webhook.PathValidateIstioRevisionTag, "stable"
		if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The garbage collector is let off what it deletes, and nothing else.
	r := tagRequest("mesh-1", "", "Istio mesh-2")
	r.user = "system:serviceaccount:kube-system:generic-garbage-collector"
	if got := s.ask(t, r); got.Allowed {
		t.Errorf("a creation by the garbage collector: %+v", got)
	}
}

// A tag in deletion chooses a mesh until its last finalizer is gone, so what decides that is judged; the rest gets through.
func TestOfATagThatIsBeingDeletedOnlyTheTargetIsJudged(t *testing.T) {
	const deleting = "deletionTimestamp: '2026-08-01T12:00:00Z', finalizers: [example.com/hold]"
	tag := func(metadata, spec string) string {
		return "{kind: IstioRevisionTag, metadata: {name: stable, " + metadata + "}, spec: " + spec + "}"
	}
	const on1, on2, nothing = "{targetRef: {kind: Istio, name: mesh-1}}", "{targetRef: {kind: Istio, name: mesh-2}}", "{targetRef: {}}"
	for name, test := range map[string]struct {
		old, object string
		answer      string
	}{
		"its finalizer goes":                        {tag(deleting, on1), tag("deletionTimestamp: '2026-08-01T12:00:00Z'", on1), "allow"},
		"an annotation and a label come":            {tag(deleting, on1), tag(deleting+", labels: {a: b}, annotations: {c: d}", on1), "allow"},
		"its status":                                {tag(deleting, on1), tag(deleting, on1)[:len(tag(deleting, on1))-1] + ", status: {state: Healthy}}", "allow"},
		"it was wrong before, and a finalizer goes": {tag(deleting, on2), tag("deletionTimestamp: '2026-08-01T12:00:00Z'", on2), "allow"},
		"it was malformed before":                   {tag(deleting, "5"), tag("deletionTimestamp: '2026-08-01T12:00:00Z'", "5"), "allow"},
		"another target":                            {tag(deleting, on1), tag(deleting, on2), "deny MF302"},
		"another target, with the last finalizer":   {tag(deleting, on1), tag("deletionTimestamp: '2026-08-01T12:00:00Z'", on2), "deny MF302"},
		"another target, which does not exist":      {tag(deleting, on1), tag(deleting, nothing), "deny MF118"},
		"a right target again":                      {tag(deleting, on2), tag(deleting, on1), "allow"},
		"another target, malformed":                 {tag(deleting, on1), tag(deleting, "5"), "deny meshfence"},
		"no target, malformed":                      {tag(deleting, nothing), tag(deleting, "5"), "deny meshfence"},
		"a creation that says it is being deleted":  {"", tag(deleting, on2), "deny MF302"},
	} {
		r := request{path: webhook.PathValidateIstioRevisionTag, name: "stable", old: test.old, object: test.object}
		if got := said(serve(t, tagged(t)).ask(t, r)); got != test.answer {
			t.Errorf("%s: %s, want %s", name, got, test.answer)
		}
	}
}

func TestATagThatCannotBeJudgedYetIsRefusedForNow(t *testing.T) {
	c := tagged(t)
	s := serve(t, c)
	deletion := tagRequest("stable", "Istio mesh-1", "")
	for name, test := range map[string]struct {
		change   func()
		message  string
		deletion string
	}{
		"nothing is synced":          {func() { c.unsynced = true }, noMeshes, "refused with 503: " + noMeshes},
		"the meshes cannot be read":  {func() { c.live = func() error { return errors.New("etcd is away") } }, "meshfence cannot judge this request yet: it cannot read the stored meshes (etcd is away). Try again in a few seconds", "warn MF303"},
		"a namespace cannot be read": {func() { c.unreadable = errors.New("etcd is slow") }, "meshfence cannot judge this request yet: etcd is slow. Try again in a few seconds", "warn MF303"},
	} {
		c.unsynced, c.live, c.unreadable = false, nil, nil
		test.change()
		if got := said(s.ask(t, deletion)); got != test.deletion { // it is judged by what is known
			t.Errorf("%s, a deletion: %s, want %s", name, got, test.deletion)
		}
		for _, r := range []request{tagRequest("canary", "", "Istio mesh-1"), tagRequest("stable", "Istio mesh-1", "Istio mesh-2")} {
			want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, test.message)
			if diff := cmp.Diff(want, s.ask(t, r)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestTheDeletionOfATagIsRefusedIfTheConfigurationSaysSo(t *testing.T) {
	s := serve(t, tagged(t), func(c *config.Configuration) { c.Rules = map[string]config.Action{"MF303": config.ActionDeny} })
	if got := said(s.ask(t, tagRequest("stable", "Istio mesh-1", ""))); got != "deny MF303" {
		t.Error(got)
	}
}

// tagOn is a stored tag on an Istio.
func tagOn(t testing.TB, name, istio string) *sail.Tag {
	t.Helper()
	tag, err := sail.DecodeTag(extension(t, tagObject(name, "Istio "+istio)).Raw)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}
