package manifest

import (
	"go.yaml.in/yaml/v3"

	"github.com/meshfence/meshfence/webhook/yamlpath"
)

// position finds a field of the object, or in a text that a field has: data.mesh: discoverySelectors[0].
func (d *Document) position(path string) (Place, bool) {
	value, at := d.part.root(), d.part.root()
	for _, step := range d.within {
		if value != nil {
			value, at = yamlpath.Descend(value, step)
		}
	}
	field, inner, line := yamlpath.Split(path)
	if value != nil {
		value, at = yamlpath.Find(value, yamlpath.Steps(field))
	}
	switch {
	case at == nil:
		return Place{}, false
	case inner != "" || line > 0:
		return d.part.inText(value, at, inner, line), true
	default:
		return d.part.at(at.Line, at.Column), true
	}
}

// inText finds a field, or a line, in the text of a scalar. In a block scalar it has a line of its own; the place of another scalar is where it begins,
// and of what is not there, the key.
func (p *part) inText(scalar, key *yaml.Node, path string, line int) Place {
	scalar = yamlpath.Resolved(scalar)
	text, column := p.textOf(scalar), 1
	if path != "" {
		var found bool
		if line, column, found = text.Find(path); !found {
			return p.at(key.Line, key.Column)
		}
	}
	if line, column, ok := text.At(line, column); ok {
		return p.at(line, column)
	}
	return p.at(scalar.Line, scalar.Column)
}

// scalarText is YAML in a scalar, and where its lines are.
type scalarText struct {
	yamlpath.Text
	yamlpath.Block
}

// textOf reads the text of a scalar once.
func (p *part) textOf(scalar *yaml.Node) scalarText {
	p.nodes.textsLock.Lock()
	defer p.nodes.textsLock.Unlock()
	if text, known := p.nodes.texts[scalar]; known {
		return text
	}
	text := scalarText{yamlpath.ReadText(scalar.Value), yamlpath.ReadBlock(string(p.text), scalar)}
	if p.nodes.texts == nil {
		p.nodes.texts = map[*yaml.Node]scalarText{}
	}
	p.nodes.texts[scalar] = text
	return text
}

// writtenTwice returns the first key that a mapping has twice in its text, which is not so if it overrides a merged one; nil if there is none.
func writtenTwice(node *yaml.Node) *yaml.Node {
	type id struct{ tag, value string }
	keys := map[id]bool{}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.Tag != yamlpath.MergeTag {
			key := id{child.Tag, child.Value}
			if keys[key] {
				return child
			}
			keys[key] = true
		}
		if twice := writtenTwice(child); twice != nil {
			return twice
		}
	}
	return nil
}
