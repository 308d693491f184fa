package policy

import (
	"slices"
	"strings"
)

// Way is a way out of a finding. Each alone is enough, unless it says otherwise.
type Way struct {
	// Label says what the commands do, without a capital letter or a full stop: "keep it in mesh-2". Without commands it is a sentence
	// that says who has to do what.
	Label string
	// Commands are what can be pasted, in this order: commands for a shell, or, for an object that is not stored yet, lines of its
	// manifest.
	Commands []string
}

// remedy is all ways out of a finding.
type remedy []Way

// say is a way out that no command can be given for.
func say(text string) Way { return Way{Label: text} }

// run is a way out by commands.
func run(label string, commands ...string) Way { return Way{Label: label, Commands: commands} }

// or is the remedy, or a text if there are no ways out.
func (r remedy) or(text string) remedy {
	if len(r) == 0 {
		return remedy{say(text)}
	}
	return r
}

// lines lays the way out for a refusal: several commands stand on lines of their own, so that each can be copied whole.
func (w Way) lines() []string {
	switch len(w.Commands) {
	case 0:
		return []string{"  " + w.Label}
	case 1:
		return []string{"  " + w.heading() + "  " + w.Commands[0]}
	default:
		lines := []string{"  " + w.heading()}
		for _, command := range w.Commands {
			lines = append(lines, "    "+command)
		}
		return lines
	}
}

// heading is the label before its commands.
func (w Way) heading() string {
	if strings.HasSuffix(w.Label, "?") {
		return w.Label
	}
	return w.Label + ":"
}

// remedied is a remedy that is made only if it is told: to look for one costs more than the judgement.
func (w *World) remedied(of func() remedy) []Way {
	if w.silent {
		return nil
	}
	return slices.CompactFunc(of(), func(a, b Way) bool { return a.Label == b.Label && slices.Equal(a.Commands, b.Commands) })
}
