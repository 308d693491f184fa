package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/meshfence/meshfence/audit"
	"github.com/meshfence/meshfence/audit/manifest"
	"github.com/meshfence/meshfence/audit/observed"
	"github.com/meshfence/meshfence/audit/report"
	"github.com/meshfence/meshfence/docs"
	"github.com/meshfence/meshfence/webhook/policy"
)

// rulesPage is where the rules are documented.
const rulesPage = "https://github.com/meshfence/meshfence/blob/main/docs/rules.md#"

// newReport has what a report says of any check: the rules, and how many objects were judged.
func newReport(checker *audit.Checker, judged *audit.Inventory, changes bool) *report.Report {
	r := &report.Report{}
	for _, rule := range checker.Policy.Judged(changes) {
		r.Rules = append(r.Rules, ruleOf(rule))
	}
	for _, kind := range kinds() {
		if n := judged.Count(kind); n > 0 {
			r.Looked = append(r.Looked, report.Count{Kind: kind, Number: n})
		}
	}
	if n := judged.MeshConfigs(); n > 0 {
		r.Looked = append(r.Looked, report.Count{Kind: meshConfiguration, Number: n})
	}
	return r
}

// meshConfiguration is what a person calls the ConfigMap that an istiod reads.
const meshConfiguration = "mesh configuration"

func ruleOf(rule policy.Rule) report.Rule {
	one := report.Rule{Code: string(rule.Code), Name: rule.Name, Action: rule.Action.String(), URI: rulesPage + strings.ToLower(string(rule.Code)+"-"+rule.Name)}
	if section, ok := docs.Rule(string(rule.Code)); ok {
		one.Help = section.Text
	}
	return one
}

// addObserved adds the rules that only a look at a cluster can judge, and how many objects were looked at for them.
func addObserved(r *report.Report, checker *audit.Checker, seen *observed.Cluster) {
	for _, rule := range policy.AuditRules() {
		if rule.Action = checker.Policy.Action(rule); rule.Action != policy.Off {
			r.Rules = append(r.Rules, ruleOf(rule))
		}
	}
	r.Looked = slices.DeleteFunc(r.Looked, func(c report.Count) bool { return c.Kind == meshConfiguration }) // counted below, with the operator's
	for _, kind := range []struct {
		name     string
		resource observed.Resource
	}{
		{"PeerAuthentication", observed.PeerAuthentications}, {"MutatingWebhookConfiguration", observed.Injectors}, {"root certificate", observed.RootCertificates},
		{meshConfiguration, observed.MeshConfigs}, {"istiod", observed.Istiods}, {"IstioCNI", observed.CNIs}, {"ZTunnel", observed.ZTunnels},
		{"Gateway", observed.Gateways}, {"Pod", observed.Pods},
	} {
		if n := seen.Count(kind.resource); n > 0 {
			r.Looked = append(r.Looked, report.Count{Kind: kind.name, Number: n})
		}
	}
}

// places finds the document of an object, by its kind and name.
type places map[[2]string][]*manifest.Document

func newPlaces(documents []manifest.Document) places {
	all := make(places, len(documents))
	for i := range documents {
		d := &documents[i]
		all[[2]string{d.Kind, d.Name}] = append(all[[2]string{d.Kind, d.Name}], d)
	}
	return all
}

// of returns the document of an object, nil if no file has it. A ConfigMap may leave its namespace to kubectl.
func (p places) of(kind, namespace, name string) *manifest.Document {
	for _, d := range p[[2]string{kind, name}] {
		if d.Namespace == namespace || d.Namespace == "" || namespace == "" {
			return d
		}
	}
	return nil
}

// findings are what a report says of offences.
func (p places) findings(offences []policy.Offence) []report.Finding {
	var all []report.Finding
	for i := range offences {
		all = append(all, p.finding(&offences[i]))
	}
	return all
}

func (p places) finding(o *policy.Offence) report.Finding {
	f := report.Finding{
		Code: string(o.Rule.Code), Name: o.Rule.Name, Action: o.Action.String(), Kind: o.Kind, Namespace: o.Namespace, Object: o.Name,
		Field: o.Field, Detail: o.Detail, Effect: o.Effect, Fingerprint: audit.Fingerprint(*o),
	}
	for _, way := range o.Ways {
		f.Ways = append(f.Ways, report.Way{Label: way.Label, Commands: way.Commands})
	}
	document := p.of(o.Kind, o.Namespace, o.Name)
	if document == nil {
		return f
	}
	f.Place = report.Place(document.FieldPlace(o.Field))
	for _, subject := range o.Subjects {
		if other := p.subject(subject); other != nil && other != document {
			f.Related = append(f.Related, report.Related{Place: report.Place(other.FieldPlace(subjectField(o))), Text: subject})
		}
	}
	return f
}

// index is that of an item at the end of a path.
var index = regexp.MustCompile(`\[\d+\]$`)

// subjectField is the field to show of an object that a finding names: the one that it names, else its own, which may be wrong in both. Which item of
// a list is at fault says nothing about the list of another object.
func subjectField(o *policy.Offence) string {
	return cmp.Or(o.SubjectField, index.ReplaceAllString(o.Field, ""))
}

// subject returns the document of an object that a finding names besides its own, for example: Istio "mesh-1".
func (p places) subject(text string) *manifest.Document {
	kind, quoted, found := strings.Cut(text, " ")
	var name string
	if !found || strings.Contains(quoted, " ") {
		return nil
	}
	if _, err := fmt.Sscanf(quoted, "%q", &name); err != nil {
		return nil
	}
	return p.of(kind, "", name)
}

func gapsOf(gaps []audit.Gap) []report.Gap {
	var all []report.Gap
	for _, gap := range gaps {
		one := report.Gap{Object: gap.Key.String(), Needs: gap.Needs, Kind: gap.Key.Kind, Namespace: gap.Key.Namespace, Name: gap.Key.Name}
		for _, code := range gap.Codes {
			one.Codes = append(one.Codes, string(code))
		}
		all = append(all, one)
	}
	return all
}

func noteOf(place manifest.Place, text string) report.Note {
	return report.Note{Place: report.Place(place), Text: text}
}

// impossible says why the API server would not store an object of this name; "" if it would.
func impossible(d *manifest.Document) string {
	valid := validation.IsDNS1123Subdomain
	if d.Kind == audit.KindNamespace {
		valid = validation.IsDNS1123Label
	}
	if problems := valid(d.Name); len(problems) > 0 {
		return fmt.Sprintf("%s %q cannot be stored: its name is invalid: %s", d.Kind, d.Name, strings.Join(problems, "; "))
	}
	return ""
}

func addNotes(r *report.Report, l *looked) {
	for i := range l.documents {
		if why := impossible(&l.documents[i]); why != "" {
			r.Problems = append(r.Problems, noteOf(l.documents[i].Place(), why))
		}
	}
	for _, note := range l.problems {
		r.Problems = append(r.Problems, noteOf(note.Place, note.Text))
	}
	for _, note := range l.notices {
		r.Notices = append(r.Notices, noteOf(note.Place, note.Text))
	}
}
