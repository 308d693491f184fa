package yamlpath

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// nodeSize is about what a value takes in memory besides its characters.
	nodeSize = 24
	// maxDepth bounds how deep values with aliases are nested.
	maxDepth = 1000
)

// AliasesAdd returns how many bytes larger a value is once its aliases are written out; beyond the limit it is only known to be more.
func AliasesAdd(root *yaml.Node, limit int) int {
	w := &written{limit: limit, sizes: map[*yaml.Node]int{}}
	return w.added(root, 0)
}

// AliasesOfTextAdd is AliasesAdd of a text. Of one that is not read here, but perhaps by another reader, each alias counts as the whole text.
func AliasesOfTextAdd(text string, limit int) int {
	stars := strings.Count(text, "*")
	if stars == 0 {
		return 0
	}
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil {
		return min(stars*len(text), limit+1)
	}
	return AliasesAdd(&document, limit)
}

// written counts the bytes of values once their aliases are written out. Counting ends beyond the limit.
type written struct {
	limit int
	sizes map[*yaml.Node]int
}

// added returns how much a value is larger once its aliases are written out.
func (w *written) added(n *yaml.Node, depth int) int {
	if depth > maxDepth {
		return w.limit + 1
	}
	if n.Kind == yaml.AliasNode {
		return w.size(n.Alias, depth)
	}
	total := 0
	for _, child := range n.Content {
		if total = min(total+w.added(child, depth+1), w.limit+1); total > w.limit {
			break
		}
	}
	return total
}

// size returns the size of a value with all that its aliases stand for.
func (w *written) size(n *yaml.Node, depth int) int {
	if known, ok := w.sizes[n]; ok {
		return known
	}
	if depth > maxDepth {
		return w.limit + 1
	}
	w.sizes[n] = w.limit + 1 // of a node that contains itself
	total := len(n.Value) + nodeSize
	if n.Kind == yaml.AliasNode {
		total = w.size(n.Alias, depth+1)
	}
	for _, child := range n.Content {
		if total = min(total+w.size(child, depth+1), w.limit+1); total > w.limit {
			break
		}
	}
	w.sizes[n] = total
	return total
}
