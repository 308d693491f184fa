package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/meshfence/meshfence/webhook/yamlpath"
)

// Limits of what the aliases of a text may add to it, in bytes.
const (
	// Growth times its size a text may always have: labels that are used again, the settings of several meshes.
	Growth = 10
	// Spare is what all texts may have together beyond that.
	Spare = 32 << 20
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
	added := yamlpath.AliasesAdd(root, g.allowed)
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

func tooManyAliases() string {
	return fmt.Sprintf("it cannot be read: its aliases make more of the text than %d times its size and %d MiB", Growth, Spare>>20)
}
