package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// OverrideAnnotation names the rules, comma-separated, whose denials are to be warnings. It stands on the object that is
// judged, as in meshfence.io/override: MF111,MF202, and counts for a user who may override them.
const OverrideAnnotation = mesh.OverrideAnnotation

// The right that a user needs to override a rule: OverrideVerb on the object of OverrideResource, in OverrideGroup, that
// has the rule's code in lower case for a name. The resource is virtual: the API server serves none, and is only asked who
// has the right.
const (
	OverrideVerb     = "override"
	OverrideGroup    = api.Group
	OverrideResource = "rules"
)

// OverrideName is the name of a rule as RBAC knows it, such as mf111.
func OverrideName(code Code) string { return strings.ToLower(string(code)) }

// unknownNamed is how many words of an annotation that are no codes are told of.
const unknownNamed = 3

// Override is what an object asks for.
type Override struct {
	// Codes are rules' codes, each once, in the order of the annotation.
	Codes []Code
	// Unknown are the words that are no rule's code.
	Unknown []string
}

// ReadOverride reads the annotation; an empty one asks for nothing. White space around a code does not count, nor does a
// code that stands there twice.
func ReadOverride(annotation string) Override {
	var o Override
	o.Codes, o.Unknown = codesIn(annotation, Catalogue())
	return o
}

// Asks returns the codes, each once, that the object asks to override and that deny: only for these does it matter what the
// user may.
func (o Override) Asks(v Verdict) []Code {
	var codes []Code
	for _, f := range v.Denials {
		if slices.Contains(o.Codes, f.Rule.Code) && !slices.Contains(codes, f.Rule.Code) {
			codes = append(codes, f.Rule.Code)
		}
	}
	return codes
}

// Apply returns the verdict after the override: denials of rules that the user has the right to override become warnings
// that say so; those of the others stay, and say why. If none stays, then what the request causes is told too. rights are the user's, by code; a code that is missing there could
// not be asked about.
func (o Override) Apply(v Verdict, user string, rights map[Code]Right) Verdict {
	after := Verdict{Answer: Allowed, Notes: slices.Concat(v.Notes, notRules(OverrideAnnotation, o.Unknown, Catalogue(), "no rule that a request can break")), Warnings: slices.Clone(v.Warnings)}
	for _, f := range v.Denials {
		switch {
		case !slices.Contains(o.Codes, f.Rule.Code):
			after.Denials = append(after.Denials, f)
		case rights[f.Rule.Code] != Granted:
			after.Denials = append(after.Denials, notOverridden(f, user, rights[f.Rule.Code]))
		default:
			f.Action = Warn
			f.Detail = fmt.Sprintf("overridden by user %q with %s: %s", user, OverrideAnnotation, f.Detail)
			after.Warnings = append(after.Warnings, f)
			if !slices.Contains(after.Overridden, f.Rule.Code) {
				after.Overridden = append(after.Overridden, f.Rule.Code)
			}
		}
	}
	if after.Untold = v.Untold; len(after.Denials) == 0 {
		after.Warnings, after.Untold = append(after.Warnings, v.Untold...), nil
	}
	// Codes are in the order of the catalogue.
	slices.SortStableFunc(after.Warnings, func(a, b Finding) int { return strings.Compare(string(a.Rule.Code), string(b.Rule.Code)) })
	if len(after.Denials) > 0 {
		after.Answer = Denied
	}
	return after
}

// notOverridden says in the finding why the annotation changes nothing.
func notOverridden(f Finding, user string, right Right) Finding {
	why := say(fmt.Sprintf("the annotation %s is ignored, because meshfence could not check whether user %q may override %s: try again in a few seconds",
		OverrideAnnotation, user, f.Rule.Code))
	if right == Refused {
		name := OverrideName(f.Rule.Code)
		why = run(fmt.Sprintf("the annotation %s is ignored, because user %q may not override %s, which an administrator can allow",
			OverrideAnnotation, user, f.Rule.Code), grant("meshfence-override-"+name, OverrideVerb, OverrideGroup, name, user)...)
	}
	f.Ways = append(slices.Clip(f.Ways), why)
	return f
}

// notRules tell of words of an annotation that are none of these rules' codes.
func notRules(annotation string, unknown []string, rules []Rule, what string) []string {
	var all []string
	for _, r := range rules {
		all = append(all, string(r.Code))
	}
	var notes []string
	for _, word := range unknown[:min(unknownNamed, len(unknown))] {
		note := fmt.Sprintf("the annotation %s names %q, which is %s", annotation, word, what)
		if meant := nearest(strings.ToUpper(word), all); meant != "" {
			note += fmt.Sprintf(". Did you mean %q?", meant)
		}
		notes = append(notes, note)
	}
	if rest := len(unknown) - len(notes); rest > 0 {
		notes = append(notes, fmt.Sprintf("the annotation %s names %d more words that are no rules", annotation, rest))
	}
	return notes
}
