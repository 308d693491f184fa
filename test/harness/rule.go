package harness

import "regexp"

var ruleName = regexp.MustCompile(`\bMF[0-9]{3} [A-Z][A-Za-z]*`)

// RuleIn returns the first rule that a message of meshfence names, with code and name, such as "MF103
// OverlappingSelectors"; and "" where it names none. The API server and kubectl put texts of their own before it, and
// the path of a field stands there too, so the place of the rule in the message says nothing.
func RuleIn(message string) string { return ruleName.FindString(message) }
