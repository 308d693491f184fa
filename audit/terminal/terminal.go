// Package terminal makes texts that come from elsewhere harmless to print.
package terminal

import (
	"strings"
	"unicode"
)

// Printable replaces what a terminal would obey, what turns the direction of a line, and what would break it.
func Printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || unicode.Is(unicode.Bidi_Control, c) {
			return unicode.ReplacementChar
		}
		return c
	}, text)
}

// Line is a text as a line of its own, without the line break. It is Printable, and no command to the workflow of GitHub Actions or to the
// pipeline of Azure in whose log it may be shown: those begin, perhaps behind spaces, with two colons, or have ##[ somewhere (ActionCommand.cs in
// actions/runner) or ##vso[ (azure-pipelines-agent).
func Line(text string) string { return noCommand(Printable(text)) }

func noCommand(text string) string {
	text = strings.NewReplacer("##[", "#\ufffd[", "##vso[", "#\ufffdvso[").Replace(text)
	if begin := len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace)); strings.HasPrefix(text[begin:], "::") {
		text = text[:begin] + "\ufffd" + text[begin+1:]
	}
	return text
}

// Lines is a text of several lines, each of them as Line has it but for tabs, which stay.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = Printable(cell)
		}
		lines[i] = noCommand(strings.Join(cells, "\t"))
	}
	return strings.Join(lines, "\n")
}
