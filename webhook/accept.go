package webhook

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/api"
	"github.com/meshfence/meshfence/webhook/policy"
)

// acceptance judges what an object is to accept: the audit is silenced by users who may override the rule. That is a question of its own,
// which is asked first: the object may be as wrong as it was before.
func (h *kindHandler[O]) acceptance(ctx context.Context, req *admission.Request, old, updated *O) policy.Verdict {
	if h.annotations == nil || updated == nil {
		return policy.Verdict{Answer: policy.Allowed}
	}
	annotations := h.annotations(updated)
	if _, accepts := annotations[api.AcceptAnnotation]; !accepts {
		return policy.Verdict{Answer: policy.Allowed}
	}
	now := policy.ReadAcceptance(annotations)
	change := policy.AcceptanceChange{New: &now, User: req.UserInfo.Username}
	if old != nil && (h.guarded == nil || h.guarded(old)) {
		before := policy.ReadAcceptance(h.annotations(old))
		change.Old = &before
	}
	change.Rights = h.askOverrides(ctx, req, h.policy.Accepts(change))
	return h.override(ctx, req, annotations, h.policy.Acceptance(change))
}

// askOverrides asks whether the user may override rules.
func (c *common) askOverrides(ctx context.Context, req *admission.Request, codes []policy.Code) map[policy.Code]policy.Right {
	rights := map[policy.Code]policy.Right{}
	ctx, cancel := context.WithTimeout(ctx, rightsTimeout)
	defer cancel()
	for _, code := range codes {
		rights[code] = c.right(ctx, req, authorizationv1.ResourceAttributes{
			Verb: policy.OverrideVerb, Group: policy.OverrideGroup, Resource: policy.OverrideResource, Name: policy.OverrideName(code),
		})
	}
	return rights
}
