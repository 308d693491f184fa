package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Limits of what the aliases of a text may add to it, in bytes.
const (
	// Growth times its size a text may always have: labels that are used again, the settings of several meshes.
	Growth = 10
	// Spare is what all texts may have together beyond that.
	Spare = 32 << 20
	// nodeSize is about what a value takes in memory besides its characters.
	nodeSize = 24
	// maxDepth bounds how deep values with aliases are nested.
	maxDepth = 1000
)

// growth counts what the aliases of a text add to it.
type growth struct {
	// allowed is what they may still add.
	allowed int
	// own is what the text may add by its size; beyond that it takes of what is spare.
	own int
	// added is what they have added so far, overdrawn whether more was asked for than allowed.
	added     int
	overdrawn bool
}

func newGrowth(size, spare int) *growth {
	return &growth{own: Growth * size, allowed: Growth*size + spare}
}

// take adds what the aliases of a document add, and reports whether that is allowed.
func (g *growth) take(root *yaml.Node) bool {
	w := &written{limit: g.allowed, sizes: map[*yaml.Node]int{}}
	added := w.added(root, 0)
	if added > g.allowed {
		g.overdrawn = true
		return false
	}
	g.allowed -= added
	g.added += added
	return true
}

// spared is how much of what is spare was taken.
func (g *growth) spared() int { return max(0, g.added-g.own) }

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

func tooManyAliases() string {
	return fmt.Sprintf("it cannot be read: its aliases make more of the text than %d times its size and %d MiB", Growth, Spare>>20)
}
