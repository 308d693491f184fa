package policy

import (
	"fmt"
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// selectorRemedy gives a mesh a selector of its own: as a command if the mesh is stored already, else as the lines of
// its manifest.
func selectorRemedy(m *mesh.Mesh, w *World) string {
	const pruned = "; the API server drops a misspelt field (such as matchLabel), which leaves {}"
	if w.Updating {
		return fmt.Sprintf(`Give it a selector of its own: kubectl patch %s %s --type=merge -p `+
			`'{"spec":{"values":{"meshConfig":{"discoverySelectors":[{"matchLabels":{%q:%q}}]}}}}'`+pruned,
			resource(m), m.Name, discoveryLabel(w), m.Name)
	}
	return fmt.Sprintf("Give it a selector of its own: spec: {values: {meshConfig: {discoverySelectors: [{matchLabels: {%s: %s}}]}}}"+pruned,
		discoveryLabel(w), m.Name)
}

// resource is what kubectl calls the mesh's kind, with the group, because other products have an istio resource too.
func resource(m *mesh.Mesh) string {
	if m.Kind == "IstioRevision" {
		return "istiorevisions.sailoperator.io"
	}
	return "istios.sailoperator.io"
}

// discoveryLabel is the configured discovery label that other meshes use already, else the first.
func discoveryLabel(w *World) string {
	used := w.Fleet.SelectorKeys()
	for _, key := range w.DiscoveryLabels {
		if slices.Contains(used, key) {
			return key
		}
	}
	if len(w.DiscoveryLabels) > 0 {
		return w.DiscoveryLabels[0]
	}
	return "istio-discovery"
}
