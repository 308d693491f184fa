package picture

import (
	"cmp"
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

// natural orders names as people count: mesh-2 comes before mesh-10.
func natural(a, b string) int {
	restA, restB := a, b
	for restA != "" && restB != "" {
		numberA, numberB := digits(restA), digits(restB)
		if numberA == "" || numberB == "" {
			if restA[0] != restB[0] {
				return cmp.Compare(restA[0], restB[0])
			}
			restA, restB = restA[1:], restB[1:]
			continue
		}
		restA, restB = restA[len(numberA):], restB[len(numberB):]
		numberA, numberB = strings.TrimLeft(numberA, "0"), strings.TrimLeft(numberB, "0")
		if order := cmp.Or(cmp.Compare(len(numberA), len(numberB)), strings.Compare(numberA, numberB)); order != 0 {
			return order
		}
	}
	return cmp.Or(cmp.Compare(len(restA), len(restB)), strings.Compare(a, b))
}

// digits are those that a text begins with.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
