package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
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

// namespaces validates Namespaces. It calls nobody: the fleet is at hand.
type namespaces struct {
	fleet    fleetReader
	policy   *policy.Policy
	exempt   exemptions
	recorder *recorder
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
	if h.exempt.user(req.UserInfo.Username) || h.exempt.namespace(change.New.Name) {
		return allow()
	}
	if !h.fleet.Synced() {
		return h.recorder.notYet(ctx, &req, errNotSynced)
	}
	change.Fleet = h.fleet.Fleet()
	verdict := h.policy.Namespace(change)
	h.recorder.verdict(ctx, &req, verdict)
	return answer(&req, verdict)
}
