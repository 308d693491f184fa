package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/match"
)

// overriding is a namespace with crossed labels (MF202) and, beside them, istio-injection (MF204), that asks to override.
func overriding(codes string) request {
	return request{
		path: webhook.PathValidateNamespace, name: "blog", user: "jane",
		object: "{metadata: {name: blog, annotations: {meshfence.io/override: '" + codes + "'}, " +
			"labels: {istio-discovery: mesh-1, istio.io/rev: mesh-2}}}",
	}
}

// granting allows the override of these rules to everybody, and nothing else.
func granting(names ...string) func(authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	return func(review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		what := *review.ResourceAttributes
		return what.Verb == "override" && what.Group == "meshfence.io" && what.Resource == "rules" && slices.Contains(names, what.Name), nil
	}
}

func TestIfTheUserMayOverrideTheRuleThenTheDenialIsAWarningThatSaysSo(t *testing.T) {
	c := twoMeshes(t)
	c.allow = granting("mf202")
	s := serve(t, c)
	got := s.ask(t, overriding("MF202"))
	if len(got.Warnings) == 0 || !strings.HasPrefix(got.Warnings[0],
		`MF202 RevisionOfAnotherMesh: Namespace "blog": overridden by user "jane" with meshfence.io/override: mesh "mesh-1" discovers it`) {
		t.Errorf("warnings: %q", got.Warnings)
	}
	want := audited(allowed(got.Warnings...), "warn", "MF202")
	want.AuditAnnotations["overridden"] = "MF202"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIfTheUserMayNotOverrideTheRuleThenTheAnnotationChangesNothingAndTheMessageSaysSo(t *testing.T) {
	c := twoMeshes(t)
	s := serve(t, c)
	plain := overriding("")
	without := s.ask(t, plain)
	got := s.ask(t, overriding("MF202"))
	const why = `
  the annotation meshfence.io/override is ignored, because user "jane" may not override MF202, which an administrator can allow:
    kubectl create clusterrole meshfence-override-mf202 --verb=override --resource='*.meshfence.io' --resource-name=mf202
    kubectl create clusterrolebinding meshfence-override-mf202-jane --clusterrole=meshfence-override-mf202 --user=jane`
	want := without.DeepCopy()
	const more = "\n  meshfence explain rule MF202"
	want.Result.Message = strings.TrimSuffix(want.Result.Message, more) + why + more
	want.Result.Details.Causes[0].Message = strings.TrimSuffix(want.Result.Details.Causes[0].Message, more) + why + more
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIfTheAPIServerCannotBeAskedThenNothingIsOverriddenAndTheMessageSaysSo(t *testing.T) {
	for name, problem := range map[string]error{"unreachable": errors.New("connection refused"), "slow": context.DeadlineExceeded} {
		c := twoMeshes(t)
		c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return true, problem }
		s := serve(t, c)
		got := s.ask(t, overriding("MF202"))
		const why = `is ignored, because meshfence could not check whether user "jane" may override MF202: try again in a few seconds
  meshfence explain rule MF202`
		if got.Allowed || got.Result.Code != http.StatusUnprocessableEntity || !strings.HasSuffix(got.Result.Message, why) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestOnlyRulesThatDenyAndThatTheAnnotationNamesAreAskedForWithAllThatIsKnownOfTheUser(t *testing.T) {
	c := twoMeshes(t)
	var asked []authorizationv1.SubjectAccessReviewSpec
	c.allow = func(review authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		asked = append(asked, review)
		return false, nil
	}
	s := serve(t, c)
	for name, r := range map[string]request{
		"no annotation":            namespaceRequest("blog", crossed, ""),
		"another rule":             overriding("MF101,MF204"),
		"no rule":                  overriding("mf202"),
		"nothing is wrong":         {path: webhook.PathValidateNamespace, name: "blog", object: "{metadata: {name: blog, annotations: {meshfence.io/override: MF202}}}"},
		"it was wrong before":      {path: webhook.PathValidateNamespace, name: "blog", object: overriding("MF202").object, old: namespace("blog", crossed)},
		"only the old object asks": {path: webhook.PathValidateNamespace, name: "blog", object: namespace("blog", crossed), old: "{metadata: {name: blog, annotations: {meshfence.io/override: MF202}}}"},
	} {
		if s.ask(t, r); len(asked) > 0 {
			t.Errorf("%s: asked for %+v", name, asked)
		}
		asked = nil
	}
	r := overriding("MF202,MF204,MF202")
	r.who = &authenticationv1.UserInfo{
		Username: "jane", UID: "42", Groups: []string{"devs", "system:authenticated"}, Extra: map[string]authenticationv1.ExtraValue{"scopes.authorization.openshift.io": {"user:full", "b"}},
	}
	s.ask(t, r)
	want := []authorizationv1.SubjectAccessReviewSpec{{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "override", Group: "meshfence.io", Resource: "rules", Name: "mf202"},
		User:               "jane", UID: "42", Groups: []string{"devs", "system:authenticated"},
		Extra: map[string]authorizationv1.ExtraValue{"scopes.authorization.openshift.io": {"user:full", "b"}},
	}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMeshIsOverriddenAsANamespaceIsAndItsKeysAreWatched(t *testing.T) {
	c := twoMeshes(t)
	c.allow = granting("mf103")
	var ensured []string
	c.ensure = func(asked match.Scope) error {
		ensured = asked.Keys
		return nil
	}
	s := serve(t, c)
	for _, path := range controlPlanePaths() {
		ensured = nil
		spec := "{namespace: istio-system-3, values: {meshConfig: {discoverySelectors: [{matchLabels: {istio-discovery: mesh-1, team: a}}]}}}"
		r := request{path: path, name: "mesh-3", user: "jane", object: "{metadata: {name: mesh-3, annotations: {meshfence.io/override: MF103}}, spec: " + spec + "}"}
		got := s.ask(t, r)
		if !got.Allowed || got.AuditAnnotations["overridden"] != "MF103" || !slices.Contains(ensured, "team") {
			t.Errorf("%s: %+v, watched %q", path, got, ensured)
		}
		r.object = istio("mesh-3", spec)
		if got := s.ask(t, r); got.Allowed {
			t.Errorf("%s, without the annotation: %+v", path, got)
		}
	}
}

func TestIfOneOfTwoRulesIsGrantedThenTheOtherOneRefuses(t *testing.T) {
	c := twoMeshes(t)
	c.allow = granting("mf101", "mf105")
	s := serve(t, c)
	r := forbidden() // MF101, MF102, MF105
	r.object = strings.Replace(r.object, "{name: new}", "{name: new, annotations: {meshfence.io/override: 'MF101, MF102'}}", 1)
	got := s.ask(t, r)
	var causes []string
	for _, cause := range got.Result.Details.Causes {
		causes = append(causes, cause.Message[:5])
	}
	if got.Allowed || !slices.Equal(causes, []string{"MF102", "MF105"}) || !strings.HasPrefix(got.Warnings[0], "MF101 InvalidSelector: ") || !strings.Contains(got.Warnings[0], "overridden by user") {
		t.Errorf("%+v", got)
	}
	want := map[string]string{"decision": "deny", "findings": "MF102,MF105,MF101", "overridden": "MF101"}
	if diff := cmp.Diff(want, got.AuditAnnotations); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachOverrideIsCountedAndLogged(t *testing.T) {
	for answer, allow := range map[string]func(authorizationv1.SubjectAccessReviewSpec) (bool, error){
		"granted":     granting("mf202"),
		"refused":     granting(),
		"unavailable": func(authorizationv1.SubjectAccessReviewSpec) (bool, error) { return false, errors.New("away") },
	} {
		c := twoMeshes(t)
		c.allow = allow
		s := serve(t, c)
		s.ask(t, overriding("MF202"))
		if want := `meshfence_overrides_total{answer="` + answer + `",operation="CREATE",resource="namespaces",rule="MF202"} 1` + "\n"; !strings.Contains(s.metrics(t), want) {
			t.Errorf("%s: metrics without %s", answer, want)
		}
		var lines []map[string]any
		for _, text := range s.log.take() {
			line := map[string]any{}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			if line["msg"] == "override" {
				lines = append(lines, line)
			}
		}
		want := []map[string]any{{
			"logger": "admission", "level": 0.0, "msg": "override", "path": "/validate/namespace", "name": "blog", "user": "jane",
			"requestID": string(uid), "kind": "Namespace", "operation": "CREATE", "rule": "MF202", "answer": answer,
		}}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", answer, diff)
		}
	}
}

func TestAMisspeltCodeIsTold(t *testing.T) {
	s := serve(t, twoMeshes(t))
	const note = `the annotation meshfence.io/override names "MF2O2", which is no rule that a request can break. Did you mean "MF202"?`
	got := s.ask(t, overriding("MF2O2"))
	if got.Allowed || !slices.Equal(got.Warnings, []string{note}) {
		t.Errorf("%+v", got)
	}
	r := request{path: webhook.PathValidateNamespace, name: "blog", object: "{metadata: {name: blog, annotations: {meshfence.io/override: MF2O2}}}"}
	if diff := cmp.Diff(audited(allowed(note), "allow", ""), s.ask(t, r)); diff != "" {
		t.Errorf("nothing is wrong (-want +got):\n%s", diff)
	}
}

func TestInTheModeWarnNobodyIsAskedAboutOverrides(t *testing.T) {
	c := twoMeshes(t)
	c.allow = func(authorizationv1.SubjectAccessReviewSpec) (bool, error) {
		t.Error("asked")
		return false, nil
	}
	s := serve(t, c, func(c *config.Configuration) { c.Mode = config.ModeWarn })
	if got := s.ask(t, overriding("MF202")); !got.Allowed || got.AuditAnnotations["overridden"] != "" {
		t.Errorf("%+v", got)
	}
}
