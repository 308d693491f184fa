package picture

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// apiVersion and kind are those of the documents for programs.
const (
	apiVersion = "meshfence.io/v1alpha1"
	kind       = "Map"
)

// document is a map for programs: all of it, and what is wrong.
type document struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Wrong      []wrongEntry `json:"wrong,omitempty"`
	Map
}

// wrongEntry is an entry of the list of what is wrong.
type wrongEntry struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	State string `json:"state"`
	Why   string `json:"why"`
}

func (v *view) document() document {
	d := document{APIVersion: apiVersion, Kind: kind, Map: v.Map}
	for _, f := range v.wrong {
		asIs := func(name string) string { return name }
		d.Wrong = append(d.Wrong, wrongEntry{Kind: f.kind, Name: f.name, State: f.state.String(), Why: v.sayFault(f, asIs)})
	}
	return d
}

func asJSON(v *view) (string, error) {
	text, err := json.MarshalIndent(v.document(), "", "  ")
	if err != nil {
		return "", fmt.Errorf("cannot write JSON: %w", err)
	}
	return printable(string(text), jsonEscape) + "\n", nil
}

// asYAML writes YAML in blocks. Where a character does not print it writes JSON instead, which is YAML too: in its quotes everything can be escaped,
// while the YAML writer refuses some characters, leaves some as they are, and loses the line breaks of Unicode.
func asYAML(v *view) (string, error) {
	flow, err := json.MarshalIndent(v.document(), "", "  ")
	if err != nil {
		return "", fmt.Errorf("cannot write YAML: %w", err)
	}
	escaped := printable(string(flow), yamlEscape)
	if escaped != string(flow) {
		return escaped + "\n", nil
	}
	blocks, err := yaml.JSONToYAML(flow)
	if err != nil {
		return "", fmt.Errorf("cannot write YAML: %w", err)
	}
	if printable(string(blocks), yamlEscape) != string(blocks) {
		return escaped + "\n", nil
	}
	return string(blocks), nil
}

// printable escapes what does not print. In JSON it stands inside strings only, so no text changes its meaning.
func printable(text string, escape func(rune) string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escape(r))
		}
	}
	return b.String()
}

// jsonEscape is a character as JSON writes it: what needs more than 16 bits becomes a pair.
func jsonEscape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// yamlEscape is a character as YAML writes it, which knows no pairs.
func yamlEscape(r rune) string { return fmt.Sprintf(`\U%08x`, r) }
