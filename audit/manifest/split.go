package manifest

import (
	"bytes"
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
	// json says that the text is one value of JSON.
	json bool
}

// nodes reads the nodes of a text once.
type nodes struct {
	once sync.Once
	root *yaml.Node // nil if the text cannot be read

	linesOnce sync.Once
	lines     *lineMap

	textsLock sync.Mutex
	texts     map[*yaml.Node]scalarText
}

// root returns the node of the text's value, or nil.
func (p *part) root() *yaml.Node {
	p.nodes.once.Do(func() {
		if p.json {
			p.nodes.root = jsonNodes(p.text)
			return
		}
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

// at returns the place of a position in the text, which begins at 1, as the reader of its nodes counts.
func (p *part) at(line, column int) Place {
	if !p.json {
		p.nodes.linesOnce.Do(func() { p.nodes.lines = newLineMap(p.text) })
		line, column = p.nodes.lines.editor(line, column)
	}
	if line == 1 {
		column += p.column
	}
	return Place{File: p.file, Line: p.line + line - 1, Column: column, Source: p.source}
}

// separates reports whether a line ends a document: --- or ... alone, perhaps with a comment, as kubectl splits.
func separates(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("---")) && !bytes.HasPrefix(line, []byte("...")) {
		return false
	}
	rest := bytes.TrimSpace(line[3:])
	return len(rest) == 0 || rest[0] == '#'
}

// begins reports whether a line begins a document and has content of it.
func begins(line []byte) bool {
	return bytes.HasPrefix(line, []byte("--- ")) || bytes.HasPrefix(line, []byte("---\t"))
}

// split takes a text apart into documents that are not empty. A line of three dashes within a block scalar is indented, so it is none that separates.
func split(file string, text []byte, yield func(part)) {
	current := part{file: file, line: 1}
	begin, number := 0, 0
	end := func(at, next, line int) {
		if current.text = text[begin:at]; !isBlank(current.text) {
			yield(current)
		}
		current, begin = part{file: file, line: line}, next
	}
	for at := 0; at < len(text); {
		number++
		next := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		switch line := text[at:next]; {
		case separates(line):
			end(at, next, number+1)
		case begins(line) && at > begin:
			end(at, at, number)
		}
		at = next
	}
	end(len(text), len(text), 0)
}

// isBlank reports whether a text has nothing but comments.
func isBlank(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimLeft(line, " \t\r\n"); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// sourceOf returns what a comment before the object says about its origin.
func sourceOf(text []byte) string {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if source, found := bytes.CutPrefix(line, []byte("# Source: ")); found {
			return string(bytes.TrimSpace(source))
		}
		if len(line) > 0 && line[0] != '#' && string(line) != "---" {
			break
		}
	}
	return ""
}
