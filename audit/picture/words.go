package picture

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// clean makes a text harmless wherever it is shown: what does not print, such as control characters, marks that turn the direction of a line,
// line breaks and invalid UTF-8, becomes its escape sequence in Go.
func clean(s string) string {
	return escape(s, func(r rune) bool { return r == ' ' || strconv.IsPrint(r) })
}

// ascii does the same, and leaves nothing but ASCII.
func ascii(s string) string {
	return escape(s, func(r rune) bool { return r >= ' ' && r <= '~' })
}

// escape replaces what may not stand.
func escape(s string, may func(rune) bool) string {
	var b strings.Builder
	for s != "" {
		r, width := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && width == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case may(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		s = s[width:]
	}
	return b.String()
}

// and joins the parts of a sentence.
func and(parts []string) string {
	switch len(parts) {
	case 0:
		return "no mesh"
	case 1:
		return parts[0]
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// count is a number with its noun, in the plural that it asks for.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "sh") {
		return strconv.Itoa(n) + " " + noun + "es"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
