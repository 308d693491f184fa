package webhook

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
	"github.com/meshfence/meshfence/webhook/sail"
)

// judgeDeletion judges a DELETE. By default the user is only warned of what it leads to. An object with finalizers is judged here once;
// the updates by which they go, and another DELETE meanwhile, carry a deletion timestamp and pass, and so does the garbage
// collector, which brings away what belonged to it.
func (h *controlPlanes) judgeDeletion(ctx context.Context, req *admission.Request, gone *sail.ControlPlane) admission.Response {
	change := h.removal(ctx, h.storedOrKnown(ctx), gone, orphans(req))
	return h.finish(ctx, req, gone.Metadata.Annotations, h.policy.Mesh(change))
}

// removal finds the mesh that goes, or stays without one of its IstioRevisions. With an Istio go the IstioRevisions that it
// controls, unless they are orphaned: then each is a mesh of its own.
func (h *controlPlanes) removal(ctx context.Context, objects mesh.Objects, gone *sail.ControlPlane, orphaned bool) policy.MeshChange {
	ref := mesh.Ref{Kind: gone.Kind, Name: gone.Metadata.Name}
	after := objects.Without(ref)
	for _, revision := range objects.Revisions {
		if h.kind == sail.KindIstio && !orphaned && revision.Metadata.Controller(sail.KindIstio) == gone.Metadata.Name {
			after = after.Without(mesh.Ref{Kind: sail.KindIstioRevision, Name: revision.Metadata.Name})
		}
	}
	before := h.cluster.Fleet().Next(objects.With(gone))
	fleet := before.Next(after)
	old := before.MeshOf(ref)
	namespaces, _ := h.namespaces(ctx, before, fleet) // an error leaves what is known of them, as in storedOrKnown
	return policy.MeshChange{
		Old: old, New: fleet.Mesh(old.Ref), Before: before, Fleet: fleet, Namespaces: namespaces, Exempt: h.exempt.namespace, Now: h.now(), Removing: true,
	}
}

// orphans reports whether a DELETE asks to leave alone what the object owns (kubectl delete --cascade=orphan).
func orphans(req *admission.Request) bool {
	var options struct {
		PropagationPolicy metav1.DeletionPropagation `json:"propagationPolicy"`
		// OrphanDependents is how it was said before Kubernetes 1.7; it is still understood.
		OrphanDependents bool `json:"orphanDependents"`
	}
	// What cannot be read is taken for the default; the API server has checked it.
	_ = kjson.UnmarshalCaseSensitivePreserveInts(req.Options.Raw, &options)
	return options.PropagationPolicy == metav1.DeletePropagationOrphan || options.OrphanDependents
}
