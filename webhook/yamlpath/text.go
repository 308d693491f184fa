package yamlpath

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// between stands in a path between a field that has a text and what is in that text: data.mesh: discoverySelectors[0]. With a line it is
// data.mesh: line 3: discoverySelectors[0]; or data.mesh: line 3, where no field is known.
const between = ": "

// WithLine puts a line into a path; a line of 0 is not known.
func WithLine(path string, line int) string {
	if line <= 0 {
		return path
	}
	field, inner := cut(path)
	if inner != "" {
		inner = between + inner
	}
	return fmt.Sprintf("%s%sline %d%s", field, between, line, inner)
}

// Split takes a path apart: the field, what is in its text, "" for none, and the line in the text, 0 if it is not known.
func Split(path string) (field, inner string, line int) {
	field, inner = cut(path)
	if number, named := strings.CutPrefix(inner, "line "); named {
		digits, rest, _ := strings.Cut(number, between)
		if n, err := strconv.Atoi(digits); err == nil {
			return field, rest, n
		}
	}
	return field, inner, 0
}

// cut finds the text in a path. The names of labels have no space, so none of them is taken for one.
func cut(path string) (field, inner string) {
	field, inner, _ = strings.Cut(path, between)
	return field, inner
}

// Text is YAML in a text, which is read as protobuf reads JSON: a name may be written as in the definition of the message (discovery_selectors).
type Text struct{ root *yaml.Node }

// ReadText reads a text. In one that cannot be read nothing is found.
func ReadText(text string) Text {
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil || document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return Text{}
	}
	return Text{document.Content[0]}
}

// Find returns the line and column of a field; ok is false if it is not there.
func (t Text) Find(path string) (line, column int, ok bool) {
	steps := Steps(path)
	if t.root == nil || len(steps) == 0 {
		return 0, 0, false
	}
	_, at := Find(t.root, steps)
	if at == nil {
		steps[0] = defined(steps[0])
		_, at = Find(t.root, steps)
	}
	if at == nil {
		return 0, 0, false
	}
	return at.Line, at.Column, true
}

// defined is a field's name in the definition of a message.
func defined(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Block leads from the text of a literal or folded scalar to the text that has the scalar. Only white space differs between the two, so it goes by what is none.
type Block struct{ inner, outer []place }

type place struct{ line, column int }

func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.line, other.line), cmp.Compare(p.column, other.column))
}

// ReadBlock reads the scalar of a text; nothing is found of a scalar of another style.
func ReadBlock(text string, scalar *yaml.Node) Block {
	if scalar.Kind != yaml.ScalarNode || scalar.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return Block{}
	}
	outer := cursor{rest: text, place: place{1, 1}}
	for outer.compare(place{scalar.Line, scalar.Column}) < 0 && outer.rest != "" {
		outer.next()
	}
	if !outer.header() {
		return Block{}
	}
	inner := (&cursor{rest: scalar.Value, place: place{1, 1}}).ink(len(scalar.Value))
	return Block{inner, outer.ink(len(inner))}
}

// At returns where in the text a line and column of the scalar stand, or what is next after them; ok is false if there is nothing.
func (b Block) At(line, column int) (atLine, atColumn int, ok bool) {
	i, _ := slices.BinarySearchFunc(b.inner, place{line, column}, place.compare)
	if i >= len(b.outer) {
		return 0, 0, false
	}
	return b.outer[i].line, b.outer[i].column, true
}

// cursor is a position in a text, as YAML counts it.
type cursor struct {
	rest string
	place
}

func (c *cursor) peek() rune {
	r, _ := utf8.DecodeRuneInString(c.rest)
	return r
}

// next passes a character.
func (c *cursor) next() {
	r, size := utf8.DecodeRuneInString(c.rest)
	c.rest = c.rest[size:]
	switch {
	case r == '\r' && strings.HasPrefix(c.rest, "\n"):
	case r == '\n', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
		c.line, c.column = c.line+1, 1
	default:
		c.column++
	}
}

// ink are the places of what is no white space, at most so many.
func (c *cursor) ink(limit int) []place {
	var all []place
	for c.rest != "" && len(all) < limit {
		if !unicode.IsSpace(c.peek()) {
			all = append(all, c.place)
		}
		c.next()
	}
	return all
}

// header passes the line with the indicator, from where the scalar begins: at its anchor, its tag, or the indicator.
func (c *cursor) header() bool {
	for {
		switch r := c.peek(); {
		case c.rest == "":
			return false
		case unicode.IsSpace(r):
			c.next()
		case r == '#', r == '|', r == '>':
			for line := c.line; c.line == line && c.rest != ""; {
				c.next()
			}
			if r != '#' {
				return true
			}
		case r == '!' || r == '&':
			for c.rest != "" && !unicode.IsSpace(c.peek()) {
				c.next()
			}
		default:
			return false
		}
	}
}

// maxVisits bounds the search for a type: aliases can make a text of any size.
const maxVisits = 10000

// FindType returns the line of the first value of a type, as JSON calls it, that stands at a path without indices or is an item or a value of what does; 0 if
// there is none. It finds what the JSON reader complains of.
func (t Text) FindType(path, typ string) (line int) {
	visits := 0
	var search func(node *yaml.Node, steps []string) bool
	search = func(node *yaml.Node, steps []string) bool {
		node = Resolved(node)
		if visits++; visits > maxVisits {
			return false
		}
		if len(steps) == 0 && typeOf(node) == typ {
			line = node.Line
			return true
		}
		switch {
		case node.Kind == yaml.SequenceNode:
			return slices.ContainsFunc(node.Content, func(item *yaml.Node) bool { return search(item, steps) })
		case node.Kind == yaml.MappingNode && len(steps) > 0:
			value, _ := Descend(node, steps[0])
			if value == nil {
				value, _ = Descend(node, defined(steps[0]))
			}
			return value != nil && search(value, steps[1:])
		case node.Kind == yaml.MappingNode:
			for i := 1; i < len(node.Content); i += 2 {
				if value := Resolved(node.Content[i]); typeOf(value) == typ {
					line = value.Line
					return true
				}
			}
		}
		return false
	}
	if t.root != nil {
		search(t.root, Steps(path))
	}
	return line
}

// typeOf is the type that the JSON of a node has.
func typeOf(node *yaml.Node) string {
	switch node.ShortTag() {
	case "!!map":
		return "object"
	case "!!seq":
		return "array"
	case "!!bool":
		return "bool"
	case "!!int", "!!float":
		return "number"
	case "!!null":
		return "null"
	default:
		return "string"
	}
}
