package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshfence/meshfence/webhook"
	"github.com/meshfence/meshfence/webhook/config"
	"github.com/meshfence/meshfence/webhook/policy"
)

func TestAnswersFindingsFillsAndBadRequestsAreCountedWithoutNamesOfObjects(t *testing.T) {
	s := serve(t, twoMeshes(t))
	for _, r := range []request{
		good(webhook.PathValidateIstio), // allow
		forbidden(),                     // deny: MF101, MF102, MF105
		owned("mesh-9"),                 // deny: MF103, MF105
		{path: webhook.PathValidateIstio, name: "mesh-2", operation: "DELETE", old: istio("mesh-2", "{}")}, // allow
		tagRequest("mesh-1", "", "Istio mesh-2"),                                                           // deny: MF301
		tagRequest("stable", "Istio mesh-9", ""),                                                           // allow
		mapRequest("mesh-map", "mesh-1=mesh-9", ""),                                                        // warn: MF403
		mapRequest("other", "mesh-1=mesh-9", ""),                                                           // not judged
		good(webhook.PathValidateNamespace),                                                                // allow
		namespaceRequest("a", crossed, ""),                                                                 // deny: MF202
		namespaceRequest("b", crossed, crossed),                                                            // allow
		namespaceRequest("b", crossed+",mesh=mesh-1", crossed),                                             // warn: MF202
		namespaceRequest("kube-system", crossed, ""),                                                       // not judged
		fillRequest("{name: a, labels: {istio-discovery: mesh-1}}", ""),
		fillRequest("{name: b, labels: {istio-discovery: mesh-1}}", "{name: b}"),
		fillRequest("{name: c}", ""), // nothing to fill in
		fillRequest("{name: b, labels: {istio.io/rev: mesh-1}}", "{name: b, labels: {istio-discovery: mesh-1, istio.io/rev: mesh-1}, annotations: {meshfence.io/filled-revision: mesh-1}}"),
		{path: webhook.PathMutateNamespace, operation: "CONNECT"},
		{path: webhook.PathValidateIstio, object: "null"},
	} {
		s.ask(t, r)
	}
	s.post(t, webhook.PathValidateIstio, "application/json", strings.NewReader("{"))
	const want = `# HELP meshfence_admissions_total Requests answered, by resource, operation and answer (allow, warn, deny; unavailable: refused because they could not be judged yet).
# TYPE meshfence_admissions_total counter
meshfence_admissions_total{answer="allow",operation="CREATE",resource="istios"} 1
meshfence_admissions_total{answer="allow",operation="CREATE",resource="namespaces"} 1
meshfence_admissions_total{answer="allow",operation="DELETE",resource="istiorevisiontags"} 1
meshfence_admissions_total{answer="allow",operation="DELETE",resource="istios"} 1
meshfence_admissions_total{answer="allow",operation="UPDATE",resource="namespaces"} 1
meshfence_admissions_total{answer="deny",operation="CREATE",resource="istiorevisions"} 1
meshfence_admissions_total{answer="deny",operation="CREATE",resource="istiorevisiontags"} 1
meshfence_admissions_total{answer="deny",operation="CREATE",resource="istios"} 1
meshfence_admissions_total{answer="deny",operation="CREATE",resource="namespaces"} 1
meshfence_admissions_total{answer="warn",operation="CREATE",resource="configmaps"} 1
meshfence_admissions_total{answer="warn",operation="UPDATE",resource="namespaces"} 1
# HELP meshfence_bad_requests_total Requests refused because they could not be decoded or were not for their path.
# TYPE meshfence_bad_requests_total counter
meshfence_bad_requests_total 3
# HELP meshfence_fill_removals_total Namespaces from which an istio.io/rev that was filled in earlier was removed, by operation.
# TYPE meshfence_fill_removals_total counter
meshfence_fill_removals_total{operation="UPDATE"} 1
# HELP meshfence_fills_total Namespaces in which istio.io/rev was filled in, by operation.
# TYPE meshfence_fills_total counter
meshfence_fills_total{operation="CREATE"} 1
meshfence_fills_total{operation="UPDATE"} 1
# HELP meshfence_findings_total Findings, by rule code, resource, operation and the answer that they led to (warn, deny).
# TYPE meshfence_findings_total counter
meshfence_findings_total{answer="deny",operation="CREATE",resource="istiorevisions",rule="MF103"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="istiorevisions",rule="MF105"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="istiorevisiontags",rule="MF301"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="istios",rule="MF101"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="istios",rule="MF102"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="istios",rule="MF105"} 1
meshfence_findings_total{answer="deny",operation="CREATE",resource="namespaces",rule="MF202"} 1
meshfence_findings_total{answer="warn",operation="CREATE",resource="configmaps",rule="MF403"} 1
meshfence_findings_total{answer="warn",operation="UPDATE",resource="namespaces",rule="MF202"} 1
`
	if diff := cmp.Diff(want, s.metrics(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// metrics is what Prometheus would read.
func (s *server) metrics(t testing.TB) string {
	t.Helper()
	text := httptest.NewRecorder()
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP(text, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	// How long an answer took is never the same.
	var page strings.Builder
	for line := range strings.Lines(text.Body.String()) {
		if !strings.Contains(line, "meshfence_admission_duration_seconds") {
			page.WriteString(line)
		}
	}
	return page.String()
}

// logged reads the only line that was logged.
func (s *server) logged(t *testing.T) map[string]any {
	t.Helper()
	lines := s.log.take()
	if len(lines) != 1 {
		t.Fatalf("logged %q, want one line", lines)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func TestADenialIsLoggedOnceAtInfoWithWhoAskedAndWhatWasSaid(t *testing.T) {
	s := serve(t, twoMeshes(t))
	r := namespaceRequest("blog", crossed, "")
	r.user = "jane"
	answer := s.ask(t, r)
	want := map[string]any{
		"logger": "admission", "level": 0.0, "msg": "denied", "path": "/validate/namespace", "name": "blog", "user": "jane", "requestID": string(uid),
		"kind": "Namespace", "operation": "CREATE", "findings": "MF202", "message": answer.Result.Message,
	}
	if diff := cmp.Diff(want, s.logged(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAllowIsLoggedOnceAtAHigherVerbosity(t *testing.T) {
	s := serve(t, twoMeshes(t))
	r := namespaceRequest("blog", crossed+",mesh=mesh-1", crossed)
	r.user = "jane"
	s.ask(t, r)
	want := map[string]any{
		"logger": "admission", "level": 1.0, "msg": "allowed", "path": "/validate/namespace", "name": "blog", "user": "jane", "requestID": string(uid),
		"kind": "Namespace", "operation": "UPDATE", "findings": "MF202",
	}
	if diff := cmp.Diff(want, s.logged(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFillIsLoggedOnceAtAHigherVerbosity(t *testing.T) {
	s := serve(t, twoMeshes(t))
	s.ask(t, fillRequest("{name: blog, labels: {istio-discovery: mesh-1}}", ""))
	want := map[string]any{
		"logger": "admission", "level": 1.0, "msg": "filled in", "path": "/mutate/namespace", "name": "blog", "user": "", "requestID": string(uid), "revision": "mesh-1",
	}
	if diff := cmp.Diff(want, s.logged(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSettingsTranslateTheConfiguration(t *testing.T) {
	c := config.Default()
	c.Mode = config.ModeWarn
	c.Rules = map[string]config.Action{"MF101": config.ActionOff, "MF102": config.ActionWarn, "MF103": config.ActionDeny}
	c.FillFrom = []config.FillSource{config.FillFromActiveRevision, config.FillFromTag, config.FillFromMeshMap}
	c.DiscoveryLabels = []string{"mesh"}
	got := webhook.Settings(c)
	want := policy.Settings{
		Actions: policy.Actions{
			Rules: map[policy.Code]policy.Action{"MF101": policy.Off, "MF102": policy.Warn, "MF103": policy.Deny}, WarnOnly: true,
		},
		DiscoveryLabels: []string{"mesh"},
		FillFrom:        []policy.FillSource{policy.ActiveRevision, policy.FollowingTag, policy.MeshMap},
	}
	if !got.ControlPlane("istio-system-1") || got.ControlPlane("shop") {
		t.Error("the names of control-plane namespaces do not come from the configuration")
	}
	got.ControlPlane = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if webhook.Settings(config.Default()).Actions.WarnOnly {
		t.Error("the default only warns")
	}
}

func TestRuleCodesAreThoseOfTheCatalogueEachOnce(t *testing.T) {
	codes := webhook.RuleCodes()
	if len(codes) != len(policy.AllRules()) || !slices.Contains(codes, "MF101") || !slices.Contains(codes, "MF110") {
		t.Errorf("%v", codes)
	}
	sorted := slices.Sorted(slices.Values(codes))
	if diff := cmp.Diff(slices.Compact(sorted), sorted); diff != "" {
		t.Errorf("codes that stand twice:\n%s", diff)
	}
}
