package ledger

import "github.com/meshfence/meshfence/webhook/mesh"

// Worlds returns the states that the cluster may get into, as far as two objects at a time go: first what is stored, then
// the same with open claims come true, at most one of an object. What is right in each of them is right whichever of the
// claims come true.
//
// Right means: compared with what is stored, the first world, and not with the same world before the change. A claim that
// overlaps with the changed mesh as it is stored must not excuse an overlap with the mesh as it will be.
func Worlds(stored mesh.Objects, claims []Claim) []World {
	worlds := []World{{Objects: stored}}
	layer := map[mesh.Ref]int{}
	for i := range claims {
		ref := claims[i].Ref()
		layer[ref]++
		if layer[ref] == len(worlds) {
			worlds = append(worlds, World{Objects: stored})
		}
		world := &worlds[layer[ref]]
		world.Objects = world.With(claims[i].Object)
		world.Claims = append(world.Claims, claims[i])
	}
	return worlds
}

// World is a state that the cluster may get into.
type World struct {
	mesh.Objects
	// Claims are those that have come true here.
	Claims []Claim
}
