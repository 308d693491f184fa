package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshfence/meshfence/audit/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// nasty is a text with something for each format.
const nasty = "a|b `c` *d* <script>alert(1)</script> ]]> 50%, ::error::x\r\ny\x1b[31m \u202e @all [z](http://example.com) \\ \"q\" \u00e9"

func reports() map[string]*report.Report {
	rules := []report.Rule{
		{Code: "MF103", Name: "OverlappingSelectors", Action: report.Deny, Help: "## MF103\n\nTwo meshes.", URI: "https://example.com/rules.md#mf103"},
		{Code: "MF202", Name: "RevisionOfAnotherMesh", Action: report.Deny},
		{Code: "MF214", Name: "AmbientOutsideMesh", Action: report.Warn},
	}
	overlap := report.Finding{
		Code: "MF103", Name: "OverlappingSelectors", Action: report.Deny, Kind: "Istio", Object: "mesh-2", Field: "spec.values.meshConfig.discoverySelectors[0]",
		Detail: `its selector (a=b) and a selector of Istio "mesh-1" (a=b) both match a namespace with a=b`, Effect: "their istiods would overwrite each other's ConfigMap",
		Ways: []report.Way{
			{Label: "keep them apart", Commands: []string{"kubectl one", "kubectl two"}}, {Label: `did you mean "x"?`, Commands: []string{"kubectl three"}}, {Label: "ask the owner of mesh-1"},
		},
		Fingerprint: strings.Repeat("0a", 32), Place: report.Place{File: "meshes/two.yaml", Line: 9, Column: 7},
		Related: []report.Related{{Place: report.Place{File: "meshes/one.yaml", Line: 9, Column: 7}, Text: `the selector of Istio "mesh-1"`}},
	}
	stored := report.Finding{
		Code: "MF214", Name: "AmbientOutsideMesh", Action: report.Warn, Kind: "Namespace", Object: "shop", Field: "metadata.labels", Detail: "it is not discovered",
		Fingerprint: strings.Repeat("1b", 32),
	}
	accepted := stored
	accepted.Object, accepted.Until, accepted.Fingerprint = "cart", "2030-01-31T00:00:00Z", strings.Repeat("3d", 32)
	bad := report.Finding{
		Code: "MF202", Name: "RevisionOfAnotherMesh", Action: report.Deny, Kind: "ConfigMap", Namespace: "n|s", Object: nasty, Field: nasty, Detail: nasty, Effect: nasty,
		Ways: []report.Way{{Label: nasty, Commands: []string{nasty, nasty}}}, Fingerprint: strings.Repeat("2c", 32),
		Place: report.Place{File: "a b/\u00e9,c:d%\n.yaml", Line: 1, Column: 1, Source: nasty},
	}
	counts := []report.Count{{Kind: "Istio", Number: 2}, {Kind: "Namespace", Number: 1}}
	return map[string]*report.Report{
		"clean": {Version: "v1.0.0", Source: "the cluster", Looked: counts, Rules: rules},
		"found": {
			Version: "v1.0.0", Source: "files", Looked: counts, Rules: rules, Findings: []report.Finding{stored, overlap}, Elsewhere: []report.Finding{stored},
			NotJudged: []report.Gap{{Object: `Istio "mesh-2"`, Codes: []string{"MF104", "MF202"}, Needs: `its control-plane namespace "istio-system-2"`}},
			Notices:   []report.Note{{Place: report.Place{File: ".git"}, Text: "skipped"}}, Accepted: 3, ByObject: []report.Finding{accepted}, Stale: []string{"MF202 Namespace gone"},
		},
		"problems": {
			Version: "v1.0.0", Source: "files", Rules: rules, Findings: []report.Finding{overlap},
			Problems: []report.Note{{Place: report.Place{File: "bad.yaml", Line: 3}, Text: "it cannot be read"}, {Text: "the baseline cannot be read"}},
		},
		"nasty": {
			Version: nasty, Source: nasty, Rules: rules, Findings: []report.Finding{bad}, ByObject: []report.Finding{bad}, NotJudged: []report.Gap{{Object: nasty, Codes: []string{"MF202"}, Needs: nasty}},
			Problems: []report.Note{{Place: report.Place{File: nasty, Line: 1, Column: 2}, Text: nasty}},
		},
	}
}

func write(t testing.TB, r *report.Report, format report.Format) string {
	t.Helper()
	r.Sort()
	var b bytes.Buffer
	if err := r.Write(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each format of each report is what its golden file says, whatever the order of the findings.
func TestFormats(t *testing.T) {
	for name := range reports() {
		for _, format := range report.Formats() {
			t.Run(name+"/"+string(format), func(t *testing.T) {
				got := write(t, reports()[name], format)
				other := reports()[name]
				for i, j := 0, len(other.Findings)-1; i < j; i, j = i+1, j-1 {
					other.Findings[i], other.Findings[j] = other.Findings[j], other.Findings[i]
				}
				if again := write(t, other, format); again != got {
					t.Errorf("another order of findings makes another text:\n%s", cmp.Diff(got, again))
				}
				file := filepath.Join("testdata", name+"."+string(format))
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
	files, err := filepath.Glob("testdata/*")
	if want := len(reports()) * len(report.Formats()); err != nil || len(files) < want {
		t.Errorf("%d golden files, want %d (%v)", len(files), want, err)
	}
}

// Each format tells what was not judged, which entries of the baseline are stale, and that nothing is wrong.
func TestEveryFormatTellsAllThatAPersonShouldKnow(t *testing.T) {
	for _, format := range report.Formats() {
		found, clean := write(t, reports()["found"], format), write(t, reports()["clean"], format)
		for _, part := range []string{"istio-system-2", "MF202 Namespace gone"} {
			if !strings.Contains(found, part) {
				t.Errorf("%s lacks %q", format, part)
			}
		}
		verdict := "Nothing is wrong: looked at 2 Istios, 1 Namespace (the cluster) by 3 rules"
		if format == report.JSON || format == report.YAML {
			clean, verdict = strings.ReplaceAll(clean, `"`, ""), "denials: 0"
		}
		if !strings.Contains(clean, verdict) {
			t.Errorf("%s lacks %q", format, verdict)
		}
	}
}

func TestTheStatusIsTheSameForEveryFormat(t *testing.T) {
	for _, test := range []struct {
		name   string
		failOn report.FailOn
		want   int
	}{
		{"clean", report.FailOnWarn, 0},
		{"found", report.FailOnDeny, 1}, {"found", report.FailOnWarn, 1}, {"found", report.FailOnNever, 0},
		{"problems", report.FailOnDeny, 2}, {"problems", report.FailOnNever, 2},
	} {
		r := reports()[test.name]
		for _, format := range report.Formats() {
			write(t, r, format)
			if got := r.Status(test.failOn); got != test.want {
				t.Errorf("%s with --fail-on %s, as %s: %d, want %d", test.name, test.failOn, format, got, test.want)
			}
		}
	}
	warned := reports()["found"]
	warned.Findings = warned.Findings[:1]
	if warned.Status(report.FailOnDeny) != 0 || warned.Status(report.FailOnWarn) != 1 {
		t.Error("a warning alone")
	}
}

func TestNamesOfFormatsAndLevelsAreChecked(t *testing.T) {
	if _, err := report.ParseFormat("xml"); err == nil || err.Error() != `"xml" is not one of table, wide, json, yaml, sarif, junit, github, markdown` {
		t.Error(err)
	}
	if _, err := report.ParseFailOn("info"); err == nil || err.Error() != `"info" is not one of deny, warn, never` {
		t.Error(err)
	}
}

func TestABaselineAcceptsWhatItHas(t *testing.T) {
	r := reports()["found"]
	r.Accepted, r.Stale = 0, nil
	text, err := r.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	b, err := report.ParseBaseline(text)
	if err != nil {
		t.Fatal(err)
	}
	r.Accept(b)
	if len(r.Findings) != 0 || r.Accepted != 2 || len(r.Stale) != 0 || r.Status(report.FailOnWarn) != 0 {
		t.Errorf("%+v", r)
	}
	if again, err := r.Baseline(); err != nil || string(again) != string(text) {
		t.Errorf("written again it accepts something else (%v):\n%s", err, again)
	}
	// One is gone, and one is new.
	later := reports()["nasty"]
	later.Problems = nil
	later.Findings = append(later.Findings, reports()["found"].Findings[0])
	later.Accept(b)
	if diff := cmp.Diff([]string{"MF103 Istio mesh-2"}, later.Stale); diff != "" || len(later.Findings) != 1 || later.Accepted != 1 {
		t.Errorf("%s, %d findings, %d accepted", diff, len(later.Findings), later.Accepted)
	}
}

func TestAnEntryIsStaleOnlyIfItsRuleWasJudgedForItsObject(t *testing.T) {
	entries := report.Baseline{Findings: []report.BaselineEntry{
		{Fingerprint: "1", Code: "MF103", Object: "Istio mesh-2"}, {Fingerprint: "2", Code: "MF202", Object: "Namespace shop"},
		{Fingerprint: "3", Code: "MF401", Object: "ConfigMap meshfence-system/mesh-map"},
	}}
	rules := []report.Rule{{Code: "MF103"}, {Code: "MF202"}, {Code: "MF401"}}
	all := []string{"MF103 Istio mesh-2", "MF202 Namespace shop", "MF401 ConfigMap meshfence-system/mesh-map"}
	for name, test := range map[string]struct {
		report report.Report
		want   []string
	}{
		"if all was judged, then every entry is":     {report.Report{Rules: rules}, all},
		"if a rule is off, then its entries are not": {report.Report{Rules: rules[1:]}, all[1:]},
		"if an object was not judged by a rule, then its entry for that is not": {report.Report{Rules: rules, NotJudged: []report.Gap{
			{Codes: []string{"MF202"}, Kind: "Namespace", Name: "shop"}, {Codes: []string{"MF202"}, Kind: "Istio", Name: "mesh-2"},
			{Codes: []string{"MF401"}, Kind: "ConfigMap", Namespace: "meshfence-system", Name: "mesh-map"},
		}}, all[:1]},
		"if a rule was not judged at all, then its entries are not":       {report.Report{Rules: rules, NotJudged: []report.Gap{{Codes: []string{"MF202"}, Kind: "pods"}}}, []string{all[0], all[2]}},
		"if something could not be read, then none is":                    {report.Report{Rules: rules, Problems: []report.Note{{Text: "x"}}}, nil},
		"if a finding is there and does not count, then its entry is not": {report.Report{Rules: rules, Elsewhere: []report.Finding{{Fingerprint: "2"}}}, []string{all[0], all[2]}},
	} {
		test.report.Accept(entries)
		if diff := cmp.Diff(test.want, test.report.Stale); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsNoBaselineIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"a: b": "it is no baseline: error unmarshaling JSON: while decoding JSON: json: unknown field \"a\"; write one with --write-baseline",
		"kind: CheckReport\napiVersion: meshfence.io/v1alpha1\n": `it is no baseline: it has apiVersion "meshfence.io/v1alpha1" and kind "CheckReport", not meshfence.io/v1alpha1 and CheckBaseline; write one with --write-baseline`,
	} {
		if _, err := report.ParseBaseline([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever names and texts say, each format stays what it is.
func FuzzWrite(f *testing.F) {
	f.Add("a", "b", "c.yaml")
	f.Add(nasty, nasty, nasty)
	f.Add("::error::a", "::error::b", "::error::c.yaml")
	f.Add("a\n::error::a\n", "b\n  ::error::b\nc", "::error::c.yaml")
	f.Fuzz(func(t *testing.T, object, text, file string) {
		finding := report.Finding{
			Code: "MF202", Name: "RevisionOfAnotherMesh", Action: report.Deny, Kind: "Namespace", Object: object, Field: text, Detail: text, Effect: text,
			Ways: []report.Way{{Label: text, Commands: []string{text}}}, Place: report.Place{File: file, Line: 1, Column: 2},
		}
		r := &report.Report{
			Version: "v1", Rules: []report.Rule{{Code: "MF202", Name: "RevisionOfAnotherMesh", Action: report.Deny}}, Findings: []report.Finding{finding},
			Problems: []report.Note{{Place: report.Place{File: file}, Text: text}}, NotJudged: []report.Gap{{Object: object, Needs: text}}, Stale: []string{text},
		}
		for _, format := range []report.Format{report.JSON, report.SARIF} {
			var value map[string]any
			if err := json.Unmarshal([]byte(write(t, r, format)), &value); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
		}
		var value map[string]any
		if err := yaml.Unmarshal([]byte(write(t, r, report.YAML)), &value); err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(write(t, r, report.JUnit)))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := write(t, r, report.GitHub); strings.Count(got, "\n") != 5 || strings.Contains(got, "\r") {
			t.Fatalf("one finding, one problem and three notices are these lines:\n%s", got)
		}
		for _, format := range []report.Format{report.Table, report.Wide, report.Markdown} {
			if got := write(t, r, format); strings.ContainsAny(got, "\x00\x07\x08\x1b\r\u009b") {
				t.Fatalf("%s has control characters: %q", format, got)
			}
		}
		for _, format := range slices.DeleteFunc(report.Formats(), func(f report.Format) bool { return f == report.GitHub }) {
			for line := range strings.Lines(write(t, r, format)) {
				if strings.HasPrefix(strings.TrimSpace(line), "::") {
					t.Fatalf("%s has a command to a workflow: %q", format, line)
				}
			}
		}
		if got := write(t, r, report.Markdown); strings.Contains(got, "<script") {
			t.Fatalf("Markdown has an element:\n%s", got)
		}
	})
}

// Findings that differ in any way come in one order, whatever the order in which they were found.
func TestTheOrderIsThatOfTheFindingsAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	some := func(values ...string) string { return values[random.IntN(len(values))] }
	var findings []report.Finding
	for range 60 {
		findings = append(findings, report.Finding{
			Code: some("MF103", "MF202"), Name: "Name", Action: some(report.Deny, report.Warn), Kind: some("Istio", "Namespace"), Namespace: some("", "a"), Object: some("a", "b"),
			Field: some("spec", "metadata"), Detail: some("it is", "it is not"), Effect: some("", "so"), Fingerprint: some("1", "2"),
			Place: report.Place{File: some("", "a.yaml"), Line: random.IntN(2), Source: some("", "templates/a.yaml")},
		})
	}
	want := map[report.Format]string{}
	for range 20 {
		random.Shuffle(len(findings), func(i, j int) { findings[i], findings[j] = findings[j], findings[i] })
		for _, format := range report.Formats() {
			got := write(t, &report.Report{Findings: slices.Clone(findings)}, format)
			if want[format] == "" {
				want[format] = got
			}
			if got != want[format] {
				t.Fatalf("%s: another order makes another text:\n%s", format, cmp.Diff(want[format], got))
			}
		}
	}
}
