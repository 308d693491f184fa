package observed

import (
	"cmp"
	"slices"
)

// peerAuthentication is Istio's own, of which only the mode for whole namespaces and meshes is read.
type peerAuthentication struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		MTLS struct {
			Mode string `json:"mode"`
		} `json:"mtls"`
	} `json:"spec"`
}

// Modes of mutual TLS. An absent mode is unset, which inherits, and is permissive where there is nothing to inherit.
const (
	strict = "STRICT"
	unset  = "UNSET"
)

func (p *peerAuthentication) mode() string { return cmp.Or(p.Spec.MTLS.Mode, unset) }

// comesBefore reports whether the PeerAuthentication counts where both could: the older one, and of two from one second the first by name
// (sortConfigByCreationTime).
func (p *peerAuthentication) comesBefore(other *peerAuthentication) bool {
	return cmp.Or(cmp.Compare(p.Metadata.CreationTimestamp, other.Metadata.CreationTimestamp), cmp.Compare(p.Metadata.Name, other.Metadata.Name)) < 0
}

// peerPolicies returns, by namespace, the PeerAuthentication that counts for all of it, or for the mesh whose root namespace it is: the oldest without
// a selector. The others without one are ignored (addPeerAuthentication in istio/pilot/pkg/model/authentication.go).
func (c *Cluster) peerPolicies() map[string]*peerAuthentication {
	oldest := map[string]*peerAuthentication{}
	for i := range c.peerAuthentications {
		p := &c.peerAuthentications[i]
		if len(p.Spec.Selector.MatchLabels) > 0 {
			continue
		}
		if other := oldest[p.Metadata.Namespace]; other == nil || p.comesBefore(other) {
			oldest[p.Metadata.Namespace] = p
		}
	}
	return oldest
}

// weakened returns the namespaces, sorted, whose own PeerAuthentication asks for less than STRICT.
func (v *view) weakened() []string {
	var weak []string
	for namespace, p := range v.peers {
		if p.mode() != strict && p.mode() != unset {
			weak = append(weak, namespace)
		}
	}
	slices.Sort(weak)
	return weak
}
