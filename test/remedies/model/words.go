package model

import (
	"errors"
	"strings"
)

// words splits a command line as a POSIX shell does, as far as messages use its syntax: blanks, single quotes, and a backslash
// outside of quotes. Operators must stand alone, between blanks.
func words(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	begun, quoted, escaped := false, false, false
	for _, r := range line {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case quoted && r == '\'':
			quoted = false
		case quoted:
			word.WriteRune(r)
		case r == '\'':
			begun, quoted = true, true
		case r == '\\':
			begun, escaped = true, true
		case r == ' ':
			if begun {
				all = append(all, word.String())
			}
			begun = false
			word.Reset()
		case strings.ContainsRune("\"$`;&<>()*?[]", r):
			return nil, errors.New("a character that a shell does not take as it is: " + string(r))
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quoted || escaped {
		return nil, errors.New("a quote that does not end")
	}
	if begun {
		all = append(all, word.String())
	}
	return all, nil
}
