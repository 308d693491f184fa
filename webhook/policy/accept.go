package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// Acceptance is what an object's annotations accept: what the audit finds of these rules about the object is known, and is not told for now.
type Acceptance struct {
	// Codes are rules' codes, each once, in the order of the annotation.
	Codes []Code
	// Unknown are the words that are no rule's code.
	Unknown []string
	// Until is the end as it was written, "" for none, and End the same, nil for none. An end that cannot be read is long ago: what is accepted must not stay
	// so for ever because of a typing error.
	Until string
	End   *time.Time
}

// ReadAcceptance reads the annotations of an object.
func ReadAcceptance(annotations map[string]string) Acceptance {
	var a Acceptance
	a.Codes, a.Unknown = codesIn(annotations[api.AcceptAnnotation], AllRules())
	if until, ends := annotations[api.AcceptUntilAnnotation]; ends {
		end := mesh.End(until)
		a.Until, a.End = until, &end
	}
	return a
}

// Covers reports whether findings of a rule are accepted now.
func (a Acceptance) Covers(code Code, now time.Time) bool {
	return (a.End == nil || now.Before(*a.End)) && slices.Contains(a.Codes, code)
}

// beyond returns the codes that a accepts, and an earlier acceptance did not, or not for as long.
func (a Acceptance) beyond(before *Acceptance) []Code {
	if before == nil {
		return a.Codes
	}
	longer := before.End != nil && (a.End == nil || a.End.After(*before.End))
	return slices.DeleteFunc(slices.Clone(a.Codes), func(code Code) bool { return !longer && slices.Contains(before.Codes, code) })
}

// codesIn reads rules' codes from a text with commas; unknown are the words that are none.
func codesIn(annotation string, rules []Rule) (codes []Code, unknown []string) {
	for word := range strings.SplitSeq(annotation, ",") {
		word = strings.TrimSpace(word)
		switch {
		case word == "":
		case !slices.ContainsFunc(rules, func(r Rule) bool { return string(r.Code) == word }):
			unknown = append(unknown, word)
		case !slices.Contains(codes, Code(word)):
			codes = append(codes, Code(word))
		}
	}
	return codes, unknown
}

// AcceptanceChange is a CREATE (Old is nil) or UPDATE of an object, as far as its acceptance goes.
type AcceptanceChange struct {
	Old, New *Acceptance
	User     string
	// Rights are those of the user to override rules, by code; a code that is missing there could not be asked about.
	Rights map[Code]Right
}

// Accepts returns the codes for which the user needs the right to override.
func (p *Policy) Accepts(c AcceptanceChange) []Code {
	if p.settings.Actions.Of(acceptRules[0].Rule) == Off {
		return nil
	}
	return c.New.beyond(c.Old)
}

// Acceptance judges what an object is to accept.
func (p *Policy) Acceptance(c AcceptanceChange) Verdict {
	v := judge(acceptRules, c.Old, c.New, &World{User: c.User, overriding: c.Rights}, p.settings.Actions)
	if c.Old == nil || !slices.Equal(c.Old.Unknown, c.New.Unknown) {
		v.Notes = notRules(api.AcceptAnnotation, c.New.Unknown, AllRules(), "no rule")
	}
	if c.New.End != nil && c.New.End.IsZero() && (c.Old == nil || c.Old.Until != c.New.Until) {
		v.Notes = append(v.Notes, "the annotation "+api.AcceptUntilAnnotation+" is no time such as 2030-01-31T00:00:00Z, so nothing is accepted")
	}
	return v
}
