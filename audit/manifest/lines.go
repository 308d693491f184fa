package manifest

import (
	"bytes"
	"unicode/utf8"
)

// lineMap leads from the lines of YAML to those of editors. YAML 1.1 ends a line at a carriage return alone, U+0085, U+2028 and U+2029 too.
type lineMap struct {
	// starts has for each line of YAML how many lines of an editor, and then how many characters of its line, come before it.
	starts []struct{ line, column int }
}

// newLineMap returns nil for a text in which the lines are the same.
func newLineMap(text []byte) *lineMap {
	if !hasOddBreak(text) {
		return nil
	}
	m := &lineMap{starts: make([]struct{ line, column int }, 1)}
	var at struct{ line, column int }
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		at.column++
		if r == '\n' {
			at.line, at.column = at.line+1, 0
		}
		if r == '\r' && i < len(text) && text[i] == '\n' {
			continue
		}
		if r == '\n' || isOddBreak(r) {
			m.starts = append(m.starts, at)
		}
	}
	return m
}

func hasOddBreak(text []byte) bool {
	for i := 0; ; {
		next := bytes.IndexByte(text[i:], '\r')
		if next < 0 {
			break
		}
		if i += next + 1; i == len(text) || text[i] != '\n' {
			return true
		}
	}
	return bytes.Contains(text, []byte("\u0085")) || bytes.Contains(text, []byte("\u2028")) || bytes.Contains(text, []byte("\u2029"))
}

func isOddBreak(r rune) bool { return r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029' }

// editor returns the line and column that an editor shows; for a line beyond the end, those of the last.
func (m *lineMap) editor(line, column int) (int, int) {
	if m == nil || line < 1 {
		return line, column
	}
	start := m.starts[min(line, len(m.starts))-1]
	return start.line + 1, start.column + column
}
