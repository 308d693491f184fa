package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

const noMeshes = "meshfence cannot judge this request yet: it has not read the cluster's meshes. Try again in a few seconds"

// surprise is a spec with a value of a surprising type, and what is said of it.
type surprise struct{ spec, problem string }

func surprises() []surprise {
	const list = "spec.values.meshConfig.discoverySelectors"
	selectors := func(items string) string {
		return "{values: {meshConfig: {discoverySelectors: " + items + "}}}"
	}
	return []surprise{
		{"5", "spec: found a number"},
		{"[]", "spec: found an array"},
		{"{version: 1.30}", "spec.version: found a number"},
		{"{namespace: [a]}", "spec.namespace: found an array"},
		{"{profile: true}", "spec.profile: found a bool"},
		{"{updateStrategy: RevisionBased}", "spec.updateStrategy: found a string"},
		{"{updateStrategy: {type: 1}}", "spec.updateStrategy.type: found a number"},
		{"{values: 'a: b'}", "spec.values: found a string"},
		{"{values: []}", "spec.values: found an array"},
		{"{values: {profile: {}}}", "spec.values.profile: found an object"},
		{"{values: {meshConfig: true}}", "spec.values.meshConfig: found a bool"},
		{selectors("{matchLabels: {a: b}}"), list + ": found an object"},
		{selectors("a=b"), list + ": found a string"},
		{selectors("['a=b']"), list + ": found a string"},
		{selectors("[[]]"), list + ": found an array"},
		{selectors("[{matchLabels: [a]}]"), list + ".matchLabels: found an array"},
		{selectors("[{matchLabels: {a: b}}, {matchLabels: {a: 1}}]"), list + ".matchLabels: found a number"},
		{selectors("[{matchLabels: {a: true}}]"), list + ".matchLabels: found a bool"},
		{selectors("[{matchExpressions: {key: a}}]"), list + ".matchExpressions: found an object"},
		{selectors("[{matchExpressions: [a]}]"), list + ".matchExpressions: found a string"},
		{selectors("[{matchExpressions: [{key: 1, operator: Exists}]}]"), list + ".matchExpressions.key: found a number"},
		{selectors("[{matchExpressions: [{key: a, operator: [In], values: [b]}]}]"), list + ".matchExpressions.operator: found an array"},
		{selectors("[{matchExpressions: [{key: a, operator: In, values: b}]}]"), list + ".matchExpressions.values: found a string"},
		{selectors("[{matchExpressions: [{key: a, operator: In, values: [b, 1]}]}]"), list + ".matchExpressions.values: found a number"},
		{"{values: {global: []}}", "spec.values.global: found an array"},
		{"{values: {global: {trustBundleName: 1}}}", "spec.values.global.trustBundleName: found a number"},
		{"{values: {pilot: ''}}", "spec.values.pilot: found a string"},
		{"{values: {pilot: {env: [{name: A, value: b}]}}}", "spec.values.pilot.env: found an array"},
		{"{values: {pilot: {env: {PILOT_ENABLE_AMBIENT: true}}}}", "spec.values.pilot.env.PILOT_ENABLE_AMBIENT: found a bool"},
	}
}

func (s surprise) refusal(kind string) *admissionv1.AdmissionResponse {
	message := fmt.Sprintf("meshfence cannot judge %s \"new\": %s where the Sail operator's API has another type. Correct that field", kind, s.problem)
	answer := refused(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, message)
	field, _, _ := strings.Cut(s.problem, ": ")
	answer.Result.Details = &metav1.StatusDetails{
		Name: "new", Group: "sailoperator.io", Kind: kind,
		Causes: []metav1.StatusCause{{Type: "FieldValueInvalid", Field: field, Message: message}},
	}
	answer.AuditAnnotations = map[string]string{"decision": "deny"}
	return answer
}

func controlPlanePaths() []string {
	return []string{webhook.PathValidateIstio, webhook.PathValidateIstioRevision}
}

func TestAValueOfASurprisingTypeIsRefusedWithTheNameOfItsField(t *testing.T) {
	s := serve(t, twoMeshes(t))
	fine := istio("new", selecting("istio-system-new", "istio-discovery", "new"))
	for _, path := range controlPlanePaths() {
		for _, test := range surprises() {
			for change, old := range map[string]string{"on CREATE": "", "on UPDATE": fine} {
				t.Run(strings.TrimPrefix(path, "/")+" "+test.spec+" "+change, func(t *testing.T) {
					got := s.ask(t, request{path: path, name: "new", object: istio("new", test.spec), old: old})
					if diff := cmp.Diff(test.refusal(kindOf(path).Kind), got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if logged := s.log.take(); len(logged) != 1 || !strings.Contains(logged[0], test.problem) {
						t.Errorf("logged %q, want one line", logged)
					}
				})
			}
		}
	}
}

func TestASurpriseInTheMetadataIsRefusedWithTheNameOfItsField(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for meta, problem := range map[string]string{
		"[]":                            "metadata: found an array",
		"new":                           "metadata: found a string",
		"{name: 5}":                     "metadata.name: found a number",
		"{name: new, annotations: [a]}": "metadata.annotations: found an array",
		"{name: new, annotations: {meshfence.io/allow-overlap: [a]}}":   "metadata.annotations: found an array",
		"{name: new, deletionTimestamp: 1785585600}":                    "metadata.deletionTimestamp: found a number",
		"{name: new, ownerReferences: {name: mesh-1}}":                  "metadata.ownerReferences: found an object",
		"{name: new, ownerReferences: [{name: a, controller: 'true'}]}": "metadata.ownerReferences.controller: found a string",
	} {
		for _, path := range controlPlanePaths() {
			got := s.ask(t, request{path: path, name: "new", object: "{metadata: " + meta + ", spec: " + selecting("istio-system-new", "a", "b") + "}"})
			if diff := cmp.Diff(surprise{problem: problem}.refusal(kindOf(path).Kind), got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", path, meta, diff)
			}
		}
	}
}

// Somebody must be able to edit such an object, above all to repair it bit by bit.
func TestASurpriseThatWasThereBeforeIsNoReasonToRefuse(t *testing.T) {
	s := serve(t, &cluster{})
	for _, path := range controlPlanePaths() {
		for _, test := range surprises() {
			object := istio("new", test.spec)
			got := s.ask(t, request{path: path, name: "new", object: edited(object), old: object})
			if !got.Allowed || !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.HasPrefix(w, "MF102 DiscoversEverything: ") }) {
				t.Errorf("%s, %s: %+v, want a warning that it discovers everything", path, test.spec, got)
			}
		}
	}
}

func TestARepairOfOneSurpriseOfSeveralIsAdmitted(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range controlPlanePaths() {
		got := s.ask(t, request{path: path, name: "new", object: istio("new", "{namespace: istio-system-new, values: {pilot: [a]}}"),
			old: istio("new", "{namespace: istio-system-new, version: 5, values: {pilot: [a]}}")})
		if !got.Allowed {
			t.Errorf("%s: %+v, want it admitted", path, got)
		}
	}
}

func TestOfAnObjectThatIsBeingDeletedFinalizersAndMetadataPassAndItsSpecIsJudged(t *testing.T) {
	s := serve(t, twoMeshes(t))
	ending := func(spec, more string) string {
		return "{metadata: {name: new, deletionTimestamp: '2026-08-01T12:00:00Z'" + more + "}, spec: " + spec + "}"
	}
	fine := selecting("istio-system-new", "istio-discovery", "new")
	for _, path := range controlPlanePaths() {
		for _, spec := range []string{"5", "{values: []}", "{}", selecting("istio-system-1", "istio-discovery", "mesh-1"), fine} {
			got := s.ask(t, request{path: path, name: "new", object: ending(spec, ", finalizers: [], labels: {team: a}, annotations: {a: b}"), old: ending(spec, "")})
			if diff := cmp.Diff(allowed(), got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", path, spec, diff)
			}
			if spec == fine {
				continue
			}
			if got := s.ask(t, request{path: path, name: "new", object: ending(spec, ""), old: ending(fine, "")}); got.Allowed {
				t.Errorf("%s: a change to %s is not judged", path, spec)
			}
		}
	}
}

// Of the metadata too some is judged: an overlap that was declared must not lose its declaration, nor a revision its owner.
func TestOfAnObjectThatIsBeingDeletedTheDeclarationAndTheOwnerAreJudged(t *testing.T) {
	s := serve(t, twoMeshes(t))
	ending := func(more string) string {
		return "{metadata: {name: mesh-2, deletionTimestamp: '2026-08-01T12:00:00Z', uid: u" + more + "}, spec: " + selecting("istio-system-2", "istio-discovery", "mesh-1") + "}"
	}
	for path, more := range map[string]string{
		webhook.PathValidateIstio:         ", annotations: {meshfence.io/allow-overlap: mesh-1}",
		webhook.PathValidateIstioRevision: ", ownerReferences: [{apiVersion: sailoperator.io/v1, kind: Istio, name: mesh-1, controller: true}]",
	} {
		if got := s.ask(t, request{path: path, name: "mesh-2", object: ending(more + ", finalizers: []"), old: ending(more)}); !got.Allowed {
			t.Errorf("%s: finalizers: %+v", path, got)
		}
		got := s.ask(t, request{path: path, name: "mesh-2", object: ending(""), old: ending(more)})
		if got.Allowed && len(got.Warnings) == 0 {
			t.Errorf("%s: it is not judged", path)
		}
	}
}

// forbidden is an Istio that breaks several rules in twoMeshes.
func forbidden() request {
	return istioRequest("new", "{namespace: istio-system-1, values: {meshConfig: {discoverySelectors: "+
		"[{matchLabels: {istio-discovery: mesh-1}}, {matchExpressions: [{key: env, operator: in, values: [a]}]}]}}}", "")
}

// verdict is what the policy says of an Istio that is created.
func verdict(t *testing.T, c *cluster, r request) policy.Verdict {
	t.Helper()
	fleet := mesh.NewFleet(c.objects.With(controlPlane(t, r.object)))
	return policy.New(webhook.Settings(config.Default())).Mesh(policy.MeshChange{
		New: fleet.Mesh(mesh.Ref{Kind: sail.KindIstio, Name: r.name}), Before: mesh.NewFleet(c.objects), Fleet: fleet,
		Namespaces: c.namespaces,
	})
}

func TestADenialNamesEveryFindingAsACauseInTheOrderOfTheCatalogue(t *testing.T) {
	c, r := twoMeshes(t), forbidden()
	findings := verdict(t, c, r).Denials
	var codes, messages []string
	var causes []metav1.StatusCause
	for _, f := range findings {
		codes, messages = append(codes, string(f.Rule.Code)), append(messages, f.Field+": "+f.Message())
		causes = append(causes, metav1.StatusCause{Type: "FieldValueInvalid", Field: f.Field, Message: f.Message()})
	}
	if diff := cmp.Diff([]string{"MF101", "MF102", "MF105"}, codes); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	if got := causes[0].Field; got != "spec.values.meshConfig.discoverySelectors[1].matchExpressions[0].operator" {
		t.Errorf("the first cause is at %s", got)
	}
	want := &admissionv1.AdmissionResponse{UID: uid, Result: &metav1.Status{
		Status: "Failure", Code: 422, Reason: "Invalid", Message: strings.Join(messages, "\n"),
		Details: &metav1.StatusDetails{Name: "new", Group: "sailoperator.io", Kind: "Istio", Causes: causes},
	}}
	want = audited(want, "deny", "MF101,MF102,MF105")
	s := serve(t, c)
	if diff := cmp.Diff(want, s.ask(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAllowWithFindingsCarriesThemAsWarnings(t *testing.T) {
	c, r := &cluster{}, istioRequest("new", "{}", "")
	v := verdict(t, c, r)
	if v.Answer != policy.Allowed || len(v.Warnings) != 1 || v.Warnings[0].Rule.Code != "MF102" {
		t.Fatalf("%+v", v)
	}
	if diff := cmp.Diff(audited(allowed(v.WarningLines(`Istio "new"`)...), "warn", "MF102"), serve(t, c).ask(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInTheModeWarnADenialBecomesWarnings(t *testing.T) {
	c := twoMeshes(t)
	s := serve(t, c, func(c *config.Configuration) { c.Mode = config.ModeWarn })
	got := s.ask(t, forbidden())
	if !got.Allowed || got.AuditAnnotations["findings"] != "MF101,MF102,MF105" || got.Result.Details != nil {
		t.Errorf("%+v", got)
	}
}

func TestARuleThatTheConfigurationSwitchesOffIsSilent(t *testing.T) {
	s := serve(t, twoMeshes(t), func(c *config.Configuration) {
		c.Rules = map[string]config.Action{"MF101": config.ActionOff, "MF102": config.ActionWarn, "MF105": config.ActionWarn}
	})
	if got := s.ask(t, forbidden()); !got.Allowed || got.AuditAnnotations["findings"] != "MF102,MF105" {
		t.Errorf("%+v", got)
	}
}

// edited is a mesh with another declaration of what it may overlap with.
func edited(object string) string {
	return strings.Replace(object, "metadata: {", "metadata: {annotations: {meshfence.io/allow-overlap: nobody}, ", 1)
}

func TestOnUpdateOnlyWhatIsNewIsRefused(t *testing.T) {
	c := twoMeshes(t)
	r := forbidden()
	c.objects = c.objects.With(controlPlane(t, r.object))
	s := serve(t, c)
	r.old = r.object
	if got := s.ask(t, r); !got.Allowed || got.AuditAnnotations["decision"] != "allow" || len(got.Warnings) > 0 {
		t.Errorf("an edit that changes nothing: %+v", got)
	}
	r.object = edited(r.object)
	if got := s.ask(t, r); !got.Allowed || got.AuditAnnotations["findings"] != "MF102" {
		t.Errorf("an edit of what decides about overlaps: %+v", got)
	}
	worse := istioRequest("mesh-2", selecting("istio-system-2", "istio-discovery", "mesh-1"), selecting("istio-system-2", "istio-discovery", "mesh-2"))
	if got := s.ask(t, worse); got.Allowed || !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: ") {
		t.Errorf("an edit that brings an overlap: %+v", got)
	}
}

// The other mesh was created a moment ago; no cache has seen it.
func TestAnIstioIsJudgedAgainstWhatIsStoredAndNotAgainstACache(t *testing.T) {
	c := &cluster{}
	c.live = func() error {
		c.objects = twoMeshes(t).objects
		return nil
	}
	got := serve(t, c).ask(t, istioRequest("new", selecting("istio-system-new", "istio-discovery", "mesh-1"), ""))
	if got.Allowed || !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: ") {
		t.Errorf("%+v", got)
	}
}

func TestWhileNothingIsSyncedAControlPlaneIsRefusedForNow(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true
	c.live = func() error {
		t.Error("the stored meshes were read")
		return nil
	}
	s := serve(t, c)
	for _, path := range controlPlanePaths() {
		want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, noMeshes)
		if diff := cmp.Diff(want, s.ask(t, good(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestIfTheStoredMeshesCannotBeReadThenAControlPlaneIsRefusedForNow(t *testing.T) {
	c := twoMeshes(t)
	c.live = func() error { return errors.New("etcd is away") }
	s := serve(t, c)
	for _, path := range controlPlanePaths() {
		want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
			"meshfence cannot judge this request yet: it cannot read the stored meshes (etcd is away). Try again in a few seconds")
		if diff := cmp.Diff(want, s.ask(t, good(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if logged := s.log.take(); len(logged) != 1 || !strings.Contains(logged[0], "etcd is away") {
			t.Errorf("%s: logged %q, want one line", path, logged)
		}
	}
}

// Without all labels on which the judgement depends, nothing is allowed.
func TestIfANamespaceCannotBeReadThenAControlPlaneIsRefusedForNow(t *testing.T) {
	c := twoMeshes(t)
	c.unreadable = errors.New("etcd is slow")
	s := serve(t, c)
	for _, path := range controlPlanePaths() {
		// A DELETE is judged by what is known.
		removal := request{path: path, name: "new", old: istio("new", selecting("istio-system-new", "istio-discovery", "new")), operation: admissionv1.Delete}
		if got := s.ask(t, removal); !got.Allowed {
			t.Errorf("a DELETE of %s: %+v", path, got)
		}
		for name, r := range map[string]request{"a change": good(path)} {
			want := refused(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable,
				"meshfence cannot judge this request yet: etcd is slow. Try again in a few seconds")
			if diff := cmp.Diff(want, s.ask(t, r)); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", name, path, diff)
			}
		}
	}
}

func TestWhatNeedsNoJudgementIsAllowedWhateverItIs(t *testing.T) {
	c := twoMeshes(t)
	c.unsynced = true // not even that matters
	s := serve(t, c)
	for _, path := range controlPlanePaths() {
		for name, r := range map[string]request{
			"a subresource":                            {object: istio("new", "5"), subresource: "status"},
			"a subresource of an update":               {object: istio("new", "{}"), old: istio("new", "{}"), subresource: "status"},
			"a subresource, no object":                 {subresource: "status"},
			"a deletion by an exempt user":             {operation: admissionv1.Delete, old: istio("new", "5"), user: "system:apiserver"},
			"a deletion by the garbage collector":      {operation: admissionv1.Delete, old: istio("new", "{}"), user: "system:serviceaccount:kube-system:generic-garbage-collector"},
			"a deletion once more":                     {operation: admissionv1.Delete, old: "{metadata: {name: new, deletionTimestamp: '2026-08-01T12:00:00Z'}, spec: {}}"},
			"a deletion of nothing that could be read": {operation: admissionv1.Delete, old: "[]"},
			"a deletion without the object":            {operation: admissionv1.Delete},
			"an exempt user":                           {object: forbidden().object, user: "system:apiserver"},
			"an exempt user, malformed":                {object: istio("new", "5"), user: "system:kube-controller-manager"},
		} {
			r.path, r.name = path, "new"
			if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", path, name, diff)
			}
		}
	}
}

func TestOnlyTheUsersThatTheConfigurationNamesAreExempt(t *testing.T) {
	s := serve(t, twoMeshes(t), func(c *config.Configuration) { c.ExemptUsers = config.Globs{"system:serviceaccount:ops:*"} })
	for user, want := range map[string]bool{"system:serviceaccount:ops:argo": true, "system:apiserver": false, "jane": false, "": false} {
		r := forbidden()
		r.user = user
		if got := s.ask(t, r).Allowed; got != want {
			t.Errorf("%q: allowed: %v", user, got)
		}
	}
}

// ensured records what the API server is to ask about.
func ensured(c *cluster) *[]match.Scope {
	calls := &[]match.Scope{}
	c.ensure = func(asked match.Scope) error {
		*calls = append(*calls, asked)
		return nil
	}
	return calls
}

func TestBeforeAMeshIsStoredWhatItsSelectorsLookAtIsWatched(t *testing.T) {
	c := twoMeshes(t)
	calls := ensured(c)
	s := serve(t, c)
	r := istioRequest("new", "{namespace: istio-system-new, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: new, tier: a}}, {matchLabels: {kubernetes.io/metadata.name: shop}, matchExpressions: [{key: istio-discovery, operator: DoesNotExist}]}]}}}", "")
	if got := s.ask(t, r); !got.Allowed {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff([]match.Scope{{Keys: []string{"istio-discovery", "tier"}, Names: []string{"istio-system-1", "istio-system-2", "istio-system-new", "shop"}}}, *calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARequestThatChangesNothingBringsNoKeys(t *testing.T) {
	for name, spoil := range map[string]func(*request){
		"a dry run":    func(r *request) { r.dryRun = true },
		"a denial":     func(r *request) { r.object = forbidden().object },
		"a malformed":  func(r *request) { r.object = istio("new", "5") },
		"a deletion":   func(r *request) { r.operation, r.object, r.old = admissionv1.Delete, "", r.object },
		"a status":     func(r *request) { r.subresource = "status" },
		"an exemption": func(r *request) { r.user = "system:apiserver" },
	} {
		c := twoMeshes(t)
		calls := ensured(c)
		r := good(webhook.PathValidateIstio)
		spoil(&r)
		serve(t, c).ask(t, r)
		if len(*calls) != 0 {
			t.Errorf("%s: %v", name, *calls)
		}
	}
}

func TestADryRunIsJudgedLikeAnyOtherRequest(t *testing.T) {
	s := serve(t, twoMeshes(t))
	r := forbidden()
	want := s.ask(t, r)
	r.dryRun = true
	if diff := cmp.Diff(want, s.ask(t, r)); diff != "" || want.Allowed {
		t.Errorf("allowed: %v, (-real +dry):\n%s", want.Allowed, diff)
	}
}

func TestIfTheKeysCannotBeWatchedThenTheMeshIsAllowedAllTheSame(t *testing.T) {
	c := twoMeshes(t)
	c.ensure = func(match.Scope) error { return errors.New("forbidden") }
	s := serve(t, c)
	if diff := cmp.Diff(admitted(), s.ask(t, good(webhook.PathValidateIstio))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	logged := strings.Join(s.log.take(), "\n")
	if !strings.Contains(logged, `"msg":"cannot add the selectors' label keys and names to the webhook configurations"`) || !strings.Contains(logged, `"error":"forbidden"`) {
		t.Errorf("logged: %s", logged)
	}
}

// owned is an IstioRevision that an Istio controls; its selectors are those of mesh-1.
func owned(owner string) request {
	return request{path: webhook.PathValidateIstioRevision, name: "rev", object: `{kind: IstioRevision, metadata: {name: rev, ownerReferences: [` +
		`{apiVersion: sailoperator.io/v1, kind: Istio, name: ` + owner + `, uid: u, controller: true}]}, spec: ` +
		selecting("istio-system-1", "istio-discovery", "mesh-1") + `}`}
}

func TestTheOperatorsCopyOfAnIstiosSelectorsIsAdmittedWithoutAWord(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, old := range []string{"", owned("mesh-1").object} {
		r := owned("mesh-1")
		r.old = old
		if diff := cmp.Diff(admitted(), s.ask(t, r)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Whoever says to own it: its istiod would discover the namespaces of mesh-1.
func TestAnOwnedIstioRevisionThatReachesIntoAnotherMeshIsRefused(t *testing.T) {
	s := serve(t, twoMeshes(t))
	ownerless := `{kind: IstioRevision, metadata: {name: rev}, spec: ` + selecting("istio-system-3", "istio-discovery", "mesh-3") + `}`
	for name, old := range map[string]string{"on CREATE": "", "on UPDATE, with an owner that it did not have": ownerless} {
		r := owned("mesh-2")
		r.old = old
		got := s.ask(t, r)
		if got.Allowed || !strings.HasPrefix(cause(got), `MF103 OverlappingSelectors: a selector of IstioRevision "rev" of Istio "mesh-2" `) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The garbage collector takes the owner away for kubectl delete --cascade=orphan, and must not be stopped.
func TestOnlyTheGarbageCollectorMayTakeAwayTheOwnerOfAnIstioRevisionWhileThatStays(t *testing.T) {
	s := serve(t, twoMeshes(t))
	without := `{kind: IstioRevision, metadata: {name: rev}, spec: ` + selecting("istio-system-1", "istio-discovery", "mesh-1") + `}`
	r := request{path: webhook.PathValidateIstioRevision, name: "rev", object: without, old: owned("mesh-1").object}
	got := s.ask(t, r)
	if got.Allowed || !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: its selector ") {
		t.Errorf("%+v", got)
	}
	r.user = "system:serviceaccount:kube-system:generic-garbage-collector"
	if diff := cmp.Diff(allowed(), s.ask(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Only its own mesh may adopt a revision: an overlap that it declared itself is not the new owner's.
func TestAnIstioRevisionThatFindsAnOwnerIsJudgedAsAPartOfItsMesh(t *testing.T) {
	s := serve(t, twoMeshes(t))
	without := `{kind: IstioRevision, metadata: {name: rev, annotations: {meshfence.io/allow-overlap: mesh-1}}, spec: ` +
		selecting("istio-system-1", "istio-discovery", "mesh-1") + `}`
	for owner, want := range map[string]bool{"mesh-1": true, "mesh-2": false} {
		r := owned(owner)
		r.old = without
		if got := s.ask(t, r); got.Allowed != want {
			t.Errorf("adopted by %s: %+v", owner, got)
		}
	}
}

func TestAnIstioRevisionWhoseOwnerIsNotStoredIsJudged(t *testing.T) {
	s := serve(t, twoMeshes(t))
	alone := owned("mesh-2")
	alone.object = strings.Replace(alone.object, "controller: true", "controller: false", 1)
	for name, r := range map[string]request{"vanished": owned("mesh-9"), "not its controller": alone} {
		got := s.ask(t, r)
		if got.Allowed || got.Result.Code != 422 || got.Result.Details.Kind != "IstioRevision" || !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: its selector ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTheNameAndKindOfTheRequestStandInForWhatTheObjectDoesNotSay(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, path := range controlPlanePaths() {
		got := s.ask(t, request{path: path, name: "new", object: "{kind: Pod, metadata: {}, spec: " + selecting("istio-system-new", "istio-discovery", "mesh-1") + "}"})
		if got.Allowed || got.Result.Details.Kind != kindOf(path).Kind || got.Result.Details.Name != "new" || !strings.HasPrefix(cause(got), "MF103 OverlappingSelectors: its selector ") {
			t.Errorf("%s: %+v", path, got.Result)
		}
	}
}
