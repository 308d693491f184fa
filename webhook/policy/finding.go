package policy

import "strings"

// Code identifies a rule for ever, for example MF202. Codes are never reused.
type Code string

// Action is what a broken rule leads to. The zero value is invalid.
type Action int

// Actions, from harmless to strict.
const (
	Off Action = iota + 1
	Warn
	Deny
)

// String returns the action as the configuration spells it.
func (a Action) String() string {
	switch a {
	case Off:
		return "off"
	case Warn:
		return "warn"
	case Deny:
		return "deny"
	default:
		return "invalid"
	}
}

// Rule is what the catalogue says of a rule.
type Rule struct {
	Code Code
	// Name says the offence in one word, for example RevisionOfAnotherMesh.
	Name string
	// Action is what the rule leads to unless the configuration says otherwise.
	Action Action
}

// Finding is one rule broken by one object.
type Finding struct {
	Rule Rule
	// Action is Warn where the rule asks for no more than that in this situation; otherwise the rule's own.
	Action Action
	// Field is the path of the field that is at fault.
	Field string
	// In has the namespace and name of the ConfigMap that has the field, where an istiod has one; "" for the object that is judged.
	In string
	// Detail says in one sentence what is wrong, with the names and label values. It names neither the object nor the field: what prints
	// a finding has said both. Where it needs the object it says "it".
	Detail string
	// Effect says in one sentence what comes of it; "" where the detail says all.
	Effect string
	// Ways are the ways out.
	Ways []Way
	// Subjects are what the finding is about besides the object itself, sorted. An old object that broke the same rule
	// with at least these subjects has had this finding before.
	Subjects []string
	// SubjectField is the path of the field that the detail names in the object of the only subject; "" if it names none.
	SubjectField string
	// Explains says that the finding tells why another one may deny, so that it is told with a refusal too.
	Explains bool
	// Forbidden says that the object is fine, but not for the user who asks.
	Forbidden bool
}

// Message is what a person reads, laid out in lines: what is wrong, with code and name; what comes of it; each way out; and where to read
// more. It ends without a line break.
func (f Finding) Message() string {
	lines := []string{f.head() + f.Detail}
	if f.Effect != "" {
		lines = append(lines, "  "+f.Effect)
	}
	for _, w := range f.Ways {
		lines = append(lines, w.lines()...)
	}
	lines = append(lines, "  meshfence explain rule "+string(f.Rule.Code))
	return strings.Join(lines, "\n")
}

// Line is the finding in one line of at most limit bytes: what is wrong, what comes of it, and the first command. Words that have no room are left out from
// the end.
func (f Finding) Line(limit int) string {
	text := f.head() + f.Detail
	if f.Effect != "" {
		text += "; " + f.Effect
	}
	for _, w := range f.Ways {
		if len(w.Commands) > 0 {
			text += "; " + w.Label + ": " + w.Commands[0]
			break
		}
	}
	text = oneLine(text)
	for characters := limit; len(text) > limit; characters -= len(ellipsis) {
		text = cut(text, characters)
	}
	return text
}

// head is what every message of the finding begins with.
func (f Finding) head() string { return string(f.Rule.Code) + " " + f.Rule.Name + ": " }
