// Package yamlpath finds fields of YAML by their paths. It is pure.
package yamlpath

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Find returns the value of a field, and the node that a person looks at; nil if the field is not there.
func Find(root *yaml.Node, steps []string) (value, at *yaml.Node) {
	value, at = root, root
	for _, step := range steps {
		if value, at = Descend(value, step); value == nil {
			return nil, nil
		}
	}
	return value, at
}

// maxAliases bounds how many aliases are followed on the way to a field.
const maxAliases = 100

// Descend returns the value of a key, or an item of a list, and the node that a person looks at: the key, or the item.
func Descend(node *yaml.Node, step any) (value, at *yaml.Node) {
	node = Resolved(node)
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step >= 0 && step < len(node.Content) {
			return node.Content[step], node.Content[step]
		}
		return nil, nil
	case string:
		if i, err := strconv.Atoi(step); err == nil && node.Kind == yaml.SequenceNode {
			return Descend(node, i)
		}
		return member(node, step, 0)
	default:
		return nil, nil
	}
}

// Resolved follows aliases.
func Resolved(node *yaml.Node) *yaml.Node {
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
		case k.Tag == MergeTag:
			if value, at = mergedMember(Resolved(node.Content[i+1]), key, depth+1); value != nil {
				return value, at
			}
		case k.Value == key:
			return node.Content[i+1], k
		}
	}
	return nil, nil
}

// MergeTag is the tag of a key whose value is merged.
const MergeTag = "!!merge"

// mergedMember finds a key of what is merged: a mapping, or a list of mappings of which the first wins.
func mergedMember(node *yaml.Node, key string, depth int) (value, at *yaml.Node) {
	candidates := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		candidates = node.Content
	}
	for _, candidate := range candidates {
		if value, at = member(Resolved(candidate), key, depth); value != nil {
			return value, at
		}
	}
	return nil, nil
}

// Steps takes a path apart: a.b[c.d][0] has the steps a, b, c.d and 0. In a list a step is a number.
func Steps(path string) []string {
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
