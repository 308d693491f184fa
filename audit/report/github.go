package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/audit/terminal"
)

// github is one workflow command a finding, which GitHub Actions shows at the line of the file; then what was not judged, and the verdict.
func (r *Report) github() string {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		command := "error"
		if f.Action != Deny {
			command = "warning"
		}
		title := f.Code + " " + f.Name
		text := strings.Join(append([]string{f.object() + ": " + f.Detail}, f.more()...), "\n")
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", command, r.githubPlace(f.Place), property(title), data(text))
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "::error %stitle=%s::%s\n", r.githubPlace(problem.Place), property("not judged"), data(problem.Text))
	}
	for _, notice := range []struct {
		title string
		lines []string
	}{{"not judged", gapLines(r.NotJudged)}, {"accepted", r.acceptedLines()}, {"baseline", r.staleLines()}, {"meshfence", []string{r.verdict()}}} {
		if len(notice.lines) > 0 {
			fmt.Fprintf(&b, "::notice title=%s::%s\n", property(notice.title), data(strings.Join(firstLines(notice.lines), "\n")))
		}
	}
	return b.String()
}

// maxNoticed is how many lines a notice has: of a step ten notices are shown, so that each kind has one.
const maxNoticed = 20

func firstLines(lines []string) []string {
	if len(lines) <= maxNoticed {
		return lines
	}
	return append(slices.Clone(lines[:maxNoticed]), fmt.Sprintf("and %d more, which -o table lists", len(lines)-maxNoticed))
}

func (r *Report) githubPlace(p Place) string {
	if p.File == "" {
		return ""
	}
	text := "file=" + property(r.inRepository(p.File)) + ","
	if p.Line > 0 {
		text += fmt.Sprintf("line=%d,", p.Line)
	}
	if p.Line > 0 && p.Column > 0 {
		text += fmt.Sprintf("col=%d,", p.Column)
	}
	return text
}

// data escapes the text of a workflow command, as @actions/core does (packages/core/src/command.ts in actions/toolkit).
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(lines(text))
}

// lines replaces the control characters of a text but for line breaks: the log of a workflow is shown by a terminal.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = terminal.Printable(line)
	}
	return strings.Join(all, "\n")
}

// property escapes the value of a property of one.
func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(lines(text))
}
