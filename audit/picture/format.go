package picture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshfence/meshfence/webhook/spelling"
)

// Format is a way to write a map down. The zero value is none.
type Format string

// The formats.
const (
	Tree    Format = "tree"
	Wide    Format = "wide"
	JSON    Format = "json"
	YAML    Format = "yaml"
	Mermaid Format = "mermaid"
	Dot     Format = "dot"
	SVG     Format = "svg"
	HTML    Format = "html"
)

// Formats returns all formats, in the order in which they are told.
func Formats() []Format { return []Format{Tree, Wide, JSON, YAML, Mermaid, Dot, SVG, HTML} }

// ParseFormat returns the format of that name, or an error that names all of them and the one that was probably meant.
func ParseFormat(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	if !slices.Contains(names, name) {
		return "", fmt.Errorf("no format is called %q%s, there are %s", name, didYouMean(name, names), strings.Join(names, ", "))
	}
	return Format(name), nil
}

// didYouMean asks for the name that is nearest to word, if one is near, and is empty otherwise.
func didYouMean(word string, names []string) string {
	best := spelling.Nearest(word, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
