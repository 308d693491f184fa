package report

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// SARIF 2.1.0, as far as it is used; see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Short         sarifText      `json:"shortDescription"`
	Help          sarifText      `json:"help"`
	HelpURI       string         `json:"helpUri,omitempty"`
	Configuration sarifRuleLevel `json:"defaultConfiguration"`
}

type sarifRuleLevel struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Related      []sarifLocation   `json:"relatedLocations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	// Suppressions are why a result does not count.
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	Line   int `json:"startLine"`
	Column int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// home is where the tool is described.
const home = "https://github.com/meshfence/meshfence"

// fingerprintName names meshfence's fingerprints, so that those of another version cannot be taken for them.
const fingerprintName = "meshfence/v1"

func (r *Report) sarif() (string, error) {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "meshfence", Version: r.Version, InformationURI: home, Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{Successful: len(r.Problems) == 0}}, Results: []sarifResult{}, ColumnKind: "unicodeCodePoints",
	}
	index := map[string]int{}
	for i, rule := range r.Rules {
		index[rule.Code] = i
		help := sarifText{Text: rule.Code + " " + rule.Name, Markdown: rule.Help}
		if rule.Help != "" {
			help.Text = rule.Help
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.Code, Name: rule.Name, Short: sarifText{Text: rule.Name}, Help: help, HelpURI: rule.URI, Configuration: sarifRuleLevel{level(rule.Action)},
		})
	}
	for i, f := range slices.Concat(r.Findings, r.ByObject) {
		result := sarifResult{
			RuleID: f.Code, RuleIndex: index[f.Code], Level: level(f.Action), Message: sarifText{Text: strings.Join(append([]string{f.object() + ": " + f.Detail}, f.more()...), "\n")},
			Locations: []sarifLocation{r.location(&f)}, Fingerprints: map[string]string{fingerprintName: f.Fingerprint},
		}
		if i >= len(r.Findings) {
			result.Suppressions = []sarifSuppression{{Kind: "inSource", Status: "accepted", Justification: "accepted by an annotation of the object" + f.until()}}
		}
		for _, other := range f.Related {
			result.Related = append(result.Related, sarifLocation{Physical: r.physical(other.Place), Message: &sarifText{Text: other.Text}})
		}
		run.Results = append(run.Results, result)
	}
	for _, problem := range r.Problems {
		n := sarifNotification{Level: "error", Message: sarifText{Text: problem.Text}}
		if problem.Place.File != "" {
			n.Locations = []sarifLocation{{Physical: r.physical(problem.Place)}}
		}
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, n)
	}
	for _, text := range slices.Concat(r.notJudgedLines(), r.staleLines(), []string{r.verdict()}) {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{Level: "note", Message: sarifText{Text: text}})
	}
	return indented(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func level(action string) string {
	if action == Deny {
		return "error"
	}
	return "warning"
}

// location has the place in a file, and always the object. An object of a cluster is in no file: code scanning refuses a result without one, so
// that its kind and name stand in for a path.
func (r *Report) location(f *Finding) sarifLocation {
	where := r.physical(f.Place)
	if f.Place.File == "" {
		where = &sarifPhysical{Artifact: sarifArtifact{uri(path.Join("cluster", strings.ToLower(f.Kind), f.Namespace, f.Object))}, Region: &sarifRegion{Line: 1}}
	}
	return sarifLocation{Physical: where, Logical: []sarifLogical{{Name: f.object(), Kind: "object"}}}
}

func (r *Report) physical(p Place) *sarifPhysical {
	l := &sarifPhysical{Artifact: sarifArtifact{URI: uri(r.inRepository(p.File))}}
	if p.Line > 0 {
		l.Region = &sarifRegion{Line: p.Line, Column: p.Column}
	}
	return l
}

func (r *Report) inRepository(file string) string {
	if r.InRepository == nil {
		return file
	}
	return r.InRepository(file)
}

// uri is a path as a URI reference, relative if the path is: code scanning takes it as relative to the root of the repository.
func uri(file string) string { return (&url.URL{Path: path.Clean(file)}).String() }
