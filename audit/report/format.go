package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is how a report is written.
type Format string

// Formats.
const (
	Table    Format = "table"
	Wide     Format = "wide"
	JSON     Format = "json"
	YAML     Format = "yaml"
	SARIF    Format = "sarif"
	JUnit    Format = "junit"
	GitHub   Format = "github"
	Markdown Format = "markdown"
)

// Formats returns all of them.
func Formats() []Format { return []Format{Table, Wide, JSON, YAML, SARIF, JUnit, GitHub, Markdown} }

// ParseFormat reads one.
func ParseFormat(name string) (Format, error) {
	if !slices.Contains(Formats(), Format(name)) {
		names := make([]string, len(Formats()))
		for i, f := range Formats() {
			names[i] = string(f)
		}
		return "", fmt.Errorf("%q is not one of %s", name, strings.Join(names, ", "))
	}
	return Format(name), nil
}

// Write writes a report, which must be sorted.
func (r *Report) Write(to io.Writer, format Format) error {
	text, err := r.text(format)
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, text)
	return err
}

func (r *Report) text(format Format) (string, error) {
	switch format {
	case Table:
		return r.table(false), nil
	case Wide:
		return r.table(true), nil
	case JSON:
		return r.json()
	case YAML:
		return r.yaml()
	case SARIF:
		return r.sarif()
	case JUnit:
		return r.junit()
	case GitHub:
		return r.github(), nil
	case Markdown:
		return r.markdown(), nil
	default:
		return "", fmt.Errorf("unknown format %q", format)
	}
}
