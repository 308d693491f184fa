package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of a refusal. A person reads no more, and one object can break a rule thousands of times: beside thousands of
// meshes, or in each of its selectors.
const (
	// maxDenials is how many findings are told whole; the others are counted and named.
	maxDenials = 20
	// maxDetail is how many characters of a detail are told, and maxSelector of a selector in it.
	maxDetail   = 2000
	maxSelector = 300
	// maxValues is how many values a proposed requirement may have.
	maxValues = 20
)

// Told returns the denials that a refusal tells whole, with their details cut if need be, and a last line about the others;
// "" if there are none. A remedy is never cut.
func (v Verdict) Told() (whole []Finding, others string) {
	whole = slices.Clone(v.Denials[:min(len(v.Denials), maxDenials)])
	for i := range whole {
		whole[i].Detail = cut(whole[i].Detail, maxDetail)
	}
	return whole, untold(v.Denials[len(whole):])
}

// untold counts findings by rule, and names the first subjects.
func untold(findings []Finding) string {
	var texts []string
	for len(findings) > 0 {
		n := 1
		for n < len(findings) && findings[n].Rule.Code == findings[0].Rule.Code {
			n++
		}
		texts = append(texts, untoldOf(findings[:n]))
		findings = findings[n:]
	}
	if len(texts) == 0 {
		return ""
	}
	return "and " + strings.Join(texts, ", and ")
}

// untoldOf is untold for findings of one rule.
func untoldOf(findings []Finding) string {
	text := fmt.Sprintf("%d more times %s %s", len(findings), findings[0].Rule.Code, findings[0].Rule.Name)
	if len(findings) == 1 {
		text = fmt.Sprintf("once more %s %s", findings[0].Rule.Code, findings[0].Rule.Name)
	}
	var names []string
	for _, f := range findings[:min(len(findings), maxNamed)] {
		names = append(names, cut(strings.Join(f.Subjects[:min(len(f.Subjects), maxNamed)], " and "), maxSelector))
	}
	if len(findings) > maxNamed {
		names = append(names, "…")
	}
	return text + " (" + strings.Join(names, ", ") + ")"
}
