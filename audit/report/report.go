package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Actions of findings, by which they are counted.
const (
	Deny = "deny"
	Warn = "warn"
)

// Report is what a check has found.
type Report struct {
	// Version is that of meshfence.
	Version string
	// Source says what was checked: "files", "files laid over a cluster" or "the cluster".
	Source string
	// Looked counts the objects that were judged, by kind.
	Looked []Count
	// Rules are those that were judged, in the order of their codes.
	Rules []Rule
	// Findings are what counts.
	Findings []Finding
	// Elsewhere are findings that do not count: what was wrong before, and what becomes wrong with objects that are not among the files.
	Elsewhere []Finding
	// ByObject are findings that do not count, because their objects accept them for now.
	ByObject []Finding
	// NotJudged is what would need more to be judged.
	NotJudged []Gap
	// Problems are what could not be read: because of them the report is incomplete.
	Problems []Note
	// Notices are what was left out on purpose.
	Notices []Note
	// Accepted counts the findings that the baseline has, and Stale are its entries that nothing corresponds to any more.
	Accepted int
	accepted []Finding
	Stale    []string
	// InRepository is what code scanning and workflows call a file: a path with slashes, relative to the root of its repository. nil leaves paths as they are.
	InRepository func(file string) string
	// ListAll has the table list Elsewhere too.
	ListAll bool
}

// Count is a number of objects.
type Count struct {
	Kind   string
	Number int
}

// Rule is one that was judged.
type Rule struct {
	Code, Name string
	// Action is Deny or Warn.
	Action string
	// Help is what the documentation says of it, in Markdown, and URI where that is to be read.
	Help, URI string
}

// Finding is one rule broken by one object.
type Finding struct {
	Code, Name, Action string
	// Kind, Namespace and Object name the object; Namespace is "" for an object without one.
	Kind, Namespace, Object string
	// Field is the path of the field at fault.
	Field string
	// Detail says what is wrong, Effect what comes of it, and Ways how to get out.
	Detail, Effect string
	Ways           []Way
	// Fingerprint stays the same when texts and places change.
	Fingerprint string
	// Until is when the object no longer accepts it, "" for never; only of ByObject.
	Until string
	// Place is where the field stands, and Related are places that have to do with it; Place is zero for an object of a cluster.
	Place   Place
	Related []Related
}

// Way is a way out.
type Way struct {
	Label    string
	Commands []string
}

// Place is where something stands in a file; lines and columns begin at 1, and are 0 where they are not known.
type Place struct {
	File         string
	Line, Column int
	// Source is the file of a chart that the text came from.
	Source string
}

// Related is another place, and what is there.
type Related struct {
	Place Place
	Text  string
}

// Note is something to tell about a place, which may be unknown.
type Note struct {
	Place Place
	Text  string
}

// Gap is something that was not judged.
type Gap struct {
	// Object is what was not judged, and Codes by which rules.
	Object string
	Codes  []string
	// Needs is what would have to be known.
	Needs string
	// Kind, Namespace and Name are the object; without a name the rules were not judged at all.
	Kind, Namespace, Name string
}

// Statuses of a check, which are the exit statuses of the command.
const (
	StatusClean = iota
	StatusFindings
	StatusUnjudged
)

// FailOn says which findings fail a check.
type FailOn string

// Values of FailOn.
const (
	FailOnDeny  FailOn = "deny"
	FailOnWarn  FailOn = "warn"
	FailOnNever FailOn = "never"
)

// ParseFailOn reads one.
func ParseFailOn(text string) (FailOn, error) {
	known := []string{string(FailOnDeny), string(FailOnWarn), string(FailOnNever)}
	if !slices.Contains(known, text) {
		return "", fmt.Errorf("%q is not one of %s", text, strings.Join(known, ", "))
	}
	return FailOn(text), nil
}

// Status is the same for every format: what could not be judged goes before findings, because there may be more.
func (r *Report) Status(failOn FailOn) int {
	fails := func(f Finding) bool {
		return failOn == FailOnWarn || failOn == FailOnDeny && f.Action == Deny
	}
	switch {
	case len(r.Problems) > 0:
		return StatusUnjudged
	case slices.ContainsFunc(r.Findings, fails):
		return StatusFindings
	default:
		return StatusClean
	}
}

// Sort puts findings and notes into the order in which every format shows them: by place, and without one by object; then by code.
func (r *Report) Sort() {
	for _, findings := range [][]Finding{r.Findings, r.Elsewhere, r.ByObject} {
		slices.SortStableFunc(findings, func(a, b Finding) int {
			return cmp.Or(comparePlaces(a.Place, b.Place), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace),
				cmp.Compare(a.Object, b.Object), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Detail, b.Detail),
				cmp.Compare(a.Field, b.Field), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Place.Source, b.Place.Source), cmp.Compare(a.Effect, b.Effect))
		})
	}
}

func comparePlaces(a, b Place) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// count returns how many findings have an action.
func (r *Report) count(action string) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Action == action {
			n++
		}
	}
	return n
}

// object names the object of a finding.
func (f *Finding) object() string { return nameOf(f.Kind, f.Namespace, f.Object) }

func nameOf(kind, namespace, name string) string {
	if namespace != "" {
		return fmt.Sprintf("%s %s/%s", kind, namespace, name)
	}
	return kind + " " + name
}

// String returns a place as compilers do.
func (p Place) String() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d", p.Line)
	}
	if p.Line > 0 && p.Column > 0 {
		text += fmt.Sprintf(":%d", p.Column)
	}
	if p.Source != "" {
		text += " (" + p.Source + ")"
	}
	return text
}

// String returns a note in one line.
func (n Note) String() string {
	if n.Place.File == "" {
		return n.Text
	}
	return n.Place.String() + ": " + n.Text
}

// String returns a gap in one line.
func (g Gap) String() string {
	return fmt.Sprintf("%s by %s, which needs %s", g.Object, strings.Join(g.Codes, ", "), g.Needs)
}

// looked says what was judged: 2 Istios, 1 Namespace.
func (r *Report) looked() string {
	var all []string
	for _, c := range r.Looked {
		text := fmt.Sprintf("%d %ss", c.Number, c.Kind)
		if c.Number == 1 {
			text = "1 " + c.Kind
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "no object that is judged"
	}
	return strings.Join(all, ", ")
}

// message is a finding as the webhook tells it, in lines.
func (f *Finding) message() []string {
	lines := []string{f.Code + " " + f.Name + ": " + f.Detail}
	return append(lines, f.more()...)
}

// more is what follows the first line.
func (f *Finding) more() []string {
	var lines []string
	if f.Effect != "" {
		lines = append(lines, f.Effect)
	}
	for _, w := range f.Ways {
		switch len(w.Commands) {
		case 0:
			lines = append(lines, w.Label)
		case 1:
			lines = append(lines, heading(w.Label)+"  "+w.Commands[0])
		default:
			lines = append(lines, heading(w.Label))
			for _, command := range w.Commands {
				lines = append(lines, "  "+command)
			}
		}
	}
	return lines
}

// heading ends a label that commands follow.
func heading(label string) string {
	if strings.HasSuffix(label, "?") || strings.HasSuffix(label, ":") {
		return label
	}
	return label + ":"
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
