package webhook

import (
	"context"

	"github.com/meshfence/meshfence/webhook/cluster/ledger"
	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// change finds the mesh that changes with the object. An IstioRevision that a stored Istio controls or takes over is a part of that
// Istio's mesh, so a change of it is a change of that mesh: the operator's copies of the Istio's own selectors bring
// nothing new, whereas a revision that reaches into another mesh is found, whatever its owner reference says.
//
// before is what is stored, and objects the same with claims come true, if there are any: what a claim says is never there
// before. Only what becomes of namespaces is compared with what the claims alone do to them.
func (h *controlPlanes) change(ctx context.Context, stored mesh.Objects, world ledger.World, old, updated *sail.ControlPlane) (policy.MeshChange, error) {
	objects, claimed := world.Objects, len(world.Claims) > 0
	if old == nil && h.kind == mesh.KindIstiod { // its Deployment may have come first
		ref := mesh.Ref{Kind: h.kind, Name: updated.Metadata.Name}
		stored, objects = stored.Without(ref), objects.Without(ref)
	}
	// Most of what is stored is what the cache knows already, and needs not be read again.
	before := h.cluster.Fleet().Next(withOld(stored, old))
	fleet := before.Next(objects.With(updated))
	beside := before
	if claimed {
		beside = before.Next(withOld(objects, old))
	}
	changed := fleet.MeshOf(mesh.SourceRef(updated))
	if changed == nil { // an istiod's that an IstioRevision stands for
		return policy.MeshChange{}, nil
	}
	namespaces, err := h.namespaces(ctx, before, fleet)
	return policy.MeshChange{
		Old: before.Mesh(changed.Ref), New: changed, Before: before, Beside: beside, Fleet: fleet, Namespaces: namespaces,
		Exempt: h.exempt.namespace, Creating: old == nil, Now: h.now(),
	}, err
}

// namespaces returns the cluster's, with all labels on which a judgement against these fleets depends.
func (h *controlPlanes) namespaces(ctx context.Context, before, fleet *mesh.Fleet) ([]mesh.Namespace, error) {
	return h.cluster.Namespaces(ctx, func() []string { return h.policy.JudgedKeys(before, fleet) })
}

// withOld puts the object that is to be replaced, nil on CREATE, in its place.
func withOld(objects mesh.Objects, old *sail.ControlPlane) mesh.Objects {
	if old == nil {
		return objects
	}
	return objects.With(old)
}
