package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

var namespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// fleetReader gives the fleet as informers know it.
type fleetReader interface {
	Synced() bool
	Fleet() *mesh.Fleet
}

// storedReader gives the meshes as they are stored now.
type storedReader interface {
	Live(ctx context.Context) (mesh.Objects, error)
}

// namespaces validates Namespaces. To allow one it calls nobody: the fleet is at hand.
type namespaces struct {
	fleet    fleetReader
	stored   storedReader
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
	finisher *finisher
	now      func() int64
}

// Handle judges a CREATE or UPDATE of a namespace. Failure policy: Fail.
func (h *namespaces) Handle(ctx context.Context, req admission.Request) admission.Response {
	if err := routed(&req, namespaceKind); err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	if passes(&req) {
		return allow()
	}
	old, updated, err := decodeNamespaces(&req)
	if err != nil {
		return h.recorder.badRequest(ctx, err)
	}
	change := policy.NamespaceChange{Old: old.judged(), New: updated.judged(), Now: h.now()}
	// The object's name counts, because that of the request is empty if it was generated.
	if change.New.Deleting || h.exempt.user(req.UserInfo.Username) || h.exempt.namespace(change.New.Name) {
		return allow()
	}
	if !h.fleet.Synced() {
		return h.recorder.notYet(ctx, &req, errNotSynced)
	}
	change.Fleet = h.fleet.Fleet()
	verdict := h.confirmed(ctx, change, h.policy.Namespace(change))
	return h.finisher.finish(ctx, &req, updated.Metadata.Annotations, verdict)
}

// confirmed judges a namespace again, against what is stored, before it is refused: the fleet at hand may not have seen yet
// the mesh or the tag that the same person made a moment ago, and an apply of several objects would fail for no reason.
// If what is stored cannot be read, the first verdict stands.
func (h *namespaces) confirmed(ctx context.Context, change policy.NamespaceChange, verdict policy.Verdict) policy.Verdict {
	if verdict.Answer == policy.Allowed {
		return verdict
	}
	objects, err := h.stored.Live(ctx)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a denial could not be confirmed by a live read", "problem", err.Error())
		return verdict
	}
	change.Fleet = mesh.NewFleet(objects)
	return h.policy.Namespace(change)
}
