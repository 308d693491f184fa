package main

import (
	"strings"

	"github.com/meshfence/meshfence/test/harness"
)

// answer is how a request was answered. The zero value is invalid.
type answer int

const (
	// admitted without a word.
	admitted answer = iota + 1
	// filledIn: admitted, and istio.io/rev was filled in.
	filledIn
	// warned: admitted with a warning.
	warned
	// refused by meshfence.
	refused
	// failed for another reason: no answer that the replay expects anywhere.
	failed
)

func (a answer) String() string {
	switch a {
	case admitted:
		return "admitted"
	case filledIn:
		return "filled in"
	case warned:
		return "warned"
	case refused:
		return "refused"
	default:
		return "failed"
	}
}

// warning is what kubectl writes before a warning.
const warning = "Warning: "

// read tells from what kubectl printed to stderr how the request was answered, and what was said about it.
func read(stderr string, succeeded bool) (answer, string) {
	if !succeeded {
		if harness.RuleIn(stderr) != "" {
			return refused, strings.TrimSpace(stderr)
		}
		return failed, strings.TrimSpace(stderr)
	}
	var warnings []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(line, warning); ok {
			warnings = append(warnings, strings.TrimSpace(text))
		}
	}
	text := strings.Join(warnings, "\n")
	switch {
	case strings.Contains(text, "meshfence filled in"):
		return filledIn, text
	case text != "":
		return warned, text
	default:
		return admitted, ""
	}
}

// wrap breaks text at spaces into lines of at most width characters, each with indent before it. A word is never
// broken.
func wrap(text, indent string, width int) string {
	var out strings.Builder
	for paragraph := range strings.Lines(text) {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			switch {
			case line == "":
				line = word
			case len(line)+1+len(word) <= width:
				line += " " + word
			default:
				out.WriteString(indent + line + "\n")
				line = word
			}
		}
		out.WriteString(indent + line + "\n")
	}
	return out.String()
}
