package ledger

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/sail"
)

// Worlds returns the states that the cluster may get into, as far as two objects at a time go: first what is stored, then
// the same with open claims come true, at most one of an object. What is right in each of them is right whichever of the
// claims come true.
//
// Right means: compared with what is stored, the first world, and not with the same world before the change. A claim that
// overlaps with the changed mesh as it is stored must not excuse an overlap with the mesh as it will be.
//
// An IstioRevision is judged by the Istio that owns it, and by what that one declares. So if both are in flight, there are also
// worlds with the revisions alone, in case the Istio is refused elsewhere: as few as of all claims, since each makes every
// other change be judged once more.
func Worlds(stored mesh.Objects, claims []Claim) []World {
	inFlight := map[mesh.Ref]bool{}
	for i := range claims {
		inFlight[claims[i].Ref()] = true
	}
	var owned []Claim
	for i := range claims {
		if owner := claims[i].Object.Metadata.Controller(sail.KindIstio); owner != "" && inFlight[mesh.Ref{Kind: sail.KindIstio, Name: owner}] {
			owned = append(owned, claims[i])
		}
	}
	return slices.Concat([]World{{Objects: stored}}, together(stored, claims), together(stored, owned))
}

// together puts each claim into a world, with claims on other objects.
func together(stored mesh.Objects, claims []Claim) (worlds []World) {
	layer := map[mesh.Ref]int{}
	for i := range claims {
		ref := claims[i].Ref()
		if layer[ref] == len(worlds) {
			worlds = append(worlds, World{Objects: stored})
		}
		world := &worlds[layer[ref]]
		layer[ref]++
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
