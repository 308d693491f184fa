// Package docs is the part of the documentation that the program itself shows.
package docs

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

//go:embed rules.md
var rules string

// Section is what the documentation says of a rule.
type Section struct {
	Code, Name string
	// Text is the section without its heading, in Markdown.
	Text string
}

// Rule returns the section about the rule of a code.
func Rule(code string) (Section, bool) {
	section, ok := sections()[code]
	return section, ok
}

// sections takes docs/rules.md apart, by the headings of its rules.
var sections = sync.OnceValue(func() map[string]Section {
	all := map[string]Section{}
	heading := regexp.MustCompile(`(?m)^## (?:(MF\d{3}) (\w+)|.*)$`)
	found := heading.FindAllStringSubmatchIndex(rules, -1)
	for i, at := range found {
		if at[2] < 0 {
			continue
		}
		end := len(rules)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		s := Section{Code: rules[at[2]:at[3]], Name: rules[at[4]:at[5]], Text: strings.TrimSpace(rules[at[1]:end])}
		all[s.Code] = s
	}
	return all
})
