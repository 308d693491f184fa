package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// position finds a field of the object.
func (d *Document) position(path string) (Place, bool) {
	root := d.part.root()
	if root == nil {
		return Place{}, false
	}
	node, at := root, root
	steps := append([]any{}, d.within...)
	for _, step := range steps {
		if node, at = descend(node, step); node == nil {
			return Place{}, false
		}
	}
	for _, step := range stepsOf(path) {
		if node, at = descend(node, step); node == nil {
			return Place{}, false
		}
	}
	return d.part.at(at.Line, at.Column), true
}

// maxAliases bounds how many aliases are followed on the way to a field.
const maxAliases = 100

// descend returns the value of a key, or an item of a list, and the node that a person looks at: the key, or the item.
func descend(node *yaml.Node, step any) (value, at *yaml.Node) {
	node = resolved(node)
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step >= 0 && step < len(node.Content) {
			return node.Content[step], node.Content[step]
		}
		return nil, nil
	case string:
		if i, err := strconv.Atoi(step); err == nil && node.Kind == yaml.SequenceNode {
			return descend(node, i)
		}
		return member(node, step, 0)
	default:
		return nil, nil
	}
}

func resolved(node *yaml.Node) *yaml.Node {
	for range maxAliases {
		if node.Kind != yaml.AliasNode || node.Alias == nil {
			break
		}
		node = node.Alias
	}
	return node
}

// member finds a key of a mapping, also one that is merged into it; its own keys go before those.
func member(node *yaml.Node, key string, depth int) (value, at *yaml.Node) {
	if node.Kind != yaml.MappingNode || depth > maxAliases {
		return nil, nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		switch k := node.Content[i]; {
		case k.Value == key:
			return node.Content[i+1], k
		case k.Tag == "!!merge":
			merged = append(merged, resolved(node.Content[i+1]))
		}
	}
	for _, other := range merged {
		candidates := []*yaml.Node{other}
		if other.Kind == yaml.SequenceNode {
			candidates = other.Content
		}
		for _, candidate := range candidates {
			if value, at = member(resolved(candidate), key, depth+1); value != nil {
				return value, at
			}
		}
	}
	return nil, nil
}

// stepsOf takes a path apart: a.b[c.d][0] has the steps a, b, c.d and 0. In a list a step is a number.
func stepsOf(path string) []string {
	var steps []string
	for path != "" {
		if path[0] == '[' {
			inner, rest, _ := strings.Cut(path[1:], "]")
			steps = append(steps, strings.Trim(inner, `"'`))
			path = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return append(steps, path)
		}
		steps = append(steps, path[:end])
		path = strings.TrimPrefix(path[end:], ".")
	}
	return steps
}
