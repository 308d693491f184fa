package monitoring

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// step is how often metrics are read and rules evaluated; length is how long.
const (
	step   = 30 * time.Second
	length = 2 * time.Hour
)

// scenario is what Prometheus has read, and when an alert fires because of it.
type scenario struct {
	name, alert string
	// series are as promqltest's load has them, a value every step: 0x3 is four times 0, and _ none. Without an end the series ends.
	series []string
	// fires are the times between which it fires, "" for never.
	fires string
	// labels are those of the alert; "" if they do not matter.
	labels string
}

const (
	// of are the labels of a replica's metrics, and of what the audit finds.
	of    = `namespace="meshfence-system",service="meshfence",pod="a"`
	other = `namespace="meshfence-system",service="meshfence",pod="b"`
)

func finding(rule, action, pod string) string {
	return fmt.Sprintf(`meshfence_audit_findings{%s,rule="%s",mesh="mesh-1",action="%s"}`, pod, rule, action)
}

// ofFindings are the scenarios that all alerts about findings have, for one of its rules.
func ofFindings(alert, rule string) []scenario {
	return []scenario{
		{"is found, and repaired", alert, []string{finding(rule, "deny", of) + " _x19 2x60"}, "19m30s-44m0s", fmt.Sprintf(`{alertname="%s", mesh="mesh-1", rule="%s"}`, alert, rule)},
		{"a warning counts too", alert, []string{finding(rule, "warn", of) + " _x19 1x220"}, "19m30s-2h0m0s", ""},
		{"there is nothing", alert, []string{finding("MF104", "deny", of) + " 1x240"}, "", ""},
		{"there are no metrics", alert, nil, "", ""},
		{"it is accepted", alert, []string{finding(rule, "accepted", of) + " 2x240"}, "", ""},
		{"another meshfence has it", alert, []string{strings.Replace(finding(rule, "deny", of), "meshfence-system", "other", 1) + " 2x240"}, "", ""},
		{"it is gone before anything is told", alert, []string{finding(rule, "deny", of) + " 2x7"}, "", ""},
		{"another replica takes over, after three minutes without any", alert, []string{finding(rule, "deny", of) + " 2x60", finding(rule, "deny", other) + " _x66 2x60"}, "10m0s-1h7m30s", ""},
		{"two replicas have it for a moment", alert, []string{finding(rule, "deny", of) + " 2x60", finding(rule, "deny", other) + " _x58 2x60"}, "10m0s-1h3m30s", ""},
	}
}

func scenarios() []scenario {
	const success = `meshfence_audit_last_success_timestamp_seconds`
	var all []scenario
	for alert, rule := range map[string]string{
		"MeshfenceMeshesOverlap": "MF103", "MeshfenceSelectorsInvalidLive": "MF910", "MeshfenceNamespacesMismatched": "MF202", "MeshfencePodsOfAnotherMesh": "MF904",
		"MeshfenceRootCertificateMissing": "MF907", "MeshfenceMTLSNotStrict": "MF901",
	} {
		all = append(all, ofFindings(alert, rule)...)
	}
	return append(all,
		scenario{"the audit runs every ten minutes", "MeshfenceAuditStale", []string{success + "{" + of + "} 0x19 600x19 1200x19 1800x19 2400x19 3000x19 3600x19 4200x19 4800x19 5400x19 6000x19 6600x19 7200"}, "", ""},
		scenario{"it stops", "MeshfenceAuditStale", []string{success + "{" + of + "} 0x19 600x220"}, "45m30s-2h0m0s", ""},
		scenario{"the replica that ran it is gone", "MeshfenceAuditStale", []string{success + "{" + of + "} 0x19 600x19"}, "45m30s-2h0m0s", ""},
		scenario{"another replica takes over", "MeshfenceAuditStale", []string{success + "{" + of + "} 0x19 600x19", success + "{" + other + "} _x45 1380x19 1980x19 2580x19 3180x19 3780x19 4380x19 4980x19 5580x19 6180x19 6780x19"}, "", ""},
		scenario{"it has never run", "MeshfenceAuditStale", nil, "5m0s-2h0m0s", ""},
		scenario{"the API server lets requests pass", "MeshfenceFailsOpen", []string{`apiserver_admission_webhook_fail_open_count{name="namespace.validate.meshfence.io",type="validating"} 0x19 1x220`}, "10m0s-24m0s", `{alertname="MeshfenceFailsOpen", name="namespace.validate.meshfence.io"}`},
		scenario{"another webhook lets them pass", "MeshfenceFailsOpen", []string{`apiserver_admission_webhook_fail_open_count{name="validate.kyverno.svc",type="validating"} 0x19 1x220`}, "", ""},
		scenario{"the API server's metrics are not read", "MeshfenceFailsOpen", nil, "", ""},
		scenario{"no replica answers", "MeshfenceDown", []string{`up{` + of + `,endpoint="metrics"} 1x19 0x220`}, "15m0s-2h0m0s", ""},
		scenario{"one of two answers", "MeshfenceDown", []string{`up{` + of + `,endpoint="metrics"} 1x19 0x220`, `up{` + other + `,endpoint="metrics"} 1x240`}, "", ""},
		scenario{"there is no replica", "MeshfenceDown", nil, "5m0s-2h0m0s", ""},
		scenario{"the state of the cluster is not known", "MeshfenceCannotJudge", []string{`meshfence_admissions_total{` + of + `,answer="unavailable"} 0x19 0+1x220`}, "15m30s-2h0m0s", ""},
		scenario{"all is judged", "MeshfenceCannotJudge", []string{`meshfence_admissions_total{` + of + `,answer="deny"} 0+1x240`}, "", ""},
		scenario{"the certificate ends in ten days", "MeshfenceCertificateExpires", []string{`meshfence_certificate_expiry_timestamp_seconds{` + of + `} 864000x240`, `meshfence_certificate_expiry_timestamp_seconds{` + other + `} 8640000x240`}, "1h0m0s-2h0m0s", ""},
		scenario{"it ends in a hundred days", "MeshfenceCertificateExpires", []string{`meshfence_certificate_expiry_timestamp_seconds{` + of + `} 8640000x240`}, "", ""},
		scenario{"one of ten answers is slow", "MeshfenceSlow", []string{
			`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/istio",le="0.5"} 0+9x240`, `meshfence_admission_duration_seconds_count{` + of + `,path="/validate/istio"} 0+10x240`,
		}, "10m30s-2h0m0s", `{alertname="MeshfenceSlow", path="/validate/istio"}`},
		scenario{"none is slow", "MeshfenceSlow", []string{
			`meshfence_admission_duration_seconds_bucket{` + of + `,path="/validate/istio",le="0.5"} 0+10x240`, `meshfence_admission_duration_seconds_count{` + of + `,path="/validate/istio"} 0+10x240`,
		}, "", ""},
		scenario{"a controller tries again and again", "MeshfenceViolations", []string{`meshfence_findings_total{` + of + `,answer="deny",rule="MF202",resource="namespaces"} 0+1x240`}, "5m30s-2h0m0s", ""},
		scenario{"a person tries once", "MeshfenceViolations", []string{`meshfence_findings_total{` + of + `,answer="deny",rule="MF202",resource="namespaces"} 0x19 1x220`}, "", ""},
	)
}

// Each alert fires when it should, for as long as it should, and not otherwise.
func TestWhenAlertsFire(t *testing.T) {
	all, tested := alerts(t), map[string]int{}
	for _, s := range scenarios() {
		t.Run(s.alert+"/"+s.name, func(t *testing.T) {
			rule, there := all[s.alert]
			if !there {
				t.Fatal("there is no such alert")
			}
			if s.fires != "" {
				tested[s.alert] |= 1
			} else {
				tested[s.alert] |= 2
			}
			got, of := fires(t, rule, s.series)
			if diff := cmp.Diff(s.fires, got); diff != "" {
				t.Errorf("fires (-want +got):\n%s", diff)
			}
			if s.labels != "" && !strings.Contains(of, strings.Trim(s.labels, "{}")) {
				t.Errorf("labels %s, want %s", of, s.labels)
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if tested[name] != 3 {
			t.Errorf("%s is not seen both firing and not", name)
		}
	}
}

// Each alert leads to its section of docs/operations.md.
func TestAlertsHaveRunbooks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t)
	for name, a := range all {
		if want := "https://github.com/meshfence/meshfence/blob/main/docs/operations.md#" + strings.ToLower(name); a.Annotations["runbook_url"] != want {
			t.Errorf("%s leads to %s", name, a.Annotations["runbook_url"])
		}
		if !strings.Contains(string(text), "\n## "+name+"\n") {
			t.Errorf("docs/operations.md has no section %s", name)
		}
	}
	for line := range strings.Lines(string(text)) {
		if name, section := strings.CutPrefix(strings.TrimSpace(line), "## "); section && all[name].Alert == "" {
			t.Errorf("docs/operations.md has a section %s, which is no alert", name)
		}
	}
	if without := alerts(t, "audit.enabled=false"); len(without) != len(all)-7 || without["MeshfenceDown"].Alert == "" {
		t.Errorf("without the audit there are %d alerts", len(without))
	}
}

// The interval of the audit has three units.
func TestTheAuditIsStaleAfterThreeIntervals(t *testing.T) {
	for interval, want := range map[string]string{"30s": "> 90", "10m": "> 1800", "2h": "> 21600"} {
		if got := alerts(t, "audit.interval="+interval)["MeshfenceAuditStale"].Expr; !strings.Contains(got, want) {
			t.Errorf("%s: %s", interval, got)
		}
	}
}

// fires returns from when to when an alert fires, and the labels of it.
func fires(t *testing.T, r alert, series []string) (times, of string) {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 30s\n  "+strings.Join(series, "\n  "))
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, 100000), storage)
	rule := rules.NewAlertingRule(r.Alert, r.expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), labels.FromMap(r.Labels), labels.FromMap(r.Annotations),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	var spans []string
	var since, last time.Duration
	firing := false
	for at := time.Duration(0); at <= length; at += step {
		if _, err := rule.Eval(t.Context(), 0, time.Unix(0, 0).Add(at), query, nil, 0); err != nil {
			t.Fatal(err)
		}
		now := false
		rule.ForEachActiveAlert(func(a *rules.Alert) {
			if a.State == rules.StateFiring {
				now, of = true, a.Labels.String()
				for name, text := range a.Annotations.Map() {
					if strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
						t.Errorf("%s: %s", name, text)
					}
				}
			}
		})
		switch {
		case now && !firing:
			since = at
		case !now && firing:
			spans = append(spans, fmt.Sprintf("%v-%v", since, last))
		}
		firing, last = now, at
	}
	if firing {
		spans = append(spans, fmt.Sprintf("%v-%v", since, last))
	}
	return strings.Join(spans, " "), of
}
