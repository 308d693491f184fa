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

// peerPolicy returns the PeerAuthentication that counts for a whole namespace, or for the mesh whose root namespace it is: the oldest without
// a selector. The others without one are ignored (addPeerAuthentication in istio/pilot/pkg/model/authentication.go). Of two from one second the name
// decides (sortConfigByCreationTime). It is nil if there is none.
func (v *view) peerPolicy(namespace string) *peerAuthentication {
	var oldest *peerAuthentication
	for i := range v.peerAuthentications {
		p := &v.peerAuthentications[i]
		if p.Metadata.Namespace != namespace || len(p.Spec.Selector.MatchLabels) > 0 {
			continue
		}
		if oldest == nil || cmp.Or(cmp.Compare(p.Metadata.CreationTimestamp, oldest.Metadata.CreationTimestamp), cmp.Compare(p.Metadata.Name, oldest.Metadata.Name)) < 0 {
			oldest = p
		}
	}
	return oldest
}

// weakened returns the namespaces, sorted, whose own PeerAuthentication asks for less than STRICT.
func (v *view) weakened() []string {
	namespaces := map[string]bool{}
	for i := range v.peerAuthentications {
		namespaces[v.peerAuthentications[i].Metadata.Namespace] = true
	}
	var weak []string
	for namespace := range namespaces {
		if p := v.peerPolicy(namespace); p != nil && p.mode() != strict && p.mode() != unset {
			weak = append(weak, namespace)
		}
	}
	slices.Sort(weak)
	return weak
}
