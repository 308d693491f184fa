package model

import "strings"

// Way is a way out that a message offers: what it is for, and the commands to paste, in their order.
type Way struct {
	Label    string
	Commands []string
}

// Ways reads a remedy: sentences, of which those that end with a colon and a command are ways out. "And then: COMMAND" goes on with the
// way before it. What only says something is a way without commands.
func Ways(remedy string) []Way {
	var ways []Way
	for _, sentence := range sentences(remedy) {
		label, command := split(sentence)
		if label == "And then" && len(ways) > 0 {
			last := &ways[len(ways)-1]
			last.Commands = append(last.Commands, command)
			continue
		}
		way := Way{Label: label}
		if command != "" {
			way.Commands = []string{command}
		}
		ways = append(ways, way)
	}
	return ways
}

// sentences end with a full stop and a blank, outside of quotes.
func sentences(text string) []string {
	var all []string
	begin, quoted := 0, false
	for i := range len(text) {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], ". "):
			all = append(all, text[begin:i])
			begin = i + len(". ")
		}
	}
	return append(all, text[begin:])
}

// split takes a sentence apart at the colon before its command.
func split(sentence string) (label, command string) {
	for _, begin := range []string{": kubectl ", ": echo "} {
		if i := strings.Index(sentence, begin); i >= 0 {
			return sentence[:i], sentence[i+len(": "):]
		}
	}
	return sentence, ""
}
