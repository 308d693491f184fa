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

// member finds a key of a mapping, also one that is merged into it. As in the reader of values, what comes last wins, whether it is merged or not.
func member(node *yaml.Node, key string, depth int) (value, at *yaml.Node) {
	if node.Kind != yaml.MappingNode || depth > maxAliases {
		return nil, nil
	}
	for i := len(node.Content) - 2; i >= 0; i -= 2 {
		switch k := node.Content[i]; {
		case k.Tag == mergeTag:
			if value, at = mergedMember(resolved(node.Content[i+1]), key, depth+1); value != nil {
				return value, at
			}
		case k.Value == key:
			return node.Content[i+1], k
		}
	}
	return nil, nil
}

const mergeTag = "!!merge"

// mergedMember finds a key of what is merged: a mapping, or a list of mappings of which the first wins.
func mergedMember(node *yaml.Node, key string, depth int) (value, at *yaml.Node) {
	candidates := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		candidates = node.Content
	}
	for _, candidate := range candidates {
		if value, at = member(resolved(candidate), key, depth); value != nil {
			return value, at
		}
	}
	return nil, nil
}

// writtenTwice returns the first key that a mapping has twice in its text, which is not so if it overrides a merged one; nil if there is none.
func writtenTwice(node *yaml.Node) *yaml.Node {
	type id struct{ tag, value string }
	keys := map[id]bool{}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.Tag != mergeTag {
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
