package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Limits of the API server on the warnings of one response, in characters. Beyond allWarnings, which counts those of all
// webhooks together, it cuts every warning after the first oneWarning characters and drops what is still too much
// (k8s.io/apiserver/pkg/endpoints/filters/warning.go). So no line of ours is longer than oneWarning, except a command that
// is, and all together are not longer than allWarnings.
const (
	oneWarning  = 256
	allWarnings = 4096
)

// leastDetail is how many characters of a detail stay beside its remedy; a remedy that leaves less gets a line of its own.
const leastDetail = 140

// ellipsis stands where something was cut off.
const ellipsis = "…"

// WarningLines returns what the user is warned of, each text fit to be one warning of the response: one line, without the
// control characters for which the API server would drop it without a word (apimachinery's net.NewWarningHeader). A
// finding keeps its code, its name and its remedy; its detail is cut if need be. Findings for which there is no room are
// counted and named in the last line.
func (v Verdict) WarningLines() []string {
	var groups [][]string
	for _, note := range v.Notes {
		groups = append(groups, []string{cut(oneLine(note), oneWarning)})
	}
	for _, f := range v.Warnings {
		groups = append(groups, f.warningLines())
	}
	return fit(groups, func(from int) string { return more(v.Warnings[max(0, from-len(v.Notes)):]) })
}

// fit takes groups of lines as long as there is room for them and for a last line that tells of the others. A line that is
// there already, such as the remedy of several findings of one rule, is left out: the API server would do so too.
func fit(groups [][]string, others func(from int) string) []string {
	var lines []string
	room := allWarnings
	for i, group := range groups {
		reserve := 0
		if i+1 < len(groups) {
			reserve = length(others(i + 1))
		}
		group = slices.DeleteFunc(group, func(line string) bool { return slices.Contains(lines, line) })
		need := 0
		for _, line := range group {
			need += length(line)
		}
		if need+reserve > room {
			return append(lines, others(i))
		}
		lines = append(lines, group...)
		room -= need
	}
	return lines
}

// more tells of findings that are not shown.
func more(findings []Finding) string {
	var codes []string
	for _, f := range findings {
		if code := string(f.Rule.Code); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	noun := "findings"
	if len(findings) == 1 {
		noun = "finding"
	}
	return cut(fmt.Sprintf("and %d more %s: %s", len(findings), noun, strings.Join(codes, ", ")), oneWarning)
}

// warningLines returns the finding as warnings: one, or, if its remedy leaves no room for the detail, one and its remedy
// in lines of its own.
func (f Finding) warningLines() []string {
	head := string(f.Rule.Code) + " " + f.Rule.Name + ": "
	detail, remedy := oneLine(f.Detail), oneLine(f.Remedy)
	if whole := oneLine(f.Message()); length(whole) <= oneWarning {
		return []string{whole}
	}
	if remedy != "" {
		if room := oneWarning - length(head) - length(" "+remedy); room >= min(leastDetail, length(detail)) {
			return []string{head + cut(detail, room) + " " + remedy}
		}
	}
	lines := []string{cut(head+detail, oneWarning)}
	return append(lines, remedyLines(string(f.Rule.Code)+" remedy: ", remedy)...)
}

// remedyLines shows a remedy whole, with several ways out in one line as far as they fit; a way out is never cut, because
// half a command is none.
func remedyLines(head, remedy string) []string {
	if remedy == "" {
		return nil
	}
	const between = ". "
	var lines []string
	line := ""
	for way := range strings.SplitSeq(remedy, between) {
		switch {
		case line == "":
			line = head + way
		case length(line+between+way) <= oneWarning:
			line += between + way
		default:
			lines, line = append(lines, line), head+way
		}
	}
	return append(lines, line)
}

// cut shortens a text to a number of characters, the last of which then says so.
func cut(text string, limit int) string {
	if length(text) <= limit {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:limit-1]), " ,.:;") + ellipsis
}

// length counts the characters as the API server does.
func length(text string) int { return len([]rune(text)) }

// oneLine replaces what the API server would refuse a warning for.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}
