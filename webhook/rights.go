package webhook

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/mesh"
	"github.com/meshfence/meshfence/webhook/policy"
)

// rightsTimeout limits the questions for rights of one kind, to meshes or to rules, of one request, beside the request's own
// deadline. The shortest timeoutSeconds of our webhooks is 5, and the meshes may have to be read in that time too.
const rightsTimeout = 2 * time.Second

// right asks whether the user of the request may do something, with all that the API server has said of the user.
func (c *common) right(ctx context.Context, req *admission.Request, what authorizationv1.ResourceAttributes) policy.Right {
	user := req.UserInfo
	review := authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &what, User: user.Username, Groups: user.Groups, UID: user.UID}
	if len(user.Extra) > 0 {
		review.Extra = make(map[string]authorizationv1.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			review.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	allowed, err := c.cluster.Allowed(ctx, review)
	switch {
	case err != nil:
		log.FromContext(ctx).Info("cannot ask for a right", "verb", what.Verb, "resource", what.Resource+"."+what.Group, "rightName", what.Name, "problem", err.Error())
		return policy.Unasked
	case allowed:
		return policy.Granted
	default:
		return policy.Refused
	}
}

// askRights asks for the rights that the user has to the meshes that the namespace joins. What has been asked in this request
// already is not asked again, or a slow API server would use up the time that there is for an answer.
func (c *common) askRights(ctx context.Context, req *admission.Request, change *policy.NamespaceChange) {
	joins := c.policy.Joins(*change)
	if len(joins) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, rightsTimeout)
	defer cancel()
	rights := make(map[mesh.Ref]policy.Right, len(joins))
	for _, ref := range joins {
		right, asked := change.Rights[ref]
		if !asked {
			right = c.right(ctx, req, authorizationv1.ResourceAttributes{
				Verb: policy.UseVerb, Group: policy.UseGroup, Resource: policy.UseResource(ref), Name: ref.Name,
			})
		}
		rights[ref] = right
	}
	change.Rights = rights
}
