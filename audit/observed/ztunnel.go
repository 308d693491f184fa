package observed

import (
	"cmp"
	"strings"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/mesh"
)

// ztunnel is the Sail operator's ZTunnel.
type ztunnel struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		TargetRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"targetRef"`
		Values struct {
			ZTunnel struct {
				XDSAddress     string `json:"xdsAddress"`
				IstioNamespace string `json:"istioNamespace"`
				Revision       string `json:"revision"`
			} `json:"ztunnel"`
		} `json:"values"`
	} `json:"spec"`
}

// meshOfZTunnel returns the mesh that a ZTunnel asks: that of its target, of its address, or of istiod in its control-plane namespace
// (istio/manifests/charts/ztunnel/templates/daemonset.yaml). It is nil if no known mesh is there.
func (v *view) meshOfZTunnel(z *ztunnel) *mesh.Mesh {
	target, values := z.Spec.TargetRef, &z.Spec.Values.ZTunnel
	if target.Name != "" {
		if target.Kind == api.KindIstioRevision {
			for _, m := range v.revisions[target.Name] {
				return m
			}
			return nil
		}
		return v.fleet.Mesh(mesh.Ref{Kind: target.Kind, Name: target.Name})
	}
	if values.XDSAddress != "" {
		// istiod-mesh-1.istio-system-1.svc:15012
		parts := strings.SplitN(values.XDSAddress, ".", 3)
		if len(parts) < 3 {
			return nil
		}
		return v.fleet.ControlPlaneOf(parts[1])
	}
	return v.fleet.ControlPlaneOf(cmp.Or(values.IstioNamespace, api.DefaultControlPlaneNamespace))
}
