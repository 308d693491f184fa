package report

import (
	"encoding/json"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// The document in JSON and YAML. docs/check.schema.json describes it.
type document struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Version    string            `json:"meshfenceVersion"`
	Source     string            `json:"source"`
	Summary    documentSummary   `json:"summary"`
	Rules      []documentRule    `json:"rules"`
	Findings   []documentFinding `json:"findings"`
	Elsewhere  []documentFinding `json:"notCounted"`
	ByObject   []documentFinding `json:"acceptedByObject"`
	NotJudged  []documentGap     `json:"notJudged"`
	Problems   []documentNote    `json:"problems"`
	Notices    []documentNote    `json:"notices"`
	Stale      []string          `json:"staleBaselineEntries"`
}

type documentSummary struct {
	Objects  map[string]int `json:"objects"`
	Denials  int            `json:"denials"`
	Warnings int            `json:"warnings"`
	Accepted int            `json:"acceptedByBaseline"`
}

type documentRule struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Action string `json:"action"`
}

type documentFinding struct {
	Code        string          `json:"code"`
	Name        string          `json:"name"`
	Action      string          `json:"action"`
	Object      documentObject  `json:"object"`
	Field       string          `json:"field"`
	Detail      string          `json:"detail"`
	Effect      string          `json:"effect,omitempty"`
	Ways        []documentWay   `json:"ways"`
	Place       *documentPlace  `json:"place,omitempty"`
	Related     []documentOther `json:"related,omitempty"`
	Fingerprint string          `json:"fingerprint"`
	Until       string          `json:"acceptedUntil,omitempty"`
}

type documentObject struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

type documentWay struct {
	Label    string   `json:"label"`
	Commands []string `json:"commands"`
}

type documentPlace struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Source string `json:"source,omitempty"`
}

type documentOther struct {
	Place documentPlace `json:"place"`
	Text  string        `json:"text"`
}

type documentNote struct {
	Place *documentPlace `json:"place,omitempty"`
	Text  string         `json:"text"`
}

type documentGap struct {
	Object string   `json:"object"`
	Codes  []string `json:"codes"`
	Needs  string   `json:"needs"`
}

// APIVersion and Kind are what the document says about itself.
const (
	APIVersion = "meshfence.io/v1alpha1"
	Kind       = "CheckReport"
)

func (r *Report) document() document {
	d := document{
		APIVersion: APIVersion, Kind: Kind, Version: r.Version, Source: r.Source,
		Summary:  documentSummary{Objects: map[string]int{}, Denials: r.count(Deny), Warnings: r.count(Warn), Accepted: r.Accepted},
		Findings: documentFindings(r.Findings), Elsewhere: documentFindings(r.Elsewhere), ByObject: documentFindings(r.ByObject),
		Rules: []documentRule{}, NotJudged: []documentGap{}, Problems: documentNotes(r.Problems), Notices: documentNotes(r.Notices),
		Stale: append([]string{}, r.Stale...),
	}
	for _, c := range r.Looked {
		d.Summary.Objects[c.Kind] = c.Number
	}
	for _, rule := range r.Rules {
		d.Rules = append(d.Rules, documentRule{rule.Code, rule.Name, rule.Action})
	}
	for _, gap := range r.NotJudged {
		d.NotJudged = append(d.NotJudged, documentGap{gap.Object, gap.Codes, gap.Needs})
	}
	return d
}

func documentFindings(findings []Finding) []documentFinding {
	all := []documentFinding{}
	for i := range findings {
		f := &findings[i]
		one := documentFinding{
			Code: f.Code, Name: f.Name, Action: f.Action, Object: documentObject{f.Kind, f.Namespace, f.Object}, Field: f.Field,
			Detail: f.Detail, Effect: f.Effect, Ways: []documentWay{}, Place: documentPlaceOf(f.Place), Fingerprint: f.Fingerprint, Until: f.Until,
		}
		for _, w := range f.Ways {
			one.Ways = append(one.Ways, documentWay{w.Label, append([]string{}, w.Commands...)})
		}
		for _, other := range f.Related {
			one.Related = append(one.Related, documentOther{documentPlace(other.Place), other.Text})
		}
		all = append(all, one)
	}
	return all
}

func documentNotes(notes []Note) []documentNote {
	all := []documentNote{}
	for _, note := range notes {
		all = append(all, documentNote{documentPlaceOf(note.Place), note.Text})
	}
	return all
}

func documentPlaceOf(p Place) *documentPlace {
	if p.File == "" {
		return nil
	}
	d := documentPlace(p)
	return &d
}

func (r *Report) json() (string, error) { return indented(r.document()) }

// indented writes JSON for a person too: without the escapes that only HTML needs.
func indented(value any) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return b.String(), err
}

// yaml writes JSON, which YAML is too, if a text of several lines would begin one of them with a command to a workflow: the document may be shown in
// the log of one, and must not be another document for that.
func (r *Report) yaml() (string, error) {
	text, err := yaml.Marshal(r.document())
	if err == nil && command.Match(text) {
		return r.json()
	}
	return string(text), err
}

var command = regexp.MustCompile(`(?m)^\s*::`)
