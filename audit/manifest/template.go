package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

const asTemplate = "skipped, as it is a template; check what helm template makes of it"

// action is how an action of Helm's templates begins.
const action = "{{"

// isTemplate reports whether a text that cannot be read is one of Helm's: by an action that is neither in a comment, nor in a block scalar, nor in
// quotes that hold. YAML would read those, so that something else is wrong with the text.
func isTemplate(text []byte) bool {
	s := &templateScanner{blockScalar: blockScalar(), parent: noBlock}
	for line := range bytes.Lines(text) {
		if s.hasAction(bytes.TrimRight(line, "\r\n")) {
			return true
		}
	}
	return false
}

// noBlock is no indentation: the scanner is in no block scalar.
const noBlock = -2

// templateScanner goes through the lines of a text that may be no YAML.
type templateScanner struct {
	blockScalar *regexp.Regexp
	// parent is the indentation of what a block scalar belongs to; its lines are indented more.
	parent int
	// quote is the quotation mark that is open, or 0.
	quote byte
}

// blockScalar finds the begin of a block scalar at the end of a line.
func blockScalar() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[:?-][ \t]+)(?:[&!][^ \t]+[ \t]+)*[|>][-+1-9]{0,2}[ \t]*$`)
}

func (s *templateScanner) hasAction(line []byte) bool {
	if s.parent != noBlock {
		if rest := bytes.TrimLeft(line, " "); len(rest) == 0 || len(line)-len(rest) > s.parent {
			return false
		}
		s.parent = noBlock
	}
	end := len(line)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case bytes.HasPrefix(line[i:], []byte(action)) && (s.quote == 0 || s.breaksQuotes(line[i:])):
			return true
		case s.quote == '"' && c == '\\', s.quote == '\'' && bytes.HasPrefix(line[i:], []byte("''")):
			i++
		case s.quote != 0 && c == s.quote:
			s.quote = 0
		case s.quote == 0 && (c == '"' || c == '\'') && beginsValue(line[:i]):
			s.quote = c
		case s.quote == 0 && c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			end = i
		}
		if end < len(line) {
			break
		}
	}
	if s.quote == 0 && s.blockScalar.Match(line[:end]) {
		s.parent = parentOf(line[:end])
	}
	return false
}

// breaksQuotes reports whether an action within quotes has the same quotation mark, which ends what is quoted.
func (s *templateScanner) breaksQuotes(text []byte) bool {
	inner, _, ends := bytes.Cut(text, []byte("}}"))
	if s.quote == '"' {
		inner = bytes.ReplaceAll(inner, []byte(`\"`), nil)
	} else {
		inner = bytes.ReplaceAll(inner, []byte(`''`), nil)
	}
	return ends && bytes.IndexByte(inner, s.quote) >= 0
}

// beginsValue reports whether a value can begin behind a text of its line.
func beginsValue(before []byte) bool {
	before = bytes.TrimRight(before, " \t")
	return len(before) == 0 || bytes.IndexByte([]byte(":-?[{,"), before[len(before)-1]) >= 0
}

// parentOf returns the indentation of the key, or of the dash, that the block scalar at the end of a line belongs to.
func parentOf(line []byte) int {
	if bytes.HasPrefix(line, []byte("---")) {
		return -1
	}
	parent := -1
	for i, c := range line {
		switch c {
		case ' ':
		case '-', '?':
			parent = i
			if i+1 < len(line) && line[i+1] != ' ' {
				return i
			}
		case '|', '>', '!', '&':
			return parent
		default:
			return i
		}
	}
	return parent
}

// judgedFields are those whose values are judged, besides the name. In others an action may be meant for another program: the annotations, or the
// templates of sidecars in an Istio's values.
func judgedFields() []string {
	return []string{
		"metadata.labels", "spec.version", "spec.namespace", "spec.profile", "spec.updateStrategy", "spec.targetRef", "spec.values.profile",
		"spec.values.revision", "spec.values.meshConfig.discoverySelectors", "spec.values.global", "spec.values.pilot", "webhooks",
	}
}

// isTemplated reports whether a judged field of an object has an action in quotes, which YAML reads as text.
func isTemplated(raw json.RawMessage) bool {
	if !bytes.Contains(raw, []byte(action)) {
		return false
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil {
		return false
	}
	for _, path := range judgedFields() {
		if hasAction(field(object, path)) {
			return true
		}
	}
	data, _ := object["data"].(map[string]any)
	for key, value := range data {
		// The mesh map has one line for each entry, and of an istiod's ConfigMap only the mesh configuration is read.
		text, _ := value.(string)
		if hasAction(key) || hasAction(text) && (key == "mesh" || !strings.Contains(text, "\n")) {
			return true
		}
	}
	return false
}

// field returns what stands at a path, or where the path ends because something else than a mapping stands there.
func field(value any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		mapping, ok := value.(map[string]any)
		if !ok {
			break
		}
		value = mapping[step]
	}
	return value
}

func hasAction(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.Contains(value, action)
	case []any:
		for _, item := range value {
			if hasAction(item) {
				return true
			}
		}
	case map[string]any:
		for key, item := range value {
			if hasAction(key) || hasAction(item) {
				return true
			}
		}
	}
	return false
}
