package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// values takes a stream of JSON values apart, as kubectl does. What begins as JSON and is none is YAML: all of the text, or what follows the
// last value.
func (p part) values(yield func(part)) {
	if trimmed := bytes.TrimLeft(p.text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		yield(p)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(p.text))
	at := jsonCursor{text: p.text}
	for decoder.More() {
		var value json.RawMessage
		err := decoder.Decode(&value)
		at.space()
		one := p
		one.line, one.column = p.line+at.line, at.column
		if at.line == 0 {
			one.column += p.column
		}
		if err != nil {
			one.text = p.text[at.offset:]
			yield(one)
			return
		}
		end := int(decoder.InputOffset())
		one.text, one.json = p.text[at.offset:end], true
		yield(one)
		at.moveTo(end)
	}
	if at.space(); at.offset < len(p.text) { // a bracket that closes nothing, for which the decoder has no more values
		one := p
		one.line, one.column, one.text = p.line+at.line, at.column, p.text[at.offset:]
		yield(one)
	}
}

// jsonCursor is a position in a text, as an editor counts lines and columns, from 0; columns are characters.
type jsonCursor struct {
	text                 []byte
	offset, line, column int
}

func (c *jsonCursor) moveTo(offset int) {
	passed := c.text[c.offset:offset]
	if lines := bytes.Count(passed, []byte("\n")); lines > 0 {
		c.line, c.column = c.line+lines, 0
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	c.column += utf8.RuneCount(passed)
	c.offset = offset
}

// space passes what may stand between two tokens.
func (c *jsonCursor) space() {
	end := c.offset
	for end < len(c.text) && bytes.IndexByte([]byte(" \t\r\n"), c.text[end]) >= 0 {
		end++
	}
	c.moveTo(end)
}

// jsonReader reads the nodes of a valid JSON text. YAML's reader would not do: it knows no surrogates, and no tabs.
type jsonReader struct {
	jsonCursor
	// keysOnly leaves out the nodes: only keys are looked at.
	keysOnly bool
	// twice is the first key that an object has twice; nil if there is none.
	twice *yaml.Node
}

func jsonNodes(text []byte) *yaml.Node {
	r := &jsonReader{jsonCursor: jsonCursor{text: text}}
	return r.value()
}

// keyTwice returns the first key that an object of a valid JSON text has twice, or nil.
func keyTwice(text []byte) *yaml.Node {
	r := &jsonReader{jsonCursor: jsonCursor{text: text}, keysOnly: true}
	r.value()
	return r.twice
}

func (r *jsonReader) value() *yaml.Node {
	r.space()
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line + 1, Column: r.column + 1}
	switch r.text[r.offset] {
	case '{':
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		keys := map[string]struct{}{}
		r.items('}', func() {
			key := r.value()
			if _, known := keys[key.Value]; known && r.twice == nil {
				r.twice = key
			}
			keys[key.Value] = struct{}{}
			r.space()
			r.moveTo(r.offset + 1) // the colon
			r.keep(n, key, r.value())
		})
	case '[':
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		r.items(']', func() { r.keep(n, r.value()) })
	case '"':
		n.Tag, n.Value = "!!str", r.quoted()
	default:
		end := r.offset
		for end < len(r.text) && bytes.IndexByte([]byte(" \t\r\n,]}"), r.text[end]) < 0 {
			end++
		}
		n.Value = string(r.text[r.offset:end])
		r.moveTo(end)
	}
	return n
}

func (r *jsonReader) keep(n *yaml.Node, content ...*yaml.Node) {
	if !r.keysOnly {
		n.Content = append(n.Content, content...)
	}
}

// items reads what stands between brackets.
func (r *jsonReader) items(end byte, read func()) {
	for {
		r.moveTo(r.offset + 1) // the bracket, or a comma
		if r.space(); r.text[r.offset] == end {
			break
		}
		read()
		if r.space(); r.text[r.offset] == end {
			break
		}
	}
	r.moveTo(r.offset + 1)
}

// quoted reads a text in quotes.
func (r *jsonReader) quoted() string {
	end := r.offset + 1
	for r.text[end] != '"' {
		if r.text[end] == '\\' {
			end++
		}
		end++
	}
	raw := r.text[r.offset : end+1]
	r.moveTo(end + 1)
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var value string
	_ = json.Unmarshal(raw, &value) // the text is valid
	return value
}

// readJSON returns the JSON of a text that is JSON.
func (p *part) readJSON() (json.RawMessage, *Note) {
	if key := keyTwice(p.text); key != nil {
		return nil, &Note{p.at(key.Line, key.Column), fmt.Sprintf("it cannot be read: key %s already set in map", strconv.Quote(key.Value))}
	}
	return json.RawMessage(p.text), nil
}
