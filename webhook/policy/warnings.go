package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Limits of the API server on the warnings of one response, in characters. Beyond allWarnings, which counts those of all
// webhooks together, it cuts every warning after the first oneWarning characters and drops what is still too much
// (k8s.io/apiserver/pkg/endpoints/filters/warning.go). So no line of ours is longer than oneWarning, except a word or a command that
// is, and all together are not longer than allWarnings.
const (
	oneWarning  = 256
	allWarnings = 4096
)

// between separates what stands in one warning.
const between = "; "

// WarningLines returns what the user is warned of, each text fit to be one warning of the response: one line, without the
// control characters for which the API server would drop it without a word (apimachinery's net.NewWarningHeader). What matters comes
// first: code, name, object and detail, of which the end is left out if need be; the effect, if there is room; then the ways out, which are
// never cut. Findings for which there is no room are counted and named in the last line. The object is what the findings are about, for
// example Istio "mesh-1": unlike a refusal, a warning stands alone. It is "" if that is not known.
func (v Verdict) WarningLines(object string) []string {
	var groups [][]string
	for _, note := range v.Notes {
		groups = append(groups, noteLines(note))
	}
	for _, f := range v.Warnings {
		groups = append(groups, f.warningLines(object))
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

// warningLines returns the finding as warnings.
func (f Finding) warningLines(object string) []string {
	head, about := f.head(), []string{oneLine(object)}
	if strings.HasPrefix(f.Field, selectorsField+"[") || strings.HasPrefix(f.Field, inText) && strings.HasSuffix(f.Field, "]") { // nothing else says which is meant
		about = append(about, f.Field)
	}
	if text := strings.TrimSpace(strings.Join(about, " ")); text != "" && length(head+text) <= oneWarning/2 {
		head += text + ": "
	}
	detail, effect := oneLine(f.Detail), oneLine(f.Effect)
	line := head + cut(detail, oneWarning-length(head))
	if effect != "" && line == head+detail && length(line+between+effect) <= oneWarning {
		line += between + effect
	}
	return withWays(line, string(f.Rule.Code)+" remedy: ", f.Ways)
}

// withWays adds ways out to a line, and, from the first for which it has no room, in further lines with a head of their own.
func withWays(line, head string, ways []Way) []string {
	lines := []string{line}
	for _, w := range ways {
		for _, piece := range w.pieces(oneWarning - length(head)) {
			last := &lines[len(lines)-1]
			if length(*last+between+piece) <= oneWarning {
				*last += between + piece
			} else {
				lines = append(lines, head+piece)
			}
		}
	}
	return lines
}

// pieces are the way out in lines of at most so many characters, except a word or a command that is longer: all in one, if it is short
// enough, else each command by itself.
func (w Way) pieces(limit int) []string {
	heading, commands := oneLine(w.Label), make([]string, len(w.Commands))
	for i, command := range w.Commands {
		commands[i] = oneLine(command)
	}
	if len(commands) == 0 {
		return wrap(heading, limit)
	}
	heading = oneLine(w.heading())
	if whole := heading + " " + strings.Join(commands, " && "); length(whole) <= limit {
		return []string{whole}
	}
	var pieces []string
	for i, command := range commands {
		if i > 0 {
			heading = "and then:"
		}
		if whole := heading + " " + command; length(whole) <= limit {
			pieces = append(pieces, whole)
		} else {
			pieces = append(append(pieces, wrap(heading, limit)...), command)
		}
	}
	return pieces
}

// noteLines are a text that is no finding's as warnings.
func noteLines(text string, ways ...Way) []string {
	lines := wrap(oneLine(text), oneWarning)
	return append(lines[:len(lines)-1], withWays(lines[len(lines)-1], "meshfence: ", ways)...)
}

// wrap breaks a text between words into lines of at most so many characters, except a word that is longer.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case length(line+" "+word) <= limit:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// ellipsis stands where something was left out.
const ellipsis = "…"

// cut leaves out the last words of a text that has more than so many characters, and then says so at its end. What stands between
// commas counts as a word too, so that something is left of a list.
func cut(text string, limit int) string {
	if length(text) <= limit {
		return text
	}
	kept := string([]rune(text)[:limit])
	end := strings.LastIndexAny(kept, " ,")
	return strings.TrimRight(kept[:max(0, end)], " ,.:;") + ellipsis
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
