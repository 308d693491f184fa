package report

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// The elements of the common JUnit XML, with no attributes but those that the definition of Jenkins' xUnit plugin has (junit-10.xsd): it refuses a file with
// others. So the place of a finding stands in its text.
type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Skipped *skipped `xml:"skipped"`
	Error   *result  `xml:"error"`
	Failure *result  `xml:"failure"`
	Output  string   `xml:"system-out,omitempty"`
}

type skipped struct {
	Message string `xml:"message,attr"`
}

type result struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// junit has a suite for each rule, with a test case for each object that breaks it, or one that passes. A warning passes too, and its text is the
// case's output. The last suite passes always, and has the verdict as its output.
func (r *Report) junit() (string, error) {
	all := suites{Name: "meshfence check"}
	for _, rule := range r.Rules {
		all.Suites = append(all.Suites, r.suiteOf(rule))
	}
	if len(r.Problems) > 0 {
		input := suite{Name: "input"}
		for _, problem := range r.Problems {
			input.Cases = append(input.Cases, testCase{
				Name: clean(problem.String()), Class: "meshfence.input",
				Error: &result{Message: clean(problem.Text), Type: "problem"},
			})
		}
		all.Suites = append(all.Suites, input)
	}
	all.Suites = append(all.Suites, suite{Name: "summary", Cases: []testCase{{
		Name: "what was looked at", Class: "meshfence.summary", Output: clean(strings.Join(r.Summary(), "\n")),
	}}})
	for i := range all.Suites {
		s := &all.Suites[i]
		for _, c := range s.Cases {
			s.Tests++
			if c.Failure != nil {
				s.Failures++
			}
			if c.Error != nil {
				s.Errors++
			}
			if c.Skipped != nil {
				s.Skipped++
			}
		}
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	return xml.Header + string(text) + "\n", err
}

func (r *Report) suiteOf(rule Rule) suite {
	s := suite{Name: rule.Code + " " + rule.Name}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Code != rule.Code {
			continue
		}
		c := testCase{Name: clean(f.object()), Class: "meshfence." + f.Code}
		text := clean(strings.Join(append(f.message(), f.Place.String()), "\n"))
		if f.Action == Deny {
			c.Failure = &result{Message: clean(f.Detail), Type: f.Action, Text: text}
		} else {
			c.Output = text
		}
		s.Cases = append(s.Cases, c)
	}
	for i := range r.ByObject {
		if f := &r.ByObject[i]; f.Code == rule.Code {
			s.Cases = append(s.Cases, testCase{Name: clean(f.object()), Class: "meshfence." + f.Code, Skipped: &skipped{clean("accepted by its annotation" + f.until() + ": " + f.Detail)}})
		}
	}
	for _, gap := range r.NotJudged {
		if slices.Contains(gap.Codes, rule.Code) {
			s.Cases = append(s.Cases, testCase{
				Name: clean(gap.Object), Class: "meshfence." + rule.Code, Skipped: &skipped{clean(fmt.Sprintf("needs %s", gap.Needs))},
			})
		}
	}
	if len(s.Cases) == 0 {
		s.Cases = []testCase{{Name: "no object breaks it", Class: "meshfence." + rule.Code}}
	}
	return s
}

// clean leaves out what XML 1.0 has no way to write.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		legal := c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c <= 0xd7ff || c >= 0xe000 && c <= 0xfffd || c >= 0x10000 && c <= 0x10ffff
		if !legal {
			return '\ufffd'
		}
		return c
	}, text)
}
