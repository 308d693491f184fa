package webhook

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/meshfence/meshfence/webhook/policy"
)

// rightsTimeout limits the questions for rights of one kind, to meshes or to rules, of one request, beside the request's own
// deadline. The shortest timeoutSeconds of our webhooks is 5, and the meshes may have to be read in that time too.
const rightsTimeout = 2 * time.Second

// accessReviewer asks the API server what a user may do. An error means that it could not be asked.
type accessReviewer interface {
	Allowed(ctx context.Context, review authorizationv1.SubjectAccessReviewSpec) (bool, error)
}

// finisher takes a verdict from where the rules leave it to the reply. All validating handlers end with it.
type finisher struct {
	access   accessReviewer
	recorder *recorder
}

// finish applies what the object's annotations override, records the verdict and replies. annotations are those of the new
// object, or of the old one when it is deleted.
func (f *finisher) finish(ctx context.Context, req *admission.Request, annotations map[string]string, verdict policy.Verdict) admission.Response {
	return f.reply(ctx, req, f.override(ctx, req, annotations, verdict))
}

// override is the first half of finish, for handlers that have something to do between the verdict and the reply.
//
// Rights are asked for with every request, and not remembered: a right that was taken away must be gone, and only a request
// that would be refused and names the rule asks at all.
func (f *finisher) override(ctx context.Context, req *admission.Request, annotations map[string]string, verdict policy.Verdict) policy.Verdict {
	annotation := annotations[policy.OverrideAnnotation]
	if annotation == "" {
		return verdict
	}
	wanted := policy.ReadOverride(annotation)
	rights := map[policy.Code]policy.Right{}
	ctx, cancel := context.WithTimeout(ctx, rightsTimeout)
	defer cancel()
	for _, code := range wanted.Asks(verdict) {
		rights[code] = may(ctx, f.access, req, authorizationv1.ResourceAttributes{
			Verb: policy.OverrideVerb, Group: policy.OverrideGroup, Resource: policy.OverrideResource, Name: policy.OverrideName(code),
		})
		f.recorder.override(ctx, req, code, rights[code])
	}
	return wanted.Apply(verdict, req.UserInfo.Username, rights)
}

// reply is the second half of finish.
func (f *finisher) reply(ctx context.Context, req *admission.Request, verdict policy.Verdict) admission.Response {
	f.recorder.verdict(ctx, req, verdict)
	return answer(req, verdict)
}

// may asks whether the user of the request may do something, as all that the API server knows of the user.
func may(ctx context.Context, access accessReviewer, req *admission.Request, what authorizationv1.ResourceAttributes) policy.Right {
	user := req.UserInfo
	review := authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &what, User: user.Username, Groups: user.Groups, UID: user.UID}
	if len(user.Extra) > 0 {
		review.Extra = make(map[string]authorizationv1.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			review.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	allowed, err := access.Allowed(ctx, review)
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
