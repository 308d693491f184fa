package policy

import (
	"sync"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// discovering returns the meshes, by name, that discover the namespace. All rules ask, so it is looked up once: for the two
// namespaces that are asked about first, the old and the new one. The slice must not be written.
func (w *World) discovering(ns *mesh.Namespace) []*mesh.Mesh {
	for i := range w.discovered {
		switch d := &w.discovered[i]; d.namespace {
		case ns:
			return d.meshes
		case nil:
			d.namespace, d.meshes = ns, w.Fleet.AppendDiscoveredBy(d.meshes[:0], ns.Labels)
			return d.meshes
		}
	}
	return w.Fleet.DiscoveredBy(ns.Labels)
}

// discovered are the meshes that discover one namespace.
type discovered struct {
	namespace *mesh.Namespace
	meshes    []*mesh.Mesh
}

// worlds are those of judgements that are over. A judgement that allows leaves nothing behind, so the next one needs no
// memory of its own.
type worlds struct{ pool sync.Pool }

// take returns a world that is like w.
func (p *worlds) take(w World) *World {
	taken, ok := p.pool.Get().(*World)
	if !ok {
		taken = &World{}
	}
	w.discovered = taken.discovered
	*taken = w
	return taken
}

// giveBack must be called when the world is not used any more, nor what discovering has returned. Verdicts hold texts only.
func (p *worlds) giveBack(w *World) {
	memo := w.discovered
	for i := range memo {
		clear(memo[i].meshes)
		memo[i] = discovered{meshes: memo[i].meshes[:0]}
	}
	*w = World{discovered: memo}
	p.pool.Put(w)
}
