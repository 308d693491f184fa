package report

import (
	"fmt"
	"strings"

	"github.com/meshfence/meshfence/audit/terminal"
)

// markdown is a table for the summary of a workflow, or a comment on a pull request.
func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### meshfence\n\n%s\n", cell(r.verdict()))
	if len(r.Findings) > 0 {
		b.WriteString("\n| | rule | object | where | what is wrong | ways out |\n| --- | --- | --- | --- | --- | --- |\n")
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		var ways []string
		for _, w := range f.Ways {
			way := cell(w.Label)
			for _, command := range w.Commands {
				way += "<br>" + code(command)
			}
			ways = append(ways, way)
		}
		what := cell(f.Detail)
		if f.Effect != "" {
			what += "<br>" + cell(f.Effect)
		}
		where := ""
		if f.Place.File != "" {
			where = code(f.Place.String())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.Action, f.Code+" "+f.Name, cell(f.object()), where, what, strings.Join(ways, "<br>"))
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Not judged", gapLines(r.NotJudged)}, {"Accepted by their objects", r.acceptedLines()}, {"Problems", noteLines(r.Problems)}, {"Baseline", r.staleLines()}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n\n", list.title)
			for _, line := range list.lines {
				fmt.Fprintf(&b, "- %s\n", cell(line))
			}
		}
	}
	return b.String()
}

func gapLines(gaps []Gap) []string {
	var lines []string
	for _, gap := range gaps {
		lines = append(lines, gap.String())
	}
	return lines
}

func noteLines(notes []Note) []string {
	var lines []string
	for _, note := range notes {
		lines = append(lines, note.String())
	}
	return lines
}

// escapes are what has a meaning in Markdown or in its HTML.
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "\\", "\\\\", "~", "\\~", "@", "&#64;", "#", "&#35;")

// cell is a text within a table.
func cell(text string) string { return escapes.Replace(terminal.Printable(text)) }

// code is a text to copy. HTML, because a backtick cannot be escaped between backticks, and GitHub ends a cell at every bar.
func code(text string) string {
	return "<code>" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "@", "&#64;", "[", "&#91;", "\\", "&#92;", "~", "&#126;").Replace(terminal.Printable(text)) + "</code>"
}
