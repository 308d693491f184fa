package policy

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
	// Detail says what is wrong, with the names and label values.
	Detail string
	// Remedy says what to do next, as commands that can be pasted.
	Remedy string
	// Subjects are what the finding is about besides the object itself, sorted. An old object that broke the same rule
	// with at least these subjects has had this finding before.
	Subjects []string
	// Explains says that the finding tells why another one may deny, so that it is told with a refusal too.
	Explains bool
	// Forbidden says that the object is fine, but not for the user who asks.
	Forbidden bool
}

// Message is what a person reads: code and name, what is wrong, what to do.
func (f Finding) Message() string {
	text := string(f.Rule.Code) + " " + f.Rule.Name + ": " + f.Detail
	if f.Remedy != "" {
		text += ". " + f.Remedy
	}
	return text
}
