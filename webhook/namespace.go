package webhook

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
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

// podLooker looks at no more than limit pods of a namespace, and no longer than the context lasts. What it could not see
// is no error, but said in what it returns.
type podLooker interface {
	Pods(ctx context.Context, namespace string, limit int) policy.Pods
}

// The bounds of a look at a namespace's pods (MF207).
const (
	maxPods     = 500
	podsTimeout = 300 * time.Millisecond
)

// namespaces validates Namespaces. To allow one it calls nobody: the fleet is at hand. Only a namespace that moves to other
// meshes costs a look at its pods, and a question for the user's rights if the configuration wants it asked.
type namespaces struct {
	pods     podLooker
	access   accessReviewer
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
	change := policy.NamespaceChange{Old: old.judged(), New: updated.judged(), Now: h.now(), User: req.UserInfo.Username}
	// The object's name counts, because that of the request is empty if it was generated.
	if change.New.Deleting || h.exempt.user(req.UserInfo.Username) || h.exempt.object(updated) {
		return allow()
	}
	if !h.fleet.Synced() {
		return h.recorder.notYet(ctx, &req, errNotSynced)
	}
	change.Fleet = h.fleet.Fleet()
	return h.finisher.finish(ctx, &req, updated.Metadata.Annotations, h.judge(ctx, &req, change, updated.Metadata.Annotations))
}

// judge asks the policy, and whom the policy needs to have asked. The pods count if the namespace moves, which it does also if
// what is wrong with it may be overridden.
func (h *namespaces) judge(ctx context.Context, req *admission.Request, change policy.NamespaceChange, annotations map[string]string) policy.Verdict {
	verdict := h.ask(ctx, req, &change)
	if verdict.Answer != policy.Allowed {
		verdict = h.confirmed(ctx, req, &change, verdict)
	}
	override := policy.ReadOverride(annotations[policy.OverrideAnnotation])
	if (verdict.Answer == policy.Allowed || len(override.Asks(verdict)) > 0) && h.policy.Moves(change) {
		pods := h.look(ctx, change.New.Name)
		change.Pods = &pods
		verdict = h.policy.Namespace(change)
	}
	return verdict
}

// ask judges with the rights that the user has to the meshes that the namespace joins. What has been asked in this request
// already is not asked again, or a slow API server would use up the time that there is for an answer.
func (h *namespaces) ask(ctx context.Context, req *admission.Request, change *policy.NamespaceChange) policy.Verdict {
	joins := h.policy.Joins(*change)
	if len(joins) > 0 {
		ctx, cancel := context.WithTimeout(ctx, rightsTimeout)
		defer cancel()
		rights := make(map[mesh.Ref]policy.Right, len(joins))
		for _, ref := range joins {
			if right, asked := change.Rights[ref]; asked {
				rights[ref] = right
				continue
			}
			rights[ref] = may(ctx, h.access, req, authorizationv1.ResourceAttributes{
				Verb: policy.UseVerb, Group: policy.UseGroup, Resource: policy.UseResource(ref), Name: ref.Name,
			})
		}
		change.Rights = rights
	}
	return h.policy.Namespace(*change)
}

// confirmed judges a namespace again, against what is stored, before it is refused.
func (h *namespaces) confirmed(ctx context.Context, req *admission.Request, change *policy.NamespaceChange, verdict policy.Verdict) policy.Verdict {
	fleet := confirming(ctx, h.stored, change.Fleet)
	if fleet == nil {
		return verdict
	}
	change.Fleet = fleet
	return h.ask(ctx, req, change)
}

// look sees what it can of the namespace's pods in the time that there is.
func (h *namespaces) look(ctx context.Context, namespace string) policy.Pods {
	if ctx.Err() != nil {
		return policy.Pods{Stopped: "before it began, because the API server is slow"}
	}
	ctx, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	return h.pods.Pods(ctx, namespace, maxPods)
}
