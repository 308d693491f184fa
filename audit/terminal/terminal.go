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
