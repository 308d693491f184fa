package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// part is the text of one document.
type part struct {
	file   string
	source string
	text   []byte
	// nodes are those of the text, read when a position is asked for. All items of a List share them.
	nodes *nodes
	// line is that of the text's first line, and column how many characters of it come before: not 0 only for JSON values that share a line.
	line, column int
}

// nodes reads the nodes of a text once.
type nodes struct {
	once sync.Once
	root *yaml.Node // nil if the text cannot be read
}

// root returns the node of the text's value, or nil.
func (p *part) root() *yaml.Node {
	p.nodes.once.Do(func() {
		var document yaml.Node
		if yaml.Unmarshal(p.text, &document) == nil && document.Kind == yaml.DocumentNode && len(document.Content) > 0 {
			p.nodes.root = document.Content[0]
		}
	})
	return p.nodes.root
}

func (p *part) begin() Place {
	return Place{File: p.file, Line: p.line, Column: p.column + 1, Source: p.source}
}

// at returns the place of a position in the text, which begins at 1.
func (p *part) at(line, column int) Place {
	if line == 1 {
		column += p.column
	}
	return Place{File: p.file, Line: p.line + line - 1, Column: column, Source: p.source}
}

// separator finds a line that ends a document: --- or ... alone, perhaps with a comment, as kubectl splits. With content behind it, --- begins
// one too.
func separator() *regexp.Regexp { return regexp.MustCompile(`^(?:---|\.\.\.)(?:[ \t\r]*(?:#.*)?)$`) }

// split takes a text apart into documents. A line of three dashes within a block scalar is indented, so it is none that separates.
func split(file string, text []byte) []part {
	var parts []part
	ends := separator()
	current := part{file: file, line: 1}
	number := 0
	begin := 0
	for at := 0; at < len(text); {
		number++
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := bytes.TrimRight(text[at:end], "\r\n")
		switch {
		case ends.Match(line):
			current.text = text[begin:at]
			parts = append(parts, current)
			current, begin = part{file: file, line: number + 1}, end
		case bytes.HasPrefix(line, []byte("--- ")) && at > begin:
			current.text = text[begin:at]
			parts = append(parts, current)
			current, begin = part{file: file, line: number}, at
		}
		at = end
	}
	current.text = text[begin:]
	return append(parts, current)
}

// jsonValues takes a stream of JSON values apart, as kubectl does; all in one if the text is none.
func (p part) jsonValues() []part {
	if trimmed := bytes.TrimLeft(p.text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return []part{p}
	}
	var values []part
	decoder := json.NewDecoder(bytes.NewReader(p.text))
	for decoder.More() {
		before := decoder.InputOffset()
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return []part{p}
		}
		begin := before + int64(bytes.Index(p.text[before:], value))
		one := p
		one.text = withoutTabs(p.text[begin:decoder.InputOffset()])
		head := p.text[:begin]
		one.line = p.line + bytes.Count(head, []byte("\n"))
		one.column = len([]rune(string(head[bytes.LastIndexByte(head, '\n')+1:])))
		values = append(values, one)
	}
	return values
}

// withoutTabs replaces the tabs between tokens of JSON, which YAML does not allow there, by spaces, which stand where they stood.
func withoutTabs(text []byte) []byte {
	if !bytes.Contains(text, []byte("\t")) {
		return text
	}
	clean, quoted := bytes.Clone(text), false
	for i := 0; i < len(clean); i++ {
		switch c := clean[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '\t' && !quoted:
			clean[i] = ' '
		}
	}
	return clean
}

// sourceOf returns what a comment before the object says about its origin.
func sourceOf(text []byte) string {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if source, found := strings.CutPrefix(line, "# Source: "); found {
			return strings.TrimSpace(source)
		}
		if line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			break
		}
	}
	return ""
}
