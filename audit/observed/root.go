package observed

import (
	"slices"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// meshRoots returns the root certificates of meshes: what their injector webhooks are called with. istiod writes that from the same bundle as the
// ConfigMaps (istio/pkg/webhooks/webhookpatch.go), so that no Secret has to be read. A mesh whose webhooks have none yet is left out.
func (v *view) meshRoots() map[mesh.Ref]certificates {
	roots := map[mesh.Ref]certificates{}
	for i := range v.injectors {
		in := &v.injectors[i]
		m := v.meshOf(in)
		if m == nil {
			continue
		}
		for _, w := range in.webhooks {
			for digest, subject := range w.roots {
				if roots[m.Ref] == nil {
					roots[m.Ref] = certificates{}
				}
				roots[m.Ref][digest] = subject
			}
		}
	}
	return roots
}

// writer is a mesh that writes its root certificate to a ConfigMap in a namespace.
type writer struct {
	mesh   *mesh.Mesh
	bundle string
}

// writers are the meshes that write a root certificate to a namespace, each once for every name of a ConfigMap, by mesh and name.
func (v *view) writers(ns *mesh.Namespace) []writer {
	if !mesh.GetsRootCertificate(ns.Name) {
		return nil
	}
	var all []writer
	for _, m := range v.discovering[ns.Name] {
		var names []string
		for i := range m.Sources {
			s := &m.Sources[i]
			if s.Listing == mesh.Remote || s.ClusterTrustBundle || !slices.ContainsFunc(s.Terms, func(t mesh.Term) bool { return t.Selector.Matches(ns.Labels) }) {
				continue
			}
			names = append(names, s.TrustBundle)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			all = append(all, writer{m, name})
		}
	}
	return all
}

// TrustBundles returns the names, sorted, of the ConfigMaps that the istiods of a fleet write their root certificates to.
func TrustBundles(fleet *mesh.Fleet) []string {
	var names []string
	for _, m := range fleet.Meshes() {
		for i := range m.Sources {
			if s := &m.Sources[i]; s.TrustBundle != "" && !s.ClusterTrustBundle {
				names = append(names, s.TrustBundle)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// whose are the meshes with a certificate of these, by name.
func (v *view) whose(found certificates) []*mesh.Mesh {
	var all []*mesh.Mesh
	for _, m := range v.fleet.Meshes() {
		if len(v.roots[m.Ref].common(found)) > 0 {
			all = append(all, m)
		}
	}
	return all
}
