package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/audit/terminal"
)

// table is what a person reads: the findings below the objects that they are about, then what was looked at. A wide one also has the field and
// the fingerprint of each finding.
func (r *Report) table(wide bool) string {
	var b strings.Builder
	writeFindings(&b, r.Findings, wide)
	if r.ListAll && len(r.Elsewhere) > 0 {
		b.WriteString("Not counted:\n\n")
		writeFindings(&b, r.Elsewhere, wide)
	}
	for _, lines := range [][]string{r.notJudgedLines(), r.acceptedLines()} {
		for _, line := range lines {
			fmt.Fprintf(&b, "%s\n", terminal.Line(line))
		}
		if len(lines) > 0 {
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, "%s\n", terminal.Line(r.verdict()))
	for _, entry := range r.staleLines() {
		fmt.Fprintf(&b, "%s\n", terminal.Line(entry))
	}
	return b.String()
}

func writeFindings(b *strings.Builder, findings []Finding, wide bool) {
	last := ""
	for i := range findings {
		f := &findings[i]
		title := f.object()
		if f.Place.File != "" {
			title = f.Place.String() + "  " + title
		}
		if title != last {
			fmt.Fprintf(b, "%s\n", terminal.Line(title))
			last = title
		}
		for j, line := range f.message() {
			lead := "       "
			if j == 0 {
				lead = fmt.Sprintf("  %-4s ", f.Action)
			}
			fmt.Fprintf(b, "%s\n", terminal.Line(lead+line))
		}
		for _, other := range f.Related {
			fmt.Fprintf(b, "%s\n", terminal.Line(fmt.Sprintf("       %s: %s", other.Place, other.Text)))
		}
		if wide {
			fmt.Fprintf(b, "%s\n", terminal.Line(fmt.Sprintf("       field %s, fingerprint %.12s", f.Field, f.Fingerprint)))
		}
		b.WriteString("\n")
	}
}

// audited reports whether something was found that no request is refused for.
func (r *Report) audited() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Code, "MF9") })
}

// refused is what denials are called: what no request can break is not refused.
func (r *Report) refused() string {
	if r.audited() {
		return "of level deny"
	}
	return "would be refused"
}

// notJudgedLines tell what would need more to be judged.
func (r *Report) notJudgedLines() []string {
	lines := make([]string, len(r.NotJudged))
	for i, gap := range r.NotJudged {
		lines[i] = "not judged: " + gap.String()
	}
	return lines
}

// acceptedLines tell what objects accept, each in a line.
func (r *Report) acceptedLines() []string {
	lines := make([]string, len(r.ByObject))
	for i := range r.ByObject {
		f := &r.ByObject[i]
		lines[i] = fmt.Sprintf("accepted: %s %s of %s%s", f.Code, f.Name, f.object(), f.until())
	}
	return lines
}

// until says when the object no longer accepts the finding.
func (f *Finding) until() string {
	if f.Until == "" {
		return ""
	}
	return " until " + f.Until
}

// Summary is what a person should know if the report goes to files only, in lines: the verdict, with what was not judged, and the entries of the
// baseline that nothing corresponds to.
func (r *Report) Summary() []string {
	verdict := r.verdict()
	if n := len(r.NotJudged); n > 0 {
		verdict += fmt.Sprintf("; %d not judged (-o table lists them)", n)
	}
	return append([]string{verdict}, r.staleLines()...)
}

// verdict sums up, in one line.
func (r *Report) verdict() string {
	text := "Nothing is wrong"
	if len(r.Problems) > 0 {
		text = "Nothing wrong was found"
	}
	switch denials, warnings := r.count(Deny), r.count(Warn); {
	case denials > 0 && (warnings > 0 || r.audited()):
		text = fmt.Sprintf("%s, of which %d %s", plural(len(r.Findings), "finding"), denials, r.refused())
	case denials > 0:
		text = plural(denials, "finding") + " would be refused"
		if denials == 1 {
			text = "1 finding, which would be refused"
		}
	case warnings > 0:
		text = plural(warnings, "warning")
	}
	text += fmt.Sprintf(": looked at %s (%s) by %s", r.looked(), r.Source, plural(len(r.Rules), "rule"))
	if r.Accepted > 0 {
		text += fmt.Sprintf("; the baseline accepts %d more", r.Accepted)
	}
	if n := len(r.ByObject); n > 0 {
		text += fmt.Sprintf("; %s by annotation", plural(n, "finding")+" accepted")
	}
	if n := len(r.Elsewhere); n > 0 && r.ListAll {
		text += fmt.Sprintf("; %s not counted", plural(n, "finding"))
	} else if n > 0 {
		text += fmt.Sprintf("; %s not counted (--all lists them)", plural(n, "finding"))
	}
	if n := len(r.Problems); n > 0 {
		text += fmt.Sprintf("; incomplete, because of %s (standard error)", plural(n, "problem"))
	}
	return text
}
