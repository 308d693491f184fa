package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/meshfence/meshfence/webhook/cluster/store"
)

// Reconfigure changes, at any time, what Options said of the mesh map's name and of the discovery labels. It returns at
// once, and never blocks.
//
// The API server is made to ask about new discovery labels as soon as the webhook configurations can be written: usually
// within a tenth of a second, and within seconds if they have just been written several times. What is stored in between
// with such a label passes unjudged, as everything did that was stored before. A label that is no longer configured is asked
// about until it has been out of use for NarrowEvery, like a key that no selector uses any more.
//
// Live reads the mesh map of the new name at once. The fleet keeps the whole content of the old one until the new one has been read, or
// is known not to exist, and has the whole content of the new one from then on; Synced and Ready do not change meanwhile.
func (c *Cluster) Reconfigure(meshMap string, discoveryLabels []string) {
	c.conditions.Configure(discoveryLabels)
	meshMap = cmp.Or(meshMap, DefaultMeshMap)
	c.mapName.Store(&meshMap)
	select {
	case c.renamed <- struct{}{}:
	default:
	}
}

// followMap reads and watches the mesh map, of whatever name is wanted, until the context ends. All reflectors fill one
// store, one after the other: what the last one knew stays there until the first list of the next one replaces it.
func (c *Cluster) followMap(ctx context.Context) {
	for ctx.Err() == nil {
		c.readMap(ctx, *c.mapName.Load())
	}
}

// readMap reads and watches the ConfigMap of this name until another one is wanted.
func (c *Cluster) readMap(ctx context.Context, name string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		for *c.mapName.Load() == name {
			select {
			case <-ctx.Done():
				return
			case <-c.renamed:
			}
		}
	}()
	store.NewReflector("mesh map", store.Objects(c.resources.configMaps, name), c.meshMap).RunWithContext(ctx)
}

// mapChanged logs, once for each change, what is wrong with the mesh map, and asks for a new fleet if an entry that can
// be used came, went or changed.
func (c *Cluster) mapChanged(ctx context.Context) {
	var now meshMap
	for _, m := range c.meshMap.Values() {
		now = m
	}
	before := c.loggedMap
	c.loggedMap = now
	if now.name != before.name || !slices.Equal(now.problems, before.problems) {
		for _, problem := range now.problems {
			log.FromContext(ctx).Info("ignored an entry of the mesh map", "namespace", c.options.Namespace, "configMap", now.name, "problem", problem)
		}
	}
	c.metrics.badEntries.Set(float64(now.ignored))
	if !c.built.Load() || !maps.Equal(now.entries, before.entries) {
		c.markDirty()
	}
}
