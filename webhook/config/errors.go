package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxShownProblems bounds the length of an error's text: a person who mounts a wrong file should not get a log line of a
// megabyte. All problems stay in InvalidError.Problems.
const maxShownProblems = 20

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	// Line is the line in the file, from 1; 0 where there is none, as for a field that is missing.
	Line int
	// Err names the field by its path and says what is allowed there.
	Err *field.Error
}

// String returns the line, the path, and what is wrong, on one line.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Err.Error()
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Err)
}

// InvalidError says everything that is wrong with a configuration file.
type InvalidError struct {
	// Problems are in the order of the file's lines, those without a line first. There is at least one.
	Problems []Problem
}

// Error returns the problems on one line, fit for a log. Lines returns them one by one, fit for a terminal.
func (e *InvalidError) Error() string { return strings.Join(e.Lines(), "; ") }

// Lines returns the problems as text, one a line; after the first 20 a last line says how many more there are.
func (e *InvalidError) Lines() []string {
	var lines []string
	for _, p := range e.Problems[:min(len(e.Problems), maxShownProblems)] {
		lines = append(lines, p.String())
	}
	if more := len(e.Problems) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// ErrorList returns the problems as apimachinery's field errors, in the same order.
func (e *InvalidError) ErrorList() field.ErrorList {
	list := make(field.ErrorList, 0, len(e.Problems))
	for _, p := range e.Problems {
		list = append(list, p.Err)
	}
	return list
}

// invalid returns nil without problems, else an InvalidError with them in order.
func invalid(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Err.Field, b.Err.Field), cmp.Compare(a.Err.Error(), b.Err.Error()))
	})
	return &InvalidError{Problems: problems}
}
