package policy

import (
	"slices"
	"strings"
)

// way is a way out of a finding: what it is for, and the commands that lead there, in their order. One without commands says who has
// to do what.
type way struct {
	label    string
	commands []string
}

// remedy is all ways out of a finding. Each of them alone is enough, unless it says otherwise.
type remedy []way

// say is a way out that no command can be given for.
func say(text string) way { return way{label: text} }

// run is a way out by commands.
func run(label string, commands ...string) way { return way{label: label, commands: commands} }

// or is the remedy, or a text if there are no ways out.
func (r remedy) or(text string) remedy {
	if len(r) == 0 {
		return remedy{say(text)}
	}
	return r
}

// String lays the ways out: each is a sentence, and of its commands those after the first are sentences too.
func (r remedy) String() string {
	sentences := make([]string, len(r))
	for i, w := range r {
		if sentences[i] = w.label; len(w.commands) > 0 {
			sentences[i] += ": " + strings.Join(w.commands, ". And then: ")
		}
	}
	return strings.Join(slices.Compact(sentences), ". ")
}

// remedied is the text of a remedy that is made only if it is told: to look for one costs more than the judgement.
func (w *World) remedied(of func() remedy) string {
	if w.silent {
		return ""
	}
	return of().String()
}
